// Zoom and pan: where the image lies in the stage, and how large.
import {find} from "./elements.mjs";

const LARGEST_SCALE = 32, PIXELATED_SCALE = 3;

/** Stage pixels for each pixel of the image, and the image's top left corner in the stage. */
const view = {scale: 1, left: 0, top: 0, fitted: true};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function fittingScale() {
    const {clientWidth, clientHeight} = find(".stage"), {width, height} = find("canvas");
    return Math.min(clientWidth / width, clientHeight / height);
}

function apply() {
    const stage = find(".stage"), {width, height} = find("canvas"), sheet = find(".sheet");
    const within = (start, side, room) => (side <= room ? (room - side) / 2 : clamp(start, room - side, 0));
    view.left = within(view.left, width * view.scale, stage.clientWidth);
    view.top = within(view.top, height * view.scale, stage.clientHeight);
    // Sized and not transformed: browsers round the outline's offsets in pixels before a transform enlarges them.
    sheet.style.width = `${width * view.scale}px`;
    sheet.style.height = `${height * view.scale}px`;
    sheet.style.translate = `${view.left}px ${view.top}px`;
    sheet.classList.toggle("pixelated", view.scale >= PIXELATED_SCALE);
    find(".zoom").textContent = `${Math.round(100 * view.scale)} %`;
}

/** Shows the whole image. */
export function fit() {
    view.scale = fittingScale();
    view.fitted = true;
    apply();
}

/** Zooms about a point of the window; without one, about the stage's middle. */
export function zoom(factor, at = null) {
    const stage = find(".stage"), box = stage.getBoundingClientRect(), least = fittingScale();
    const x = at ? at.clientX - box.left : stage.clientWidth / 2, y = at ? at.clientY - box.top : stage.clientHeight / 2;
    const scale = clamp(view.scale * factor, least, Math.max(LARGEST_SCALE, least));
    view.left = x - (x - view.left) * scale / view.scale;
    view.top = y - (y - view.top) * scale / view.scale;
    view.scale = scale;
    view.fitted = scale === least;
    apply();
}

export function pan(right, down) {
    view.left += right;
    view.top += down;
    apply();
}

/** Gives the stage the image's shape, and keeps the image fitted when the window changes. */
export function openView() {
    const {width, height} = find("canvas");
    find(".stage").style.setProperty("--shape", `${width} / ${height}`);
    fit();
}

export function watchStage() {
    new ResizeObserver(() => (view.fitted ? fit() : apply())).observe(find(".stage"));
}

/** A pointer's position in the image's pixels. */
export function pointOf(event) {
    const canvas = find("canvas"), box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

/** Where a point of the image is in the stage. Both in pixels. */
export const inStage = ([x, y]) => [view.left + x * view.scale, view.top + y * view.scale];

export const scaleOfView = () => view.scale;
