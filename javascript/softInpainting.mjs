// The accordion's live preview: what a mask and a schedule will do, before anything is generated.
// The mathematics is that of mask.py, schedule.py and advice.py; docs/method.md, sections 1 to 3.

export const REACH_PER_BLUR = 2.4;
export const SMALLEST_REACH_PX = 16;
const AREA_SHARE = 0.02;  // bounds the strengths that feathers start from to 50, and their drawing to a fifth of a second
export const NOISE_RATIO_LIMIT = 14.6146;
const SMALLEST_RATIO = 1e-6;
const TIME_EPSILON = 1e-4;
const TRAINING_STEPS = 1000;
const FAR = 1e20;

// --- Mask -----------------------------------------------------------------------------------------------------------

/** Squared distance of each pixel to the nearest that is set, Float64Array, and the place of that one, Int32Array.
 *  Of several that are as near the uppermost counts, then the leftmost; Felzenszwalb and Huttenlocher, 2012. */
export function distanceTransform(inside, width, height) {
    const squared = new Float64Array(width * height), nearest = new Int32Array(width * height);
    for (let x = 0; x < width; x++) measureColumn(inside, x, width, height, squared, nearest);
    const line = new Float64Array(width), places = new Int32Array(width);
    const parabola = new Int32Array(width), border = new Float64Array(width + 1);
    for (let start = 0; start < squared.length; start += width) {
        line.set(squared.subarray(start, start + width));
        places.set(nearest.subarray(start, start + width));
        measureRow(squared, nearest, start, line, places, parabola, border);
    }
    return {squared, nearest};
}

function measureColumn(inside, x, width, height, squared, nearest) {
    for (let y = 0, place = x, last = -1; y < height; y++, place += width) {
        if (inside[place]) last = y;
        squared[place] = last < 0 ? FAR : (y - last) ** 2;
        nearest[place] = last * width + x;
    }
    for (let y = height - 1, place = y * width + x, last = FAR; y >= 0; y--, place -= width) {
        if (inside[place]) last = y;
        const below = (last - y) ** 2;
        if (below < squared[place]) {
            squared[place] = below;
            nearest[place] = last * width + x;
        }
    }
}

