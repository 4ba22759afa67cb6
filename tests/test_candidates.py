"""Which of several results is best, in which nothing changed, and which are nearly alike."""
import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.generation.candidates import (
    SAME,
    Candidate,
    alike,
    best_first,
    labels,
    of_images,
    of_kept,
    remarks,
)
from lib_softinpaint.settings.settings import FIELDS
from tests.test_kept import RUN, kept

ORIGINAL = Image.new("RGB", (96, 96), (90, 120, 60))
PAINTED = np.zeros((96, 96), np.float32)
PAINTED[32:64, 32:64] = 1


def result(inside, seam=0):
    """The original with the painted area in one colour, and a brighter line around it."""
    pixels = np.asarray(ORIGINAL).copy()
    pixels[31:65, 31:65] += np.uint8(seam)
    pixels[32:64, 32:64] = inside
    return of_images(ORIGINAL, Image.fromarray(pixels), PAINTED)


UNCHANGED, BAD = result((91, 120, 60)), result((220, 30, 30), 90)
GOOD, GOOD_AGAIN = result((100, 130, 70)), result((101, 130, 70))


def test_the_best_comes_first_and_what_did_not_change_last():
    assert UNCHANGED.score > GOOD.score > BAD.score  # no change has no seam
    assert best_first([UNCHANGED, BAD, GOOD]) == [2, 1, 0]
    unknown = dataclasses.replace(GOOD, score=math.nan, effect=math.nan)
    assert best_first([unknown, UNCHANGED, BAD]) == [2, 1, 0]
    assert best_first([GOOD, GOOD, BAD]) == [0, 1, 2]


def test_nearly_equal_images_are_grouped():
    assert alike([GOOD, BAD, GOOD_AGAIN, UNCHANGED, UNCHANGED]) == [[0, 2]]
    assert GOOD.distance(dataclasses.replace(GOOD_AGAIN, weight=GOOD.weight[:5], look=GOOD.look[:5])) == math.inf
    assert labels([GOOD, UNCHANGED, GOOD_AGAIN]) == [
        f"1: {GOOD.score:.0f}", f"2: {UNCHANGED.score:.0f}, unchanged", f"3: {GOOD_AGAIN.score:.0f}, nearly like 1"]


def test_images_differ_from_a_distance_of_3_on():
    def at(lightness, effect):
        return Candidate(50.0, effect, np.full((2, 3, 3), (lightness, 0, 0), np.float32), np.ones((2, 3), np.float32))
    assert [at(0, effect).unchanged for effect in (2.99, 3.0)] == [True, False]
    assert alike([at(0, 9), at(3, 9)]) == []
    assert alike([at(0, 9), at(2.99, 9), at(5.9, 9), at(8.8, 9)]) == [[0, 1], [2, 3]]  # alike to the first of its group
    half = dataclasses.replace(at(8, 9), weight=np.float32([[1, 0, 0], [0, 0, 0]]))
    other = dataclasses.replace(half, look=np.stack([half.look[0] + [[4, 0, 3], [9, 9, 9], [0, 0, 0]], half.look[1]]))
    assert half.distance(other) == 5


def test_grain_alone_makes_no_difference():
    noise = np.random.default_rng(0).normal(0, 12, (32, 32, 3))
    grainy = [result(np.clip((100, 130, 70) + sign * noise, 0, 255).astype(np.uint8)) for sign in (1, -1)]
    canvas, everywhere = Image.new("RGB", (256, 256)), np.ones((256, 256), np.float32)
    large = [of_images(canvas, Image.fromarray(np.clip(130 + sign * np.random.default_rng(0).normal(0, 12, (256, 256, 3)), 0,
                                                       255).astype(np.uint8)), everywhere) for sign in (1, -1)]
    shifted = result(np.clip((130, 130, 70) + noise, 0, 255).astype(np.uint8))
    assert grainy[0].distance(shifted) > 10
    assert grainy[0].distance(grainy[1]) > 5
    assert large[0].distance(large[1]) < SAME  # grain is averaged


@pytest.mark.parametrize(("strength", "content", "advice"), [
    (0.4, "original", 'Raise denoising strength (now 0.4) or set masked content to "latent noise" (now "original").'),
    (1, "fill", 'Set masked content to "latent noise" (now "fill").'),
    (1, "recolour", 'Set own masked content to "host\'s" and masked content to "latent noise".'),
    (0.75, "latent noise", "Raise denoising strength (now 0.75)."),
    (1, "latent nothing", "Change the prompt or paint a larger area.")])
def test_the_remarks_say_what_to_change(strength, content, advice):
    assert remarks([GOOD, BAD], strength, content) == []
    assert remarks([UNCHANGED, GOOD], strength, content, ["7", "8"])[0].startswith("Almost nothing changed with seed 7. ")
    assert remarks([UNCHANGED, GOOD, GOOD_AGAIN, BAD, UNCHANGED], strength, content) == [
        f"Almost nothing changed in images 1 and 5. {advice}", f"Nearly alike: images 2 and 3. {advice}"]


def test_a_kept_image_is_the_same_candidate_with_and_without_its_result():
    image = kept()
    one, other = of_kept(image, RUN), of_kept(image, RUN, image.composited(RUN))
    assert one.score == other.score == image.blend_score(RUN)
    assert one.effect == other.effect > SAME
    np.testing.assert_array_equal(one.look, other.look)
    transparent = np.random.default_rng(1).integers(0, 256, (*image.decoded.shape[:2], 4), dtype=np.uint8)
    seen_through = dataclasses.replace(image, source=transparent)
    assert of_kept(seen_through, RUN, seen_through.composited(RUN)).score == one.score


def test_an_enlarged_image_has_no_score():
    image = kept()
    enlarged = dataclasses.replace(image, decoded=image.decoded.repeat(2, 0).repeat(2, 1))
    assert math.isnan(of_kept(enlarged, RUN).score)
    assert labels([of_kept(enlarged, RUN)]) == ["1: no score"]


def test_the_agreement_that_is_shown_is_the_measured_one():
    page = (Path(__file__).parents[1] / "docs/benchmarks.md").read_text(encoding="utf8")
    measured = re.search(r"^\| reported \| \d+ \| (\d+)% \|$", page, re.MULTILINE)
    assert f"in {measured[1]} % of judged pairs" in FIELDS["best_first"].help
