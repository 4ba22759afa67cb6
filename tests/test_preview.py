"""The preview's JavaScript and Python agree on masks and schedules.

    python -m tests.test_preview    records Python's results for node
"""
import base64
import dataclasses
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.stats import beta

from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Size
from lib_softinpaint.images.painted import MASK_IMAGE, check_shape, strengths
from lib_softinpaint.method import schedule, surroundings
from lib_softinpaint.method.mask import Canvas, cell_side, feather_reach, padding_left, repaint_mask, shrink
from lib_softinpaint.method.mask_tools import edited
from lib_softinpaint.method.regions import regions
from lib_softinpaint.settings.advice import advice
from lib_softinpaint.settings.mask_tools import steps_of
from lib_softinpaint.settings.settings import Settings

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "tests" / "javascript" / "recorded.json"
WIDTH, HEIGHT = 36, 28
WHOLE = 10_000
"""1 is recorded as this integer."""

SHAPES = [
    {}, {"grow_px": -2.0}, {"edge_awareness": 0.3, "grow_px": 1.0},
    {"feather_source": "Mask blur"}, {"feather_source": "Mask blur", "grow_px": 3.0},
    {"feather_source": "own", "feather_width": 9.0},
    {"feather_source": "own", "feather_width": 60.0, "feather_unit": "% of the mask"},
    {"feather_source": "own", "feather_width": 0.0}, {"grow_px": -6.0}, {"feather_source": "host"},
    {"feather_source": "host", "grow_px": 2.0}]
GREY_SHAPES = [{"feather_source": "Mask blur"}, {"feather_source": "Mask blur", "grow_px": 2.0}, {"grow_px": -2.0},
               {"feather_source": "own", "feather_width": 60.0, "feather_unit": "% of the mask"},
               {"feather_source": "host", "grow_px": 2.0}]
SCHEDULES = [("Euler", "Automatic", 20, 1.0), ("Euler", "Uniform", 1, 0.9), ("Euler", "Karras", 12, 0.75),
             ("Euler", "Exponential", 8, 0.5), ("Euler", "Polyexponential", 20, 0.4), ("Euler", "SGM Uniform", 10, 1.0),
             ("Euler", "KL Optimal", 8, 1.0), ("Euler", "Align Your Steps", 11, 1.0), ("Euler", "Align Your Steps", 20, 0.8),
             ("Euler", "Simple", 30, 0.7), ("Euler", "Normal", 8, 1.0), ("Euler", "DDIM", 30, 0.6), ("Euler", "Beta", 20, 1.0),
             ("DPM++ 2M", "Automatic", 8, 1.0), ("DPM++ 2M SDE", "Automatic", 20, 0.6), ("DPM++ 3M SDE", "Automatic", 8, 1.0),
             ("DPM2 a", "Automatic", 8, 1.0), ("DPM2", "KL Optimal", 8, 0.5), ("LCM", "Automatic", 8, 1.0),
             ("LCM", "Karras", 8, 1.0), ("DDIM", "Automatic", 20, 0.6), ("PLMS", "Karras", 30, 1.0),
             ("UniPC", "Automatic", 20, 0.75)]
"""Samplers, schedule types, steps and denoising strengths."""
WITH_CURVES = "DPM++ 2M", "DPM++ 2M SDE", "DDIM"
AUTOMATIC = {"DPM++ 2M": "Karras", "DPM2 a": "Karras", "DPM++ 2M SDE": "Exponential", "DPM++ 3M SDE": "Exponential"}
LEAVE_OUT_THE_LAST = "DPM2", "DPM2 a", "DPM++ 3M SDE"
ALIGNED = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
SHARES = [{}, {"schedule_bias": 0.2, "preservation_strength": 0.05}, {"threshold_mix": 1.0}, {"threshold_mix": 0.5},
          {"preservation_strength": 0.0}, {"preservation_strength": 8.0}]


