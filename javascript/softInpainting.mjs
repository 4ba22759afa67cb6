// The accordion's live preview: what a mask and a schedule will do, before anything is generated.
// The mathematics is that of mask.py, schedule.py and advice.py; docs/method.md, sections 1 to 3.

export const REACH_PER_BLUR = 2.4;
export const SMALLEST_REACH_PX = 16;
export const NOISE_RATIO_LIMIT = 14.6146;
const SMALLEST_RATIO = 1e-6;
const TIME_EPSILON = 1e-4;
const TRAINING_STEPS = 1000;
const FAR = 1e20;

// --- Mask -----------------------------------------------------------------------------------------------------------

/** Squared distance of each pixel to the nearest that is set, Float64Array; Felzenszwalb and Huttenlocher, 2012. */
export function squaredDistance(inside, width, height) {
    const squared = new Float64Array(width * height);
    for (let place = 0; place < squared.length; place++) squared[place] = inside[place] ? 0 : FAR;
    const longest = Math.max(width, height);
    const line = new Float64Array(longest), parabola = new Int32Array(longest), border = new Float64Array(longest + 1);
    for (let x = 0; x < width; x++) transformLine(squared, x, width, height, line, parabola, border);
    for (let y = 0; y < height; y++) transformLine(squared, y * width, 1, width, line, parabola, border);
    return squared;
}

function transformLine(values, start, stride, count, line, parabola, border) {
    for (let place = 0; place < count; place++) line[place] = values[start + place * stride];
    let last = 0;
    parabola[0] = 0;
    border[0] = -Infinity;
    border[1] = Infinity;
    for (let place = 1; place < count; place++) {
        let crossing;
        do {
            const other = parabola[last];
            crossing = (line[place] + place * place - line[other] - other * other) / (2 * (place - other));
        } while (crossing <= border[last] && last-- > 0);
        last++;
        parabola[last] = place;
        border[last] = crossing;
        border[last + 1] = Infinity;
    }
    for (let place = 0, current = 0; place < count; place++) {
        while (border[current + 1] < place) current++;
        const away = place - parabola[current];
        values[start + place * stride] = away * away + line[parabola[current]];
    }
}

/** Pixels that the feather reaches outward. */
export function featherReach(settings, blurPx, paddingPx, paintedPixels, longestSide) {
    const own = settings.feather_source === "own";
    let reach = REACH_PER_BLUR * blurPx;
    if (own) {
        const share = settings.feather_unit === "pixels" ? 1 : Math.sqrt(paintedPixels) / 100;
        reach = Math.min(settings.feather_width * share, longestSide);
    }
    return paddingPx === null ? reach : Math.min(reach, Math.max(paddingPx, SMALLEST_REACH_PX));
}

/** Repaint mask of what is painted, Float32Array, 0 to 1. `painted` holds 1 where it is painted, else 0. */
export function repaintMask(painted, width, height, settings, blurPx, paddingPx = null, scale = 1) {
    const pixels = painted.reduce((sum, value) => sum + value, 0);
    const repaint = new Float32Array(painted.length);
    if (!pixels) return repaint;
    const growPx = settings.grow_px * scale;
    const core = growPx < 0 ? shrunk(painted, width, height, -growPx) : painted;
    const distance = squaredDistance(core, width, height);
    const grow = Math.max(0, growPx);
    if (settings.feather_source === "host") {
        for (let place = 0; place < repaint.length; place++) repaint[place] = distance[place] <= grow * grow ? 1 : 0;
        return hostBlur(repaint, width, height, blurPx * scale);
    }
    const reach = scale * featherReach(
        settings, blurPx, paddingPx, pixels / (scale * scale), Math.max(width, height) / scale);
    for (let place = 0; place < repaint.length; place++) {
        const away = Math.sqrt(distance[place]) - grow;
        repaint[place] = reach > 0 ? 1 - smootherstep(away / reach) : Number(away <= 0);
    }
    return repaint;
}

