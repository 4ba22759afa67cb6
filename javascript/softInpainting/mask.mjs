// The repaint mask. Python twin: lib_softinpaint/method/mask.py; docs/method.md, section 1. 1 = repaint.
import {distanceTransform} from "./distance.mjs";
import {gaussianBlur} from "./gaussian.mjs";

const REACH_PER_BLUR = 2.4;
const AUTOMATIC_SHARE = 0.1, AUTOMATIC_CELLS = 4;
const LATENT_PX = 8;
const SMALLEST_REACH_PX = 16;
export const SEEN = 0.5 / 255;  // anything less is black in the mask by which the WebUI crops
const AREA_SHARE = 0.02;  // allows 50 strengths at most to start a feather, so that drawing takes a fifth of a second at most

/** Pixels that the feather reaches outward. `cellPx` is from cellSide. */
export function featherReach(settings, blurPx, paddingPx, paintedPixels, longestSide, cellPx) {
    let reach = REACH_PER_BLUR * blurPx;
    if (settings.feather_source === "own") {
        const share = settings.feather_unit === "pixels" ? 1 : Math.sqrt(paintedPixels) / 100;
        reach = Math.min(settings.feather_width * share, longestSide);
    } else if (settings.feather_source === "Automatic" && blurPx > 0) {
        const wanted = Math.max(AUTOMATIC_SHARE * Math.sqrt(paintedPixels), AUTOMATIC_CELLS * cellPx);
        reach = Math.max(reach, Math.min(wanted, longestSide));
    }
    return paddingPx === null ? reach : Math.min(reach, Math.max(paddingPx, SMALLEST_REACH_PX));
}

/** Side of a latent pixel in pixels of the painted mask, which is inpainted at a working size. As cell_side. */
export function cellSide(painted, width, height, [workingWidth, workingHeight], paddingPx) {
    let [left, top, right, bottom] = [0, 0, width, height];
    if (paddingPx !== null) {
        const box = boxAround(painted, width, 0) ?? [0, 0, width, height], padding = Math.ceil(paddingPx);
        [left, top] = [Math.max(0, box[0] - padding), Math.max(0, box[1] - padding)];
        [right, bottom] = [Math.min(width, box[2] + padding), Math.min(height, box[3] + padding)];
    }
    return LATENT_PX * Math.max((bottom - top) / workingHeight, (right - left) / workingWidth);
}

/** Padding that is left around the mask, so that a crop has `paddingPx` around what is painted. As padding_left. */
export function paddingLeft(painted, mask, width, height, paddingPx) {
    const inner = boxAround(painted, width, 0), outer = boxAround(mask, width, SEEN);
    if (!inner || !outer) return paddingPx;
    const used = [[inner[0] - outer[0], inner[0], outer[0], 0], [inner[1] - outer[1], inner[1], outer[1], 0],
        [outer[2] - inner[2], inner[2], outer[2], width], [outer[3] - inner[3], inner[3], outer[3], height]]
        .filter(([, here, there, border]) => here !== border && there !== border).map(([pixels]) => pixels);
    return Math.max(0, paddingPx - (used.length ? Math.min(...used) : paddingPx));
}

/** Left, top, right and bottom of the values above a limit, or null if there are none. */
export function boxAround(values, width, above) {
    let left = width, top = values.length, right = 0, bottom = 0;
    for (let place = 0; place < values.length; place++) {
        if (values[place] <= above) continue;
        const x = place % width, y = Math.floor(place / width);
        left = Math.min(left, x);
        right = Math.max(right, x + 1);
        top = Math.min(top, y);
        bottom = y + 1;
    }
    return right ? [left, top, right, bottom] : null;
}

/** Repaint mask of painted strengths, Float32Array, 0 to 1.
 *
 *  `reachPx` is from featherReach, and `scale` is grid pixels per pixel of the settings. `detours` is how much each place
 *  counts as farther from the paint, in grid pixels, or null. */
