// The noise levels of a sampler's steps, as in AUTOMATIC1111 1.10.1. Only what Automatic means has a Python twin, SAMPLERS in
// lib_softinpaint/hosts/diffusers/models.py: our Python gets each step's noise level from its host. tests/test_preview.py
// checks them against NumPy.
import {LOG_RATIOS, TRAINING_STEPS} from "./schedule.mjs";
import {SCHEDULE_TYPES, counted, ratioAt} from "./scheduleTypes.mjs";

const LCM_LEVELS = LOG_RATIOS.filter((_, step) => step % 20 === 19);

/** How samplers differ from the others. `automatic` is the schedule type that Automatic means, if it is not Uniform.
 *  `leftOut` is how many of the schedule's last steps are not run. Some have levels or timesteps of their own. */
const SAMPLERS = {
    "DPM++ 2M": {automatic: "Karras"}, "DPM++ SDE": {automatic: "Karras"}, "DPM++ 2S a": {automatic: "Karras"},
    "Restart": {automatic: "Karras"}, "DPM2": {automatic: "Karras", leftOut: 1}, "DPM2 a": {automatic: "Karras", leftOut: 1},
    "DPM++ 2M SDE": {automatic: "Exponential"}, "DPM++ 2M SDE Heun": {automatic: "Exponential"},
    "DPM++ 3M SDE": {automatic: "Exponential", leftOut: 1},
    "LCM": {levels: LCM_LEVELS},
    "DDIM": {timesteps: strided}, "DDIM CFG++": {timesteps: strided}, "PLMS": {timesteps: strided},
    "UniPC": {timesteps: divided},
};

/** Forge Classic has no menu of schedule types: the end of a sampler's name gives its schedule type. */
const ENDINGS = {" Karras": "Karras", " Exponential": "Exponential", " SGMUniform": "SGM Uniform"};

/** Noise-to-signal ratio of each step that is run, in order. */
export function ratios({sampler, schedule, steps, strength}) {
    const encoded = Math.trunc(Math.min(strength, 0.999) * steps);
    const ending = Object.keys(ENDINGS).find((each) => sampler.endsWith(each)) ?? "";
    const {automatic = "Uniform", leftOut = 0, levels = LOG_RATIOS, timesteps} =
        SAMPLERS[sampler.slice(0, sampler.length - ending.length)] ?? {};
    if (timesteps) return timesteps(steps, encoded).map((timestep) => ratioAt(timestep));
    const chosen = SCHEDULE_TYPES[schedule || (ENDINGS[ending] ?? "Uniform")] ?? SCHEDULE_TYPES[automatic];
    const all = chosen(levels, steps + leftOut);
    return all.slice(Math.max(0, steps - encoded - 1), all.length - leftOut);
}

/** Timesteps in even strides. The first has this number, and the last, 1, is not run. */
function strided(steps, encoded) {
    const stride = Math.floor(TRAINING_STEPS / steps);
    return counted(encoded - 1, (step) => 1 + stride * (encoded - 1 - step));
}

/** Timesteps from the same first one, evenly divided down to 0. */
function divided(steps, encoded) {
    const first = 1 + Math.floor(TRAINING_STEPS / steps) * (encoded - 1);
    return counted(encoded, (step) => first * (1 - step / encoded));
}