function smootherstep(way) {
    const part = Math.min(1, Math.max(0, way));
    return part ** 3 * (part * (6 * part - 15) + 10);
}

/** Painted mask without its rim; of a stroke that would vanish the innermost pixels stay. */
function shrunk(painted, width, height, byPx) {
    if (painted.every(Boolean)) return painted;
    const rim = squaredDistance(painted.map((value) => 1 - value), width, height);
    const kept = painted.map((value, place) => Number(value && Math.sqrt(rim[place]) > byPx));
    const stroke = new Int32Array(painted.length);
    for (let first = 0, number = 0; first < painted.length; first++) {
        if (!painted[first] || stroke[first]) continue;
        const places = connected(painted, stroke, width, height, first, ++number);
        if (places.some((place) => kept[place])) continue;
        const deepest = Math.sqrt(places.reduce((most, place) => Math.max(most, rim[place]), 0));
        for (const place of places) kept[place] = Number(Math.sqrt(rim[place]) > deepest - 0.5);
    }
    return kept;
}

/** Places of the stroke that a place belongs to, neighbours across corners included; they get its number. */
function connected(painted, stroke, width, height, first, number) {
    const places = [first];
    stroke[first] = number;
    for (let next = 0; next < places.length; next++) {
        const x = places[next] % width, y = Math.floor(places[next] / width);
        for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
            for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
                const place = row * width + column;
                if (painted[place] && !stroke[place]) {
                    stroke[place] = number;
                    places.push(place);
                }
            }
        }
    }
    return places;
}

/** A mask under the WebUI's own blur, rounded to 8 bits as there. */
function hostBlur(mask, width, height, blurPx) {
    if (blurPx <= 0) return mask;
    const radius = Math.floor(2.5 * blurPx + 0.5);
    const weights = Array.from({length: 2 * radius + 1}, (_, index) => Math.exp(-((index - radius) ** 2) / (2 * blurPx ** 2)));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const blurred = blurLines(blurLines(mask, width, height, 1, width, weights, sum), height, width, width, 1, weights, sum);
    return blurred.map((value) => Math.round(value * 255) / 255);
}

function blurLines(mask, count, lines, stride, lineStride, weights, sum) {
    const radius = (weights.length - 1) / 2;
    const blurred = new Float32Array(mask.length);
    for (let line = 0; line < lines; line++) {
        for (let place = 0; place < count; place++) {
            let value = 0;
            for (let index = -radius; index <= radius; index++) {
                value += weights[index + radius] * mask[line * lineStride + mirrored(place + index, count) * stride];
            }
            blurred[line * lineStride + place * stride] = value / sum;
        }
    }
    return blurred;
}

function mirrored(place, count) {
    if (count === 1) return 0;
    const period = 2 * (count - 1);
    const folded = ((place % period) + period) % period;
    return folded < count ? folded : period - folded;
}

/** Left, top, right, bottom of what only-masked inpainting crops, as the WebUI does; null for an empty mask. */
export function cropRegion(mask, width, height, paddingPx, workingWidth, workingHeight) {
    let left = width, top = height, right = 0, bottom = 0;
    for (let place = 0; place < mask.length; place++) {
        if (mask[place] < 0.5 / 255) continue;
        const x = place % width, y = Math.floor(place / width);
        left = Math.min(left, x);
        right = Math.max(right, x + 1);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y + 1);
    }
    if (right === 0) return null;
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

// --- Schedule -------------------------------------------------------------------------------------------------------

const LOG_RATIOS = (() => {
    let alphaBar = 1;
    return Array.from({length: TRAINING_STEPS}, (_, step) => {
        const beta = (0.00085 ** 0.5 + (step / (TRAINING_STEPS - 1)) * (0.012 ** 0.5 - 0.00085 ** 0.5)) ** 2;
        alphaBar *= 1 - beta;
        return Math.log((1 - alphaBar) / alphaBar) / 2;
    });
})();

