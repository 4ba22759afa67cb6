// The part of the image that "Only masked" generates. It has no twin in our Python: the WebUI crops, in get_crop_region and
// expand_crop_region of modules/masking.py (AUTOMATIC1111 1.10.1).
import {SEEN, boxAround} from "./mask.mjs";

/** Left, top, right and bottom of the crop, or null if the mask is empty. */
export function cropRegion(mask, width, height, paddingPx, workingWidth, workingHeight) {
    const box = boxAround(mask, width, SEEN);
    if (!box) return null;
    let [left, top, right, bottom] = box;
    left = Math.max(0, left - paddingPx);
    top = Math.max(0, top - paddingPx);
    right = Math.min(width, right + paddingPx);
    bottom = Math.min(height, bottom + paddingPx);
    const wanted = workingWidth / workingHeight;
    if ((right - left) / (bottom - top) > wanted) {
        [top, bottom] = widened(top, bottom, (right - left) / wanted, height);
    } else {
        [left, right] = widened(left, right, (bottom - top) * wanted, width);
    }
    return [left, top, right, bottom];
}

/** A side of the crop made as long as wanted, evenly at both ends, and kept inside the image. */
function widened(low, high, wanted, limit) {
    const more = Math.trunc(wanted - (high - low));
    low -= Math.floor(more / 2);
    high += more - Math.floor(more / 2);
    if (high >= limit) {
        low -= high - limit;
        high = limit;
    }
    if (low < 0) {
        high -= low;
        low = 0;
    }
    return [low, Math.min(high, limit)];
}
