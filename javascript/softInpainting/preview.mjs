// The accordion's live preview: what a mask and a schedule will do, before anything is generated.
// lib_softinpaint/ui/accordion.py builds the elements that are filled in here.
import {FEW_STEP_SETTINGS, advice} from "./advice.mjs";
import {readControls, setNumber} from "./controls.mjs";
import {cropRegion} from "./crop.mjs";
import {drawCurves, drawMask} from "./drawing.mjs";
import {SEEN, cellSide, countPainted, featherReach, paddingLeft, repaintMask} from "./mask.mjs";
import {writeNotes} from "./notes.mjs";
import {ratios} from "./samplers.mjs";
import {readScene} from "./scene.mjs";
import {repaintShares} from "./schedule.mjs";
import {detours} from "./surroundings.mjs";

const CURVE_VALUES = [0.25, 0.5, 0.75];
const NO_GREY = " Without a feather, Preservation strength has no effect.";

/** Draws all of the preview. `find` and `kept` are those of readControls and readScene. `redraw` is called when more is
 *  known. */
export function drawPreview(preview, find, kept, redraw) {
    const controls = readControls(find);
    const stepRatios = ratios(controls);
    drawCurves(preview.querySelector(".curves"), CURVE_VALUES.map((maskValue) =>
        ({maskValue, shares: repaintShares(maskValue, stepRatios, controls.settings)})));
    const scene = readScene(controls, find, kept);
    const shown = preview.querySelector(".mask");
    shown.hidden = !scene;
    let sentence = "Load an image and paint, or choose a mask. The preview appears here.", problems = [];
    if (scene) {
        const {size} = scene, {resizeBy, resizeTo} = controls;
        const requested = resizeBy === null ? resizeTo : size.map((side) => Math.trunc(side * resizeBy));
        const working = requested.map((side, axis) => side || size[axis]);  // on the stand-alone page 0 means the image's own
        sentence = drawScene(shown, scene, controls, working, kept.detours, redraw);
        problems = advice({...controls, image: size, working: controls.stretches ? working : size});
    }
    preview.querySelector(".status").textContent = sentence;
    listProblems(preview.querySelector(".advice"), problems, find);
    writeNotes(find);
}

/** Draws the mask, and returns a sentence on what it will do. */
function drawScene(shown, scene, {settings, blurPx, paddingPx}, working, known, redraw) {
    const {image, size, scale, maskScale, grid, fault, strengths} = scene, byHost = settings.feather_source === "host";
    const padding = paddingPx === null ? null : paddingPx * scale;
    const reach = featherReach(settings, blurPx, paddingPx, countPainted(strengths) / maskScale ** 2, Math.max(...size),
        cellSide(strengths, ...grid, working, padding) / maskScale);
    const around = byHost ? null
        : detours(known, scene, settings.edge_awareness, (reach + Math.max(0, settings.grow_px)) * maskScale, redraw);
    const mask = repaintMask(strengths, ...grid, settings, blurPx, reach, maskScale, around);
    const crop = padding === null ? null
        : cropRegion(mask, ...grid, byHost ? padding : paddingLeft(strengths, mask, ...grid, padding), ...working);
    const cropped = crop && [crop[2] - crop[0], crop[3] - crop[1]].map((side) => Math.round(side / scale));
    drawMask(shown, image, mask, ...grid, crop, crop && `${cropped.join("x")} at ${working.join("x")}`);
    if (fault) return fault;
    if (!strengths.some(Boolean)) return "Nothing is painted yet.";
    const share = countPainted(mask) / mask.length;
    const sentence = "White: repainted in full. Yellow: by half. Red: as far as anything changes, " +
        `${Math.round(100 * share)} % of the image.${hasGrey(mask) ? "" : NO_GREY}`;
    if (!crop) return sentence;
    const times = (working[0] / cropped[0]).toFixed(2);
    return `${sentence} Dashed: the crop of ${cropped.join("x")}, generated at ${times} times its size, ` +
        `${working.join("x")}. The model sees nothing else.`;
}

/** Whether anything is repainted in part. */
function hasGrey(mask) {
    return mask.some((value) => value > SEEN && value < 1 - SEEN);
}

/** Lists the problems, each with a button that fixes it. */
function listProblems(list, problems, find) {
    list.replaceChildren(...problems.map(({sentence, fix}) => {
        const item = document.createElement("li"), button = document.createElement("button");
        button.type = "button";
        button.textContent = fix;
        button.addEventListener("click", () => applyFix(fix, find));
        item.append(`${sentence} `, button);
        return item;
    }));
}

function applyFix(fix, find) {
    if (fix === "Set size from image") find("#img2img_detect_image_size_btn").click();
    if (fix === "Use few-step settings") {
        setNumber(find("#mask_blend_power input[type=number]"), FEW_STEP_SETTINGS.scheduleBias);
        setNumber(find("#mask_blend_scale input[type=number]"), FEW_STEP_SETTINGS.preservationStrength);
    }
    if (fix === "Raise denoising") setNumber(find("#img2img_denoising_strength input[type=number]"), 0.75);
    if (fix === "Set padding to 32") setNumber(find("#img2img_inpaint_full_res_padding input[type=number]"), 32);
}
