// Redraws the preview when something that it shows may have changed. Importing this module starts it.
import {nameControls} from "./controls.mjs";
import {drawPreview} from "./preview.mjs";
import {MASK_FILE, SKETCHED} from "./scene.mjs";
import {keepOriginal} from "./sketch.mjs";
import {watchTexts} from "./translation.mjs";

const SETTLED_MS = 200;  // by then Gradio has drawn a new stroke or image
const ACCORDION = "#soft_inpainting_enabled";

/** Redraws at most once a frame, and only while the preview can be seen. */
function watchPage() {
    const find = (selector) => document.querySelector(selector);
    const kept = {originals: new WeakMap(), mask: undefined, maskAddress: "", detours: {}};
    const opened = new ResizeObserver(() => ask());
    let requested = false, watched = null;
    function ask() {
        if (requested) return;
        requested = true;
        requestAnimationFrame(() => {
            requested = false;
            const preview = find("#softinpaint_preview");
            if (!preview) return;
            preview.hidden = false;
            if (watched !== preview) opened.observe(watched = preview);
            nameControls(preview.closest(ACCORDION));  // the WebUI adds some after the accordion
            keepMask();
            if (preview.offsetParent) drawPreview(preview, find, kept, ask);
        });
    }
    function askTwice() {
        ask();
        setTimeout(ask, SETTLED_MS);
    }
    /** Decodes the mask image if it is another one. The page or a script may have set it. */
    async function keepMask() {
        const address = find(`${MASK_FILE} .file-preview a`)?.href;
        if (!address || address === kept.maskAddress) return;
        Object.assign(kept, {maskAddress: address, mask: undefined});
        const decode = async () => createImageBitmap(await (await fetch(address)).blob(), {colorSpaceConversion: "none"});
        const mask = await decode().catch(() => null);
        if (address !== kept.maskAddress) return;
        kept.mask = mask;
        ask();
    }
    const listen = (event, listener) => document.addEventListener(event, listener, {capture: true, passive: true});
    const unlessTyping = ({target}) => target instanceof HTMLTextAreaElement || ask();  // prompts do not change the preview
    for (const event of ["input", "change", "click", "keyup"]) listen(event, unlessTyping);
    listen("pointerup", askTwice);
    listen("softinpaint-changed", ask);
    listen("load", ({target}) => {  // of an image
        if (target.matches?.(SKETCHED)) keepOriginal(kept.originals, target);
        askTwice();
    });
    ask();  // the page may have been built before this module was loaded
}

watchTexts();
watchPage();
