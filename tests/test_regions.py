"""Regions one by one: how a mask is split, and that each region is inpainted with its own crop, prompt and seed."""
import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lib_softinpaint import soft_inpaint
from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation import layers
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.images import export, job_file
from lib_softinpaint.method.regions import GAP_PX, MOST_REGIONS, regions
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.prompt import of_regions
from lib_softinpaint.settings.request import ONLY_MASKED, Request, from_infotext
from lib_softinpaint.settings.settings import Settings
from tests import tiny_models
from tests.test_export import in_krita

pytestmark = tiny_models.KNOWN_WARNINGS

SETTINGS = Settings(enabled=True, regions_one_by_one=True)
REQUEST = Request(prompt="a red house [SEP] an orange tree [SEP]  [SEP] a white moon", steps=3, width=128, height=128,
                  denoising_strength=1, masked_content="fill", seed=3, masked_area_padding=16, settings=SETTINGS)


def painted(*boxes, side=64, value=1.0):
    mask = np.zeros((side, side), np.float32)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = value
    return mask


def dots(side, radius, *places):
    mask = Image.new("L", (side, side))
    for x, y in places:
        ImageDraw.Draw(mask).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask


def places_of(masks):
    return [tuple(int(axis.min()) for axis in np.nonzero(mask)[::-1]) for mask in masks]


def test_separate_areas_are_regions_in_reading_order():
    # The right stroke of the upper row starts higher than the left one, as strokes by hand do.
    mask = painted((40, 2, 60, 20), (4, 6, 20, 22), (30, 40, 50, 60), (2, 38, 12, 62))
    found = regions(mask)
    assert places_of(found) == [(4, 6), (40, 2), (2, 38), (30, 40)]
    np.testing.assert_array_equal(np.sum(found, axis=0), mask)
    assert max((each > 0).astype(int) for each in [np.sum([part > 0 for part in found], axis=0)]).max() == 1


@pytest.mark.parametrize(("top", "bottom", "is_first"), [(12, 26, True), (12, 28, False), (12, 30, False), (19, 21, False)])
def test_a_region_is_in_a_row_if_its_middle_is_above_the_bottom_of_the_rows_highest(top, bottom, is_first):
    places = places_of(regions(painted((40, 2, 60, 20), (4, top, 20, bottom))))
    assert places == ([(4, top), (40, 2)] if is_first else [(40, 2), (4, top)])


def test_greys_keep_their_strength():
    mask = painted((4, 4, 12, 12), value=0.25) + painted((40, 4, 50, 12), value=0.5)
    assert [part.max() for part in regions(mask)] == [0.25, 0.5]


@pytest.mark.parametrize(("gap", "count"), [(1, 1), (GAP_PX, 1), (GAP_PX + 1, 2)])
def test_areas_that_share_latent_pixels_are_one_region(gap, count):
    assert len(regions(painted((4, 4, 14, 14), (14 + gap, 4, 24 + gap, 14)))) == count


def test_a_diagonal_stroke_is_one_region():
    assert len(regions(np.eye(64, dtype=np.float32))) == 1


def test_an_empty_mask_has_no_region():
    assert regions(painted()) == []


def test_too_many_areas_raise_one_sentence():
    dust = np.zeros((200, 200), np.float32)
    dust[:160:20, :160:20] = 1
    assert len(regions(dust)) == MOST_REGIONS == 64
    dust[::20, ::20] = 1
    with pytest.raises(BadInput, match=f"^a mask for regions one by one must have at most {MOST_REGIONS} separate areas, "
                                       "got 100$"):
        regions(dust)


@pytest.mark.parametrize(("prompt", "expected"), [
    ("a", ["a", "a", "a"]), ("a[SEP]b", ["a", "b", "b"]), ("a [SEP] [SEP]\nc", ["a", "a", "c"]), ("[SEP]b", ["", "b", "b"]),
    ("", ["", "", ""])])
def test_a_region_without_a_prompt_has_the_one_before_it(prompt, expected):
    notes = []
    assert of_regions(prompt, 3, notes) == expected
    assert notes == []


def test_prompts_without_a_region_are_noted():
    notes = []
    assert of_regions("a [SEP] b [SEP] c", 1, notes) == ["a"]
    assert notes == ["The prompt has parts for 3 regions, but the mask has 1; the last 2 were not used."]


@pytest.fixture(scope="module")
def pipeline():
    return models.load(str(models.SCENE_MODEL), "cpu")


CORNERS = (90, 100), (920, 80), (110, 930), (930, 900)


