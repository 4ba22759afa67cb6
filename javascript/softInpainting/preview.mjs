// The accordion's live preview: what a mask and a schedule will do, before anything is generated.
// lib_softinpaint/ui/accordion.py builds the elements that are filled in here.
import {advice} from "./advice.mjs";
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
import {translated} from "./translation.mjs";

const CURVE_VALUES = [0.25, 0.5, 0.75];

/** Draws all of the preview. `find` and `kept` are those of readControls and readScene. `redraw` is called when more is
 *  known. */
export function drawPreview(preview, find, kept, redraw) {
    const controls = readControls(find);
    const stepRatios = ratios(controls);
    const curves = CURVE_VALUES.map((maskValue) =>
        ({maskValue, shares: repaintShares(maskValue, stepRatios, controls.settings)}));
    drawCurves(preview.querySelector(".curves"), curves, controls.steps);
    preview.querySelector(".curves").ariaLabel = aboutCurves(curves);
    const scene = readScene(controls, find, kept);
    const shown = preview.querySelector(".mask");
    shown.hidden = !scene;
    let sentence = translated("Load an image and paint, or choose a mask. The preview appears here."), problems = [];
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
        : sides.map((side) => translated("{size} at {working}", {size: side.join("x"), working: working.join("x")})));
    shown.ariaLabel = aboutMask(mask, byHost ? blurPx : Math.max(...reaches));
    if (fault) return fault;
    if (!strengths.some(Boolean)) return translated("Nothing is painted yet.");
    if (!separate) return translated("The mask has too many separate areas to inpaint them one by one: 64 at most.");
    const sentences = [translated("White: repainted in full. Yellow dashes: by half. Red dots: as far as anything changes, " +
                                  "{share} % of the image.", {share: Math.round(100 * countPainted(mask) / mask.length)})];
    if (!hasGrey(mask)) sentences.push(translated("Without a feather, Preservation strength has no effect."));
    if (crops.length) sentences.push(aboutCrops(sides, working));
    return sentences.join(" ");
}

/** The mask in words. The feather's width is in pixels of the image. */
function aboutMask(mask, feather) {
    const percent = (isMet) => (100 * mask.filter(isMet).length / mask.length).toFixed(1);
    return translated("The mask: {full} % of the image is repainted in full, {part} % in part. The feather is {feather} " +
                      "pixels wide. The strongest place is repainted by {most} %.",
                      {full: percent((value) => value >= 1 - SEEN), part: percent((value) => value > SEEN && value < 1 - SEEN),
                       feather: Math.round(feather), most: Math.round(100 * mask.reduce((a, b) => Math.max(a, b), 0))});
}

/** The curves in words: those of the middle grey, for the others run beside them. */
function aboutCurves(curves) {
    const {maskValue, shares} = curves[Math.floor(curves.length / 2)];
    const percent = (place) => Math.round(100 * (shares.at(place) ?? 0));
    return translated("Of a place at {grey} % in the mask, the first of {steps} steps repaints {first} %, the middle one " +
                      "{middle} % and the last one {last} %.",
                      {grey: 100 * maskValue, steps: shares.length, first: percent(0),
                       middle: percent(Math.floor(shares.length / 2)), last: percent(-1)});
}

function aboutCrops(sides, working) {
    const times = sides.map(([side]) => working[0] / side), [most, least] = [Math.max(...times), Math.min(...times)];
    const shown = {working: working.join("x"), most: most.toFixed(2), least: least.toFixed(2)};
    return sides.length === 1
        ? translated("Dashed: the crop of {size}, generated at {most} times its size, {working}. The model sees nothing else.",
                     {...shown, size: sides[0].join("x")})
        : translated("Dashed: {count} regions, painted one after the other in this order. Each is generated at {working}, " +
                     "{least} to {most} times its size. The model sees one at a time.", {...shown, count: sides.length});
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
        button.textContent = translated(fix);
        button.addEventListener("click", () => applyFix(fix, find));
        item.append(`${sentence} `, button);
        return item;
    }));
}

function applyFix(fix, find) {
    if (fix === "Set size from image") find("#img2img_detect_image_size_btn").click();
    if (fix === "Raise denoising") setNumber(find("#img2img_denoising_strength input[type=number]"), 0.75);
    if (fix === "Set padding to 32") setNumber(find("#img2img_inpaint_full_res_padding input[type=number]"), 32);
}
