// The stand-alone page's canvas: an image, and a mask painted over it. The mask's alpha channel is the strength.

const ROOT = "#softinpaint_paint";
const LEAST_BRUSH_PX = 1;
const PAINT = "#ffffff";

const TEXT = "textarea, input:not([type]), input[type=text], input[type=number]";

/** The history since the image was loaded, for undo: strokes, an initial mask, and clearing. */
const done = [];
const CLEARED = {};
let painting = null, before = null, requested = false;

const find = (selector) => document.querySelector(`${ROOT} ${selector}`);
const changed = () => document.dispatchEvent(new Event("softinpaint-changed"));

function showStatus(sentence) {
    find(".status").textContent = sentence;
}

// --- Strokes --------------------------------------------------------------------------------------------------------

/** Draws a stroke in one go, since the joints of separate parts would show. Where strokes overlap, the last one counts. */
function drawStroke(pen, {points, width, strength}) {
    pen.lineWidth = width;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = PAINT;
    pen.beginPath();
    pen.moveTo(...points[0]);
    for (const point of points) pen.lineTo(...point);
    for (const [operation, alpha] of [["destination-out", 1], ["source-over", strength]]) {
        pen.globalCompositeOperation = operation;
        pen.globalAlpha = alpha;
        pen.stroke();
    }
}

function drawImage(pen, image) {
    const {width, height} = pen.canvas;
    pen.globalCompositeOperation = "copy";
    pen.globalAlpha = 1;
    pen.drawImage(image, 0, 0, width, height);
}

function redraw() {
    const canvas = find("canvas"), pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (const edit of done.slice(done.lastIndexOf(CLEARED) + 1)) {
        if (edit.points) drawStroke(pen, edit);
        else drawImage(pen, edit);
    }
    changed();
}

function undo() {
    done.pop();
    redraw();
}

/** The pointer's position in the image's pixels. */
function pointOf(event) {
    const canvas = find("canvas"), box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

/** The brush's width in the image's pixels. The slider sets it as a share of the longer side. */
function brushWidth() {
    const canvas = find("canvas");
    return Math.max(LEAST_BRUSH_PX, Number(find(".brush").value) / 100 * Math.max(canvas.width, canvas.height));
}

function start(event) {
    const strength = find(".erase").checked ? 0 : Number(find(".strength").value) / 100, canvas = event.target;
    before = new OffscreenCanvas(canvas.width, canvas.height);
    before.getContext("2d").drawImage(canvas, 0, 0);
    painting = {points: [pointOf(event)], width: brushWidth(), strength};
    done.push(painting);
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    drawPainting();
}

function follow(event) {
    showBrush(event);
    if (!painting) return;
    painting.points.push(...(event.getCoalescedEvents?.() ?? [event]).map(pointOf));
    if (requested) return;
    requested = true;
    requestAnimationFrame(drawPainting);
}

function drawPainting() {
    requested = false;
    if (!painting) return;
    const pen = find("canvas").getContext("2d");
    drawImage(pen, before);
    drawStroke(pen, painting);
    changed();
}

function finish() {
    drawPainting();
    painting = before = null;
}

function showBrush(event) {
    const ring = find(".ring"), canvas = find("canvas"), box = canvas.getBoundingClientRect();
    ring.style.width = ring.style.height = `${brushWidth() * box.width / canvas.width}px`;
    ring.style.left = `${event.clientX - box.left}px`;
    ring.style.top = `${event.clientY - box.top}px`;
}

// --- Images ---------------------------------------------------------------------------------------------------------

/** Opens an image. If this browser cannot show it, the old one stays. */
function open(blob) {
    const reader = new FileReader();
    reader.addEventListener("load", async () => {
        const image = new Image();
        image.src = reader.result;
        try {
            await image.decode();
        } catch {
            showStatus(`This browser cannot show ${blob.name || "that file"} as an image.`);
            return;
        }
        showStatus("");
        find("img").src = reader.result;
    });
    if (blob) reader.readAsDataURL(blob);
}

/** Resizes the canvas to a loaded image. The first image may come with a mask. */
async function loaded(image) {
    const canvas = find("canvas"), first = canvas.dataset.mask;
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    done.length = 0;
    if (first) {
        delete canvas.dataset.mask;
        const mask = new Image();
        mask.src = first;
        await mask.decode();
        done.push(mask);
    }
    redraw();
}

async function takeFromGallery() {
    const chosen = document.querySelector("#img2img_gallery .preview .media-button img, #img2img_gallery .thumbnail-item img");
    if (!chosen) {
        showStatus("The gallery is empty: generate an image first.");
        return;
    }
    open(await (await fetch(chosen.src)).blob());
}

// --- Events ---------------------------------------------------------------------------------------------------------

const inRoot = (target, selector) => target instanceof Element && target.closest(`${ROOT} ${selector}`);

document.addEventListener("pointerdown", (event) => inRoot(event.target, "canvas") && event.button === 0 && start(event));
document.addEventListener("pointermove", (event) => (painting || inRoot(event.target, "canvas")) && follow(event));
document.addEventListener("pointerup", finish);
document.addEventListener("pointercancel", finish);
document.addEventListener("click", ({target}) => {
    if (inRoot(target, ".undo")) undo();
    if (inRoot(target, ".clear")) {
        done.push(CLEARED);
        redraw();
    }
    if (target instanceof Element && target.closest("#softinpaint_take_result")) takeFromGallery();
});
document.addEventListener("change", ({target}) => {
    if (inRoot(target, "input[type=file]") && target.files.length) open(target.files[0]);
});
document.addEventListener("load", ({target}) => inRoot(target, "img") && loaded(target), {capture: true});
// On the whole page: a browser would leave the page for a file dropped beside the canvas.
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (inRoot(event.target, "*")) open(event.dataTransfer.files[0]);
});
document.addEventListener("paste", ({clipboardData}) => {
    const file = [...clipboardData.files].find(({type}) => type.startsWith("image/"));
    if (file) open(file);
});
document.addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !event.target.matches(TEXT)) undo();
});
