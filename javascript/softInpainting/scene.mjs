// What the page shows: the visible image and the paint over it.
import {editedStrengths, hasSource, toolSteps} from "./maskTools.mjs";
import {shapeFault, strengthsOf} from "./painted.mjs";
import {sampled, scaled, sizeOf, valuesOf} from "./pixels.mjs";
import {grown, readSketch} from "./sketch.mjs";
import {translated} from "./translation.mjs";

const LONGEST_SIDE = 384;  // of the grid on which the mask is computed: enough for its outlines, and quick
const BRUSHED = 128;  // of 255: the WebUI counts higher values as paint
const SKETCH = "#inpaint_sketch canvas[key=drawing]";
const FORGE_PAINT = "canvas.forge-drawing-canvas";
export const SKETCHED = "#inpaint_sketch img";
export const MASK_FILE = "#softinpaint_mask_image_file";

/** For each tab of img2img and the stand-alone page: the image, the paint over it, and the function that reads the paint.
 *  If a tab has two entries, the first whose image is on the page is used: Forge and Forge Neo have their own canvas. */
const SOURCES = [
    {tab: "#softinpaint_paint", image: "#softinpaint_paint img", painted: "#softinpaint_paint canvas", read: readMask},
    {tab: "#img2img_inpaint_tab", image: "#img2maskimg img",
     painted: `#img2maskimg canvas[key=mask], #img2maskimg ${FORGE_PAINT}`, read: readBrush},
    {tab: "#img2img_inpaint_sketch_tab", image: SKETCH, painted: SKETCH, read: readSketch},
    {tab: "#img2img_inpaint_sketch_tab", image: SKETCHED, painted: `#inpaint_sketch ${FORGE_PAINT}`, read: readForgeSketch},
    {tab: "#img2img_inpaint_upload_tab", image: "#img_inpaint_base img", painted: "#img_inpaint_mask img", read: readMask},
    {tab: "#img2img_img2img_sketch_tab", image: "#img2img_sketch canvas[key=drawing]"},
    {tab: "#img2img_img2img_sketch_tab", image: "#img2img_sketch img"},
    {tab: "#img2img_img2img_tab", image: "#img2img_image img"},
];

/** The image and the strengths that are painted over it, or null if there is nothing to inpaint.
 *
 *  `kept` holds the originals of sketches, and the accordion's mask image, which is null if the browser cannot read it. */
export function readScene(controls, find, kept) {
    const open = SOURCES.filter(({tab}) => find(tab)?.offsetParent);
    const source = open.find((each) => find(each.image)) ?? open[0], image = source && find(source.image);
    const hasFile = Boolean(find(`${MASK_FILE} .file-preview`)), size = image && sizeOf(image);
    const steps = toolSteps(controls.tools), fromImage = Boolean(steps && hasSource(steps));
    if (!size?.[0] || !(source.painted || hasFile || fromImage)) return null;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(...size));
    const scene = {image, size, scale, maskScale: scale, grid: scaled(size, scale), fault: ""};
    const paint = source.painted && find(source.painted);
    if (paint && sizeOf(paint)[0]) {
        // A mask of another size is stretched to the image. With Only masked its top left corner is put on the image's.
        const grid = controls.paddingPx === null ? scene.grid : scaled(sizeOf(paint), scale);
        const read = source.read === readMask && find(FORGE_PAINT) ? readThresholdedMask : source.read;
        scene.strengths = placed(read(paint, grid, controls, kept.originals.get(find(SKETCHED))), grid, scene.grid);
        scene.maskScale = grid[0] / sizeOf(paint)[0];
    }
    if (!scene.strengths?.some(Boolean) && hasFile) Object.assign(scene, readFile(kept.mask, scene));
    const inverted = (scene.strengths || fromImage) && controls.inverted;
    scene.strengths ??= new Float32Array(scene.grid[0] * scene.grid[1]);
    if (!steps) scene.fault = translated("Mask tools has a step that cannot be read.");
    else if (steps.length) {
        scene.strengths = editedStrengths(scene.strengths, steps, sampled(image, scene.grid), scene.grid, scene.maskScale);
    }
    if (inverted) scene.strengths = scene.strengths.map((value) => 1 - value);
    return scene;
}

/** The strengths in the accordion's mask image, or the sentence on why there are none. */
function readFile(mask, {size, scale, grid}) {
    if (mask === undefined) return {};  // not decoded yet
    if (mask === null) return {fault: translated("This browser cannot show the mask image.")};
    const fault = shapeFault(mask, size, translated("Mask image"));
    return fault ? {fault} : {strengths: readMask(mask, grid), maskScale: scale};
}

/** Strengths of a brush that has only one. */
function readBrush(canvas, grid) {
    return valuesOf(sampled(canvas, grid), (pixels, at) => Number(pixels[at + 3] > BRUSHED));
}

/** Strengths of a mask image. */
function readMask(mask, grid) {
    return strengthsOf(sampled(mask, grid), ...grid);
}

/** Strengths of a mask image that Forge or Forge Neo makes black and white. */
function readThresholdedMask(mask, grid) {
    return strengthsOf(sampled(mask, grid).map((value) => (value > BRUSHED ? 255 : 0)), ...grid);
}

/** Strengths of a sketch on the canvas of Forge and Forge Neo, which grow it. */
function readForgeSketch(canvas, grid) {
    return grown(readBrush(canvas, grid), grid);
}

/** Values on a grid of another size, aligned at the top left. As PaintedMask.placed in lib_softinpaint/method/mask.py. */
function placed(values, [fromWidth, fromHeight], [width, height]) {
    if (fromWidth === width && fromHeight === height) return values;
    const whole = new Float32Array(width * height), common = Math.min(fromWidth, width);
    for (let y = 0; y < Math.min(fromHeight, height); y++) {
        whole.set(values.subarray(y * fromWidth, y * fromWidth + common), y * width);
    }
    return whole;
}