/** Noise-to-signal ratio after a step of Stable Diffusion's training, 0 to 999. */
function ratioAt(step) {
    const below = Math.floor(step), above = Math.ceil(step);
    return Math.exp(LOG_RATIOS[below] + (step - below) * (LOG_RATIOS[above] - LOG_RATIOS[below]));
}

function stepAt(ratio) {
    const log = Math.log(Math.max(ratio, SMALLEST_RATIO));
    if (log <= LOG_RATIOS[0]) return 0;
    const above = LOG_RATIOS.findIndex((other) => other >= log);
    if (above < 0) return TRAINING_STEPS - 1;
    return above - 1 + (log - LOG_RATIOS[above - 1]) / (LOG_RATIOS[above] - LOG_RATIOS[above - 1]);
}

/** Time of training at which Stable Diffusion has this ratio, as a share of all. */
export function trainingTime(ratio) {
    const log = Math.log(Math.max(ratio, SMALLEST_RATIO));
    return log < LOG_RATIOS[0] ? 0 : (stepAt(ratio) + 1) / TRAINING_STEPS;
}

/** Noise-to-signal ratio of each step that is run, from the first on. */
export function ratios(schedule, steps, denoisingStrength) {
    const encoded = Math.trunc(Math.min(denoisingStrength, 0.999) * steps);
    const least = ratioAt(0), most = ratioAt(TRAINING_STEPS - 1);
    const along = (step) => (steps > 1 ? step / (steps - 1) : 0);
    const at = {
        "Karras": (step) => (most ** (1 / 7) + along(step) * (least ** (1 / 7) - most ** (1 / 7))) ** 7,
        "Exponential": (step) => Math.exp(Math.log(most) + along(step) * (Math.log(least) - Math.log(most))),
        "SGM Uniform": (step) => ratioAt((TRAINING_STEPS - 1) * (1 - step / steps)),
        "DDIM": (step) => ratioAt(Math.min(TRAINING_STEPS - 1, 1 + Math.floor(TRAINING_STEPS / steps) * (steps - 1 - step))),
    }[schedule] ?? ((step) => ratioAt((TRAINING_STEPS - 1) * (1 - along(step))));
    const all = Array.from({length: steps}, (_, step) => at(step));
    return all.slice(Math.max(0, steps - encoded - 1));
}

/** How much of a pixel of this mask value is repainted in each step. */
export function repaintShares(maskValue, stepRatios, settings) {
    const start = trainingTime(stepRatios[0]);
    return stepRatios.map((ratio) => {
        if (maskValue <= 0 || maskValue >= 1) return Number(maskValue >= 1);
        const capped = Math.min(ratio, NOISE_RATIO_LIMIT);
        const blended = maskValue ** (settings.preservation_strength * capped ** settings.schedule_bias);
        const unlocked = Number(maskValue >= trainingTime(capped) / start - TIME_EPSILON);
        return blended + settings.threshold_mix * (unlocked - blended);
    });
}

// --- Advice ---------------------------------------------------------------------------------------------------------

const LEAST_STRENGTH = 0.1, LEAST_STRENGTH_OF_NOISE = 0.7, LEAST_CONTEXT_PX = 16, HIGH_STRENGTH = 0.8;
const LARGEST_STRETCH = 0.02;

