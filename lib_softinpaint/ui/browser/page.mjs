// The stand-alone page: connects the canvas, the steps and the candidates with the mouse, the keyboard and the server.
import {discardSelected, drawCandidates, fileAt, maskAddress, resultAddress, resultOf, select, selectBeside,
    selectedCandidate, titleOf} from "./candidates.mjs";
import {chooseSide, compare, drawDifference, isComparing, showView, slideBy, slideTo, swapSides} from "./comparison.mjs";
import {CANDIDATES, ROOT, decodedImage, download, find, findCandidates, imageOf, showStatus} from "./elements.mjs";
import {watchKeyboard} from "./keyboardBrush.mjs";
import {maskFile, paintOf} from "./maskFiles.mjs";
import {watchPointers} from "./pointers.mjs";
import {actionOf, shortcutRows} from "./shortcuts.mjs";
import {addCandidates, addStep, discard, FIELDS, goTo, keepMask, keepStep, openSession, resume, session, step,
    stepBack, stepForward} from "./steps.mjs";
import {drawSteps} from "./strip.mjs";
import {clearMask, describeMask, editsFrom, putMask, redo, redoable, showEdits, undo, undoable} from "./strokes.mjs";
import {changeBrush, chooseTool, setStrength, showNumbers} from "./tools.mjs";
import {fit, openView, watchStage, zoom} from "./view.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

const RESULTS = "#softinpaint_results", THEME = "softinpaint-theme";
const BUILT = ["#softinpaint_shortcuts", CANDIDATES, RESULTS, ...FIELDS];
const ZOOM = 1.25;

/** The mask's edits by step, so that each can be undone after going back. A reload keeps only the masks. */
const editsOf = new WeakMap();

let opened = false;

// --- Images and masks -----------------------------------------------------------------------------------------------

/** Opens an image as a new step. If this browser cannot show it, everything stays. */
async function openImage(blob) {
    const {src} = await imageOf(blob, translated("that file"));
    addStep({image: src, name: blob.name || translated("Pasted image")});
}

async function loadMask(blob, name = blob.name) {
    putMask(await paintOf(blob, name));
}

/** Fits the canvas to the step's image, which has just been loaded. */
async function showImage(image) {
    if (!opened) {
        opened = true;
        await begin(image);
    }
    const shown = step(), edits = editsOf.get(shown) ?? editsFrom(shown.mask ? await decodedImage(shown.mask) : null);
    if (shown !== step()) return;
    editsOf.set(shown, edits);
    showEdits([image.naturalWidth, image.naturalHeight], edits);
    openView();
    showNumbers();
    drawUndo();
    describeMask();
}

/** Prepares the page once its first image is there and Gradio has built the rest. */
async function begin(image) {
    while (BUILT.some((selector) => !document.querySelector(selector))) await new Promise(requestAnimationFrame);
    const root = find("canvas").closest(ROOT), theme = window.localStorage.getItem(THEME);
    if (theme && !window.location.search.includes("__theme")) document.body.classList.toggle("dark", theme === "dark");
    document.querySelector("#softinpaint_shortcuts tbody").replaceChildren(...shortcutRows());
    chooseTool("brush");
    watchStage();
    watchPointers();
    watchKeyboard();
    new MutationObserver(readResults).observe(document.querySelector(RESULTS),
        {childList: true, subtree: true, attributes: true});
    await openSession(root.dataset.start, image.src, find("canvas").dataset.mask);
}

/** Takes the candidates that the server has written into the page. */
function readResults() {
    const found = document.querySelector(`${RESULTS} [data-results]`);
    if (!found) return;
    const {results, state} = found.dataset;
    addCandidates(JSON.parse(results), state !== "running", state === "added" ? session.at : session.running);
}

/** Opens the list of shortcuts at its top: the browser scrolls to the focused button at its end. */
function showShortcuts() {
    const list = document.querySelector("#softinpaint_shortcuts");
    list.showModal();
    list.scrollTop = 0;
}

function drawUndo() {
    find("[data-action=undo]").disabled = !undoable();
    find("[data-action=redo]").disabled = !redoable();
}

// --- Actions --------------------------------------------------------------------------------------------------------

async function accept() {
    const candidate = selectedCandidate(), kept = findCandidates(".keep-mask").checked;
    if (!candidate) return;
    const mask = kept ? find("canvas").toDataURL() : "";
    addStep({image: await resultOf(candidate), mask,
        name: translated("Accepted {title}", {title: titleOf(candidate)})});
    showStatus([translated("Step {number}: the accepted candidate is now the input.", {number: session.at + 1}),
        kept ? translated("The mask was kept.") : translated("Paint the next change.")].join(" "));
}

const onSelected = (act) => () => {
    const candidate = selectedCandidate();
    return candidate && act(candidate);
};

