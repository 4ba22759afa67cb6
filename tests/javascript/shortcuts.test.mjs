// The page's keyboard shortcuts.
import assert from "node:assert/strict";
import {test} from "node:test";

import {actionOf} from "../../lib_softinpaint/ui/browser/shortcuts.mjs";

const CANVAS = {matches: () => false};

/** The action of a key press on an element. */
function pressed(key, modifiers = {}, target = CANVAS) {
    return actionOf({key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, target, ...modifiers});
}

test("keys stand for actions, whatever their case", () => {
    assert.equal(pressed("b"), "brush");
    assert.equal(pressed("B"), "brush");
    assert.equal(pressed("u"), "step-back");
    assert.equal(pressed("U", {shiftKey: true}), "step-forward");
    assert.equal(pressed("z", {ctrlKey: true}), "undo");
    assert.equal(pressed("Z", {metaKey: true, shiftKey: true}), "redo");
    assert.equal(pressed("?", {shiftKey: true}), "shortcuts");
    assert.equal(pressed("+", {shiftKey: true}), "zoom-in");
    assert.equal(pressed("7"), "strength");
});

test("keys of the browser and of text boxes are left alone", () => {
    const text = {matches: (selector) => selector.startsWith("textarea")};
    assert.equal(pressed("b", {ctrlKey: true}), null);
    assert.equal(pressed("a", {altKey: true}), null);
    assert.equal(pressed("b", {}, text), null);
    assert.equal(pressed("Enter", {ctrlKey: true}, text), "generate");
    assert.equal(pressed("ArrowLeft", {}, {type: "range", matches: () => true}), null);
    assert.equal(pressed("b", {}, {type: "range", matches: () => true}), "brush");
});
