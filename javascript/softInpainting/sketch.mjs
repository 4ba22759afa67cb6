// A sketch: paint of any colour on the image itself. What is painted is where it differs from the image as it was.
import {overWhite, sampled, sizeOf, valuesOf} from "./pixels.mjs";

const COMPARED_SIDE = 384;  // of the grid on which two images are compared
const SAME_COLOUR = 2;  // of 255: two drawings of one image may differ by this much
const GROWN_SHARE = 0.015;  // of the image's shorter side

/** Strengths of a sketch: where it differs from its original, as much as the WebUI's mask transparency leaves. */
export function readSketch(canvas, grid, {transparency}, original) {
    const before = sampled(overWhite(original ?? canvas, [canvas.width, canvas.height]), grid);
    const differs = (pixels, at, band) => Math.abs(pixels[at + band] - before[at + band]) > SAME_COLOUR;
    return valuesOf(sampled(canvas, grid), (pixels, at) =>
        differs(pixels, at, 0) || differs(pixels, at, 1) || differs(pixels, at, 2) ? 1 - transparency : 0);
}

/** Strengths with each pixel as strong as the strongest one in the square around it that Forge and Forge Neo look at. */
export function grown(strengths, [width, height]) {
    const reach = Math.trunc(GROWN_SHARE * Math.min(width, height));
    const strongest = (values, at, step, place, end) => {
        let most = 0;
        for (let offset = -Math.min(reach, place); offset <= Math.min(reach, end - 1 - place); offset++) {
            most = Math.max(most, values[at + offset * step]);
        }
        return most;
    };
    const across = strengths.map((_, at) => strongest(strengths, at, 1, at % width, width));
    return across.map((_, at) => strongest(across, at, width, Math.floor(at / width), height));
}

/** Keeps an image as the original of its sketches, unless it is such a sketch itself. The WebUI decides in the same way. */
export function keepOriginal(originals, image) {
    const before = originals.get(image), now = overWhite(image, sizeOf(image));
    if (!before || !alike(before, now)) originals.set(image, now);
}

/** Whether any pixel is the same in both. */
function alike(one, other) {
    if (one.width !== other.width || one.height !== other.height) return false;
    const grid = [COMPARED_SIDE, COMPARED_SIDE], pixels = sampled(other, grid);
    return valuesOf(sampled(one, grid), (before, at) =>
        Number([0, 1, 2].every((band) => before[at + band] === pixels[at + band]))).some(Boolean);
}
