// The page's mask and curves agree with Python's, which tests/test_preview.py records.
import assert from "node:assert/strict";
import {Buffer} from "node:buffer";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {advice} from "../../javascript/softInpainting/advice.mjs";
import {cropRegion} from "../../javascript/softInpainting/crop.mjs";
import {distanceTransform} from "../../javascript/softInpainting/distance.mjs";
import {gaussianBlur} from "../../javascript/softInpainting/gaussian.mjs";
import {cellSide, countPainted, featherReach, paddingLeft, repaintMask} from "../../javascript/softInpainting/mask.mjs";
import {editedStrengths, hasSource, toolSteps} from "../../javascript/softInpainting/maskTools.mjs";
import {shapeFault, strengthsOf} from "../../javascript/softInpainting/painted.mjs";
import {ratios} from "../../javascript/softInpainting/samplers.mjs";
import {regions} from "../../javascript/softInpainting/regions.mjs";
import {repaintShares, trainingTime} from "../../javascript/softInpainting/schedule.mjs";

const LEAST_STEP = 1 / 255;
const recorded = JSON.parse(readFileSync(new URL("recorded.json", import.meta.url)));
const {width, height, painted, defaults, whole, masks, runs, curves, advice: adviceCases} = recorded;

function farthest(one, other) {
    assert.equal(one.length, other.length);
    return one.reduce((most, value, place) => Math.max(most, Math.abs(value - other[place] / whole)), 0);
}

for (const {painted: name, settings: changes, blur, padding, detours, mask} of masks) {
    const strengths = Float32Array.from(painted[name], (value) => value / whole);
    test(`mask: ${name}, ${JSON.stringify(changes)}, ${blur}, ${padding}`, () => {
        const settings = {...defaults, ...changes}, cell = cellSide(strengths, width, height, [64, 48], padding);
        const reach = featherReach(settings, blur, padding, countPainted(strengths), Math.max(width, height), cell);
        const drawn = repaintMask(strengths, width, height, settings, blur, reach, 1, detours);
        assert.ok(farthest(Array.from(drawn), mask) <= LEAST_STEP);
    });
}

for (const {image, size, pixels, levels} of recorded.read) {
    test(`read: ${image}`, () => {
        const strengths = strengthsOf(Buffer.from(pixels, "base64"), ...size);
        const read = Array.from(strengths, (strength) => Math.round(255 * strength));
        assert.deepEqual(read, Array.from(Buffer.from(levels, "base64")));
    });
}

for (const [[across, down], image, sentence] of recorded.shapes) {
    test(`shape: ${across}x${down} for ${image.join("x")}`, () => {
        assert.equal(shapeFault({width: across, height: down}, image, "Mask image"), sentence);
    });
}

for (const {tools, painted: strengths, mask} of recorded.tools) {
    test(`tools: ${tools}`, () => {
        const before = strengths.map((value) => value / whole), steps = toolSteps(tools);
        const edited = editedStrengths(before, steps, recorded.layer, [width, height], 1);
        assert.ok(farthest(Array.from(edited), mask) <= LEAST_STEP);
        assert.equal(hasSource(steps), /^(transparency|luminance|colour)/.test(tools));
    });
}

test("mask tools that Python refuses are not read", () => {
    for (const text of recorded.unreadable) assert.equal(toolSteps(text), null);
    assert.deepEqual(toolSteps(" , "), []);
});

test("mask tools count in pixels of the image", () => {
    const small = new Float32Array(20 * 20);
    for (const place of [0, 1, 20, 21]) small[place] = 1;  // a speck of 2 pixels, 20 of the image
    for (let y = 10; y < 16; y++) small.fill(1, 20 * y + 10, 20 * y + 16);
    const left = (tools) => countPainted(editedStrengths(small, toolSteps(tools), [], [20, 20], 0.1));
    assert.equal(left("drop specks 19"), 40);
    assert.equal(left("drop specks 21"), 36);
});