/** What is likely to disappoint about a request: a sentence and what mends it, each. As advice.py. */
export function advice({strength, content, paddingPx, picture, working}) {
    const found = [];
    if (strength < LEAST_STRENGTH) {
        found.push({sentence: `Denoising strength ${strength} changes next to nothing; new content needs 0.4 and more.`,
                    fix: "raise denoising"});
    } else if (content.startsWith("latent") && strength < LEAST_STRENGTH_OF_NOISE) {
        found.push({sentence: `Masked content ${content} needs a denoising strength of ${LEAST_STRENGTH_OF_NOISE} or more, ` +
                              `got ${strength}: what it fills in will show.`, fix: "raise denoising"});
    }
    if (paddingPx === null) {
        if (Math.abs(working[0] * picture[1] / (working[1] * picture[0]) - 1) > LARGEST_STRETCH) {
            found.push({sentence: `Width and height ${working.join("x")} stretch the picture, which is ${picture.join("x")}.`,
                        fix: "set size from picture"});
        }
    } else if (paddingPx < LEAST_CONTEXT_PX && strength > HIGH_STRENGTH) {
        found.push({sentence: `Only masked with a padding of ${paddingPx} shows the model little around the mask; at ` +
                              `denoising strength ${strength} what it paints may not belong there.`, fix: "padding 32"});
    }
    return found;
}

// --- Drawing --------------------------------------------------------------------------------------------------------

const STROKE_MS = 200;  // after which Gradio's brush has caught up with the pointer
const LONGEST_SIDE = 384;  // of the grid on which the mask is computed: enough for its outlines, and quick
const CURVE_VALUES = [0.25, 0.5, 0.75];
const CURVE_WIDTH = 384, CURVE_HEIGHT = 120, CURVE_MARGIN = 18;
const CORE = [255, 255, 255], HALF = [255, 190, 60], RIM = [255, 90, 90], TINT = [255, 120, 60];
const CURVE_COLOURS = ["#4f8ef7", "#e0803c", "#3aa76d"];

/** The picture under the mask: tinted as far as it is repainted, with the core, the half and the outermost reach outlined. */
function drawMask(canvas, picture, mask, width, height, crop) {
    canvas.width = width;
    canvas.height = height;
    const pen = canvas.getContext("2d", {willReadFrequently: true});
    pen.drawImage(picture, 0, 0, width, height);
    const image = pen.getImageData(0, 0, width, height);
    for (let place = 0; place < mask.length; place++) {
        const line = outline(mask, place, width);
        const colour = line ?? TINT, share = line ? 1 : 0.5 * mask[place];
        for (let band = 0; band < 3; band++) {
            const old = image.data[4 * place + band];
            image.data[4 * place + band] = old + share * (colour[band] - old);
        }
    }
    pen.putImageData(image, 0, 0);
    if (crop) {
        pen.strokeStyle = "#fff";
        pen.setLineDash([4, 3]);
        pen.strokeRect(crop[0] + 0.5, crop[1] + 0.5, crop[2] - crop[0] - 1, crop[3] - crop[1] - 1);
    }
}

function outline(mask, place, width) {
    const beside = (place + 1) % width ? place + 1 : place, below = place + width < mask.length ? place + width : place;
    const crosses = (level) => (mask[place] >= level) !== (mask[beside] >= level)
        || (mask[place] >= level) !== (mask[below] >= level);
    if (crosses(1)) return CORE;
    if (crosses(0.5)) return HALF;
    return crosses(0.5 / 255) ? RIM : null;
}

function drawCurves(canvas, curves) {
    const density = window.devicePixelRatio || 1;
    canvas.width = CURVE_WIDTH * density;
    canvas.height = CURVE_HEIGHT * density;
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    pen.scale(density, density);
    pen.font = `11px ${style.fontFamily}`;
    pen.fillStyle = pen.strokeStyle = style.color;
    const across = (step, count) => CURVE_MARGIN + (count > 1 ? step / (count - 1) : 0) * (CURVE_WIDTH - 2 * CURVE_MARGIN);
    const down = (share) => CURVE_HEIGHT - CURVE_MARGIN - share * (CURVE_HEIGHT - 2 * CURVE_MARGIN);
    pen.globalAlpha = 0.4;
    pen.strokeRect(CURVE_MARGIN, CURVE_MARGIN, CURVE_WIDTH - 2 * CURVE_MARGIN, CURVE_HEIGHT - 2 * CURVE_MARGIN);
    pen.globalAlpha = 1;
    pen.fillText("repainted", 2, 12);
    pen.textAlign = "right";
    pen.fillText(`${curves[0].length} steps`, CURVE_WIDTH - 2, CURVE_HEIGHT - 4);
    pen.textAlign = "left";
    curves.forEach((shares, place) => {
        pen.strokeStyle = pen.fillStyle = CURVE_COLOURS[place];
        pen.beginPath();
        shares.forEach((share, step) => pen.lineTo(across(step, shares.length), down(share)));
        pen.stroke();
        pen.fillText(`grey ${CURVE_VALUES[place]}`, 80 + 70 * place, 12);
    });
}