function measureRow(squared, nearest, start, line, places, parabola, border) {
    let last = -1;
    for (let x = 0; x < line.length; x++) {
        if (line[x] >= FAR) continue;
        let crossing = -Infinity;
        for (; last >= 0; last--) {
            const other = parabola[last];
            crossing = (line[x] + x * x - line[other] - other * other) / (2 * (x - other));
            if (crossing > border[last]) break;
        }
        parabola[++last] = x;
        border[last] = crossing;
    }
    if (last < 0) return;
    for (let x = 0, current = 0; x < line.length; x++) {
        while (current < last && border[current + 1] < x) current++;
        const other = parabola[current];
        squared[start + x] = (x - other) ** 2 + line[other];
        nearest[start + x] = places[other];
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

/** Repaint mask of painted strengths, Float32Array, 0 to 1. `scale` is that of the grid to the pixels of the settings. */
export function repaintMask(painted, width, height, settings, blurPx, paddingPx = null, scale = 1) {
    const pixels = countPainted(painted);
    const growPx = settings.grow_px * scale;
    const core = growPx < 0 ? shrunk(painted, width, height, -growPx) : painted;
    const grow = Math.max(0, growPx);
    if (settings.feather_source === "host") {
        return hostBlur(featherOutward(core, width, height, 0, grow), width, height, blurPx * scale);
    }
    const reach = scale * featherReach(
        settings, blurPx, paddingPx, pixels / (scale * scale), Math.max(width, height) / scale);
    return featherOutward(core, width, height, reach, grow);
}

function countPainted(painted) {
    let count = 0;
    for (const strength of painted) count += strength > 0;
    return count;
}

function featherOutward(painted, width, height, reach, grow) {
    const feathered = Float32Array.from(painted);
    if (Math.max(reach, grow) <= 0) return feathered;
    const farthest = (Math.max(reach, 0) + grow) ** 2;
    for (const least of mainStrengths(painted)) {
        const {squared, nearest} = distanceTransform(painted.map((strength) => Number(strength >= least)), width, height);
        for (let place = 0; place < feathered.length; place++) {
            if (squared[place] > farthest) continue;
            const part = reach > 0 ? 1 - smootherstep((Math.sqrt(squared[place]) - grow) / reach) : 1;
            feathered[place] = Math.max(feathered[place], painted[nearest[place]] * part);
        }
    }
    return feathered;
}

/** The weakest painted strength, and those in which areas are painted: each starts its feather from itself. */
function mainStrengths(painted) {
    const counts = new Map();
    for (let place = 0, first = 0; place < painted.length; first = place) {
        const strength = painted[first];
        do place++; while (painted[place] === strength);
        if (strength > 0) counts.set(strength, (counts.get(strength) ?? 0) + place - first);
    }
    const least = AREA_SHARE * countPainted(painted), weakest = Math.min(...counts.keys());
    return [...counts.keys()].filter((strength) => strength === weakest || counts.get(strength) > least);
}

function smootherstep(way) {
    const part = Math.min(1, Math.max(0, way));
    return part * part * part * (part * (6 * part - 15) + 10);
}

/** Painted mask without its rim; of a stroke that would vanish the innermost pixels stay. */
function shrunk(painted, width, height, byPx) {
    if (painted.every(Boolean)) return painted;
    const {squared: rim} = distanceTransform(painted.map((strength) => Number(strength === 0)), width, height);
    const kept = painted.map((strength, place) => Number(Math.sqrt(rim[place]) > byPx));
    const stroke = new Int32Array(painted.length);
    for (let first = 0, number = 0; first < painted.length; first++) {
        if (!painted[first] || stroke[first]) continue;
        const places = connected(painted, stroke, width, height, first, ++number);
        if (places.some((place) => kept[place])) continue;
        const deepest = Math.sqrt(places.reduce((most, place) => Math.max(most, rim[place]), 0));
        for (const place of places) kept[place] = Number(Math.sqrt(rim[place]) > deepest - 0.5);
    }
    return painted.map((strength, place) => (kept[place] ? strength : 0));
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
    let blurred = mask;
    if (blurPx > 0) {
        const radius = Math.floor(2.5 * blurPx + 0.5);
        const weights = Float64Array.from({length: 2 * radius + 1}, (_, index) =>
            Math.exp(-((index - radius) ** 2) / (2 * blurPx ** 2)));
        const sum = weights.reduce((total, weight) => total + weight, 0);
        const shares = weights.map((weight) => weight / sum);
        blurred = blurLines(blurLines(mask, width, height, 1, width, shares), height, width, width, 1, shares);
    }
    return blurred.map((value) => Math.round(value * 255) / 255);
}

function blurLines(mask, count, lines, stride, lineStride, shares) {
    const radius = (shares.length - 1) / 2;
    const places = Int32Array.from({length: count + 2 * radius}, (_, place) => stride * mirrored(place - radius, count));
    const padded = new Float64Array(places.length), blurred = new Float32Array(mask.length);
    for (let line = 0; line < lines; line++) {
        const start = line * lineStride;
        for (let place = 0; place < padded.length; place++) padded[place] = mask[start + places[place]];
        if (!padded.some(Boolean)) continue;
        for (let place = 0; place < count; place++) {
            let value = 0;
            for (let index = 0; index < shares.length; index++) value += shares[index] * padded[place + index];
            blurred[start + place * stride] = value;
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

/** Noise-to-signal ratio at a place among levels, the logarithms of ratios, rising; between two it is interpolated. */
function ratioAt(place, levels = LOG_RATIOS) {
    const below = Math.floor(place), above = Math.ceil(place);
    return Math.exp(levels[below] + (place - below) * (levels[above] - levels[below]));
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

const KARRAS_RHO = 7;
/** For Stable Diffusion 1.5; Sabour et al., arXiv 2404.14507. */
const ALIGNED_LEVELS = [0.029, 0.152, 0.399, 0.652, 0.963, 1.396, 1.886, 2.697, 3.861, 6.475, 14.615].map(Math.log);
const BETA_SHAPE = 0.6;  // both parameters of the distribution; Lee et al., arXiv 2407.12173
const BETA_TERMS = 60, BETA_HALVINGS = 50;  // to the last digit

/** Noise-to-signal ratios of a schedule type, noisiest first, for a model of these levels; AUTOMATIC1111 1.10.1. */
const SCHEDULES = {
    "Uniform": (levels, steps) => evenly(steps).map((way) => ratioAt((levels.length - 1) * (1 - way), levels)),
    "Karras": (levels, steps) => {
        const [most, least] = ends(levels).map((ratio) => ratio ** (1 / KARRAS_RHO));
        return evenly(steps).map((way) => (most + way * (least - most)) ** KARRAS_RHO);
    },
    "Exponential": (levels, steps) => evenly(steps).map((way) => Math.exp(levels.at(-1) + way * (levels[0] - levels.at(-1)))),
    "SGM Uniform": (levels, steps) => counted(steps, (step) => ratioAt((levels.length - 1) * (1 - step / steps), levels)),
    "KL Optimal": (levels, steps) => {
        const [most, least] = ends(levels).map(Math.atan);
        return counted(steps, (step) => Math.tan(most + (step / steps) * (least - most)));
    },
    // With one step the host takes the least.
    "Align Your Steps": (levels, steps) => evenly(steps).reverse().map((way) =>
        ratioAt((ALIGNED_LEVELS.length - 1) * way, ALIGNED_LEVELS)),
    "Simple": (levels, steps) => counted(steps, (step) =>
        ratioAt(levels.length - 1 - Math.floor(step * (levels.length / steps)), levels)),
    "DDIM": (levels, steps) => {
        const stride = Math.max(1, Math.floor(levels.length / steps));
        return counted(Math.ceil((levels.length - 1) / stride), (step) => ratioAt(1 + step * stride, levels)).reverse();
    },
    "Beta": (levels, steps) => {
        const [most, least] = ends(levels);
        return evenly(steps).map((way) => least + betaQuantile(1 - way) * (most - least));
    },
};
SCHEDULES["Normal"] = SCHEDULES["Uniform"];
SCHEDULES["Polyexponential"] = SCHEDULES["Exponential"];  // with the host's exponent of 1

function counted(count, value) {
    return Array.from({length: Math.max(0, count)}, (_, place) => value(place));
}

function evenly(steps) {
    return counted(steps, (step) => (steps > 1 ? step / (steps - 1) : 0));
}

function ends(levels) {
    return [Math.exp(levels.at(-1)), Math.exp(levels[0])];
}

/** Where the beta distribution has this share below it. */
function betaQuantile(share) {
    if (share > 0.5) return 1 - betaQuantile(1 - share);
    const wanted = 2 * share * betaMass(0.5);
    let low = 0, high = 0.5;
    for (let halving = 0; halving < BETA_HALVINGS; halving++) {
        const middle = (low + high) / 2;
        if (betaMass(middle) < wanted) low = middle;
        else high = middle;
    }
    return high;
}

/** The incomplete beta function from 0 to 1/2, by its power series. */
function betaMass(end) {
    let sum = 0;
    for (let term = 0, power = end ** BETA_SHAPE; term < BETA_TERMS; term++) {
        sum += power / (BETA_SHAPE + term);
        power *= end * (term + 1 - BETA_SHAPE) / (term + 1);
    }
    return sum;
}

const LCM_LEVELS = LOG_RATIOS.filter((_, step) => step % 20 === 19);

/** Timesteps of a run that begins at the one of this number, in even strides; the last, 1, is not run. */
function strided(steps, encoded) {
    const stride = Math.floor(TRAINING_STEPS / steps);
    return counted(encoded - 1, (step) => Math.min(TRAINING_STEPS - 1, 1 + stride * (encoded - 1 - step)));
}

/** The same from where the others begin, evenly divided down to 0. */
function divided(steps, encoded) {
    const first = 1 + Math.floor(TRAINING_STEPS / steps) * (encoded - 1);
    return counted(encoded, (step) => first * (1 - step / encoded));
}

/** What samplers do otherwise than the rest: the schedule type that Automatic means, where it is not Uniform; how many of
 *  a schedule's last steps they leave out; levels or timesteps of their own. AUTOMATIC1111 1.10.1. */
const SAMPLERS = {
    "DPM++ 2M": {automatic: "Karras"}, "DPM++ SDE": {automatic: "Karras"}, "DPM++ 2S a": {automatic: "Karras"},
    "Restart": {automatic: "Karras"}, "DPM2": {automatic: "Karras", leftOut: 1}, "DPM2 a": {automatic: "Karras", leftOut: 1},
    "DPM++ 2M SDE": {automatic: "Exponential"}, "DPM++ 2M SDE Heun": {automatic: "Exponential"},
    "DPM++ 3M SDE": {automatic: "Exponential", leftOut: 1},
    "LCM": {levels: LCM_LEVELS},
    "DDIM": {timesteps: strided}, "DDIM CFG++": {timesteps: strided}, "PLMS": {timesteps: strided},
    "UniPC": {timesteps: divided},
};

/** Noise-to-signal ratio of each step that is run, from the first on. */
export function ratios({sampler, schedule, steps, strength}) {
    const encoded = Math.trunc(Math.min(strength, 0.999) * steps);
    const {automatic = "Uniform", leftOut = 0, levels = LOG_RATIOS, timesteps} = SAMPLERS[sampler] ?? {};
    if (timesteps) return timesteps(steps, encoded).map((timestep) => ratioAt(timestep));
    const chosen = SCHEDULES[schedule] ?? SCHEDULES[automatic];
    const all = chosen(levels, steps + leftOut);
    return all.slice(Math.max(0, steps - encoded - 1), all.length - leftOut);
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

const SETTLED_MS = 200;  // after which Gradio has drawn what it got, a stroke or a picture
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

const STRETCHING = /^Just resize/;  // of the resize modes

/** Values of the page's fields; `find` takes a CSS selector. */
function readPage(find) {
    const number = (id) => Number(find(`#${id} input[type=number]`)?.value ?? 0);
    const chosen = (id) => find(`#${id} input:checked`)?.value ?? "";
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
        sampler: find("#img2img_sampling input")?.value ?? "",
        schedule: find("#img2img_scheduler input")?.value ?? "",
        transparency: number("img2img_mask_alpha") / 100,
        stretches: STRETCHING.test(chosen("resize_mode") || "Just resize"),  // the stand-alone page knows no other
        resizeTo: [number("img2img_width"), number("img2img_height")],
        resizeBy: find("#img2img_tab_resize_by")?.offsetParent ? number("img2img_scale") : null,
    };
}

const BRUSHED = 128;  // of 255: what is above is paint to the host
const SAME_COLOUR = 2;  // of 255: two drawings of one picture may differ as much
const SKETCH = "#inpaint_sketch canvas[key=drawing]", SKETCHED = "#inpaint_sketch img";
const ACCORDION = "#soft_inpainting_enabled";
const MASK_FILE = "#softinpaint_mask_image_file";

/** Where each tab of img2img, or the stand-alone page, has its picture and what is painted over it, and what reads that. */
const SOURCES = [
    {tab: "#softinpaint_paint", picture: "#softinpaint_paint img", painted: "#softinpaint_paint canvas", read: readMask},
    {tab: "#img2img_inpaint_tab", picture: "#img2maskimg img", painted: "#img2maskimg canvas[key=mask]", read: readBrush},
    {tab: "#img2img_inpaint_sketch_tab", picture: SKETCH, painted: SKETCH, read: readSketch},
    {tab: "#img2img_inpaint_upload_tab", picture: "#img_inpaint_base img", painted: "#img_inpaint_mask img", read: readMask},
    {tab: "#img2img_img2img_sketch_tab", picture: "#img2img_sketch canvas[key=drawing]"},
    {tab: "#img2img_img2img_tab", picture: "#img2img_image img"},
];

// What is painted in a mask image: as painted.py, whose constants these are.
const NOISE_LEVEL = 8, WHITE_LEVEL = 250, FAINT_LEVEL = 63, GREY_LEVELS = [31, 224], COLOUR_LEVEL = 64, HARD_STEP = 80;
const TOLD_SHARE = 0.01, OSCILLATING_SHARE = 0.06, GREY_SHARE = 0.15, GREY_SHARE_NEAR_EDGES = 0.3, BLACK_SHARE = 0.25;
const STRAY_SHARE = 0.001, CODED_PX = 8, SAME_SHAPE = 0.02;

/** Strengths of a mask's pixels, RGBA. A canvas hides which colour was made transparent, and which colours are a palette's. */
export function strengthsOf(pixels, width, height) {
    let levels = levelsOf(pixels);
    if (levels.every((level) => level < 2) && levels.includes(0) && levels.includes(1)) {
        levels = levels.map((level) => 255 * level);
    }
    const counts = new Uint32Array(256);
    for (const level of levels) counts[level]++;
    const within = (low, high) => counts.subarray(low, high).reduce((sum, count) => sum + count, 0) / levels.length;
    const greys = within(NOISE_LEVEL + 1, WHITE_LEVEL);
    if (greys && within(GREY_LEVELS[0] + 1, GREY_LEVELS[1]) <= GREY_SHARE && oscillates(levels, width, height)) {
        levels = withoutNoise(levels, width, height);
    }
    return Float32Array.from(levels, (level) => (level <= NOISE_LEVEL ? 0 : level >= WHITE_LEVEL ? 1 : level / 255));
}

/** Levels, 0 to 255, of the channel that holds what is painted. */
function levelsOf(pixels) {
    const count = pixels.length / 4;
    const alphas = new Uint8Array(count), light = new Uint8Array(count), strongest = new Uint8Array(count);
    let clear = 0, transparent = 0, coloured = 0, black = 0, darkest = 255, lightest = 0;
    for (let place = 0, at = 0; place < count; place++, at += 4) {
        const red = pixels[at], green = pixels[at + 1], blue = pixels[at + 2], alpha = pixels[at + 3];
        alphas[place] = alpha;
        light[place] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;  // as Pillow rounds
        strongest[place] = Math.max(red, green, blue);
        clear += alpha === 0;
        transparent += alpha <= NOISE_LEVEL;
        if (alpha > NOISE_LEVEL) {
            darkest = Math.min(darkest, light[place]);
            lightest = Math.max(lightest, light[place]);
        }
        coloured += strongest[place] - Math.min(red, green, blue) >= COLOUR_LEVEL;
        black += strongest[place] <= NOISE_LEVEL;
    }
    const stray = clear < STRAY_SHARE * count && darkest <= NOISE_LEVEL && lightest >= WHITE_LEVEL;
    if (!stray && transparent > 0 && transparent < count) return alphas;
    return coloured > TOLD_SHARE * (count - black) && black >= BLACK_SHARE * count ? strongest : light;
}

/** Whether the faint levels go up and down, as after lossy compression. */
function oscillates(levels, width, height) {
    const [left, top, right, bottom] = codedBox(levels, width, height, NOISE_LEVEL);
    let faint = 0, peaks = 0;
    for (let y = top; y < bottom; y++) {
        for (let x = left + 1; x < right - 1; x++) {
            const at = y * width + x, level = levels[at];
            if (level === 0 || level > FAINT_LEVEL) continue;
            faint++;
            peaks += level > levels[at - 1] && level > levels[at + 1];
        }
    }
    return peaks > OSCILLATING_SHARE * faint;
}

/** Levels without greys in and beside each coded block that holds a hard edge and few greys, and elsewhere without faint ones. */
function withoutNoise(levels, width, height) {
    const [left, top, right, bottom] = codedBox(levels, width, height, GREY_LEVELS[0]);
    const across = Math.ceil((right - left) / CODED_PX), down = Math.ceil((bottom - top) / CODED_PX);
    const steps = new Uint8Array(across * down), greys = new Float32Array(across * down);
    const isGrey = (level) => level > GREY_LEVELS[0] && level < GREY_LEVELS[1];
    for (let y = 0; y < CODED_PX * down; y++) {
        for (let x = 0; x < CODED_PX * across; x++) {  // what stands over repeats the border
            const column = left + Math.min(x, right - left - 1), row = top + Math.min(y, bottom - top - 1);
            const level = levels[row * width + column], block = Math.floor(y / CODED_PX) * across + Math.floor(x / CODED_PX);
            const above = y > 0 && row === top + y ? levels[(row - 1) * width + column] : level;
            const before = x > 0 && column === left + x ? levels[row * width + column - 1] : level;
            steps[block] = Math.max(steps[block], Math.abs(level - above), Math.abs(level - before));
            greys[block] += isGrey(level) / CODED_PX ** 2;
        }
    }
    const result = new Uint8Array(levels.length);
    for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
            const level = levels[y * width + x];
            const hard = isGrey(level) && isHardEdge(steps, greys, across, down,
                Math.floor((x - left) / CODED_PX), Math.floor((y - top) / CODED_PX));
            result[y * width + x] = isGrey(level) && !hard ? level : level > 127 ? 255 : 0;
        }
    }
    return result;
}

/** Whether a coded block or one beside it holds a hard edge, and all of them few greys. */
function isHardEdge(steps, greys, across, down, column, row) {
    let step = 0, grey = 0;
    for (let y = row - 1; y <= row + 1; y++) {
        for (let x = column - 1; x <= column + 1; x++) {
            const at = Math.min(Math.max(y, 0), down - 1) * across + Math.min(Math.max(x, 0), across - 1);
            step = Math.max(step, steps[at]);
            grey += greys[at] / 9;
        }
    }
    return step >= HARD_STEP && grey < GREY_SHARE_NEAR_EDGES;
}

/** Left, top, right and bottom of all levels above one, with a margin, from a coded block's corner on. */
function codedBox(levels, width, height, above) {
    let left = width, top = height, right = 0, bottom = 0;
    levels.forEach((level, at) => {
        if (level <= above) return;
        const x = at % width, y = Math.floor(at / width);
        left = Math.min(left, x);
        top = Math.min(top, y);
        right = Math.max(right, x + 1);
        bottom = Math.max(bottom, y + 1);
    });
    if (!right) return [0, 0, width, height];
    const start = (side) => Math.floor(Math.max(0, side - CODED_PX) / CODED_PX) * CODED_PX;
    return [start(left), start(top), Math.min(width, right + CODED_PX), Math.min(height, bottom + CODED_PX)];
}

/** Strengths of a brush that knows but one. */
function readBrush(canvas, grid) {
    return valuesOf(sampled(canvas, grid), (pixels, at) => Number(pixels[at + 3] > BRUSHED));
}

/** Strengths of a mask image. */
function readMask(mask, grid) {
    return strengthsOf(sampled(mask, grid), ...grid);
}

/** Strengths of a sketch: where it differs from the picture as that came, what the host's transparency leaves. */
function readSketch(canvas, grid, page, original) {
    const before = sampled(overWhite(original ?? canvas, [canvas.width, canvas.height]), grid);
    const differs = (pixels, at, band) => Math.abs(pixels[at + band] - before[at + band]) > SAME_COLOUR;
    return valuesOf(sampled(canvas, grid), (pixels, at) =>
        differs(pixels, at, 0) || differs(pixels, at, 1) || differs(pixels, at, 2) ? 1 - page.transparency : 0);
}

/** Keeps a sketch's picture, unless it is the one that is kept with paint on it; as the host tells them apart. */
function keepOriginal(originals, picture) {
    const before = originals.get(picture), now = overWhite(picture, sizeOf(picture));
    if (!before || !alike(before, now)) originals.set(picture, now);
}

function alike(one, other) {
    if (one.width !== other.width || one.height !== other.height) return false;
    const grid = [LONGEST_SIDE, LONGEST_SIDE], pixels = sampled(other, grid);
    return valuesOf(sampled(one, grid), (before, at) =>
        Number([0, 1, 2].every((band) => before[at + band] === pixels[at + band]))).some(Boolean);
}

function overWhite(image, [width, height]) {
    const pen = new OffscreenCanvas(width, height).getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
    pen.drawImage(image, 0, 0, width, height);
    return pen.canvas;
}

/** Pixels of an image on a grid, RGBA; unmixed, so that a mask's strengths stay what they are. */
function sampled(image, [width, height]) {
    const pen = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height).data;
}

function valuesOf(pixels, read) {
    const values = new Float32Array(pixels.length / 4);
    for (let place = 0; place < values.length; place++) values[place] = read(pixels, 4 * place);
    return values;
}

function sizeOf(image) {
    return [image.naturalWidth ?? image.width, image.naturalHeight ?? image.height];
}

function scaled(size, scale) {
    return size.map((side) => Math.max(1, Math.round(side * scale)));
}

/** The picture that can be seen, and what is painted over it; null where there is none to inpaint.
 *
 *  `kept` holds the sketches' originals, and the accordion's mask image: null where the browser cannot read it. */
function readScene(page, find, kept) {
    const source = SOURCES.find(({tab}) => find(tab)?.offsetParent), picture = source && find(source.picture);
    const hasFile = Boolean(find(`${MASK_FILE} .file-preview`)), size = picture && sizeOf(picture);
    if (!size?.[0] || !(source.painted || hasFile)) return null;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(...size));
    const scene = {picture, size, scale, maskScale: scale, grid: scaled(size, scale), fault: ""};
    const image = source.painted && find(source.painted);
    if (image && sizeOf(image)[0]) {
        // Of another size it is stretched as the picture is, while a crop's place counts from the corner of both.
        const grid = page.paddingPx === null ? scene.grid : scaled(sizeOf(image), scale);
        scene.strengths = placed(source.read(image, grid, page, kept.originals.get(find(SKETCHED))), grid, scene.grid);
        scene.maskScale = grid[0] / sizeOf(image)[0];
    }
    if (!scene.strengths?.some(Boolean) && hasFile) Object.assign(scene, readFile(kept.mask, scene));
    const inverted = scene.strengths && page.inverted;
    scene.strengths ??= new Float32Array(scene.grid[0] * scene.grid[1]);
    if (inverted) scene.strengths = scene.strengths.map((value) => 1 - value);
    return scene;
}

function readFile(mask, {size, scale, grid}) {
    if (mask === undefined) return {};  // not decoded yet
    if (mask === null) return {fault: "This browser cannot show the mask image."};
    if (Math.abs(mask.width * size[1] / (mask.height * size[0]) - 1) > SAME_SHAPE) {
        return {fault: `Mask image must have the shape of its image, ${size.join("x")}, got ${mask.width}x${mask.height}.`};
    }
    return {strengths: readMask(mask, grid), maskScale: scale};
}

/** Values on a grid of another size, corner on corner. */
function placed(values, [fromWidth, fromHeight], [width, height]) {
    if (fromWidth === width && fromHeight === height) return values;
    const whole = new Float32Array(width * height), common = Math.min(fromWidth, width);
    for (let y = 0; y < Math.min(fromHeight, height); y++) {
        whole.set(values.subarray(y * fromWidth, y * fromWidth + common), y * width);
    }
    return whole;
}

function draw(preview, find, kept) {
    const page = readPage(find);
    const run = ratios(page);
    drawCurves(preview.querySelector(".curves"), CURVE_VALUES.map((value) => repaintShares(value, run, page.settings)));
    const scene = readScene(page, find, kept);
    const shown = preview.querySelector(".mask");
    shown.hidden = !scene;
    let told = "Load a picture and paint, or choose a mask: it shows here.", found = [];
    if (scene) {
        const {size} = scene;
        const asked = page.resizeBy === null ? page.resizeTo : size.map((side) => Math.trunc(side * page.resizeBy));
        const working = asked.map((side, axis) => side || size[axis]);  // 0 on the stand-alone page: the picture's
        told = drawScene(shown, scene, page, working);
        found = advice({...page, picture: size, working: page.stretches ? working : size});
    }
    preview.querySelector(".told").textContent = told;
    tell(preview.querySelector(".advice"), found, find);
}

/** Draws the mask; a sentence on what it will be. */
function drawScene(shown, {picture, size, scale, maskScale, grid, fault, strengths}, page, working) {
    const mask = repaintMask(strengths, ...grid, page.settings, page.blurPx, page.paddingPx, maskScale);
    let crop = null;
    if (page.paddingPx !== null) {
        const reach = page.settings.feather_source === "host" ? 0 : Math.ceil(featherReach(
            page.settings, page.blurPx, page.paddingPx, countPainted(strengths) / maskScale ** 2, Math.max(...size)));
        crop = cropRegion(mask, ...grid, Math.max(0, page.paddingPx - reach) * scale, ...working);
    }
    drawMask(shown, picture, mask, ...grid, crop);
    if (fault) return fault;
    if (!strengths.some(Boolean)) return "Nothing is painted yet.";
    const share = countPainted(mask) / mask.length;
    const sentence = "White: repainted in full. Yellow: by half. Red: as far as anything changes, " +
        `${Math.round(100 * share)} % of the picture.`;
    if (!crop) return sentence;
    const [cropWidth, cropHeight] = [crop[2] - crop[0], crop[3] - crop[1]].map((side) => Math.round(side / scale));
    const times = (working[0] / cropWidth).toFixed(2);
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

/** Names for what Gradio 3 leaves without: a slider's number, and the box that switches the accordion. */
function nameControls(accordion) {
    for (const input of accordion.querySelectorAll("input[type=number]:not([aria-label]), .input-accordion-checkbox")) {
        const label = input.closest("div[id]").querySelector("label span, .label-wrap span");
        if (label) input.ariaLabel = label.textContent.trim();
    }
}

/** Draws whenever something that is shown may have changed, at most once a frame, and only while it can be seen. */
function watchPage() {
    const find = (selector) => document.querySelector(selector);
    const kept = {originals: new WeakMap(), mask: undefined};
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
            if (watched !== preview) {
                opened.observe(watched = preview);
                nameControls(preview.closest(ACCORDION));
            }
            if (preview.offsetParent) draw(preview, find, kept);
        });
    }
    function askTwice() {
        ask();
        setTimeout(ask, SETTLED_MS);
    }
    async function keepMask(file) {
        kept.mask = undefined;
        kept.mask = await createImageBitmap(file, {colorSpaceConversion: "none"}).catch(() => null);
        ask();
    }
    const listen = (event, listener) => document.addEventListener(event, listener, {capture: true, passive: true});
    const unlessTyping = ({target}) => target instanceof HTMLTextAreaElement || ask();  // prompts change nothing here
    for (const event of ["input", "change", "click", "keyup"]) listen(event, unlessTyping);
    listen("pointerup", askTwice);
    listen("softinpaint-changed", ask);
    listen("change", ({target}) => target.matches?.(`${MASK_FILE} input`) && keepMask(target.files[0]));
    listen("drop", ({target, dataTransfer}) => target.closest?.(MASK_FILE) && keepMask(dataTransfer.files[0]));
    listen("load", ({target}) => {  // of a picture
        if (target.matches?.(SKETCHED)) keepOriginal(kept.originals, target);
        askTwice();
    });
}

if (typeof document !== "undefined") watchPage();
