// The accordion's live preview: what a mask and a schedule will do, before anything is generated.
// lib_softinpaint/ui/accordion.py builds the elements that are filled in here.
import {FEW_STEP_SETTINGS, advice} from "./advice.mjs";
import {readControls, setNumber} from "./controls.mjs";
import {cropRegion} from "./crop.mjs";
import {drawCurves, drawMask} from "./drawing.mjs";
import {SEEN, cellSide, countPainted, featherReach, paddingLeft, repaintMask} from "./mask.mjs";
import {writeNotes} from "./notes.mjs";
import {regions} from "./regions.mjs";
import {ratios} from "./samplers.mjs";
import {readScene} from "./scene.mjs";
import {repaintShares} from "./schedule.mjs";
import {detours} from "./surroundings.mjs";

const CURVE_VALUES = [0.25, 0.5, 0.75];
const TOO_MANY = "The mask has too many separate areas to inpaint them one by one: 64 at most.";
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
function drawScene(shown, scene, controls, working, known, redraw) {
    const {settings, blurPx, paddingPx, oneByOne} = controls;
    const {image, size, scale, maskScale, grid, fault, strengths} = scene, byHost = settings.feather_source === "host";
    const padding = paddingPx === null ? null : paddingPx * scale;
    const separate = oneByOne ? regions(strengths, ...grid, maskScale) : [strengths], parts = separate ?? [strengths];
    const reaches = parts.map((part) => featherReach(settings, blurPx, paddingPx,
        countPainted(part) / maskScale ** 2, Math.max(...size), cellSide(part, ...grid, working, padding) / maskScale));
    const farthest = (Math.max(...reaches) + Math.max(0, settings.grow_px)) * maskScale;
    const around = byHost ? null : detours(known, scene, settings.edge_awareness, farthest, redraw);
    const repainted = parts.map((part, number) =>
        repaintMask(part, ...grid, settings, blurPx, reaches[number], maskScale, around));
    const mask = repainted.reduce((all, part) => all.map((value, place) => Math.max(value, part[place])));
    const crops = padding === null ? [] : repainted.map((part, number) => cropRegion(part, ...grid,
        byHost ? padding : paddingLeft(parts[number], part, ...grid, padding), ...working)).filter(Boolean);
    const sides = crops.map((crop) => [crop[2] - crop[0], crop[3] - crop[1]].map((side) => Math.round(side / scale)));
    drawMask(shown, image, mask, ...grid, crops, crops.length > 1 ? crops.map((_, number) => `${number + 1}`)
        : sides.map((side) => `${side.join("x")} at ${working.join("x")}`));
    if (fault) return fault;
    if (!strengths.some(Boolean)) return "Nothing is painted yet.";
    if (!separate) return TOO_MANY;
    const share = countPainted(mask) / mask.length;
    const sentence = "White: repainted in full. Yellow: by half. Red: as far as anything changes, " +
        `${Math.round(100 * share)} % of the image.${hasGrey(mask) ? "" : NO_GREY}`;
    return crops.length ? `${sentence} ${aboutCrops(sides, working)}` : sentence;
}

function aboutCrops(sides, working) {
    const times = sides.map(([side]) => working[0] / side), [most, least] = [Math.max(...times), Math.min(...times)];
    if (sides.length === 1) {
        return `Dashed: the crop of ${sides[0].join("x")}, generated at ${most.toFixed(2)} times its size, ` +
            `${working.join("x")}. The model sees nothing else.`;
    }
    return `Dashed: ${sides.length} regions, painted one after the other in this order. Each is generated at ` +
        `${working.join("x")}, ${least.toFixed(2)} to ${most.toFixed(2)} times its size. The model sees one at a time.`;
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
