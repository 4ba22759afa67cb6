// Starts the accordion's live preview in the WebUI, which loads the files of this folder but none of its subfolders.
//
// The WebUI adds the time of change to the address of this file only, and sends no rule for caching. So a browser may use an
// outdated module for days after an update, beside new ones that do not fit it. Asking the server first prevents that.

const MODULES = ["advice", "controls", "crop", "distance", "drawing", "events", "gaussian", "mask", "maskTools",
    "notes", "painted",
    "pixels", "preview", "regions", "samplers", "scene", "schedule", "scheduleTypes", "sketch", "surroundings",
    "translation"];

await Promise.all(MODULES.map(async (name) =>
    (await fetch(new URL(`softInpainting/${name}.mjs`, import.meta.url), {cache: "no-cache"})).text()));
await import("./softInpainting/events.mjs");
