// Distances to a shape. Python has SciPy's distance_transform_edt for this.

const FAR = 1e20;  // squared pixels: the distance if nothing is set

/** Squared distance from each pixel to the nearest one that is set, Float64Array, and the place of that one, Int32Array.
 *  Of several that are equally near, the leftmost wins, then the uppermost. Felzenszwalb and Huttenlocher, 2012. */
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
