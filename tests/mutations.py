"""Which tests belong to a module, and which changes to it make no difference. For `mutate.py`."""

MUTATED = ("lib_softinpaint/geometry.py", "lib_softinpaint/atomic_file.py", "lib_softinpaint/method",
           "lib_softinpaint/generation", "lib_softinpaint/images", "lib_softinpaint/settings",
           *(f"lib_softinpaint/hosts/webui/{name}.py" for name in ("job", "masks", "run", "run_table", "sampling")))
"""What is changed unless files are named: what tests without a host reach. tests/webui tests the other hooks."""

TWINS = tuple(f"javascript/softInpainting/{name}.mjs" for name in (
    "advice", "crop", "distance", "gaussian", "mask", "maskTools", "painted", "samplers", "schedule", "scheduleTypes"))
"""The JavaScript that computes what Python computes too, or the host."""

TESTS = {
    "geometry": "geometry mask cut", "atomic_file": "atomic", "version": "version",
    "method/blend": "blend job", "method/cielab": "content drift score mask_tools", "method/coherence": "coherence",
    "method/composite": "composite kept", "method/content": "content", "method/cut": "cut", "method/difference": "difference",
    "method/distance": "mask surroundings mask_tools", "method/drift": "drift kept", "method/fill": "fill content",
    "method/grain": "grain", "method/layer": "export", "method/mask": "mask job",
    "method/mask_tools": "mask_tools", "method/regions": "regions", "method/schedule": "schedule job",
    "method/smootherstep": "smootherstep", "method/surroundings": "surroundings detours",
    "generation/candidates": "candidates", "generation/coherent": "coherence", "generation/colours": "image_files export kept",
    "generation/ghosts": "score", "generation/history": "history scripts", "generation/job": "job",
    "generation/kept": "kept export history", "generation/layers": "export", "generation/neighbours": "neighbours",
    "generation/sampled": "job kept cut", "generation/score": "score",
    "generation/seams": "score", "generation/source": "source image_files", "generation/turns": "recompositing",
    "generation/views": "views",
    "images/encoded": "painted webui_api", "images/export": "export", "images/files": "image_files",
    "images/infotext_files": "infotext", "images/job_file": "kept", "images/openraster": "export",
    "images/painted": "painted recorded", "images/painted_masks": "steps", "images/photoshop": "export",
    "images/read": "image_files", "images/sheet": "sheet", "images/steps": "steps",
    "settings/advice": "advice", "settings/infotext": "infotext", "settings/mask_tools": "mask_tools",
    "settings/presets": "presets", "settings/prompt": "prompt", "settings/request": "request",
    "settings/settings": "settings presets request advice",
    "hosts/webui/run_table": "runs", "hosts/webui/run": "runs webui_latents random_runs",
}
"""Unit tests by module; of a folder's other modules, those below. The names leave out `tests/test_` and `.py`."""
OF_FOLDERS = {"settings": "settings presets request", "hosts/webui": "webui_latents random_runs", "images": "painted",
              "generation": "job kept", "method": "mask job"}

AFTERWARDS = tuple(f"tests/test_{name}.py" for name in ("job", "kept", "webui_latents"))
"""Run where the module's own tests pass."""

_MASK, _QUICKER = "lib_softinpaint/method/mask.py", "It only chooses the quicker way to the same result."
_SHOWN = "It only changes how an object looks in a debugger."
_SHRUNK = "mask = shrink(painted, -settings.grow_px) if settings.grow_px < 0 else painted"
_DEPTH = "kept[place] |= stroke_depth > stroke_depth.max() - 0.5"
_STEPS = "steps = [max(1, -(-old // new)) for old, new in zip(mask.shape, scaled_to)]"
_SMOOTHED = "colours = gaussian_filter(lab(np.asarray(reduced)).numpy(), (0, SMOOTHING, SMOOTHING))"
_MADE = "self._folder.mkdir(parents=True, exist_ok=True)"
_UNIFORM = "if (mask[mask > 0] == strongest).all():"

_RIM = "filled[box] = np.rint(near + share * (_membrane(weight * near, weight) - near)).clip(0, 255)"
_CLOSED = "cost[start & ~rim] = -1 # closed: ways begin at the rim"
_BOX = "box = Box.around(mask > 0, max(reach_px, 0) + max(grow_px, 0)).inside"
_SCALED = "scaled = np.where(is_core, 1, values.clip(0, 1)).astype(np.float32)"
_SAMPLED = "drift = _without_content(np.where(clear, difference, 0), clear).reshape(3, -1)[:, sample].T"
_LEVELS = "_LEVELS = torch.arange(256, dtype=torch.float64) / 255"

