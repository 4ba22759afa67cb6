// The note on changed settings in the closed section.
import assert from "node:assert/strict";
import {test} from "node:test";

import {changedLine, writeNotes} from "../../javascript/softInpainting/notes.mjs";

const FIELDS = [{label: "Mask grow", id: "softinpaint_grow", default: 0}, {label: "Mask image", id: "file", default: ""},
    {label: "Conditioning mask", id: "softinpaint_conditioning_mask", default: "soft"},
    {label: "Automatic threshold", id: "softinpaint_automatic_threshold", default: false}];

function page(controls) {
    return (selector) => controls[selector] ?? null;
}

test("nothing is said about defaults, or about controls that are not on the page", () => {
    assert.equal(changedLine(FIELDS, page({})), "");
    assert.equal(changedLine(FIELDS, page({
        "#softinpaint_grow input[type=number]": {value: "0.0"}, "#softinpaint_automatic_threshold input": {checked: false},
        "#softinpaint_conditioning_mask input:checked": {value: "soft"},
    })), "");
});

test("each kind of setting is listed once it differs", () => {
    assert.equal(changedLine(FIELDS, page({
        "#softinpaint_grow input[type=number]": {value: "-2"}, "#softinpaint_automatic_threshold input": {checked: true},
        "#softinpaint_conditioning_mask input:checked": {value: "hard"},
        "#softinpaint_mask_image_file .file-preview": {},
    })), "Changed under Advanced: Mask grow -2, Mask image, Conditioning mask hard, Automatic threshold.");
});

test("settings without effect are named at least opacity 1 only", () => {
    const elements = {"#softinpaint_preview .changed": {dataset: {fields: JSON.stringify(FIELDS)}},
        "#softinpaint_without_effect": {}};
    const note = (value) => {
        writeNotes(page({...elements, "#softinpaint_least_opacity input[type=number]": {value}}));
        return elements["#softinpaint_without_effect"].textContent;
    };
    assert.match(note("1"), /^At Least opacity 1, .* only act in the feather, and with Seam search only where it fades\.$/);
    assert.equal(note("0.95"), "");
    assert.equal(elements["#softinpaint_preview .changed"].textContent, "");
});
