// Gaussian blur. Python has SciPy's gaussian_filter for this, with mode="mirror".

/** Mask blurred by a Gaussian of this deviation, cut off at the radius; Float32Array. */
export function gaussianBlur(mask, width, height, deviationPx, radiusPx) {
    const weights = Float64Array.from({length: 2 * radiusPx + 1}, (_, index) =>
        Math.exp(-((index - radiusPx) ** 2) / (2 * deviationPx ** 2)));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const shares = weights.map((weight) => weight / sum);
    return blurLines(blurLines(mask, width, height, 1, width, shares), height, width, width, 1, shares);
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