_FRAMES = "return latent if latent.ndim == 4 else latent.transpose(1, 2).flatten(0, 1)"
_BESIDE = "one = slice(0, height - down), slice(max(0, -across), width - max(0, across))"
_AREA = "area = Box.around(opacity_px > 0) if settings.grain == 0 else Box.whole(size)"
_FILLED = "return np.rint(image * known + filled * (1 - known)).clip(0, 255).astype(np.uint8)"
_STRETCHES = "return np.where(painted, 0.5 - inside, outside - 0.5), rows * (width // STRETCH_PX + 1) + columns"
_ALL_PAINTED = "return np.full(painted.shape, -float(sum(painted.shape))), np.zeros(painted.shape, np.int64)"
_TAPERS = "tapers: dict[float, np.ndarray] = field(default_factory=dict, repr=False)"
_START = "straight, rim = depth(~start), start & maximum_filter(~start, 3)"
_CANDIDATE = "scores = score.score(before, after, np.ones(painted.shape, np.float32), painted > 0)"
_PLACES = ("boxes = {number: Box(place[1].start, place[0].start, place[1].stop - place[1].start, "
           "place[0].stop - place[0].start)")

_SHAPE = "if abs(mask.width * image.height / (mask.height * image.width) - 1) > SAME_SHAPE:"
_ROWS = "rows, columns = (slice(max(min(start // block_px, blocks - 1) - 1, 0), (stop - 1) // block_px + 2)"
_MAP = "image = Image.fromarray(values if values.ndim == 3 else values.astype(np.float32))"

_BEYOND = "Typed arrays ignore what is written beyond their end."
_TIMESTEP = "const unlocked = Number(maskValue >= trainingTime(capped) / start - TIME_EPSILON);"
_STRETCH = "if (Math.abs(working[0] * image[1] / (working[1] * image[0]) - 1) > LARGEST_STRETCH) {"
_DIFFERS = "const differs = Math.abs(mask.width * height / (mask.height * width) - 1) > SAME_SHAPE;"
_BEFORE = "const before = x > 0 && column === left + x ? levels[row * width + column - 1] : level;"
_PADDED = "for (let place = 0; place < padded.length; place++) padded[place] = mask[start + places[place]];"
_SUMMED = "for (let index = 0; index < shares.length; index++) value += shares[index] * padded[place + index];"
_LINES = "for (let start = 0; start < squared.length; start += width) {"
_DOWN = "for (let y = 0, place = x, last = -1; y < height; y++, place += width) {"
_UP = "for (let y = height - 1, place = y * width + x, last = FAR; y >= 0; y--, place -= width) {"