test("regions, in reading order", () => {
    const {size, painted: values, numbers} = recorded.regions, strengths = Float32Array.from(values, (value) => value / whole);
    const areas = regions(strengths, ...size, 1);
    assert.equal(areas.length, Math.max(...numbers));
    areas.forEach((area, number) => {
        const wanted = strengths.map((strength, place) => (numbers[place] === number + 1 ? strength : 0));
        assert.deepEqual(area, wanted);
    });
    assert.equal(regions(strengths, ...size, 0).length, 7);
    const dust = Float32Array.from({length: 100 * 100}, (_, place) => Number(place % 10 === 5 && place % 1000 < 100));
    assert.equal(regions(dust, 100, 100, 0), null);
    assert.deepEqual(regions(new Float32Array(16), 4, 4, 1), [new Float32Array(16)]);
});

for (const {run, log_ratios: logs} of runs) {
    test(`ratios: ${Object.values(run)}`, () => assert.ok(farthest(ratios(run).map(Math.log), logs) <= 1 / 1000));
}

for (const {run, settings: changes, shares} of curves) {
    test(`curves: ${Object.values(run)}, ${JSON.stringify(changes)}`, () => {
        const levels = run.ratios ?? ratios(run), settings = {...defaults, ...changes};
        [0.25, 0.5, 0.75].forEach((value, place) => {
            assert.ok(farthest(repaintShares(value, levels, settings), shares[place]) <= LEAST_STEP);
        });
        assert.ok(repaintShares(0, levels, settings).every((share) => share === 0));
        assert.ok(repaintShares(1, levels, settings).every((share) => share === 1));
    });
}

test("times of training", () => {
    for (const [ratio, time] of recorded.times) assert.ok(Math.abs(trainingTime(ratio) - time / whole) <= 1 / whole);
});

for (const {size, deviation, radius, drawn, blurred} of recorded.blurs) {
    test(`blur: ${size}, ${deviation}, ${radius}`, () => {
        const values = drawn.map((value) => value / whole);
        assert.ok(farthest(Array.from(gaussianBlur(values, ...size, deviation, radius)), blurred) <= 2 / whole);
    });
}

for (const {request, sentences} of adviceCases) {
    test(`advice: ${JSON.stringify(request)}`, () => {
        assert.deepEqual(advice(request).map(({sentence}) => sentence), sentences);
    });
}

for (const {size, inside, squared, nearest} of recorded.distances) {
    test(`distances: ${size}, ${inside.filter(Boolean).length} pixels`, () => {
        const found = distanceTransform(inside, ...size);
        assert.deepEqual(Array.from(found.squared), squared);
        assert.deepEqual(Array.from(found.nearest), nearest);
    });
}

test("distances are exact, and large without a target", () => {
    const {squared, nearest} = distanceTransform([0, 0, 0, 1, 0, 0], 3, 2);
    assert.deepEqual(Array.from(squared), [1, 2, 5, 0, 1, 4]);
    assert.deepEqual(Array.from(nearest), [3, 3, 3, 3, 3, 3]);
    assert.ok(distanceTransform([0, 0, 0, 0], 2, 2).squared[0] > 1e10);
});

test("an empty mask stays empty and has no crop", () => {
    const mask = repaintMask(new Uint8Array(12), 4, 3, defaults, 4);
    assert.ok(mask.every((value) => value === 0));
    assert.equal(cropRegion(mask, 4, 3, 0, 64, 64), null);
});

