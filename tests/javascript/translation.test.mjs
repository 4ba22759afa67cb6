// Texts in the user's language: those with values, and those that the server has made.
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {translated, translatedText} from "../../javascript/softInpainting/translation.mjs";

globalThis.localization = JSON.parse(readFileSync(new URL("../../localizations/de_DE.json", import.meta.url)));
Object.assign(globalThis.localization, {"{broken(": "another extension's"});

test("a template is filled, and an unknown one stays English", () => {
    assert.equal(translated("seed {seed}", {seed: 3}), "Seed 3");
    assert.equal(translated("{steps} steps", {steps: 20}), "20 Schritte");
    assert.equal(translated("{steps} unknown steps", {steps: 20}), "20 unknown steps");
});

for (const [english, german] of [
    ["Mask blur", "Maskenunschärfe"],
    ["Saved as 00001-2.png.", "Gespeichert als 00001-2.png."],
    ["Re-composited in 12 ms. Not saved yet. White shows the new pixels, black the original.",
        "In 12 ms neu zusammengesetzt. Noch nicht gespeichert. Weiß zeigt die neuen Pixel, Schwarz das Original."],
    ["nearly like seed 4", "fast wie Seed 4"],
    ["Almost nothing changed with seeds 1, 2 and 3. Raise denoising strength (now 0.5).",
        "Bei Seeds 1, 2 und 3 hat sich fast nichts geändert. Erhöhe die Denoising-Stärke (jetzt 0.5)."],
    ["Also set Denoising strength 0.75, Masked content latent noise, Inpaint area Whole picture",
        "Außerdem setzen: Denoising-Stärke 0.75, Maskierter Inhalt Latentes Rauschen, Inpaint-Bereich Ganzes Bild"],
    ["Left: the original. Right: image 2.", "Links: das Original. Rechts: Bild 2."],
    ["Paint the background up to the subject’s edge, or paint the subject and choose Inpaint not masked.",
        "Übermale den Hintergrund bis an das Motiv, oder übermale das Motiv und wähle Unmaskiertes inpainten."],
]) test(`server: ${english}`, () => assert.equal(translatedText(english), german));

test("what is not known stays as it is, beside what is", () => {
    assert.equal(translatedText("A note of the model. Not saved yet."), "A note of the model. Noch nicht gespeichert.");
    assert.equal(translatedText("Saved as Mask and Brush.png."), "Gespeichert als Mask and Brush.png.");
    assert.equal(translatedText("A prompt with seed 3 at night"), "A prompt with seed 3 at night");
});

test("a translation is not translated again", () => {
    for (const translation of Object.values(globalThis.localization)) {
        const filled = translation.replaceAll(/\{\w+\}/g, "7");
        assert.equal(translatedText(filled), filled);
    }
});