REQUESTS = [(0.75, "original", None, [512, 512], [512, 512]),
            (0.05, "latent noise", None, [512, 512], [512, 512]),
            (0.5, "latent nothing", None, [512, 768], [512, 512]), (0.9, "fill", 4, [512, 768], [512, 512]),
            (0.9, "fill", 32, [512, 768], [512, 512]), (0.7, "latent noise", 0, [512, 512], [512, 512]),
            (1.0, "original", None, [640, 512], [648, 512]), (0.1, "original", 15, [512, 512], [512, 512]),
            (0.7, "latent noise", None, [500, 500], [509, 500]), (0.8, "fill", 15, [512, 512], [512, 512]),
            (0.81, "fill", 15, [512, 512], [640, 512]), (0.81, "original", 16, [512, 512], [512, 512]),
            (0.69, "latent nothing", None, [500, 500], [489, 500])]


TOOLS = [("block", "fill holes"), ("block", "drop specks 4"), ("block", "smooth 2"), ("block", "grow 20 %"),
         ("block", "grow -10 %"), ("rim", "invert"), ("ring", "fill holes, smooth 1.5, grow 5 %"), ("rim", "drop specks 2"),
         ("empty", "transparency, grow 10 %"), ("empty", "luminance 50-70"), ("empty", "colour #dc503c 20, invert"),
         ("specks", "drop specks 2"), ("specks", "fill holes"), ("specks", "smooth 4"), ("comb", "fill holes"),
         ("comb", "invert, fill holes"), ("empty", "luminance 2-6"), ("empty", "colour #0a0a0e 4"),
         ("empty", "luminance 40-52"), ("empty", "colour #868686 4"), ("block", "colour #dc503c 20"),
         *(("empty", f"colour #{colour} 25") for colour in ("3060c0", "20a040", "c8b428", "b040a0", "141e28"))]
BLURRED = [(7, 1, 1.0, 4), (1, 6, 1.5, 6), (5, 3, 2.0, 8), (4, 9, 0.7, 1), (2, 2, 3.0, 7), (6, 5, 1.0, 0)]
"""Width, height, deviation and radius of Gaussian blurs."""
SPARSE = [(7, 6, 0.1), (9, 5, 0.2), (6, 9, 0.3), (1, 8, 0.4), (8, 1, 0.4), (12, 11, 0.03), (12, 11, 0.5), (5, 4, 1.0)]
"""Width, height and share of the pixels that are set."""
SAME_SHAPES = [((512, 512), (1024, 1024)), ((640, 481), (640, 480)), ((640, 470), (640, 480)), ((640, 490), (640, 480)),
               ((480, 640), (640, 480)), ((100, 100), (102, 100)), ((100, 102), (100, 100))]
"""Sizes of a mask image and its image; the last two differ by about as much as is allowed."""
BEYOND = 300.0, 14.7, 14.6, 5.0, 1.0, 0.1, 0.03, 0.0292, 0.029, 0.001, 1e-7, 0.0
"""Noise-to-signal ratios, some of them outside those of training."""
UNREADABLE = "smoth 4", "grow", "luminance 90", "fill holes, transparency", "colour red 5"

WORKING = 48, 64
"""Height and width at which the masks are inpainted."""


def neighbour():
    """An image with a thing in it, (HEIGHT, WIDTH, 3) uint8."""
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    image[3:14, 20:27] = 220, 80, 60
    return image


EDGES = surroundings.edges(neighbour())


def block():
    """A block, a diagonal one pixel wide, a dot, and paint at the border."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[6:13, 8:17] = 1
    for step in range(9):
        mask[10 + step, 22 + step] = 1
    mask[24, 5] = 1
    mask[20:, 33:] = 1
    return mask


def greys():
    """The same in four strengths, directly beside one another."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    return block() * np.select([column < 7, column < 20, column < 32], [0.3, 0.6, 1], 0.8)


def ramp():
    """Every pixel has its own strength, so no strength fills an area."""
    mask = np.zeros((HEIGHT, WIDTH))
    mask[8:20, 6:30] = np.linspace(0.01, 1, 12 * 24).reshape(24, 12).T
    return mask


def stairs():
    mask = np.zeros((HEIGHT, WIDTH))
    mask[8:20, 6:18], mask[8:20, 18:30] = 0.4, 0.8
    return mask


def specks():
    """Pixels here and there, in two strengths, also at the borders."""
    dice = np.random.default_rng(2).random((HEIGHT, WIDTH))
    return (dice < 0.25) * np.where(dice < 0.15, 0.5, 1.0)


