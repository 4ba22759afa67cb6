// The stand-alone page's canvas: a picture, and a mask painted over it, whose alpha channel is the strength.

const ROOT = "#softinpaint_paint";
const LEAST_BRUSH_PX = 1;
const PAINT = "#ffffff";

const strokes = [];
let painting = null, base = null;

const find = (selector) => document.querySelector(`${ROOT} ${selector}`);
const changed = () => document.dispatchEvent(new Event("softinpaint-changed"));

function tell(sentence) {
    find(".told").textContent = sentence;
}

// --- Strokes --------------------------------------------------------------------------------------------------------

/** What the pen draws from one point to the next; where strokes overlap, the last one counts. */
function drawSegment(pen, stroke, from, to) {
    pen.lineWidth = stroke.width;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = PAINT;
    for (const [operation, alpha] of [["destination-out", 1], ["source-over", stroke.strength]]) {
        if (!alpha) continue;
        pen.globalCompositeOperation = operation;
        pen.globalAlpha = alpha;
        pen.beginPath();
        pen.moveTo(...from);
        pen.lineTo(...to);
        pen.stroke();
    }
}

function redraw() {
    const canvas = find("canvas"), pen = canvas.getContext("2d");
    pen.globalCompositeOperation = "source-over";
    pen.globalAlpha = 1;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (base) pen.drawImage(base, 0, 0, canvas.width, canvas.height);
    for (const stroke of strokes) {
        stroke.points.forEach((point, place) => drawSegment(pen, stroke, stroke.points[Math.max(0, place - 1)], point));
    }
    changed();
}

/** Where the pointer is, in the picture's pixels. */
function pointOf(event) {
    const canvas = find("canvas"), box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

/** The brush's width in the picture's pixels: it is set as a share of the longer side. */
function brushWidth() {
    const canvas = find("canvas");
    return Math.max(LEAST_BRUSH_PX, Number(find(".brush").value) / 100 * Math.max(canvas.width, canvas.height));
}

function start(event) {
    const strength = find(".erase").checked ? 0 : Number(find(".strength").value) / 100;
    painting = {points: [pointOf(event)], width: brushWidth(), strength};
    strokes.push(painting);
    event.target.setPointerCapture(event.pointerId);
    event.preventDefault();
    drawSegment(event.target.getContext("2d"), painting, painting.points[0], painting.points[0]);
}

function follow(event) {
    showBrush(event);
    if (!painting) return;
    const pen = find("canvas").getContext("2d");
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
        const point = pointOf(each);
        drawSegment(pen, painting, painting.points.at(-1), point);
        painting.points.push(point);
    }
    changed();
}

function showBrush(event) {
    const ring = find(".ring"), canvas = find("canvas"), box = canvas.getBoundingClientRect();
    ring.style.width = ring.style.height = `${brushWidth() * box.width / canvas.width}px`;
    ring.style.left = `${event.clientX - box.left}px`;
    ring.style.top = `${event.clientY - box.top}px`;
}

function clear() {
    base = null;
    strokes.length = 0;
    redraw();
}

// --- Pictures -------------------------------------------------------------------------------------------------------

function open(blob) {
    if (!blob?.type.startsWith("image/")) {
        tell(`A picture must be opened, got ${blob?.name || "something else"}.`);
        return;
    }
    const reader = new FileReader();
    reader.addEventListener("load", () => {
        tell("");
        find("img").src = reader.result;
    });
    reader.readAsDataURL(blob);
}

/** The canvas as large as a picture that has been loaded; a first mask comes with the page. */
async function loaded(picture) {
    const canvas = find("canvas"), first = canvas.dataset.mask;
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    clear();
    if (!first) return;
    delete canvas.dataset.mask;
    base = new Image();
    base.src = first;
    await base.decode();
    redraw();
}

async function takeFromGallery() {
    const chosen = document.querySelector("#img2img_gallery .preview .media-button img, #img2img_gallery .thumbnail-item img");
    if (!chosen) {
        tell("The gallery is empty: generate a picture first.");
        return;
    }
    open(await (await fetch(chosen.src)).blob());
}

// --- Events ---------------------------------------------------------------------------------------------------------

const inRoot = (target, selector) => target instanceof Element && target.closest(`${ROOT} ${selector}`);

document.addEventListener("pointerdown", (event) => inRoot(event.target, "canvas") && event.button === 0 && start(event));
document.addEventListener("pointermove", (event) => (painting || inRoot(event.target, "canvas")) && follow(event));
document.addEventListener("pointerup", () => {
    painting = null;
});
document.addEventListener("click", ({target}) => {
    if (inRoot(target, ".undo")) {
        strokes.pop();
        redraw();
    }
    if (inRoot(target, ".clear")) clear();
    if (target instanceof Element && target.closest("#softinpaint_take_result")) takeFromGallery();
});
document.addEventListener("change", ({target}) => {
    if (inRoot(target, "input[type=file]") && target.files.length) open(target.files[0]);
});
document.addEventListener("load", ({target}) => inRoot(target, "img") && loaded(target), {capture: true});
document.addEventListener("error", ({target}) => {
    if (inRoot(target, "img")) tell("A picture must be one that this browser can show.");
}, {capture: true});
document.addEventListener("dragover", (event) => inRoot(event.target, "*") && event.preventDefault());
document.addEventListener("drop", (event) => {
    if (!inRoot(event.target, "*")) return;
    event.preventDefault();
    open(event.dataTransfer.files[0]);
});
document.addEventListener("paste", ({clipboardData}) => {
    const file = [...clipboardData.files].find(({type}) => type.startsWith("image/"));
    if (file) open(file);
});
document.addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !(/^(INPUT|TEXTAREA)$/).test(event.target.tagName)) {
        strokes.pop();
        redraw();
    }
});