@pytest.fixture(scope="module")
def made(pipeline):
    """Four dots in the corners of a 1024 px image, and what was heard of the run."""
    image = Image.effect_mandelbrot((1024, 1024), (-2, -1.4, 1, 1.4), 60).convert("RGB")
    heard = {"steps": [], "kept": [], "notes": [], "measured": {}, "regions": []}
    result = models.inpaint(
        pipeline, REQUEST, image, dots(1024, 40, *CORNERS), heard["steps"].append, heard["kept"].append,
        on_note=heard["notes"].append, on_measured=heard["measured"].update,
        on_region=lambda finished, done, count: heard["regions"].append((np.asarray(finished), done, count)))
    return image, result, heard


def test_four_dots_in_the_corners_are_four_crops_at_full_resolution(made):
    image, result, heard = made
    kept, = heard["kept"]
    assert len(kept.regions) == 4
    for region, (x, y) in zip(kept.regions, CORNERS):
        sampled = region.sampled
        assert sampled.repaint.shape == (16, 16)  # of 8 pixels: it was sampled at 128 x 128
        box = sampled.box
        assert box.left <= x - 40 and x + 40 <= box.right and box.top <= y - 40 and y + 40 <= box.bottom  # noqa: PT018
        assert max(box.width, box.height) <= 2 * 40 + 2 * (16 + 16) + 1  # the dot, padding and feather, not the image
        np.testing.assert_array_equal(region.painted.strengths > 0, np.asarray(dots(1024, 40, (x, y))) > 0)


def test_each_region_is_painted_and_the_outside_stays_byte_identical(made):
    image, result, heard = made
    before, after = np.asarray(image), np.asarray(result)
    mask = np.maximum.reduce([each.sampled.repaint_px for each in heard["kept"][0].regions])
    assert (before == after)[mask == 0].all()
    for place in CORNERS:
        dot = np.asarray(dots(1024, 40, place)) > 0
        assert np.abs(before.astype(int) - after)[dot].mean() > 5


def test_a_stopped_run_gives_its_finished_regions(pipeline):
    heard = {"kept": [], "notes": [], "measured": {}, "regions": []}

    def stop(share):
        if share > 0.6:
            raise InterruptedError
    image = Image.new("RGB", (256, 256), "teal")
    with pytest.raises(InterruptedError):
        models.inpaint(pipeline, REQUEST, image, dots(256, 20, (40, 40), (210, 40), (40, 210), (210, 210)), stop,
                       heard["kept"].append, on_note=heard["notes"].append, on_measured=heard["measured"].update,
                       on_region=lambda finished, *_: heard["regions"].append(np.asarray(finished)))
    kept, = heard["kept"]
    assert len(kept.regions) == 2
    assert heard["measured"]["Soft inpainting regions"] == "2 of 4"
    np.testing.assert_array_equal(kept.composited(kept.settings), heard["regions"][-1])


def test_progress_goes_over_all_regions_and_each_one_is_reported(made):
    _, result, heard = made
    assert heard["steps"] == pytest.approx([number / 12 for number in range(1, 13)])
    assert [(done, count) for _, done, count in heard["regions"]] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    np.testing.assert_array_equal(heard["regions"][-1][0], np.asarray(result))
    first = np.asarray(heard["regions"][0][0]) != np.asarray(made[0])
    assert first[:200, :200].any()
    assert not first[:, 300:].any()
    assert heard["measured"]["Soft inpainting regions"] == "4"
    assert heard["notes"] == []


def test_a_region_is_inpainted_with_its_own_prompt_and_the_next_seed(pipeline, made):
    image, _, heard = made
    after_first, after_second = (Image.fromarray(heard["regions"][number][0]) for number in (0, 1))
    alone = replace(REQUEST, prompt="an orange tree", seed=4, inpaint_area=ONLY_MASKED, settings=Settings(enabled=True))
    again = models.inpaint(pipeline, alone, after_first, dots(1024, 40, CORNERS[1]))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(after_second))
    other = models.inpaint(pipeline, replace(alone, prompt="a red house"), after_first, dots(1024, 40, CORNERS[1]))
    assert (np.asarray(other) != np.asarray(again)).any()


def test_the_infotext_reproduces_the_image(pipeline, made):
    image, result, heard = made
    text = models.infotext_of(REQUEST, Size.of(image), None, measured=heard["measured"])
    request, notes = from_infotext(infotext.parse(text))
    assert notes == []
    assert (request.settings.regions_one_by_one, request.prompt) == (True, REQUEST.prompt)
    assert "Inpaint area: Only masked, Masked area padding: 16" in text
    assert "Soft inpainting regions: 4" in text
    again = models.inpaint(pipeline, request, image, dots(1024, 40, *CORNERS))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(result))


