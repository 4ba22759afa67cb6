// How much of each pixel is repainted at a noise level. Python twin: lib_softinpaint/method/schedule.py; docs/method.md,
// sections 2 and 3.

const NOISE_RATIO_LIMIT = 14.6146;
const SMALLEST_RATIO = 1e-6;
const TIME_EPSILON = 1e-4;
export const TRAINING_STEPS = 1000;

/** Logarithm of Stable Diffusion's noise-to-signal ratio after each step of training, rising. As _log_ratios. */
export const LOG_RATIOS = (() => {
    let alphaBar = 1;
    return Array.from({length: TRAINING_STEPS}, (_, step) => {
        const beta = (0.00085 ** 0.5 + (step / (TRAINING_STEPS - 1)) * (0.012 ** 0.5 - 0.00085 ** 0.5)) ** 2;
        alphaBar *= 1 - beta;
        return Math.log((1 - alphaBar) / alphaBar) / 2;
    });
})();

/** Time of training at which Stable Diffusion has this noise-to-signal ratio: 1 is pure noise. As training_time. */
export function trainingTime(ratio) {
    const log = Math.log(Math.max(ratio, SMALLEST_RATIO));
    return log < LOG_RATIOS[0] ? 0 : (stepAt(ratio) + 1) / TRAINING_STEPS;
}

/** The same as the number of a step of training. Between two steps it is interpolated. */
function stepAt(ratio) {
    const log = Math.log(Math.max(ratio, SMALLEST_RATIO));
    if (log <= LOG_RATIOS[0]) return 0;
    const above = LOG_RATIOS.findIndex((other) => other >= log);
    if (above < 0) return TRAINING_STEPS - 1;
    return above - 1 + (log - LOG_RATIOS[above - 1]) / (LOG_RATIOS[above] - LOG_RATIOS[above - 1]);
}

/** How much of a pixel of this mask value is repainted in each step. As repaint_share mixed with unlocked_share. */
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