def comb():
    """Paint with a winding gap that is open at the side, and one that is not."""
    mask = np.zeros((HEIGHT, WIDTH))
    mask[3:25, 4:32] = 0.7
    for number, row in enumerate(range(6, 22, 4)):
        mask[row:row + 2, 7:29] = 0
        mask[row:row + 6, slice(7, 9) if number % 2 else slice(27, 29)] = 0
    mask[6:8, 4:8] = 0
    mask[12:14, 15:20] = 0.7
    return mask


def rim():
    """A disc painted with a smooth brush."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    return np.clip(8.5 - np.hypot(row - 13, column - 17), 0, 1)


def ring():
    """Paint around a hole, in two strengths."""
    mask = np.zeros((HEIGHT, WIDTH))
    mask[5:23, 6:30] = 0.6
    mask[9:19, 10:26] = 0
    return mask


def dots():
    """Separate areas in three rows, one of them of two strokes, (60, 70)."""
    mask = np.zeros((60, 70))
    for number, (left, top) in enumerate(((40, 2), (4, 5), (60, 20), (30, 24), (30, 40), (2, 52), (20, 50))):
        mask[top:top + 8, left:left + 6] = 0.3 + 0.1 * number
    return mask


def layer():
    """The image with a thing in it, half transparent, dark greys above and all colours below; (HEIGHT, WIDTH, 4) uint8."""
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[4:12, 20:24] = 64
    colours = neighbour()
    rows, columns = np.mgrid[:HEIGHT - 16, :WIDTH]
    colours[0] = np.arange(WIDTH)[:, None]
    colours[16:] = np.stack([22 * rows, 7 * columns, 255 - 3 * columns - 12 * rows], -1).clip(0, 255)
    return np.concatenate([colours, alpha], -1)


PAINTED = {paint.__name__: paint() for paint in (block, greys, ramp, stairs, rim, specks)}


def coded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return Image.open(io.BytesIO(stream.getvalue()))


def mask_images():
    """Name and image of typical masks of users."""
    size = 60, 45
    drawn = Image.new("L", size)
    pen = ImageDraw.Draw(drawn)
    pen.ellipse((20, 14, 44, 38), fill=255)
    pen.line((3, 4, 50, 9), fill=255, width=2)
    noise = np.random.default_rng(0).integers(0, 9, size[::-1])
    soft = drawn.filter(ImageFilter.GaussianBlur(5))
    patches = Image.new("L", size)
    ImageDraw.Draw(patches).rectangle((4, 10, 28, 40), fill=96)
    ImageDraw.Draw(patches).rectangle((29, 10, 54, 40), fill=255)
    layer = Image.new("RGBA", size, (255, 255, 255, 0))
    layer.putalpha(soft)
    stray = drawn.convert("RGBA")
    stray.putpixel((0, 0), (0, 0, 0, 254))
    noisy = Image.fromarray(np.where(np.asarray(drawn), 255 - noise, noise).astype(np.uint8))
    red = Image.composite(Image.new("RGB", size, (220, 10, 0)), Image.new("RGB", size), drawn)
    return {"drawn": drawn, "noise": noisy, "nearly white": drawn.point(lambda level: level * 250 // 255),
            "0 and 1": drawn.point(lambda level: level // 255), "soft": soft, "patches": patches,
            "jpeg 75": coded(drawn, "JPEG", quality=75), "jpeg 40": coded(drawn.convert("RGB"), "JPEG", quality=40),
            "noise, then jpeg": coded(noisy, "JPEG", quality=75), "patches, jpeg": coded(patches, "JPEG", quality=85),
            "soft, jpeg": coded(soft, "JPEG", quality=75), "webp": coded(drawn.convert("RGB"), "WEBP", quality=60),
            "layer": layer, "stray": stray, "red": red, "red, jpeg": coded(red, "JPEG", quality=85)}


LIMITS = 0, 1, 2, 7, 8, 9, 31, 32, 63, 64, 65, 127, 128, 223, 224, 249, 250, 255
"""Levels at which a rule for reading masks begins or ends, and their neighbours."""
SEEDS = (139, 144, 507, 627, 709, 986, 1058, 1557, 2001, 2608, 2632, 2721, 2736, 2823, 3015, 3293, 3938, 3993, 4739, 4871,
         5407, 5416, 5460, 5729, 5874)
"""Random mask images. Of the first 6000, in all of which JavaScript reads what Python reads, these notice every change of the
JavaScript that any of them notices."""


def random_mask_image(seed):
    """Shapes or stripes at these levels, some of them blurred, noisy, compressed, coloured or in an alpha channel."""
    random = np.random.default_rng(seed)

    def level():
        return int(random.choice(LIMITS))

    def drawn():
        if random.random() < 0.3:
            return np.tile(random.choice([0, level(), level(), 255], width), (height, 1)).astype(np.uint8)
        image = Image.new("L", (width, height), level() if random.random() < 0.3 else 0)
        pen = ImageDraw.Draw(image)
        for _ in range(random.integers(1, 4)):
            left, top = random.integers(-4, width - 2), random.integers(-4, height - 2)
            shape = pen.ellipse if random.random() < 0.5 else pen.rectangle
            shape((left, top, left + random.integers(1, 20), top + random.integers(1, 20)), fill=level())
        return np.asarray(image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 3))) if random.random() < 0.3 else image)

    def noisy(levels):
        if random.random() < 0.5:
            noise = random.integers(-1, 2, levels.shape) * random.choice([1, 4, 9, 20, 40])
            levels = (levels + noise).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(levels)
        return coded(image, "JPEG", quality=int(random.integers(30, 95))) if random.random() < 0.3 else image

    width, height = random.choice([5, 13, 20, 40, 67, 100]), random.choice([1, 4, 9, 20, 33])
    kind = random.choice(["grey", "coloured", "layer", "stray"])
    if kind == "grey":
        return noisy(drawn())
    bands = [drawn() if random.random() < 0.5 else np.full((height, width), level(), np.uint8) for _ in range(3)]
    if kind == "coloured":
        return Image.fromarray(np.stack(bands, -1))
    alpha = drawn()
    if kind == "stray":
        alpha = np.full((height, width), random.choice([8, 9, 255, 255]), np.uint8)
        alpha[random.random((height, width)) < random.choice([0.0005, 0.002, 0.5])] = level()
        bands[1:] = bands[:1] * 2 if random.random() < 0.7 else bands[1:]
    return Image.fromarray(np.stack([*bands, alpha], -1))


def ratios(sampler, name, steps, strength):
    """Noise-to-signal ratios of the steps in AUTOMATIC1111 1.10.1, noisiest first."""
    encoded = int(min(strength, 0.999) * steps)
    levels = schedule._log_ratios().double().numpy()
    timesteps = np.arange(1, 1000, 1000 // steps)[:encoded]
    if sampler == "UniPC":
        return at(np.linspace(timesteps[-1], 0, encoded + 1)[:-1], levels)
    if sampler in ("DDIM", "PLMS"):
        return at(timesteps[:0:-1], levels)
    left_out = sampler in LEAVE_OUT_THE_LAST
    name = AUTOMATIC.get(sampler, "Uniform") if name == "Automatic" else name
    every = sigmas(name, steps + left_out, levels[19::20] if sampler == "LCM" else levels)
    return every[steps - encoded - 1:len(every) - left_out]


def at(places, levels):
    return np.exp(np.interp(places, np.arange(len(levels)), levels))


def sigmas(name, steps, levels):
    """All sigmas of a schedule type, for a model with these noise levels."""
    least, most = np.exp(levels[[0, -1]])
    top = len(levels) - 1
    return {"Karras": lambda: np.linspace(most ** (1 / 7), least ** (1 / 7), steps) ** 7,
            "Exponential": lambda: np.geomspace(most, least, steps),
            "Polyexponential": lambda: np.geomspace(most, least, steps),
            "SGM Uniform": lambda: at(np.linspace(top, 0, steps + 1)[:-1], levels),
            "KL Optimal": lambda: np.tan(np.linspace(np.arctan(most), np.arctan(least), steps + 1))[:-1],
            "Align Your Steps": lambda: at(np.linspace(0, 10, steps), np.log(ALIGNED)),
            "Simple": lambda: at(top - np.floor(np.arange(steps) * (len(levels) / steps)), levels),
            "DDIM": lambda: at(np.arange(1, len(levels), len(levels) // steps)[::-1], levels),
            "Beta": lambda: least + beta.ppf(np.linspace(1, 0, steps), 0.6, 0.6) * (most - least),
            "Normal": lambda: at(np.linspace(top, 0, steps), levels),
            "Uniform": lambda: at(np.linspace(top, 0, steps), levels)}[name]()


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_javascript_cannot_read_python_refuses(text):
    with pytest.raises(BadInput):
        steps_of(text)


def recorded():
    masks = []
    for name, paint in PAINTED.items():
        for changes in SHAPES if name == "block" else GREY_SHAPES:
            for blur, padding in ((2, None), (5, None), (5, 8)) if name == "block" else ((3, None),):
                settings, cell = Settings(enabled=True, **changes), cell_side(paint, Size(*WORKING), padding)
                canvas = Canvas(blur, padding, cell, EDGES)
                reach = feather_reach(paint, settings, canvas) + max(0.0, settings.grow_px)
                core = shrink(paint, max(0.0, -settings.grow_px)) > 0
                detours = surroundings.detours(core, EDGES, settings.edge_awareness, reach) if reach > 0 else np.zeros(1)
                masks.append({"painted": name, "settings": changes, "blur": blur, "padding": padding,
                              "detours": detours.round(3).ravel().tolist(),
                              "mask": whole(repaint_mask(paint, settings, canvas).ravel())})
    runs, curves = [], []
    for sampler, name, steps, strength in SCHEDULES:
        run = ratios(sampler, name, steps, strength)
        request = {"sampler": sampler, "schedule": name, "steps": steps, "strength": strength}
        runs.append({"run": request, "log_ratios": whole(np.log(run))})
        if sampler in WITH_CURVES:
            curves += [{"run": request, "settings": changes, "shares": repaint_shares(run, changes)} for changes in SHARES]
    steps = at([999, 749, 499, 249], schedule._log_ratios().double().numpy()).round(6).tolist()  # processors differ beyond
    curves += [{"run": {"ratios": levels}, "settings": changes, "shares": repaint_shares(levels, changes)}
               for changes in SHARES for levels in (BEYOND, BEYOND[5:], BEYOND[10:], steps)]
    advised = [{"request": dict(zip(("strength", "content", "paddingPx", "image", "working"), asked)),
                "sentences": advice(*asked[:3], *(Size(height, width) for width, height in asked[3:]))} for asked in REQUESTS]
    read = [{"image": name, "size": image.size, "pixels": in_bytes(np.asarray(image.convert("RGBA"))),
             "levels": in_bytes(np.rint(255 * strengths(image)).astype(np.uint8))}
            for name, image in (*mask_images().items(), *((f"random {seed}", random_mask_image(seed)) for seed in SEEDS))]
    shapes = {**PAINTED, "ring": ring(), "comb": comb(), "empty": np.zeros((HEIGHT, WIDTH))}
    tools = [{"tools": text, "painted": whole(shapes[name].ravel()),
              "mask": whole(edited(shapes[name], Settings(enabled=True, mask_tools=text), layer()).ravel())}
             for name, text in TOOLS]
    paddings = [padding_around(*(random_box(seed + part) for part in (0, 100)), seed % 5 * 4) for seed in range(24)]
    separate = dots()
    areas = sum(number * (area > 0) for number, area in enumerate(regions(separate), start=1))
    return {"regions": {"size": separate.shape[::-1], "painted": whole(separate.ravel()), "numbers": areas.ravel().tolist()},
            "advice": advised, "read": read, "tools": tools, "unreadable": UNREADABLE,
            "layer": layer().ravel().tolist(), "width": WIDTH, "height": HEIGHT, "whole": WHOLE,
            "defaults": dataclasses.asdict(Settings()),
            "painted": {name: whole(paint.ravel()) for name, paint in PAINTED.items()}, "masks": masks, "runs": runs,
            "shapes": [shape_fault(*sizes) for sizes in SAME_SHAPES], "curves": curves,
            "paddings": paddings,
            "times": [[ratio, *whole(schedule.training_time(torch.tensor([ratio])))]
                      for ratio in (*BEYOND, *np.geomspace(0.03, 14, 40).round(4))],
            "blurs": [blurred(*each) for each in BLURRED], "distances": [nearest(*each) for each in SPARSE]}


def repaint_shares(ratios, changes):
    """How much of pixels with three mask values is repainted at each ratio, as integers."""
    chosen, values = Settings(enabled=True, **changes), torch.tensor([0.25, 0.5, 0.75]).view(1, 1, 1, 3)
    levels = torch.tensor(ratios)
    times, shares = schedule.training_time(levels), []
    for ratio, time in zip(levels.float(), times):
        blended = schedule.repaint_share(
            values.log(), schedule.ratio_from_sigma(ratio[None]), chosen.schedule_bias, chosen.preservation_strength)
        nested = schedule.unlocked_share(values, (time / times[0])[None])
        shares.append(torch.lerp(blended, nested, chosen.threshold_mix).flatten().tolist())
    return [whole(row) for row in np.transpose(shares)]


def nearest(width, height, share):
    inside = np.random.default_rng(1).random((height, width)) < share
    inside[0, 0] = True
    distances, (rows, columns) = distance_transform_edt(~inside, return_indices=True)
    return {"size": (width, height), "inside": inside.ravel().astype(int).tolist(),
            "squared": np.rint(distances ** 2).ravel().astype(int).tolist(),
            "nearest": (rows * width + columns).ravel().tolist()}


def random_box(seed):
    """Left, top, right and bottom in a mask of WIDTH and HEIGHT, often at its borders."""
    dice = np.random.default_rng(seed)
    left, top = dice.choice([0, 0, 6, 15]), dice.choice([0, 0, 5, 9])
    return [int(left), int(top), int(dice.choice([18, 30, WIDTH])), int(dice.choice([12, 20, HEIGHT]))]


def padding_around(inner, outer, padding):
    painted, mask = np.zeros((2, HEIGHT, WIDTH))
    for (left, top, right, bottom), values in ((inner, painted), (outer, mask)):
        values[top:bottom, left:right] = 1
    return {"inner": inner, "outer": outer, "padding": padding, "left": padding_left(painted, mask, padding)}


def shape_fault(mask, image):
    try:
        check_shape(Size(*mask[::-1]), Size(*image[::-1]), MASK_IMAGE)
    except BadInput as fault:
        return mask, image, str(fault)
    return mask, image, ""


def blurred(width, height, deviation, radius):
    drawn = np.random.default_rng(0).random((height, width)) * (np.arange(height)[:, None] != 3)
    return {"size": (width, height), "deviation": deviation, "radius": radius, "drawn": whole(drawn.ravel()),
            "blurred": whole(gaussian_filter(drawn, deviation, mode="mirror", radius=radius).ravel())}


def in_bytes(values):
    return base64.b64encode(values.tobytes()).decode()


def whole(values):
    return np.rint(WHOLE * np.asarray(values)).astype(int).tolist()


def test_the_recording_matches_python():
    stored, fresh = json.loads(RECORD.read_text()), json.loads(json.dumps(recorded()))
    assert stored.keys() == fresh.keys()
    # JPEG and WebP decoders differ by a level between versions, so node reads the recorded pixels.
    assert [one["image"] for one in stored["read"]] == [one["image"] for one in fresh["read"]]
    for one in stored["read"]:
        image = Image.frombytes("RGBA", one["size"], base64.b64decode(one["pixels"]))
        assert in_bytes(np.rint(255 * strengths(image)).astype(np.uint8)) == one["levels"]
    for name, key in (("masks", "mask"), ("tools", "mask"), ("runs", "log_ratios"), ("curves", "shares"),
                      ("blurs", "blurred")):
        assert len(stored[name]) == len(fresh[name])
        for one, other in zip(stored[name], fresh[name]):
            np.testing.assert_allclose(one.pop(key), other.pop(key), atol=2)
            assert one == other
    for name in ("regions", "shapes", "times", "distances", "paddings"):
        assert stored[name] == fresh[name]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on the PATH")
def test_javascript_matches_the_recording():
    done = subprocess.run(["node", "--test", "tests/javascript/"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    RECORD.write_text(json.dumps(recorded()) + "\n")