JAVASCRIPT_WITHOUT_EFFECT: dict[tuple[str, str, str, str], str] = {
    ("advice", _STRETCH, " > ", " >= "): "No quotient less 1 equals 0.02 in floating point.",
    ("mask", "for (let place = 0; place < feathered.length; place++) {", "<", "<="): _BEYOND,
    ("mask", "for (let next = 0; next < places.length; next++) {", "<", "<="): "Beyond the end, nothing is painted.",
    ("maskTools", "if (!deviation) return mask;", "!deviation", "false"): "No share that is NaN is above a half.",
    ("scheduleTypes", "for (let halving = 0; halving < BETA_HALVINGS; halving++) {", "<", "<="):
        "The last digit is reached before.",
    ("painted", _DIFFERS, " > ", " >= "): "No quotient less 1 equals 0.02 in floating point.",
    ("crop", "if ((right - left) / (bottom - top) > wanted) {", " > ", " >= "): "Neither side needs more.",
    ("crop", "if (high >= limit) {", ">=", ">"): "It moves by 0.",
    ("crop", "if (low < 0) {", "<", "<="): "It moves by 0.",
    ("distance", _LINES, " < ", " <= "): _BEYOND, ("distance", _DOWN, " < height", " <= height"): _BEYOND,
    ("distance", _UP, "height - 1", "height + 1"): "Nothing is set beyond the height.",
    ("distance", "if (line[x] >= FAR) continue;", "line[x] >= FAR", "false"): "A parabola as high as FAR is never the lowest.",
    ("distance", "if (line[x] >= FAR) continue;", ">=", ">"): "A parabola as high as FAR is never the lowest.",
    ("distance", "if (last < 0) return;", "last < 0", "false"): "Every distance stays FAR.",
    ("distance", "if (crossing > border[last]) break;", ">", ">="):
        "A parabola that is lowest at one point only is not needed.",
    ("gaussian", "const sum = weights.reduce((total, weight) => total + weight, 0);", "total + weight", "total - weight"):
        "Both passes turn the sign.",
    ("gaussian", _SUMMED, "+=", "-="): "Both passes turn the sign.",
    ("gaussian", _PADDED, " < ", " <= "): _BEYOND,
    ("gaussian", "if (!padded.some(Boolean)) continue;", "!padded.some(Boolean)", "false"): _QUICKER,
    ("gaussian", "if (count === 1) return 0;", "count === 1", "false"): "A typed array stores NaN as 0.",
    ("painted", "levels = levels.map((level) => 255 * level);", "255 * level", "255 / level"):
        "A typed array stores infinity as 0.",
    ("painted", "const greys = within(NOISE_LEVEL + 1, WHITE_LEVEL);", "+", "-"):
        "Without greys, a noisy mask is read alike with and without its noise.",
    ("painted", "for (let place = 0, at = 0; place < count; place++, at += 4) {", "<", "<="):
        "Beyond the end, nothing counts.",
    ("painted", "transparent += alpha <= NOISE_LEVEL;", "<=", ">"): "Only whether it is some of the pixels matters.",
    ("painted", "for (let y = 0; y < CODED_PX * down; y++) {", "<", "<="): _BEYOND,
    ("painted", "for (let y = top; y < bottom; y++) {", "<", "<="): "Levels beyond the box become 0.",
    ("painted", "for (let x = left; x < right; x++) {", "<", "<="): "Levels beyond the box become 0.",
    ("painted", _BEFORE, "column === left + x", "true"): "The step at the border counts already, in the same block.",
    ("painted", "return step >= HARD_STEP && grey < GREY_SHARE_NEAR_EDGES;", "grey <", "grey <="):
        "No sum of 576ths equals 0.3.",
    ("schedule", _TIMESTEP, ">=", ">"): "No time is less than a mask value by exactly the tolerance.",
    ("schedule", "const above = LOG_RATIOS.findIndex((other) => other >= log);", ">=", ">"):
        "At a level, both intervals beside it give its step.",
    ("schedule", "if (above < 0) return TRAINING_STEPS - 1;", "<", "<="): "The first level has returned before.",
}
"""The same of the JavaScript: module, line, part before and part after."""