// --- The WebUI's page -----------------------------------------------------------------------------------------------

/** The schedule type that Automatic means, where it is not Uniform; AUTOMATIC1111 1.10.1. */
const OWN_SCHEDULES = {
    "DPM++ 2M": "Karras", "DPM++ SDE": "Karras", "DPM++ 2S a": "Karras", "DPM2": "Karras", "DPM2 a": "Karras",
    "Restart": "Karras",
    "DPM++ 2M SDE": "Exponential", "DPM++ 2M SDE Heun": "Exponential", "DPM++ 3M SDE": "Exponential",
};
const TIMESTEP_SAMPLERS = /^(DDIM|PLMS|UniPC)/;

/** Values of the page's fields; `find` takes a CSS selector. */
function readPage(find) {
    const number = (id) => Number(find(`#${id} input[type=number]`)?.value ?? 0);
    const chosen = (id) => find(`#${id} input:checked`)?.value ?? "";
    const sampler = find("#img2img_sampling input")?.value ?? "", schedule = find("#img2img_scheduler input")?.value ?? "";
    return {
        settings: {
            schedule_bias: number("mask_blend_power"), preservation_strength: number("mask_blend_scale"),
            threshold_mix: number("softinpaint_threshold_mix"), feather_source: chosen("softinpaint_feather_source"),
            feather_width: number("softinpaint_feather_width"), feather_unit: chosen("softinpaint_feather_unit"),
            grow_px: number("softinpaint_grow"),
        },
        blurPx: number("img2img_mask_blur"),
        paddingPx: chosen("img2img_inpaint_full_res") === "Only masked" ? number("img2img_inpaint_full_res_padding") : null,
        inverted: chosen("img2img_mask_mode") === "Inpaint not masked",
        content: chosen("img2img_inpainting_fill"),
        strength: number("img2img_denoising_strength"),
        steps: number("img2img_steps"),
        schedule: scheduleOf(sampler, schedule),
        working: [number("img2img_width"), number("img2img_height")],
    };
}

function scheduleOf(sampler, schedule) {
    if (TIMESTEP_SAMPLERS.test(sampler)) return "DDIM";
    if (schedule && schedule !== "Automatic") return schedule;
    return OWN_SCHEDULES[sampler] ?? "Uniform";
}

/** What is painted on Gradio's canvas, on a smaller grid: 1 where it is, else 0. */
function readPainted(canvas, width, height, inverted) {
    const small = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
    small.drawImage(canvas, 0, 0, width, height);
    const alpha = small.getImageData(0, 0, width, height).data;
    return Uint8Array.from({length: width * height}, (_, place) => Number((alpha[4 * place + 3] > 127) !== inverted));
}

function draw(preview, find) {
    const page = readPage(find);
    const run = ratios(page.schedule, page.steps, page.strength);
    drawCurves(preview.querySelector(".curves"), CURVE_VALUES.map((value) => repaintShares(value, run, page.settings)));
    const canvas = find("#img2maskimg canvas[key=mask]"), picture = find("#img2maskimg img");
    const shown = preview.querySelector(".mask"), told = preview.querySelector(".told");
    const here = canvas?.offsetParent && picture;  // and not in a tab behind
    const size = here && [picture.naturalWidth, picture.naturalHeight];
    shown.hidden = !size;
    if (shown.hidden) {
        told.textContent = "Load a picture in the tab Inpaint and paint: the mask shows here.";
    } else {
        told.textContent = drawPainted(shown, canvas, picture, page, size);
    }
    tell(preview.querySelector(".advice"), size ? advice({...page, picture: size}) : [], find);
}

