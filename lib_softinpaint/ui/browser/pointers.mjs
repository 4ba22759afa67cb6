// The mouse, the pen and fingers on the stage: painting, moving and zooming.
import {find} from "./elements.mjs";
import {beginStroke, cancelStroke, endStroke, extendStroke, isPainting} from "./strokes.mjs";
import {chosenStroke, chosenTool, showCursor} from "./tools.mjs";
import {pan, pointOf, zoom} from "./view.mjs";

const LEFT = 0, MIDDLE = 1, WHEEL_ZOOM = 0.002;
const TYPED = "textarea, input, button, select, [contenteditable]";

/** Pointers that are down, by id, with their last positions. */
const down = new Map();
let moving = false, spaceHeld = false;

const middleOf = (pointers) => ({
    clientX: pointers.reduce((sum, {clientX}) => sum + clientX, 0) / pointers.length,
    clientY: pointers.reduce((sum, {clientY}) => sum + clientY, 0) / pointers.length,
});
const spread = ([one, other]) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
const positionOf = ({clientX, clientY}) => ({clientX, clientY});

function press(event) {
    if (event.target.closest(".corner") || (event.button !== LEFT && event.button !== MIDDLE)) return;
    down.set(event.pointerId, positionOf(event));
    find(".stage").setPointerCapture(event.pointerId);
    document.activeElement?.blur();  // a text box would take the shortcuts
    event.preventDefault();
    moving = down.size > 1 || spaceHeld || event.button === MIDDLE || chosenTool() === "move";
    if (moving) cancelStroke();  // a second finger zooms
    else beginStroke(pointOf(event), chosenStroke(event));
    showMoving();
}

function move(event) {
    showCursor(event);
    if (!down.has(event.pointerId)) return;
    if (isPainting()) {
        const events = event.getCoalescedEvents?.() ?? [];
        extendStroke((events.length ? events : [event]).map(pointOf));
    }
    const before = [...down.values()];
    down.set(event.pointerId, positionOf(event));
    if (!moving) return;
    const now = [...down.values()], [from, to] = [middleOf(before), middleOf(now)];
    if (now.length > 1 && spread(before) > 0) zoom(spread(now) / spread(before), from);
    pan(to.clientX - from.clientX, to.clientY - from.clientY);
}

function release({pointerId}) {
    down.delete(pointerId);
    endStroke();
    moving &&= down.size > 0;
    showMoving();
}

function showMoving() {
    find(".stage").classList.toggle("moving", moving || spaceHeld);
}

function holdSpace(held) {
    return (event) => {
        if (event.key !== " " || event.target.matches?.(TYPED)) return;
        event.preventDefault();  // the page would scroll
        spaceHeld = held;
        showMoving();
    };
}

/** Listens to the pointers on the stage. */
export function watchPointers() {
    const stage = find(".stage");
    stage.addEventListener("pointerdown", press);
    stage.addEventListener("pointermove", move);
    for (const event of ["pointerup", "pointercancel"]) stage.addEventListener(event, release);
    stage.addEventListener("auxclick", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !event.metaKey) return;  // the page scrolls
        event.preventDefault();
        zoom(Math.exp(-WHEEL_ZOOM * event.deltaY), event);
        showCursor(event);
    }, {passive: false});
    document.addEventListener("keydown", holdSpace(true));
    document.addEventListener("keyup", holdSpace(false));
    window.addEventListener("blur", () => {
        spaceHeld = false;
        showMoving();
    });
}
