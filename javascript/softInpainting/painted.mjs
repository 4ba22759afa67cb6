// What is painted in a mask image. Python twin: lib_softinpaint/images/painted.py, which states the rules and why its
// constants have these values.
import {translated} from "./translation.mjs";

const NOISE_LEVEL = 8, WHITE_LEVEL = 250, FAINT_LEVEL = 63, GREY_LEVELS = [31, 224], COLOUR_LEVEL = 64, HARD_STEP = 80;
const NOTABLE_SHARE = 0.01, OSCILLATING_SHARE = 0.07, GREY_SHARE = 0.15, GREY_SHARE_NEAR_EDGES = 0.3, BLACK_SHARE = 0.25;
const STRAY_SHARE = 0.001, CODED_PX = 8, SAME_SHAPE = 0.02;

/** Strengths of a mask's pixels, RGBA. As strengths, except that a canvas tells neither the colour under full transparency
 *  nor which colours are a palette's. */
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

/** Levels, 0 to 255, of the channel that holds what is painted. As _levels. */
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
    return coloured > NOTABLE_SHARE * (count - black) && black >= BLACK_SHARE * count ? strongest : light;
}

/** Whether the faint levels go up and down, as lossy compression makes them. As _oscillates. */
function oscillates(levels, width, height) {
    const [left, top, right, bottom] = codedBox(levels, width, height, NOISE_LEVEL);
    let varying = 0, peaks = 0;
    for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
            const at = y * width + x, level = levels[at];
            if (level === 0 || level > FAINT_LEVEL) continue;
            for (const [step, inside] of [[1, x > left && x < right - 1], [width, y > top && y < bottom - 1]]) {
                if (!inside) continue;
                const before = levels[at - step], after = levels[at + step];
                varying += level !== before || level !== after;
                peaks += level > before && level > after;
            }
        }
    }
    return peaks > OSCILLATING_SHARE * varying;
}

/** Levels without noise. Near a hard edge there are no greys, elsewhere no faint or nearly white ones. As _without_noise. */
function withoutNoise(levels, width, height) {
    const [left, top, right, bottom] = codedBox(levels, width, height, GREY_LEVELS[0]);
    const across = Math.ceil((right - left) / CODED_PX), down = Math.ceil((bottom - top) / CODED_PX);
    const steps = new Uint8Array(across * down), greys = new Float32Array(across * down);
    const isGrey = (level) => level > GREY_LEVELS[0] && level < GREY_LEVELS[1];
    for (let y = 0; y < CODED_PX * down; y++) {
        for (let x = 0; x < CODED_PX * across; x++) {  // blocks beyond the box repeat its border
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

/** Whether this coded block or one beside it holds a hard edge, and all nine together hold few greys. */
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

/** Left, top, right and bottom of all levels above one, with a margin, aligned to coded blocks. As _box. */
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

/** The sentence on a mask whose shape is not that of its image, else "". `name` names the mask. As check_shape. */
export function shapeFault(mask, [width, height], name) {
    const differs = Math.abs(mask.width * height / (mask.height * width) - 1) > SAME_SHAPE;
    return differs ? translated("{name} must have the aspect ratio of its image, {image}, got {mask}.",
                                {name, image: `${width}x${height}`, mask: `${mask.width}x${mask.height}`}) : "";
}
