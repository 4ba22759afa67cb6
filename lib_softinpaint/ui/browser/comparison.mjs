// Compares two images: under a slider, side by side, and their difference amplified.
import {resultAddress, titleOf} from "./candidates.mjs";
import {decodedImage, element, find, findCandidates} from "./elements.mjs";
import {shownCandidates, step} from "./steps.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

const ORIGINAL = "", STEP_SHARE = 0.02;

/** Names of the compared candidates, where "" is the step's input image; and the share of the slider. */
const compared = {left: ORIGINAL, right: ORIGINAL, share: 0.5, view: "slider"};
let drawing = 0;

const dialog = () => findCandidates("dialog.comparison");
const within = (selector) => dialog().querySelector(selector);
const addressOf = (name) => (name === ORIGINAL ? step().image : resultAddress(name));
const labelOf = (name) => (name === ORIGINAL ? translated("Input")
    : titleOf(shownCandidates().find((each) => each.name === name)));

/** Opens the comparison of the step's input image with a candidate. */
export function compare({name}) {
    Object.assign(compared, {left: ORIGINAL, right: name});
    draw();
    dialog().showModal();
    within(".handle").focus();
}

export const isComparing = () => Boolean(dialog()?.open);

export function showView(view) {
    compared.view = view;
    draw();
}

export function chooseSide(side, name) {
    compared[side] = name;
    draw();
}

/** Puts the slider under the pointer. */
export function slideTo({clientX}) {
    const box = within(".frame").getBoundingClientRect();
    setShare((clientX - box.left) / box.width);
}

export function slideBy(steps) {
    setShare(compared.share + steps * STEP_SHARE);
}

function setShare(share) {
    compared.share = Math.min(Math.max(share, 0), 1);
    within(".frame").style.setProperty("--at", `${100 * compared.share}%`);
    within(".handle").ariaValueNow = String(Math.round(100 * compared.share));
}

/** Exchanges left and right. */
export function swapSides() {
    Object.assign(compared, {left: compared.right, right: compared.left});
    draw();
}

function draw() {
    const {left, right, view} = compared;
    for (const side of ["left", "right"]) {
        within(`.frame .${side}`).src = addressOf(compared[side]);
        within(`.frame .${side}`).alt = within(`.name.${side}`).textContent = labelOf(compared[side]);
        within(`.choices.${side}`).replaceChildren(...[ORIGINAL, ...shownCandidates().map(({name}) => name)].map((name) => {
            const button = element("button", {type: "button"}, labelOf(name));
            Object.assign(button.dataset, {side, name});
            button.ariaPressed = String(name === compared[side]);
            return button;
        }));
    }
    const {width, height} = find("canvas");  // all of a step's images have its size
    within(".frame").dataset.view = view;
    within(".frame").style.setProperty("--ratio", width / height);
    for (const button of dialog().querySelectorAll("[data-view-of]")) {
        button.ariaPressed = String(button.dataset.viewOf === view);
    }
    within(".factor").hidden = view !== "difference";
    setShare(compared.share);
    if (view === "difference") drawDifference(addressOf(left), addressOf(right));
}

/** Draws how much the channels of two images differ, times the factor. */
export async function drawDifference(left = addressOf(compared.left), right = addressOf(compared.right)) {
    const slider = within(".factor input"), order = ++drawing, factor = 2 ** Number(slider.value);
    slider.style.setProperty("--share", slider.value / slider.max);
    within(".factor output").textContent = `× ${factor}`;
    const images = await Promise.all([left, right].map(decodedImage));
    if (order !== drawing) return;  // a newer one is under way
    const canvas = within("canvas"), pen = canvas.getContext("2d", {willReadFrequently: true});
    const {naturalWidth, naturalHeight} = images[1];
    canvas.width = naturalWidth;
    canvas.height = naturalHeight;
    pen.globalCompositeOperation = "copy";
    const [before, after] = images.map((image) => {
        pen.drawImage(image, 0, 0, naturalWidth, naturalHeight);
        return pen.getImageData(0, 0, naturalWidth, naturalHeight);
    });
    let changed = 0;
    for (let at = 0; at < after.data.length; at += 4) {
        let most = 0;
        for (let band = at; band < at + 3; band++) {
            const differs = Math.abs(after.data[band] - before.data[band]);
            most = Math.max(most, differs);
            after.data[band] = Math.min(255, factor * differs);
        }
        after.data[at + 3] = 255;
        changed += most > 0;
    }
    pen.putImageData(after, 0, 0);
    within(".reading").textContent = translated("{share} % of the pixels differ.",
        {share: (400 * changed / after.data.length).toFixed(1)});
}
