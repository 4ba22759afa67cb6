// The setting "Mask tools". Python twins: lib_softinpaint/settings/mask_tools.py and lib_softinpaint/method/mask_tools.py.
import {distanceTransform} from "./distance.mjs";
import {gaussianBlur} from "./gaussian.mjs";
import {connected, countPainted, featherOutward, shrunk} from "./mask.mjs";

const NUMBER = "(\\d+(?:\\.\\d+)?)";
const PATTERNS = {
    "fill holes": "fill holes", "drop specks": `drop specks ${NUMBER}(?: ?px)?`, smooth: `smooth ${NUMBER}(?: ?px)?`,
    grow: "grow (-?\\d+(?:\\.\\d+)?)(?: ?%)?", invert: "invert", transparency: "transparency",
    luminance: `luminance ${NUMBER} ?- ?${NUMBER}`, colour: `colou?r #([0-9a-f]{6}) ${NUMBER}`,
};
const SOURCES = {transparency: fromTransparency, luminance: fromLuminance, colour: fromColour};
const EDITS = {"fill holes": withFilledHoles, "drop specks": withoutSpecks, smooth: smoothed, grow: grown, invert: inverted};
const WHITE_D65 = [0.95047, 1, 1.08883], CUBE_ROOT_FROM = (6 / 29) ** 3;
const TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]];

/** The steps of a text, each with its tool and values; null if one cannot be read. Python states the rule on generating. */
export function toolSteps(text) {
    const steps = text.toLowerCase().split(",").map((part) => part.trim()).filter(Boolean).map((part) => {
        for (const [tool, pattern] of Object.entries(PATTERNS)) {
            const found = part.match(new RegExp(`^${pattern}$`));
            if (found) return {tool, values: found.slice(1)};
        }
        return null;
    });
    return steps.some((step, place) => !step || (place && step.tool in SOURCES)) ? null : steps;
}

/** Whether the first step makes a mask from the image. */
export function hasSource(steps) {
    return steps.length > 0 && steps[0].tool in SOURCES;
}

/** Painted strengths after the steps. `scale` is grid pixels per pixel, `pixels` the image on the grid, RGBA. As edited. */
export function editedStrengths(strengths, steps, pixels, [width, height], scale) {
    return steps.reduce((mask, {tool, values}) => {
        if (tool in SOURCES) return mask.some(Boolean) ? mask : SOURCES[tool](pixels, ...values);
        return EDITS[tool](mask, width, height, Number(values[0] ?? 0), scale);
    }, Float32Array.from(strengths));
}

function eachPixel(pixels, value) {
    return Float32Array.from({length: pixels.length / 4}, (_, place) => Number(value(4 * place)));
}

function fromTransparency(pixels) {
    return eachPixel(pixels, (at) => 1 - pixels[at + 3] / 255);
}

function fromLuminance(pixels, darkest, lightest) {
    return eachPixel(pixels, (at) => {
        const [lightness] = lab(pixels[at], pixels[at + 1], pixels[at + 2]);
        return lightness >= darkest && lightness <= lightest;
    });
}

function fromColour(pixels, colour, tolerance) {
    const wanted = lab(...[0, 2, 4].map((start) => parseInt(colour.slice(start, start + 2), 16)));
    return eachPixel(pixels, (at) => {
        const found = lab(pixels[at], pixels[at + 1], pixels[at + 2]);
        return Math.hypot(...found.map((value, band) => value - wanted[band])) <= tolerance;
    });
}

/** CIELAB of a colour, 0 to 255. As method/cielab.py. */
function lab(...levels) {
    const linear = levels.map((level) => level / 255).map((share) =>
        (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4));
    const shareOfWhite = (row, axis) =>
        row.reduce((sum, part, band) => sum + part * linear[band], 0) / WHITE_D65[axis];
    const [x, y, z] = TO_XYZ.map(shareOfWhite).map((share) =>
        (share > CUBE_ROOT_FROM ? Math.cbrt(share) : share / (3 * (6 / 29) ** 2) + 4 / 29));
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

function withFilledHoles(mask, width, height) {
    const outside = new Uint8Array(mask.length), places = [];
    const reach = (place) => {
        if (mask[place] || outside[place]) return;
        outside[place] = 1;
        places.push(place);
    };
    for (let x = 0; x < width; x++) [x, (height - 1) * width + x].forEach(reach);
    for (let y = 0; y < height; y++) [y * width, (y + 1) * width - 1].forEach(reach);
    while (places.length) {
        const place = places.pop(), x = place % width;
        if (x) reach(place - 1);
        if (x < width - 1) reach(place + 1);
        if (place >= width) reach(place - width);
        if (place < mask.length - width) reach(place + width);
    }
    return ofShape(mask, width, height, (place) => !outside[place]);
}

function withoutSpecks(mask, width, height, sidePx, scale) {
    const area = new Int32Array(mask.length), sizes = [0];
    for (let first = 0; first < mask.length; first++) {
        if (mask[first] && !area[first]) sizes.push(connected(mask, area, width, height, first, sizes.length).length);
    }
    const least = Math.min((sidePx * scale) ** 2, Math.max(...sizes));
    return mask.map((strength, place) => (sizes[area[place]] >= least ? strength : 0));
}

function smoothed(mask, width, height, radiusPx, scale) {
    const deviation = radiusPx * scale;
    if (!deviation) return mask;
    const share = gaussianBlur(mask.map((strength) => Number(strength > 0)), width, height, deviation,
        Math.floor(4 * deviation + 0.5));
    return share.some((value) => value > 0.5) ? ofShape(mask, width, height, (place) => share[place] > 0.5) : mask;
}

function grown(mask, width, height, percent) {
    const by = Math.sqrt(countPainted(mask)) * Math.abs(percent) / 100;
    return percent >= 0 ? featherOutward(mask, width, height, 0, by, null) : shrunk(mask, width, height, by);
}

function inverted(mask) {
    return mask.map((strength) => 1 - strength);
}

/** The mask cut to a shape. What the shape adds is as strong as the nearest paint. As _of_shape. */
function ofShape(mask, width, height, isInside) {
    if (!mask.some(Boolean)) return mask;
    const {nearest} = distanceTransform(mask.map((strength) => Number(strength > 0)), width, height);
    return mask.map((_, place) => (isInside(place) ? mask[nearest[place]] : 0));
}
