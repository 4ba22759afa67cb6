"""Ten rounds of accepting a result and painting on, on the bundled model: what is not repainted stays."""
import io
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.settings.request import Request
from tests import tiny_models
from training.scenes import HELD_OUT, Scene

pytestmark = tiny_models.KNOWN_WARNINGS

SIDE, ROUNDS = 256, 10


def strip(left, width, top=70, bottom=190):
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).rectangle((left, top, left + width - 1, bottom - 1), fill=255)
    return mask


def painted_on(scene, masks, **fields):
    """The original and, for each mask in turn, the result, (H, W, 3) int, and where it may differ from the one before."""
    pipeline = models.load(str(models.SCENE_MODEL))
    drawn = Scene.from_seed(HELD_OUT + scene)
    image, rounds = Image.fromarray(drawn.draw(SIDE)), []
    original = np.asarray(image).astype(int)
    for number, mask in enumerate(masks):
        kept = []
        image = models.inpaint(pipeline, Request(**{"prompt": drawn.caption(), "seed": number, **fields}), image, mask,
                               keep=kept.append)
        file = io.BytesIO()
        image.save(file, "PNG")  # an accepted image is a file
        image = Image.open(file)
        rounds.append((np.asarray(image.convert("RGB")).astype(int), kept[0].sampled.repaint_px > 0))
    return original, rounds


@cache
def sliding():
    """Each mask covers half of the one before."""
    return painted_on(1, [strip(18 + 20 * number, 40) for number in range(ROUNDS)])


def test_outside_of_each_mask_not_a_byte_changes():
    image, rounds = sliding()
    for result, repainted in rounds:
        assert (result[~repainted] == image[~repainted]).all()
        assert (result != image).any()
        image = result


def test_what_is_not_repainted_loses_nothing():
    _, rounds = sliding()
    final, compared = rounds[-1][0], 0
    for number, (result, repainted) in enumerate(rounds):
        untouched = repainted & ~np.any([later for _, later in rounds[number + 1:]] or [np.zeros_like(repainted)], axis=0)
        assert (final[untouched] == result[untouched]).all()
        compared += untouched.sum()
    assert compared > 5000
