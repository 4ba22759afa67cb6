// Keyboard shortcuts, and the list of them on the page.
import {element} from "./elements.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

const TEXT = "textarea, select, input:not([type=checkbox], [type=radio], [type=button])";
const ARROWED = "input, [role=slider], [role=listbox], [role=tab]";

/** Keys, the action's name and what it does. An action that is not in the list of a context does nothing there. */
const SHORTCUTS = [
    [["B"], "brush", "Brush"],
    [["E"], "eraser", "Eraser (or hold Shift while you paint)"],
    [["L"], "lasso", "Lasso: fill what you draw around"],
    [["H"], "move", "Move the image (or hold Space, or the middle button)"],
    [["["], "narrower", "Narrower brush"],
    [["]"], "wider", "Wider brush"],
    [["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"], "strength", "Strength: 10 % to 100 %"],
    [["Ctrl+Z"], "undo", "Undo painting"],
    [["Ctrl+Shift+Z", "Ctrl+Y"], "redo", "Redo painting"],
    [["Delete"], "clear", "Clear the mask"],
    [["+", "="], "zoom-in", "Zoom in (or Ctrl and wheel)"],
    [["-"], "zoom-out", "Zoom out"],
    [["F"], "fit", "Show the whole image"],
    [["O"], "open", "Open an image"],
    [["Ctrl+Enter"], "generate", "Generate, also from the prompt"],
    [["ArrowLeft"], "previous", "Previous candidate"],
    [["ArrowRight"], "next", "Next candidate"],
    [["A"], "accept", "Accept: the candidate becomes the input"],
    [["C"], "compare", "Compare the candidate with the input"],
    [["D"], "discard", "Discard the candidate"],
    [["U"], "step-back", "Back to the step before"],
    [["Shift+U"], "step-forward", "Forward to the step after"],
    [["?"], "shortcuts", "This list"],
];
const ALSO_IN_TEXT = ["generate"];

/** Keys that keyboardBrush.mjs reads while the canvas has the focus, and what they do. */
const ON_CANVAS = [
    [["Tab"], "Go to the canvas, where the next keys paint"],
    [["←", "→", "↑", "↓"], "Move the brush; with Shift by one pixel"],
    [["Space"], "Paint while it is held; with Shift erase"],
    [["Enter"], "Begin or end a stroke, which the arrow keys draw"],
    [["Escape"], "Drop the stroke"],
    [["+", "-"], "Wider or narrower brush"],
];

/** The keys that an event stands for, as in SHORTCUTS. */
function keysOf({key, ctrlKey, metaKey, altKey, shiftKey}) {
    if (altKey) return "";
    const letter = /^[a-z]$/i.test(key), shown = letter ? key.toUpperCase() : key;
    return `${ctrlKey || metaKey ? "Ctrl+" : ""}${shiftKey && letter ? "Shift+" : ""}${shown}`;
}

/** The name of the action that a key press asks for, or null. */
export function actionOf(event) {
    const keys = keysOf(event), found = SHORTCUTS.find(([each]) => each.includes(keys)), {target} = event;
    if (!found) return null;
    if (target.matches?.(TEXT) && target.type !== "range" && !ALSO_IN_TEXT.includes(found[1])) return null;
    return event.key.startsWith("Arrow") && target.matches?.(ARROWED) ? null : found[1];
}

/** Rows of a table of all shortcuts. */
export function shortcutRows() {
    return [...SHORTCUTS.map(([keys, , description]) => [keys, description]), ...ON_CANVAS].map(([keys, description]) => {
        const shown = keys.length > 4 ? [keys[0], keys.at(-1)] : keys;
        const cell = element("td", {});
        shown.forEach((each, place) => cell.append(...place ? [keys.length > 4 ? " – " : " "] : [],
            element("kbd", {}, each.replace("ArrowLeft", "←").replace("ArrowRight", "→"))));
        return element("tr", {}, cell, element("td", {}, translated(description)));
    });
}
