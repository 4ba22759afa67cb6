// The tools: which one is chosen, its width and strength, and its cursor.
import {find} from "./elements.mjs";
import {scaleOfView} from "./view.mjs";

const LEAST_BRUSH_PX = 1, WIDER = 1.2;
const TOOLS = ["brush", "eraser", "lasso", "move"];

export function chosenTool() {
    return find(".tools [aria-pressed=true][data-action]").dataset.action;
}

export function chooseTool(name) {
    for (const tool of TOOLS) find(`.tools [data-action=${tool}]`).ariaPressed = String(tool === name);
    find(".stage").dataset.tool = name;
}

/** The brush's width in the image's pixels. The slider sets it as a share of the longer side. */
export function brushWidth() {
    const {width, height} = find("canvas");
    return Math.max(LEAST_BRUSH_PX, Number(find(".brush").value) / 100 * Math.max(width, height));
}

/** The stroke that a press of the pointer begins, as `beginStroke` takes it. Shift erases. */
export function chosenStroke({shiftKey}) {
    const tool = chosenTool(), erases = shiftKey || tool === "eraser";
    return {width: brushWidth(), strength: erases ? 0 : Number(find(".strength").value) / 100, filled: tool === "lasso"};
}

export function changeBrush(wider) {
    setSlider(find(".brush"), Number(find(".brush").value) * (wider ? WIDER : 1 / WIDER));
}

export function setStrength(percent) {
    setSlider(find(".strength"), percent);
}

/** As by the pointer: the events show the value and keep it. */
function setSlider(slider, value) {
    slider.value = value;
    for (const event of ["input", "change"]) slider.dispatchEvent(new Event(event, {bubbles: true}));
}

/** Writes the sliders' values beside them, and sizes the cursor. */
export function showNumbers() {
    find(".brush-px").textContent = `${Math.round(brushWidth())} px`;
    find(".strength-percent").textContent = `${find(".strength").value} %`;
    for (const slider of [find(".brush"), find(".strength")]) {
        slider.style.setProperty("--share", (slider.value - slider.min) / (slider.max - slider.min));
    }
    const ring = find(".ring");
    ring.style.width = ring.style.height = `${brushWidth() * scaleOfView()}px`;
}

/** Moves the cursor to the pointer. */
export function showCursor({clientX, clientY}) {
    const box = find(".stage").getBoundingClientRect();
    placeCursor(clientX - box.left, clientY - box.top);
}

/** Moves the cursor to a place of the stage. */
export function placeCursor(left, top) {
    showNumbers();
    Object.assign(find(".ring").style, {left: `${left}px`, top: `${top}px`});
}