def test_a_kept_result_is_re_composited_region_over_region(made, tmp_path):
    _, result, heard = made
    kept, = heard["kept"]
    np.testing.assert_array_equal(kept.composited(kept.settings), np.asarray(result))
    other = kept.settings_with({"least_opacity": 0.0, "difference_threshold": 8.0})
    shown = kept.composited(other)
    below = kept.regions[0].sampled.original
    for x, y in CORNERS:
        place = np.s_[y - 40:y + 40, x - 40:x + 40]
        assert np.abs(shown.astype(int) - below)[place].sum() < np.abs(np.asarray(result).astype(int) - below)[place].sum()
    job_file.save(kept, tmp_path / "job.npz")
    back = job_file.load(tmp_path / "job.npz")
    assert len(back.regions) == 4
    for settings in (kept.settings, other):
        np.testing.assert_array_equal(back.composited(settings), kept.composited(settings))
    assert 0 <= kept.blend_score(kept.settings) <= min(
        dataclasses.replace(each, before=None).blend_score(kept.settings) for each in kept.regions)


def test_krita_shows_the_exported_layers_as_the_result(made, tmp_path):
    _, result, heard = made
    kept, = heard["kept"]
    (tmp_path / "four.ora").write_bytes(export.files_of(kept, kept.settings)["layers.ora"])
    assert np.abs(in_krita(tmp_path, tmp_path / "four.ora") - np.asarray(result)).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_overlapping_feathers_lose_nothing(pipeline, mode):
    """Two strokes, 10 pixels apart: both are painted, and the layers of both give the result."""
    image = Image.effect_mandelbrot((256, 256), (-2, -1.4, 1, 1.4), 60).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L"))
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rectangle((60, 60, 120, 180), fill=255)
    ImageDraw.Draw(mask).rectangle((131, 60, 190, 180), fill=255)
    kept = []
    result = np.asarray(models.inpaint(pipeline, replace(REQUEST, mask_blur=16), image, mask, keep=kept.append))
    first, second = kept[0].regions
    assert ((first.sampled.repaint_px > 0) & (second.sampled.repaint_px > 0)).any()
    before = np.asarray(image)
    union = np.maximum(first.sampled.repaint_px, second.sampled.repaint_px)
    assert (before == result)[union == 0].all()
    for region in (first, second):
        assert np.abs(before.astype(int) - result)[region.painted.strengths == 1].mean() > 5
    shown = image.convert("RGBA")
    for layer in layers.layers(kept[0], kept[0].settings):
        shown = Image.alpha_composite(shown, Image.fromarray(layer))
    difference = np.abs(np.asarray(shown.convert(mode)).astype(int) - result)
    visible = np.asarray(shown)[..., 3] >= 128
    assert difference[visible].max() <= 2  # Pillow rounds each layer to 8 bits


def test_inpaint_not_masked_splits_what_is_repainted(pipeline):
    image = Image.effect_mandelbrot((256, 256), (-2, -1.4, 1, 1.4), 60).convert("RGB")
    inverted = Image.eval(dots(256, 20, (50, 50), (200, 200)), lambda level: 255 - level)
    kept = []
    models.inpaint(pipeline, replace(REQUEST, mask_mode="Inpaint not masked"), image, inverted, keep=kept.append)
    assert [each.painted.strengths[50, 50] for each in kept[0].regions] == [1, 0]


def test_one_region_equals_only_masked(pipeline):
    image = Image.effect_mandelbrot((256, 256), (-2, -1.4, 1, 1.4), 60).convert("RGB")
    mask = dots(256, 30, (128, 128))
    one = models.inpaint(pipeline, replace(REQUEST, prompt="a pine"), image, mask)
    plain = models.inpaint(pipeline, replace(REQUEST, prompt="a pine", inpaint_area=ONLY_MASKED,
                                             settings=Settings(enabled=True)), image, mask)
    np.testing.assert_array_equal(np.asarray(one), np.asarray(plain))


def test_soft_inpaint_takes_the_setting_and_a_pipeline_refuses_it(pipeline):
    image, mask = Image.new("RGB", (128, 128), "green"), dots(128, 10, (30, 30), (100, 100))
    result = soft_inpaint(image, mask, "a moon", settings=SETTINGS, steps=1, seed=1)
    assert (np.asarray(result) != np.asarray(image)).any()
    with pytest.raises(ValueError, match="^a pipeline inpaints its mask as a whole, got settings with regions_one_by_one"):
        SoftInpaintPipeline(**pipeline.components)("a moon", image, mask, settings=SETTINGS)


def test_an_empty_mask_raises_the_usual_sentence(pipeline):
    with pytest.raises(ValueError, match="^mask_image must have a pixel to repaint, got an empty mask$"):
        models.inpaint(pipeline, REQUEST, Image.new("RGB", (64, 64)), Image.new("L", (64, 64)))
