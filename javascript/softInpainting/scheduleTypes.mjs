// The WebUI's schedule types, as AUTOMATIC1111 1.10.1 computes them. They have no twin in our Python, which gets each step's
// noise level from its host. tests/test_preview.py checks them against NumPy and SciPy.
import {LOG_RATIOS} from "./schedule.mjs";

const KARRAS_RHO = 7;
/** For Stable Diffusion 1.5; Sabour et al., arXiv 2404.14507. */
const ALIGNED_LEVELS = [0.029, 0.152, 0.399, 0.652, 0.963, 1.396, 1.886, 2.697, 3.861, 6.475, 14.615].map(Math.log);
const BETA_SHAPE = 0.6;  // both parameters of the distribution; Lee et al., arXiv 2407.12173
const BETA_TERMS = 60, BETA_HALVINGS = 50;  // to the last digit

/** Noise-to-signal ratios of all steps by schedule type, noisiest first. `levels` are the model's: the logarithms of its
 *  ratios, rising. */
export const SCHEDULE_TYPES = {
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
SCHEDULE_TYPES["Normal"] = SCHEDULE_TYPES["Uniform"];
SCHEDULE_TYPES["Polyexponential"] = SCHEDULE_TYPES["Exponential"];  // with the host's exponent of 1

/** Noise-to-signal ratio at a place among levels. Between two it is interpolated. */
export function ratioAt(place, levels = LOG_RATIOS) {
    const below = Math.floor(place), above = Math.ceil(place);
    return Math.exp(levels[below] + (place - below) * (levels[above] - levels[below]));
}

export function counted(count, value) {
    return Array.from({length: Math.max(0, count)}, (_, place) => value(place));
}

function evenly(steps) {
    return counted(steps, (step) => (steps > 1 ? step / (steps - 1) : 0));
}

/** The largest ratio and the smallest. */
function ends(levels) {
    return [Math.exp(levels.at(-1)), Math.exp(levels[0])];
}

/** Where the beta distribution has this share below it. As beta.ppf of SciPy. */
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

/** The incomplete beta function from 0 to at most 0.5, by its power series. */
function betaMass(end) {
    let sum = 0;
    for (let term = 0, power = end ** BETA_SHAPE; term < BETA_TERMS; term++) {
        sum += power / (BETA_SHAPE + term);
        power *= end * (term + 1 - BETA_SHAPE) / (term + 1);
    }
    return sum;
}