export function repaintMask(painted, width, height, settings, blurPx, reachPx, scale = 1, detours = null) {
    const growPx = settings.grow_px * scale;
    const core = growPx < 0 ? shrunk(painted, width, height, -growPx) : painted;
    const grow = Math.max(0, growPx);
    if (settings.feather_source === "host") {
        return hostBlur(featherOutward(core, width, height, 0, grow, null), width, height, blurPx * scale);
    }
    return featherOutward(core, width, height, reachPx * scale, grow, detours);
}

/** Number of pixels that are painted at all. */
export function countPainted(painted) {
    let count = 0;
    for (const strength of painted) count += strength > 0;
    return count;
}

/** Painted mask with a feather around it. As feather_outward. */
export function featherOutward(painted, width, height, reach, grow, detours) {
    const feathered = Float32Array.from(painted);
    if (Math.max(reach, grow) <= 0) return feathered;
    const farthest = (Math.max(reach, 0) + grow) ** 2;
    for (const least of mainStrengths(painted)) {
        const {squared, nearest} = distanceTransform(painted.map((strength) => Number(strength >= least)), width, height);
        for (let place = 0; place < feathered.length; place++) {
            if (squared[place] > farthest) continue;
            const distance = Math.sqrt(squared[place]) + (detours?.[place] ?? 0);
            const part = reach > 0 ? 1 - smootherstep((distance - grow) / reach) : 1;
            feathered[place] = Math.max(feathered[place], painted[nearest[place]] * part);
        }
    }
    return feathered;
}

/** The weakest painted strength and each in which an area is painted. Each of them starts its own feather, so that an
 *  antialiased rim does not weaken the feather of the area inside it. */
function mainStrengths(painted) {
    const counts = new Map();
    for (let place = 0, first = 0; place < painted.length; first = place) {
        const strength = painted[first];
        do place++; while (painted[place] === strength);
        if (strength > 0) counts.set(strength, (counts.get(strength) ?? 0) + place - first);
    }
    const least = AREA_SHARE * countPainted(painted), weakest = Math.min(...counts.keys());
    return [...counts.keys()].filter((strength) => strength === weakest || counts.get(strength) > least);
}

function smootherstep(way) {
    const part = Math.min(1, Math.max(0, way));
    return part * part * part * (part * (6 * part - 15) + 10);
}

/** Painted mask without its rim. A stroke that would vanish keeps its innermost pixels. As shrink. */
export function shrunk(painted, width, height, byPx) {
    if (painted.every(Boolean)) return painted;
    const {squared: rim} = distanceTransform(painted.map((strength) => Number(strength === 0)), width, height);
    const kept = painted.map((strength, place) => Number(Math.sqrt(rim[place]) > byPx));
    const stroke = new Int32Array(painted.length);
    for (let first = 0, number = 0; first < painted.length; first++) {
        if (!painted[first] || stroke[first]) continue;
        const places = connected(painted, stroke, width, height, first, ++number);
        if (places.some((place) => kept[place])) continue;
        const deepest = Math.sqrt(places.reduce((most, place) => Math.max(most, rim[place]), 0));
        for (const place of places) kept[place] = Number(Math.sqrt(rim[place]) > deepest - 0.5);
    }
    return painted.map((strength, place) => (kept[place] ? strength : 0));
}

/** Places of the stroke that a place belongs to, corners included, each marked with its number. As SciPy's label. */
export function connected(painted, stroke, width, height, first, number) {
    const places = [first];
    stroke[first] = number;
    for (let next = 0; next < places.length; next++) {
        const x = places[next] % width, y = Math.floor(places[next] / width);
        for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
            for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
                const place = row * width + column;
                if (painted[place] && !stroke[place]) {
                    stroke[place] = number;
                    places.push(place);
                }
            }
        }
    }
    return places;
}

/** Painted mask under the WebUI's own blur, rounded to 8 bits as it does. As host_blur. */
function hostBlur(mask, width, height, blurPx) {
    const blurred = blurPx > 0 ? gaussianBlur(mask, width, height, blurPx, Math.floor(2.5 * blurPx + 0.5)) : mask;
    return blurred.map((value) => Math.round(value * 255) / 255);
}