WITHOUT_EFFECT: dict[tuple[str, str, str], str] = {
    (_MASK, _UNIFORM, _UNIFORM.replace("==", "<")): _QUICKER,
    (_MASK, "strongest = mask.max()", "strongest = mask.min()"): _QUICKER,
    (_MASK, _DEPTH, _DEPTH.replace(" > ", " >= ")): "No two depths, roots of whole numbers, differ by 0.5.",
    (_MASK, _SHRUNK, _SHRUNK.replace("< 0", "< -1")): "The rim is a pixel deep, so that shrinking by less changes nothing.",
    (_MASK, _SHRUNK, _SHRUNK.replace("< 0", "<= 0")): "Shrinking by 0 changes nothing.",
    (_MASK, _STEPS, _STEPS.replace("max(1,", "max( 0,")):
        "A side has at least one pixel.",
    ("lib_softinpaint/method/surroundings.py", _SMOOTHED, _SMOOTHED.replace("(0,", "( -1,")):
        "SciPy blurs by no deviation below 0.",
    ("lib_softinpaint/method/cut.py", "if factor == 1:", "if factor == 0:"): _QUICKER,
    ("lib_softinpaint/method/cut.py", _MAP, _MAP.replace("==", ">=")): "An image has three dimensions, a map two.",
    ("lib_softinpaint/method/drift.py", _ROWS, _ROWS.replace("blocks - 1", "blocks - 2")):
        "One more block before the part: none of its pixels is interpolated from it.",
    ("lib_softinpaint/method/drift.py", _ROWS, _ROWS.replace("blocks - 1", "blocks + 1")):
        "Beyond the middle of the last block, nothing is interpolated.",
    ("lib_softinpaint/method/drift.py", _ROWS, _ROWS.replace("stop - 1", "stop - 0")):
        "One more block after the part: none of its pixels is interpolated from it.",
    ("lib_softinpaint/images/painted.py", _SHAPE, _SHAPE.replace(" > ", " >= ")):
        "No quotient less 1 equals 0.02 in floating point.",
    ("lib_softinpaint/generation/history.py", "ID_BYTES = 16", "ID_BYTES = 17"): "A choice, which no result depends on.",
    ("lib_softinpaint/settings/prompt.py", "clause = 0", "clause = 1"):
        "A clause that starts at token 1 is longer than any that is kept together.",
    ("lib_softinpaint/images/steps.py", _MADE, _MADE.replace("True", "False", 1)):
        "Images are written first, into the folder.",
    ("lib_softinpaint/method/fill.py", _RIM, _RIM.replace("clip(0,", "clip( -1,")):
        "The membrane stays between the colours at the rim.",
    ("lib_softinpaint/method/surroundings.py", _CLOSED, _CLOSED.replace("-1", "- 2")): "Any negative cost closes a cell.",
    (_MASK, _BOX, _BOX.replace("> 0", "> -1")): _QUICKER,
    (_MASK, _SCALED, _SCALED.replace("clip(0,", "clip( -1,")): "Values of a mask are 0 or more.",
    (_MASK, "if blur_px > 0:", "if blur_px >= 0:"): "A Gaussian of deviation 0 changes nothing.",
    ("lib_softinpaint/method/cut.py", "numbers = np.full(free.shape, -1)", "numbers = np.full(free.shape, 1)"):
        "Only numbers of free cells are read.",
    ("lib_softinpaint/method/cielab.py", _LEVELS, _LEVELS.replace("arange(256", "arange( 257")):
        "The table may be longer than what is looked up in it.",
    ("lib_softinpaint/method/drift.py", _SAMPLED, _SAMPLED.replace("-1)", "~1)")):
        "NumPy takes any negative number for the unknown dimension.",
    ("lib_softinpaint/generation/job.py", _FRAMES, _FRAMES.replace("==", "<=")): "A latent has four dimensions or five.",
    ("lib_softinpaint/method/cut.py", _BESIDE, _BESIDE.replace("width - max(0,", "width - max( -1,")):
        "A slice may end beyond the width.",
    ("lib_softinpaint/generation/seams.py", _STRETCHES, _STRETCHES.replace("//", "-")):
        "Any factor above the number of the last column tells stretches apart.",
    ("lib_softinpaint/generation/seams.py", _ALL_PAINTED, _ALL_PAINTED.replace("-float", "not float")):
        "Without an edge, no stretch has two sides.",
    ("lib_softinpaint/generation/sampled.py", _AREA, _AREA.replace("> 0", "< 0")): _QUICKER,
    ("lib_softinpaint/method/fill.py", _FILLED, _FILLED.replace("clip(0,", "clip( -1,")):
        "Means of colours stay between the colours.",
    ("lib_softinpaint/generation/sampled.py", _TAPERS, _TAPERS.replace("False", "True")): _SHOWN,
    ("lib_softinpaint/method/surroundings.py", _START, _START.replace("3", "4")):
        "A way that begins deeper in the painted area passes its rim.",
    ("lib_softinpaint/generation/candidates.py", _CANDIDATE, _CANDIDATE.replace(">", "!=")): "Strengths are 0 or more.",
    ("lib_softinpaint/method/regions.py", "numbers[painted == 0] = 0", "numbers[painted == 0] = -1"):
        "SciPy finds only objects with numbers above 0.",
    ("lib_softinpaint/method/regions.py", _PLACES, _PLACES.replace("- place[1]", "- place[ 0]")):
        "The order of regions depends on no width.",
    ("lib_softinpaint/images/steps.py", "MOST_STEPS = 200", "MOST_STEPS = 201"): "A choice, which no result depends on.",
    **{(f"javascript/softInpainting/{module}.mjs", line, line.replace(before, after)): reason
       for (module, line, before, after), reason in JAVASCRIPT_WITHOUT_EFFECT.items()},
}
"""Changes that no test can notice, with the reason: path, line before and line after."""


def tests_of(path: str) -> tuple[str, ...]:
    """Unit tests of a module, the quickest first."""
    module = path.removeprefix("lib_softinpaint/").removesuffix(".py")
    folder = next((name for name in OF_FOLDERS if module.startswith(name + "/")), "method")
    names = TESTS.get(module, OF_FOLDERS[folder]).split()
    first = ["recorded"] if folder in ("method", "generation") else []
    return tuple(f"tests/test_{name}.py" for name in (*first, *names))
