"""Hypothesis strategies for what users and programs send: settings, masks, images and sizes.

With SOFTINPAINT_FUZZ=500, the tests that use them send 500 requests, other ones in each run.
"""
import base64
import io
import math
import os

import numpy as np
from hypothesis import strategies as some
from PIL import Image, ImageDraw

from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.settings.settings import FIELDS

COUNT = int(os.environ.get("SOFTINPAINT_FUZZ", 0))
IMAGE_MODES = "RGB", "RGBA", "L", "LA", "P"
MASK_MODES = "L", "RGB", "RGBA", "LA", "1", "P", "I;16"
MASK_TOOLS = ("", "fill holes", "smooth 3, grow 20 %", "drop specks 9", "grow -30 %", "invert", "transparency",
              "luminance 20-60", "colour #808080 30, smooth 1")
WRONG = some.one_of(
    some.none(), some.booleans(), some.integers(-2 ** 63, 2 ** 63 - 1), some.floats(), some.text(max_size=9),
    some.lists(some.integers(-9, 9), max_size=2), some.dictionaries(some.text(max_size=3), some.none(), max_size=2))
"""JSON of any kind, with NaN and infinity. The hosts repeat requests in their answers, where larger integers fail."""


@some.composite
def images(draw, size, modes=IMAGE_MODES):
    """An image of this height and width."""
    dice = np.random.default_rng(draw(some.integers(0, 99)))
    image = Image.fromarray(dice.integers(0, 256, (*size, 4), dtype=np.uint8), "RGBA")
    return image.convert(draw(some.sampled_from(modes)))


@some.composite
def masks(draw, size, modes=MASK_MODES):
    """A painted mask of this height and width: a few strokes and dots in one or several strengths, or nothing, or all."""
    height, width = size
    mask = Image.new("L", (width, height), draw(some.sampled_from((0, 0, 0, 0, 3, 255))))
    pen = ImageDraw.Draw(mask)
    for _ in range(draw(some.integers(0, 3))):
        x, other_x = (draw(some.integers(-8, width + 8)) for _ in range(2))
        y, other_y = (draw(some.integers(-8, height + 8)) for _ in range(2))
        shape = draw(some.sampled_from((pen.rectangle, pen.ellipse, pen.line)))
        shape((min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)),
              fill=draw(some.sampled_from((255, 255, 128, 1, 0))))
    mode = draw(some.sampled_from(modes))
    if mode == "I;16":
        return Image.fromarray(np.asarray(mask).astype(np.uint16) * 257)
    if mode in ("RGBA", "LA") and draw(some.booleans()):
        layer = Image.new(mode, mask.size)
        layer.putalpha(mask)
        return layer
    return mask.convert(mode)


def value_of(field):
    """A value that a field accepts."""
    if field.name == "mask_tools":
        return some.sampled_from(MASK_TOOLS)
    if field.choices:
        return some.sampled_from(field.choices)
    if isinstance(field.default, bool):
        return some.booleans()
    if isinstance(field.default, str):
        return some.just("")
    low, high = field.limits
    number = some.integers(math.ceil(low), math.floor(high)) if isinstance(field.default, int) else some.floats(low, high)
    return some.one_of(some.sampled_from((type(field.default)(low), type(field.default)(high))), number)


def settings(**fixed):
    """Some settings by name, all valid."""
    return some.fixed_dictionaries({name: some.just(value) for name, value in fixed.items()}, optional={
        name: value_of(field) for name, field in FIELDS.items() if name != "enabled" and name not in fixed})


@some.composite
def arguments(draw, size, **fixed):
    """Arguments of our script as an API client sends them, most of them valid. `fixed` are settings by name."""
    given = draw(settings(**fixed))
    if draw(some.booleans()):
        given["mask_image"] = draw(some.one_of(broken_files(), masks(size).map(encoded)))
    names = some.sampled_from([name for name in (*FIELDS, "bias") if name not in fixed])
    for name in draw(some.lists(names, max_size=draw(some.sampled_from((0, 0, 1, 2))))):
        given[name] = draw(WRONG)
    if draw(some.booleans()):
        return [given]
    listed = [True, *(given.get(name) for name in list(FIELDS)[1:])]
    return listed[:draw(some.integers(0, len(listed)))]


@some.composite
def broken_files(draw):
    """Base64 of an image file with some bytes changed or its end cut off, or any text."""
    buffer = io.BytesIO()
    draw(images((8, 8), ("RGB",))).save(buffer, draw(some.sampled_from(("PNG", "GIF", "TIFF", "WEBP", "JPEG", "BMP", "ICO"))))
    return draw(broken(buffer.getvalue()).map(encoded_bytes) | some.text(max_size=9))


@some.composite
def broken(draw, content):
    """Bytes with some changed, and perhaps the end cut off."""
    changed = bytearray(content)
    for _ in range(draw(some.integers(0, 4))):
        changed[draw(some.integers(0, len(changed) - 1))] = draw(some.integers(0, 255))
    return bytes(changed[:draw(some.one_of(some.just(len(changed)), some.integers(0, len(changed))))])


def encoded_bytes(content):
    return base64.b64encode(content).decode()