/** What the buttons and the shortcuts do, by name. */
const ACTIONS = {
    "open": () => find(".image-file").click(),
    "load-mask": () => find(".mask-file").click(),
    "save-mask": () => download(maskFile(), "mask.png"),
    "undo": undo, "redo": redo, "clear": clearMask,
    "narrower": () => changeBrush(false), "wider": () => changeBrush(true),
    "strength": ({key}) => setStrength(10 * (Number(key) || 10)),
    "zoom-in": () => zoom(ZOOM), "zoom-out": () => zoom(1 / ZOOM), "fit": fit,
    "generate": () => document.querySelector("#img2img_generate").click(),
    "previous": () => selectBeside(-1), "next": () => selectBeside(1),
    "accept": accept, "compare": onSelected(compare), "discard": discardSelected,
    "bring-back": () => step().candidates.forEach((candidate) => discard(candidate, false)),
    "use-mask": onSelected(async ({name}) => loadMask(await fileAt(maskAddress(name),
        translated("The mask of {name}", {name})), `masks/${name}`)),
    "save-its-mask": onSelected(({name}) => download(maskAddress(name), name.replace(".png", "-mask.png"))),
    "save-image": onSelected(({name}) => download(resultAddress(name), name)),
    "step-back": stepBack, "step-forward": stepForward, "resume": resume,
    "swap": swapSides, "close": ({target}) => target.closest("dialog").close(),
    "shortcuts": showShortcuts,
    "theme": () => window.localStorage.setItem(THEME, document.body.classList.toggle("dark") ? "dark" : "light"),
};
for (const tool of ["brush", "eraser", "lasso", "move"]) ACTIONS[tool] = () => chooseTool(tool);

/** Does what was asked for; a fault becomes a sentence below the tools. */
async function attempt(act, ...values) {
    try {
        showStatus("");
        await act(...values);
    } catch (fault) {
        showStatus(fault.message);
    }
}

// --- Events ---------------------------------------------------------------------------------------------------------

const inPage = (target, selector) => target instanceof Element && target.closest(selector);

document.addEventListener("click", (event) => {
    const {target} = event, button = inPage(target, "[data-action], [data-step], .card, [data-view-of], [data-side]");
    if (inPage(target, "#img2img_generate")) {
        session.running = session.at;
        keepStep();
    }
    if (button || inPage(target, "#img2img_generate, #paste")) showStatus("");
    if (!button) return;
    const {action, step: number, name, viewOf, side} = button.dataset;
    if (action) attempt(ACTIONS[action], event);
    else if (number) goTo(Number(number));
    else if (viewOf) showView(viewOf);
    else if (side) chooseSide(side, name);
    else select(name);
    if (event.detail === 2 && button.matches(".card")) ACTIONS.compare();  // no dblclick: selecting replaces the clicked card
});
document.addEventListener("keydown", (event) => {
    if (isComparing()) {
        const steps = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        if (steps && inPage(event.target, ".handle")) slideBy(steps);
        return;
    }
    const action = document.querySelector("dialog[open]") ? null : actionOf(event);
    if (!action || !opened) return;
    event.preventDefault();
    attempt(ACTIONS[action], event);
});
document.addEventListener("pointerdown", (event) => {
    const frame = inPage(event.target, ".comparison .frame[data-view=slider]");
    if (!frame) return;
    frame.setPointerCapture(event.pointerId);
    slideTo(event);
});
document.addEventListener("pointermove", (event) => {
    if (inPage(event.target, ".comparison .frame[data-view=slider]") && event.buttons) slideTo(event);
});
document.addEventListener("input", ({target}) => {
    if (inPage(target, `${ROOT} .tools`)) showNumbers();
    if (inPage(target, ".comparison .factor")) drawDifference();
});
document.addEventListener("change", ({target}) => {
    if (FIELDS.some((selector) => target.matches(selector))) keepStep();
    if (!inPage(target, `${ROOT} input[type=file]`) || !target.files.length) return;
    attempt(target.matches(".mask-file") ? loadMask : openImage, target.files[0]);
    target.value = "";  // the same file can be opened again
});
document.addEventListener("load", ({target}) => inPage(target, `${ROOT} .stage img`) && showImage(target), {capture: true});
document.addEventListener("softinpaint-edited", () => {
    showStatus("");
    keepMask();
    drawUndo();
    describeMask();
});
document.addEventListener("softinpaint-step", () => {
    find(".stage img").src = step().image;
    drawSteps();
    drawCandidates();
});
document.addEventListener("softinpaint-candidates", drawCandidates);
// On the whole page: a browser would leave the page for a file dropped beside the canvas.
document.addEventListener("dragover", (event) => {
    event.preventDefault();
    find(".stage")?.classList.toggle("receiving", Boolean(inPage(event.target, ROOT)));
});
document.addEventListener("dragleave", () => find(".stage")?.classList.remove("receiving"));
document.addEventListener("drop", (event) => {
    event.preventDefault();
    find(".stage").classList.remove("receiving");
    const [file] = event.dataTransfer.files;
    if (file && inPage(event.target, ROOT)) attempt(openImage, file);
});
document.addEventListener("paste", ({clipboardData}) => {
    const file = [...clipboardData.files].find(({type}) => type.startsWith("image/"));
    if (file) attempt(openImage, file);
});
