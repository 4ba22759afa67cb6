// How much farther from the paint a place is along the image than in a straight line. Python computes it, on request:
// lib_softinpaint/method/surroundings.py, by the route of lib_softinpaint/ui/detours.py.
import {overWhite, sampled} from "./pixels.mjs";

const ROUTE = "softinpaint/detours";
const FAR = 255;  // the answer's bytes: at this value, a place is beyond the reach
const STILL_MS = 120;  // strokes and sliders that have not changed for so long are asked about
const QUALITY = 0.9;  // of the image that is sent

/** Detours in grid pixels, or null if there are none, or none yet. Then `redraw` is called when they have come.
 *
 *  `known` holds the last answer. The reach is in grid pixels. */
export function detours(known, {image, grid, strengths}, awareness, reach, redraw) {
    if (!awareness || !(reach > 0) || !strengths.some(Boolean)) return null;
    reach = Math.min(reach, Math.max(...grid));
    const pixels = sampled(image, grid), key = [awareness, reach, checksum(pixels), checksum(strengths)].join();
    if (known.key === key) return known.values;
    Object.assign(known, {key, values: null});
    clearTimeout(known.timer);
    known.timer = setTimeout(async () => {
        const values = await asked(image, grid, strengths, awareness, reach).catch(() => null);
        if (known.key !== key) return;
        known.values = values;
        if (values) redraw();
    }, STILL_MS);
    return null;
}

async function asked(image, grid, strengths, awareness, reach) {
    const painted = new OffscreenCanvas(...grid), pen = painted.getContext("2d"), levels = pen.createImageData(...grid);
    strengths.forEach((strength, place) => levels.data.fill(strength > 0 ? 255 : 0, 4 * place, 4 * place + 3));
    for (let place = 3; place < levels.data.length; place += 4) levels.data[place] = 255;
    pen.putImageData(levels, 0, 0);
    const body = new FormData();
    body.append("image", await overWhite(image, grid).convertToBlob({type: "image/jpeg", quality: QUALITY}));
    body.append("painted", await painted.convertToBlob());
    body.append("awareness", awareness);
    body.append("reach_px", reach);
    const answer = await fetch(ROUTE, {method: "POST", body});
    if (!answer.ok) return null;
    return Float32Array.from(new Uint8Array(await answer.arrayBuffer()), (byte) => byte / FAR * reach);
}

/** A number that changes when the values do. */
function checksum(values) {
    let sum = 0;
    for (const value of values) sum = Math.imul(sum, 31) + Math.round(255 * value) | 0;
    return sum;
}
