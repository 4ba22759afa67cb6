// Draws the preview: the mask over the image, and how much is repainted in each step. Lines differ in lightness and pattern,
// not only in hue.
import {translated} from "./translation.mjs";

const CURVE_WIDTH = 384, CURVE_HEIGHT = 120, CURVE_MARGIN = 18, CURVE_LINE_PX = 1.5;
const CORE = [255, 255, 255], HALF = [255, 190, 60], RIM = [220, 30, 50], GAP = [0, 0, 0], TINT = [255, 120, 60];
const DASH = [5, 8], DOT = [2, 5];  // pixels in colour, and of the whole period
const OUTSIDE = "rgba(0, 0, 0, 0.45)", LABEL_PX = 12;  // of the crops that Only masked generates
const CURVES = [{colour: "#4f8ef7", dashes: [2, 3]}, {colour: "#d06a1c", dashes: [7, 3]}, {colour: "#2b8a57", dashes: []}];

/** Draws the image, tinted as much as it is repainted. The core has a white outline, the half a dashed and the outermost
 *  reach a dotted one, with black gaps. What lies outside the crops is darker, and each crop has a label. */
export function drawMask(canvas, image, mask, width, height, crops, labels) {
    canvas.width = width;
    canvas.height = height;
    const pen = canvas.getContext("2d", {willReadFrequently: true});
    pen.drawImage(image, 0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height);
    for (let place = 0; place < mask.length; place++) {
        const line = outline(mask, place, width);
        const colour = line ?? TINT, share = line ? 1 : 0.5 * mask[place];
        for (let band = 0; band < 3; band++) {
            const old = pixels.data[4 * place + band];
            pixels.data[4 * place + band] = old + share * (colour[band] - old);
        }
    }
    pen.putImageData(pixels, 0, 0);
    if (crops.length) darkenOutside(pen, width, height, crops);
    crops.forEach((crop, number) => drawCrop(pen, width, height, crop, labels[number]));
}

function darkenOutside(pen, width, height, crops) {
    pen.save();
    for (const [left, top, right, bottom] of crops) {  // what is left after all clips is outside every crop
        pen.beginPath();
        pen.rect(0, 0, width, height);
        pen.rect(left, top, right - left, bottom - top);
        pen.clip("evenodd");
    }
    pen.fillStyle = OUTSIDE;
    pen.fillRect(0, 0, width, height);
    pen.restore();
}

function drawCrop(pen, width, height, [left, top, right, bottom], label) {
    pen.strokeStyle = "#fff";
    pen.setLineDash([4, 3]);
    pen.strokeRect(left + 0.5, top + 0.5, right - left - 1, bottom - top - 1);
    pen.font = `${LABEL_PX}px sans-serif`;
    const wide = pen.measureText(label).width + 4, high = LABEL_PX + 4;
    const x = Math.max(0, Math.min(left, width - wide)), y = top >= high ? top - high : Math.min(bottom, height - high);
    pen.fillStyle = "#000";
    pen.fillRect(x, y, wide, high);
    pen.fillStyle = "#fff";
    pen.fillText(label, x + 2, y + LABEL_PX);
}

/** Colour of the outline at a place, or null if there is none. */
function outline(mask, place, width) {
    const beside = (place + 1) % width ? place + 1 : place, below = place + width < mask.length ? place + width : place;
    const crosses = (level) => (mask[place] >= level) !== (mask[beside] >= level)
        || (mask[place] >= level) !== (mask[below] >= level);
    const along = place % width + 2 * Math.floor(place / width), patterned = (colour, [length, period]) =>
        (along % period < length ? colour : GAP);
    if (crosses(1)) return CORE;
    if (crosses(0.5)) return patterned(HALF, DASH);
    return crosses(0.5 / 255) ? patterned(RIM, DOT) : null;
}

/** Draws one curve for each mask value: the shares that are repainted, by step. `wanted` is the number of steps that the
 *  user asked for: at a lower denoising strength, fewer are run. */
export function drawCurves(canvas, curves, wanted) {
    const density = window.devicePixelRatio || 1;
    canvas.width = CURVE_WIDTH * density;
    canvas.height = CURVE_HEIGHT * density;
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    pen.scale(density, density);
    pen.font = `11px ${style.fontFamily}`;
    pen.fillStyle = pen.strokeStyle = style.color;
    const across = (step, count) => CURVE_MARGIN + (count > 1 ? step / (count - 1) : 0) * (CURVE_WIDTH - 2 * CURVE_MARGIN);
    const down = (share) => CURVE_HEIGHT - CURVE_MARGIN - share * (CURVE_HEIGHT - 2 * CURVE_MARGIN);
    pen.globalAlpha = 0.4;
    pen.strokeRect(CURVE_MARGIN, CURVE_MARGIN, CURVE_WIDTH - 2 * CURVE_MARGIN, CURVE_HEIGHT - 2 * CURVE_MARGIN);
    pen.globalAlpha = 1;
    pen.fillText(translated("repainted"), 2, 12);
    pen.textAlign = "right";
    const steps = curves[0].shares.length;
    const run = steps < wanted ? translated("{steps} of {count} steps", {steps, count: wanted})
        : translated("{steps} steps", {steps});
    pen.fillText(run, CURVE_WIDTH - 2, CURVE_HEIGHT - 4);
    pen.textAlign = "left";
    pen.lineWidth = CURVE_LINE_PX;
    curves.forEach(({maskValue, shares}, number) => {
        const {colour, dashes} = CURVES[number], left = 92 + 98 * number;
        pen.strokeStyle = colour;
        pen.setLineDash(dashes);
        pen.beginPath();
        shares.forEach((share, step) => pen.lineTo(across(step, shares.length), down(share)));
        pen.stroke();
        pen.beginPath();
        pen.moveTo(left, 8);
        pen.lineTo(left + 22, 8);
        pen.stroke();
        pen.fillText(translated("grey {value}", {value: maskValue}), left + 26, 12);
    });
}
