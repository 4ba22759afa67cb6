// Masks as files: white on black.
import {find, imageOf} from "./elements.mjs";
import {shapeFault, strengthsOf} from "../../../javascript/softInpainting/painted.mjs";
import {sampled, sizeOf} from "../../../javascript/softInpainting/pixels.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

/** White paint with the strengths of a mask file in its alpha channel. Rejects with a sentence if it does not fit. */
export async function paintOf(blob) {
    const size = sizeOf(find("img"));
    const mask = await imageOf(blob, translated("the mask")), fault = shapeFault(mask, size);
    if (fault) throw new Error(fault);
    const strengths = strengthsOf(sampled(mask, size), ...size), paint = new OffscreenCanvas(...size);
    const pen = paint.getContext("2d"), image = pen.createImageData(...size);
    image.data.fill(255);
    strengths.forEach((strength, place) => {
        image.data[4 * place + 3] = Math.round(255 * strength);
    });
    pen.putImageData(image, 0, 0);
    return paint;
}

/** The canvas's mask as a PNG, white on black. */
export function maskFile() {
    const mask = find("canvas"), shown = document.createElement("canvas");
    shown.width = mask.width;
    shown.height = mask.height;
    const pen = shown.getContext("2d");
    pen.fillRect(0, 0, shown.width, shown.height);
    pen.drawImage(mask, 0, 0);
    return shown.toDataURL();
}
