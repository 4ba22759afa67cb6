"""Typical masks of users, run on the bundled model. Each must work like the clean mask."""
import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings
from tests.tiny_models import KNOWN_WARNINGS
from tests.tolerances import default_reach

pytestmark = KNOWN_WARNINGS

SIDE, RADIUS = 256, 32
BLUR_PX = 8
RINGING_PX = 8
with Image.open(Path(__file__).parent / "image.png") as stored:
    IMAGE = stored.convert("RGB")
REQUEST = Request(prompt="an orange tree", seed=1, steps=4, denoising_strength=1, masked_content="fill", mask_blur=BLUR_PX,
                  settings=Settings(enabled=True, agreement=0.0))
ONLY_MASKED = Request(prompt="an orange tree", seed=1, steps=4, mask_blur=BLUR_PX, inpaint_area="Only masked")


def disc(side=SIDE, white=255):
    mask = Image.new("L", (side, side))
    middle, radius = side / 2, RADIUS * side / SIDE
    ImageDraw.Draw(mask).ellipse((middle - radius, middle - radius, middle + radius, middle + radius), fill=white)
    return mask


def stroke(white=255):
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).line((60, 120, 200, 140), fill=white, width=3)
    return mask


def coded(mask, kind, **options):
    stream = io.BytesIO()
    mask.save(stream, kind, **options)
    return Image.open(io.BytesIO(stream.getvalue()))


def over(mask, black):
    return Image.fromarray(np.maximum(np.asarray(mask), black).astype(np.uint8))


def with_strays():
    mask = disc().convert("RGBA")
    for x in range(3):
        mask.putpixel((x, 0), (0, 0, 0, 254))
    return mask


def in_colour(colour):
    return Image.composite(Image.new("RGB", (SIDE, SIDE), colour), Image.new("RGB", (SIDE, SIDE)), disc())


CLEAN = disc()
INSIDE = np.asarray(CLEAN) > 0
DISTANCE = distance_transform_edt(~INSIDE)
NOISE = np.random.default_rng(0).integers(0, 9, (SIDE, SIDE))
LIKE_THE_CLEAN_ONE = {
    "noise": over(CLEAN, NOISE), "black 1": over(CLEAN, 1), "black 2": over(CLEAN, 2),
    "jpeg 95": coded(CLEAN, "JPEG", quality=95), "jpeg 75": coded(CLEAN, "JPEG", quality=75),
    "jpeg 40": coded(CLEAN, "JPEG", quality=40), "jpeg 30": coded(CLEAN, "JPEG", quality=30),
    "jpeg in colour": coded(CLEAN.convert("RGB"), "JPEG", quality=75),
    "webp": coded(CLEAN.convert("RGB"), "WEBP", quality=75), "noise, then jpeg": coded(over(CLEAN, NOISE), "JPEG", quality=75),
    "white 254": disc(white=254), "white 252": disc(white=252), "white 250": disc(white=250),
    "0 and 1": Image.fromarray(INSIDE.astype(np.uint8)), "bits": CLEAN.convert("1"),
    "8 bits in 16": coded(Image.fromarray(np.uint16(np.asarray(CLEAN))), "PNG"),
    "8 bits in 32": coded(Image.fromarray(np.int32(np.asarray(CLEAN))), "TIFF"),
    "red": in_colour((255, 0, 0)), "a label": in_colour((128, 0, 0)).quantize(4),
    "strays of alpha": with_strays(), "white is transparent": coded(CLEAN, "PNG", transparency=255)}


MASKS = {"clean": CLEAN, **LIKE_THE_CLEAN_ONE, **{f"stroke {white}": stroke(white) for white in (250, 252, 254, 255)},
         **{f"side {side}": disc(side) for side in (64, 128, 512)}}


@cache
def effect(name):
    """Change of each pixel (H, W), averaged over the channels."""
    made = np.asarray(models.inpaint(models.load(str(models.SCENE_MODEL)), REQUEST, IMAGE, MASKS[name]))
    return np.abs(made.astype(float) - np.asarray(IMAGE)).mean(-1)


@cache
def crop(name):
    kept = []
    models.inpaint(models.load(str(models.SCENE_MODEL)), ONLY_MASKED, IMAGE, MASKS[name], keep=kept.append)
    return kept[0].sampled.box


@pytest.mark.parametrize("name", [*LIKE_THE_CLEAN_ONE, "side 64", "side 128", "side 512"])
def test_it_repaints_the_same_area_as_the_clean_mask(name):
    assert not effect(name)[default_reach(BLUR_PX) + RINGING_PX < DISTANCE].any()
    assert effect(name)[INSIDE].mean() >= 0.85 * effect("clean")[INSIDE].mean() > 10


@pytest.mark.parametrize("name", ["noise", "black 2", "jpeg 95", "jpeg 75", "jpeg in colour", "webp", "noise, then jpeg"])
def test_only_masked_uses_the_crop_of_the_clean_mask(name):
    assert crop(name) == crop("clean") != (0, 0, SIDE, SIDE)


@pytest.mark.parametrize("white", [250, 252, 254])
def test_a_thin_nearly_white_stroke_works_like_a_white_one(white):
    painted = np.asarray(stroke()) > 0
    assert effect(f"stroke {white}")[painted].mean() >= 0.9 * effect("stroke 255")[painted].mean() > 9
