// Splits painted strengths into their separate areas. Python twin: lib_softinpaint/method/regions.py.
import {boxAround, connected} from "./mask.mjs";

const GAP_PX = 8;
const MOST_REGIONS = 64;

/** The strengths of each area, in reading order; null if there are too many. `scale` is grid pixels per pixel. */
export function regions(strengths, width, height, scale) {
    const near = thickened(strengths, width, height, Math.round(GAP_PX / 2 * scale));
    const numbers = new Int32Array(near.length);
    let count = 0;
    for (let first = 0; first < near.length; first++) {
        if (near[first] && !numbers[first]) connected(near, numbers, width, height, first, ++count);
    }
    if (count > MOST_REGIONS) return null;
    if (count < 2) return [strengths];
    const found = Array.from({length: count}, () => new Float32Array(strengths.length));
    strengths.forEach((strength, place) => {
        if (strength) found[numbers[place] - 1][place] = strength;
    });
    return inReadingOrder(found.map((values) => ({values, box: boxAround(values, width, 0)}))).map(({values}) => values);
}

/** 1 wherever paint is at most this far away, along rows and columns. */
function thickened(strengths, width, height, radius) {
    const along = (values, count, step, isBetween) => values.map((_, place) => {
        const at = isBetween(place), low = Math.max(0, at - radius), high = Math.min(count - 1, at + radius);
        for (let each = low; each <= high; each++) if (values[place + (each - at) * step]) return 1;
        return 0;
    });
    const wide = along(strengths, width, 1, (place) => place % width);
    return along(wide, height, width, (place) => Math.floor(place / width));
}

/** Rows from top to bottom, each from left to right. As _in_reading_order. */
function inReadingOrder(areas) {
    let left = [...areas].sort((one, other) => one.box[1] - other.box[1]);
    const ordered = [];
    while (left.length) {
        const bottom = left[0].box[3], row = left.filter(({box}) => (box[1] + box[3]) / 2 < bottom);
        ordered.push(...row.sort((one, other) => one.box[0] - other.box[0]));
        left = left.filter((area) => !row.includes(area));
    }
    return ordered;
}
