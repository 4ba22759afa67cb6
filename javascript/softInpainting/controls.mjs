// The page's controls: their values, setting one, and their names. lib_softinpaint/ui/elements.py has the same elem_ids.

const HOSTS = "host's";  // choice of Own masked content
const STRETCHING = /^Just resize/;  // of the resize modes

/** Values of the controls. `find` takes a CSS selector and returns the first element, or null. */
export function readControls(find) {
    const number = (id) => Number(find(`#${id} input[type=number]`)?.value ?? 0);
    const chosen = (id) => find(`#${id} input:checked`)?.value ?? "";
    const own = chosen("softinpaint_own_masked_content"), oneByOne = find("#softinpaint_regions input")?.checked ?? false;
    const cropped = oneByOne || chosen("img2img_inpaint_full_res") === "Only masked";
    return {
        settings: {
            schedule_bias: number("mask_blend_power"), preservation_strength: number("mask_blend_scale"),
            threshold_mix: number("softinpaint_threshold_mix"), feather_source: chosen("softinpaint_feather_source"),
            feather_width: number("softinpaint_feather_width"), feather_unit: chosen("softinpaint_feather_unit"),
            grow_px: number("softinpaint_grow"), edge_awareness: number("softinpaint_edge_awareness"),
        },
        blurPx: number("img2img_mask_blur"),
        oneByOne,
        paddingPx: cropped ? number("img2img_inpaint_full_res_padding") : null,
        inverted: chosen("img2img_mask_mode") === "Inpaint not masked",
        content: own && own !== HOSTS ? own : chosen("img2img_inpainting_fill"),
        tools: find("#softinpaint_mask_tools textarea, #softinpaint_mask_tools input")?.value ?? "",
        strength: number("img2img_denoising_strength"),
        steps: number("img2img_steps"),
        sampler: find("#img2img_sampling input")?.value ?? "",
        schedule: find("#img2img_scheduler input")?.value ?? "",
        transparency: number("img2img_mask_alpha") / 100,
        stretches: STRETCHING.test(chosen("resize_mode") || "Just resize"),  // the stand-alone page has no other
        resizeTo: [number("img2img_width"), number("img2img_height")],
        resizeBy: find("#img2img_tab_resize_by")?.offsetParent ? number("img2img_scale") : null,
    };
}

/** Sets a number and tells Gradio. */
export function setNumber(input, value) {
    input.value = value;
    input.dispatchEvent(new Event("input", {bubbles: true}));
}

/** Gives accessible names to controls that Gradio 3 leaves without one: a slider's number, and the box that switches the
 *  accordion. */
export function nameControls(accordion) {
    const nameless = "input[type=number]:not([aria-label]), .input-accordion-checkbox:not([aria-label])";
    for (const input of accordion.querySelectorAll(nameless)) {
        const label = input.closest("div[id]").querySelector("label span, .label-wrap span");
        if (label) input.ariaLabel = label.textContent.trim();
    }
}
