// The painted mask: edits with undo and redo. The mask's alpha channel is the strength.
import {announce, find} from "./elements.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

const PAINT = "#ffffff";  // a fully painted mask has no shape in its alpha channel, so its lightness is read

const DOT_PX = 0.01;  // a line of no length would not be drawn

/** Edits of the mask on the canvas: strokes, masks, and clearing. `first` is the mask before them, an image or null. Those
 *  that were undone are in `undone`, last first. */
let edits = editsFrom(null);
const CLEARED = {};
let painting = null, before = null, requested = false;

/** Draws a stroke in one go, since the joints of separate parts would show. Where strokes overlap, the last one counts. */
function drawStroke(pen, {points, width, strength, filled}) {
    pen.lineWidth = width;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = pen.fillStyle = PAINT;
    pen.beginPath();
    pen.moveTo(...points[0]);
    pen.lineTo(points[0][0] + DOT_PX, points[0][1]);
    for (const point of points) pen.lineTo(...point);
    for (const [operation, alpha] of [["destination-out", 1], ["source-over", strength]]) {
        pen.globalCompositeOperation = operation;
        pen.globalAlpha = alpha;
        if (filled) pen.fill();
        else pen.stroke();
    }
}

function drawImage(pen, image) {
    const {width, height} = pen.canvas;
    pen.globalCompositeOperation = "copy";
    pen.globalAlpha = 1;
    pen.drawImage(image, 0, 0, width, height);
}

function redraw() {
    const canvas = find("canvas"), pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const {first, done} = edits, cleared = done.lastIndexOf(CLEARED);
    if (first && cleared < 0) drawImage(pen, first);
    for (const edit of done.slice(cleared + 1)) {
        if (edit.points) drawStroke(pen, edit);
        else drawImage(pen, edit);
    }
    announce("softinpaint-changed");
}

function add(edit) {
    edits.done.push(edit);
    edits.undone.length = 0;
}

function edited() {
    redraw();
    announce("softinpaint-edited");
}

// --- A stroke while it is painted -----------------------------------------------------------------------------------

export const isPainting = () => painting !== null;

/** Begins a stroke at a point of the image, in pixels. `filled` fills what the stroke encloses; strength 0 erases. */
export function beginStroke(point, {width, strength, filled}) {
    const canvas = find("canvas");
    before = new OffscreenCanvas(canvas.width, canvas.height);
    before.getContext("2d").drawImage(canvas, 0, 0);
    painting = {points: [point], width, strength, filled};
    drawPainting();
}

export function extendStroke(points) {
    painting.points.push(...points);
    if (requested) return;
    requested = true;
    requestAnimationFrame(drawPainting);
}

export function endStroke() {
    if (!painting) return;
    drawPainting();
    add(painting);
    painting = before = null;
    announce("softinpaint-edited");
}

/** Drops the stroke that is being painted. */
export function cancelStroke() {
    if (!painting) return;
    painting = before = null;
    redraw();
}

function drawPainting() {
    requested = false;
    if (!painting) return;
    const pen = find("canvas").getContext("2d");
    drawImage(pen, before);
    drawStroke(pen, painting);
    announce("softinpaint-changed");
}

// --- Whole edits ----------------------------------------------------------------------------------------------------

export function undo() {
    if (!undoable()) return;
    edits.undone.push(edits.done.pop());
    edited();
}

export function redo() {
    if (!redoable()) return;
    edits.done.push(edits.undone.pop());
    edited();
}

export const undoable = () => edits.done.length > 0;
export const redoable = () => edits.undone.length > 0;

export function clearMask() {
    add(CLEARED);
    edited();
}

/** Replaces the mask. `image` holds white paint with the strength in its alpha channel. */
export function putMask(image) {
    add(image);
    edited();
}

/** Says in words how much is painted. */
export function describeMask() {
    const canvas = find("canvas"), {width, height} = canvas;
    const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
    let painted = 0;
    for (let at = 3; at < data.length; at += 4) painted += data[at] > 0;
    canvas.ariaLabel = translated("The mask: {share} % of the image is painted.",
        {share: (100 * painted / (width * height)).toFixed(1)});
}

/** Edits that begin with a mask, an image or null. It cannot be undone. */
export function editsFrom(first) {
    return {first, done: [], undone: []};
}

/** Shows these edits on an image of this size. */
export function showEdits([width, height], shown) {
    const canvas = find("canvas");
    canvas.width = width;
    canvas.height = height;
    painting = before = null;
    edits = shown;
    redraw();
}