test("the crop is widened to the working size's shape, and stays inside", () => {
    const mask = new Float32Array(100 * 60);
    for (let x = 20; x < 60; x++) mask[30 * 100 + x] = 1;
    assert.deepEqual(cropRegion(mask, 100, 60, 0, 512, 512), [20, 11, 60, 51]);
    assert.deepEqual(cropRegion(mask, 100, 60, 10, 512, 512), [10, 0, 70, 60]);
    assert.deepEqual(cropRegion(mask, 100, 60, 100, 512, 512), [0, 0, 100, 60]);
    assert.deepEqual(cropRegion(mask, 100, 60, 0, 512, 256), [20, 21, 60, 41]);  // half as high as wide
    assert.deepEqual(cropRegion(mask, 100, 60, 5, 256, 512), [15, 0, 65, 60]);
    const tall = new Float32Array(60 * 100);
    for (let y = 20; y < 60; y++) tall[60 * y + 30] = 1;
    assert.deepEqual(cropRegion(tall, 60, 100, 0, 512, 512), [11, 20, 51, 60]);
    assert.deepEqual(cropRegion(tall, 60, 100, 0, 256, 512), [21, 20, 41, 60]);
    const corner = new Float32Array(100 * 60);
    corner[59 * 100 + 99] = 1;
    assert.deepEqual(cropRegion(corner, 100, 60, 7, 512, 512), [92, 52, 100, 60]);
    assert.deepEqual(cropRegion(corner, 100, 60, 7, 1024, 512), [84, 52, 100, 60]);
});

test("a mask at a tenth of the size looks like the whole", () => {
    const large = new Uint8Array(400 * 300), small = new Uint8Array(40 * 30);
    for (let y = 100; y < 200; y++) for (let x = 150; x < 250; x++) large[y * 400 + x] = 1;
    for (let y = 10; y < 20; y++) for (let x = 15; x < 25; x++) small[y * 40 + x] = 1;
    const settings = {...defaults, feather_source: "own", feather_width: 100, grow_px: 20};
    const all = repaintMask(large, 400, 300, settings, 4, 100), tenth = repaintMask(small, 40, 30, settings, 4, 100, 0.1);
    for (let y = 0; y < 30; y++) {
        for (let x = 0; x < 40; x++) {
            assert.ok(Math.abs(tenth[y * 40 + x] - all[(10 * y + 5) * 400 + 10 * x + 5]) < 0.2);
        }
    }
});

for (const {inner, outer, padding, left} of recorded.paddings) {
    test(`padding ${padding} around ${inner} in ${outer}`, () => {
        const [paint, mask] = [inner, outer].map(([from, top, to, bottom]) => {
            const values = new Float32Array(width * height);
            for (let y = top; y < bottom; y++) values.fill(1, width * y + from, width * y + to);
            return values;
        });
        assert.equal(paddingLeft(paint, mask, width, height, padding), left);
    });
}

test("a crop has its padding around the paint on every side", () => {
    const [paint, mask] = [new Float32Array(1e4), new Float32Array(1e4)];
    const fill = (values, left, top, right, bottom) => {
        for (let y = top; y < bottom; y++) values.fill(1, 100 * y + left, 100 * y + right);
    };
    fill(paint, 40, 40, 60, 60);
    fill(mask, 38, 30, 70, 70);
    assert.equal(paddingLeft(paint, mask, 100, 100, 32), 30);
    fill(mask, 0, 30, 70, 70);
    assert.equal(paddingLeft(paint, mask, 100, 100, 32), 22);
    assert.equal(cellSide(paint, 100, 100, [50, 50], 0), 3.2);
    assert.equal(cellSide(paint, 100, 100, [50, 50], 9.5), 6.4);
    assert.equal(cellSide(paint, 100, 100, [100, 50], 10), 6.4);
    assert.equal(cellSide(paint, 100, 100, [50, 100], 10), 6.4);
    assert.equal(cellSide(paint, 100, 100, [50, 50], 99), 16);
    assert.equal(cellSide(paint, 100, 100, [50, 25], null), 32);
});

test("Forge Classic names the schedule type after the sampler", () => {
    const request = {steps: 12, strength: 0.75};
    const named = (sampler, schedule) => ratios({...request, sampler, schedule});
    assert.deepEqual(named("DPM++ 2M Karras", ""), named("DPM++ 2M", "Karras"));
    assert.deepEqual(named("Euler SGMUniform", ""), named("Euler", "SGM Uniform"));
    assert.deepEqual(named("DPM2 Karras", ""), named("DPM2", "Karras"));
    assert.deepEqual(named("DPM++ 2M", ""), named("DPM++ 2M", "Uniform"));
    assert.notDeepEqual(named("DPM++ 2M", ""), named("DPM++ 2M", "Automatic"));
});
