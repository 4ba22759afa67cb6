// Painting by keyboard. While the canvas has the focus, the arrow keys move the brush; docs/page.md and the list of shortcuts
// say what the other keys do.
import {find} from "./elements.mjs";
import {beginStroke, cancelStroke, endStroke, extendStroke, isPainting} from "./strokes.mjs";
import {brushWidth, changeBrush, chosenStroke, chosenTool, placeCursor} from "./tools.mjs";
import {inStage, pan} from "./view.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const STEP_SHARE = 0.5, LEAST_STEP_PX = 1, PAN_PX = 40;  // a step is this share of the brush's width

/** Where the brush is, as shares of the image's sides. */
const place = [0.5, 0.5];
let ownStroke = false;

function point() {
    const {width, height} = find("canvas");
    return [place[0] * width, place[1] * height];
}

/** Draws the brush, moves the view so that it can be seen, and says where it is. */
function show() {
    const {clientWidth, clientHeight} = find(".stage"), [x, y] = inStage(point());
    const beyond = (at, room) => Math.min(0, at) + Math.max(0, at - room);
    if (beyond(x, clientWidth) || beyond(y, clientHeight)) pan(-beyond(x, clientWidth), -beyond(y, clientHeight));
    placeCursor(...inStage(point()));
    const [across, down] = place.map((share) => Math.round(100 * share));
    find(".place").textContent = [translated("Brush at {across} % from the left and {down} % from the top.", {across, down}),
        ...isPainting() ? [translated("Painting.")] : []].join(" ");
}

function move([right, down], shiftKey) {
    if (chosenTool() === "move") return pan(-PAN_PX * right, -PAN_PX * down);
    const {width, height} = find("canvas");
    const step = shiftKey ? LEAST_STEP_PX : Math.max(LEAST_STEP_PX, STEP_SHARE * brushWidth());
    [right * step / width, down * step / height].forEach((share, axis) => {
        place[axis] = Math.min(Math.max(place[axis] + share, 0), 1);
    });
    if (ownStroke) extendStroke([point()]);
    return show();
}

function begin(event) {
    if (isPainting() || chosenTool() === "move") return;
    beginStroke(point(), chosenStroke(event));
    ownStroke = true;
    show();
}

function end(finish = endStroke) {
    if (!ownStroke) return;
    ownStroke = false;
    finish();
    show();
}

/** What a key does, or undefined if it does nothing here. */
function actionOf({key, shiftKey, repeat}) {
    if (ARROWS[key]) return () => move(ARROWS[key], shiftKey);
    const resize = {"+": true, "=": true, "-": false}[key];
    if (resize !== undefined) return () => changeBrush(resize);
    if (key === "Escape" && ownStroke) return () => end(cancelStroke);
    if (key === "Enter" || key === " ") return (event) => !repeat && (key === "Enter" && ownStroke ? end() : begin(event));
    return undefined;
}

/** Listens to the keyboard on the stage. */
export function watchKeyboard() {
    const stage = find(".stage");
    stage.addEventListener("keydown", (event) => {
        const act = event.target === stage && !event.ctrlKey && !event.metaKey && !event.altKey && actionOf(event);
        if (!act) return;
        event.preventDefault();
        event.stopPropagation();  // elsewhere on the page, these keys do something else
        act(event);
    });
    stage.addEventListener("keyup", ({key}) => key === " " && end());
    stage.addEventListener("focus", () => stage.matches(":focus-visible") && show());
    stage.addEventListener("blur", () => end());
}
