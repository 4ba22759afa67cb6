// The page's elements, and reading images: what several modules need.
import {translated} from "../../../javascript/softInpainting/translation.mjs";

export const ROOT = "#softinpaint_paint";
export const CANDIDATES = "#softinpaint_candidates";

export const find = (selector) => document.querySelector(`${ROOT} ${selector}`);
export const findCandidates = (selector) => document.querySelector(`${CANDIDATES} ${selector}`);

export function showStatus(sentence) {
    find(".status").textContent = sentence;
}

export function announce(event) {
    document.dispatchEvent(new Event(event));
}

/** The image at an address. Rejects if this browser cannot decode it. */
export async function decodedImage(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
}

/** A file as a data URL. */
export function dataUrlOf(blob) {
    return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.addEventListener("load", () => resolve(reader.result));
        reader.addEventListener("error", () => reject(reader.error));
        reader.readAsDataURL(blob);
    });
}

/** An image file as a decoded image, whose `src` is its data URL. `unnamed` stands for a file without a name, as one that is
 *  pasted. Rejects with a sentence if this browser cannot decode it. */
export async function imageOf(blob, unnamed) {
    return decodedImage(await dataUrlOf(blob)).catch(() => {
        throw new Error(translated("This browser cannot show {file} as an image.", {file: blob.name || unnamed}));
    });
}

/** Saves a data URL or an address as a file. */
export function download(address, name) {
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
}

/** A new element with its children. Strings become text. */
export function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}
