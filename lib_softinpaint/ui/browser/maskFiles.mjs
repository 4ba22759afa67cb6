// Masks as files: white on black.
import {find, imageOf} from "./elements.mjs";
import {shapeFault, strengthsOf} from "../../../javascript/softInpainting/painted.mjs";
import {sampled, sizeOf} from "../../../javascript/softInpainting/pixels.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

/** White paint with the strengths of a mask file in its alpha channel. Rejects with a sentence that names the file if it does
 *  not fit or is black. */
export async function paintOf(blob, name) {
    const size = sizeOf(find("img")), mask = await imageOf(blob, name), fault = shapeFault(mask, size, name);
    if (fault) throw new Error(fault);
    const strengths = strengthsOf(sampled(mask, size), ...size), paint = new OffscreenCanvas(...size);
    if (!strengths.some(Boolean)) throw new Error(translated("{file} has nothing to repaint.", {file: name}));
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