/** Draws the mask; a sentence on what it will be. */
function drawPainted(shown, canvas, picture, page, size) {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(...size));
    const [width, height] = size.map((side) => Math.max(1, Math.round(side * scale)));
    const painted = readPainted(canvas, width, height, page.inverted);
    const mask = repaintMask(painted, width, height, page.settings, page.blurPx, page.paddingPx, scale);
    let crop = null;
    if (page.paddingPx !== null) {
        const pixels = painted.reduce((sum, value) => sum + value, 0) / (scale * scale);
        const reach = page.settings.feather_source === "host" ? 0 : Math.ceil(
            featherReach(page.settings, page.blurPx, page.paddingPx, pixels, Math.max(...size)));
        crop = cropRegion(mask, width, height, Math.max(0, page.paddingPx - reach) * scale, ...page.working);
    }
    drawMask(shown, picture, mask, width, height, crop);
    if (!painted.some(Boolean)) return "Nothing is painted yet.";
    const share = mask.reduce((sum, value) => sum + Number(value > 0), 0) / mask.length;
    const sentence = "White: repainted in full. Yellow: by half. Red: as far as anything changes, " +
        `${Math.round(100 * share)} % of the picture.`;
    if (!crop) return sentence;
    const [cropWidth, cropHeight] = [crop[2] - crop[0], crop[3] - crop[1]].map((side) => Math.round(side / scale));
    const times = (page.working[0] / cropWidth).toFixed(2);
    return `${sentence} Dashed: the crop of ${cropWidth}x${cropHeight}, painted at ${times} times its size.`;
}

function tell(list, found, find) {
    list.replaceChildren(...found.map(({sentence, fix}) => {
        const item = document.createElement("li"), button = document.createElement("button");
        button.type = "button";
        button.textContent = fix;
        button.addEventListener("click", () => mend(fix, find));
        item.append(`${sentence} `, button);
        return item;
    }));
}

function mend(fix, find) {
    if (fix === "set size from picture") find("#img2img_detect_image_size_btn").click();
    if (fix === "raise denoising") setNumber(find("#img2img_denoising_strength input[type=number]"), 0.75);
    if (fix === "padding 32") setNumber(find("#img2img_inpaint_full_res_padding input[type=number]"), 32);
}

function setNumber(input, value) {
    input.value = value;
    input.dispatchEvent(new Event("input", {bubbles: true}));
}

/** Draws whenever something that is shown may have changed, at most once a frame, and only while it can be seen. */
function watchPage() {
    const find = (selector) => document.querySelector(selector);
    const opened = new ResizeObserver(() => ask());
    let asked = false, watched = null;
    function ask() {
        if (asked) return;
        asked = true;
        requestAnimationFrame(() => {
            asked = false;
            const preview = find("#softinpaint_preview");
            if (!preview) return;
            preview.hidden = false;
            if (watched !== preview) opened.observe(watched = preview);
            if (preview.offsetParent) draw(preview, find);
        });
    }
    const unlessTyping = ({target}) => target instanceof HTMLTextAreaElement || ask();  // prompts change nothing here
    for (const event of ["input", "change", "click", "pointerup", "keyup"]) {
        document.addEventListener(event, unlessTyping, {capture: true, passive: true});
    }
    document.addEventListener("pointerup", () => setTimeout(ask, STROKE_MS), {capture: true, passive: true});
    document.addEventListener("softinpaint-changed", ask);
    document.addEventListener("load", ask, {capture: true});  // of a picture
}

if (typeof document !== "undefined") watchPage();
