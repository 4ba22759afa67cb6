// The file that the WebUI loads. It makes the browser fetch every module before it starts the preview.
import assert from "node:assert/strict";
import {readdirSync} from "node:fs";
import {test} from "node:test";

const FOLDER = new URL("../../javascript/softInpainting/", import.meta.url);

test("no module comes from an outdated cache", async () => {
    const asked = [], events = [];
    Object.assign(globalThis, {
        fetch: async (address, {cache}) => {
            assert.equal(cache, "no-cache");
            assert.equal(events.length, 0);
            asked.push(address.href);
            return {text: async () => ""};
        },
        document: {addEventListener: (event) => events.push(event)},
        ResizeObserver: class {},
        requestAnimationFrame: () => 0,
    });
    await import("../../javascript/softInpainting.mjs");
    assert.deepEqual(asked.sort(), readdirSync(FOLDER).map((name) => new URL(name, FOLDER).href).sort());
    assert.ok(events.includes("softinpaint-changed"));
});
