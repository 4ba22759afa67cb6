"""Soft inpainting with the extensions that people combine it with, in the versions that SOFTINPAINT_EXTENSIONS holds."""
import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.method.mask import Canvas, repaint_mask
from lib_softinpaint.settings.settings import Settings
from tests.tolerances import default_reach
from tests.webui import checkpoints, extensions
from tests.webui.family import AUTOMATIC1111, NEO
from tests.webui.host import WebUI, drawn_disc, drawn_image
from tests.webui.test_requests import same, soft_keys
from tests.webui.test_runs import assert_inpainted, outside_of
from training.scenes import HELD_OUT, Scene

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, MASK = drawn_image(), drawn_disc()


DETECTOR = "mediapipe_face_full"
TABS = {"ad_max_models": 2}
"""Without it, Forge Classic's API gives the scripts after ADetailer wrong arguments, also without this extension."""


@pytest.fixture(scope="module")
def webui(member):
    """A WebUI with all three, because people have them installed together. Forge and its kin have their own ControlNet, and
    Forge Neo has a fork of ADetailer, because ADetailer itself does not start there."""
    others = [extensions.ADETAILER_NEO if member.name == NEO else extensions.ADETAILER, extensions.ULTIMATE_UPSCALE]
    if member.name == AUTOMATIC1111:
        others.append(extensions.CONTROLNET)
    for name in others:
        extensions.checkout(name)
    flags = "--controlnet-dir", str(checkpoints.controlnet().parent), "--ad-no-huggingface"
    detector = {f"models/adetailer/{DETECTOR}.tflite": ""}  # the fork lists files only
    with WebUI(member, "extensions", flags, detector, options=TABS, others=tuple(others)) as running:
        running.inpaint(IMAGE, MASK, [True])  # the first image after a start may differ
        yield running


IN_MASK, IN_FEATHER, APART = [112, 112, 144, 144], [168, 120, 178, 136], [20, 180, 60, 220]
"""Boxes (left, top, right, bottom) in MASK, beyond its edge, and far from it."""


def detailed(webui, boxes, soft, mask=MASK, **fields):
    """A run in which ADetailer finds these boxes, and what its inner runs were."""
    webui.post("/companion/boxes", boxes)
    model = {"ad_model": f"{DETECTOR}.tflite" if webui.host.name == NEO else DETECTOR}
    result = webui.inpaint(IMAGE, mask, soft, others={"ADetailer": [True, False, model]}, **fields)
    return result, webui.get("/companion/detailed")


def box_mask(box):
    mask = Image.new("L", IMAGE.size)
    ImageDraw.Draw(mask).rectangle(tuple(box), fill=255)
    return mask


def difference(one, other):
    """(H, W) levels of 255."""
    return np.abs(one.astype(int) - other).max(-1)


@pytest.mark.parametrize("batches", [1, 2])
def test_adetailers_inner_runs_are_soft_and_stay_inside_the_outer_mask(webui, batches):
    fields = dict(batch_size=batches, n_iter=batches)
    result, inner = detailed(webui, [IN_MASK], [True], **fields)
    plain = webui.inpaint(IMAGE, MASK, [True], **fields)
    assert len(result.images) == len(inner) == batches ** 2
    assert all(run["soft"] and run["mask_is_unchanged"] for run in inner)
    reach = outside_of(box_mask(IN_MASK).filter(ImageFilter.MaxFilter(5)), padding=32)  # ADetailer dilates by 4 pixels
    for with_detail, without in zip(result.images, plain.images):
        assert_inpainted(with_detail, IMAGE, MASK)
        assert difference(with_detail, without)[112:145, 112:145].mean() > 1
        assert difference(with_detail, without)[reach].max() <= webui.rounding
    assert soft_keys(result.infotexts[-1]) == soft_keys(plain.infotexts[-1])
    assert f"ADetailer model: {DETECTOR}" in result.infotexts[-1]
    painted = [text.split("painted mask: ")[1].split(",")[0] for text in (result.infotexts[0], plain.infotexts[0])]
    assert painted[0] == painted[1]


@pytest.mark.parametrize(("boxes", "inner_runs"), [([IN_FEATHER], 0), ([APART], 0), ([IN_MASK, IN_FEATHER], 1)])
def test_adetailer_compares_its_boxes_with_the_mask_as_painted(webui, boxes, inner_runs):
    """It leaves out what lies outside the mask, and its fork only with *Only masked*. Our feather must not count as mask."""
    _, inner = detailed(webui, boxes, [True], inpaint_full_res=webui.host.name == NEO)
    assert len(inner) == inner_runs


def test_adetailer_without_soft_inpainting_has_ordinary_inner_runs(webui):
    absent, inner = detailed(webui, [IN_MASK], None)
    off, inner_of_off = detailed(webui, [IN_MASK], [False])
    assert [run["soft"] for run in (*inner, *inner_of_off)] == [False, False]
    assert same(absent, off)
    assert "Soft inpainting" not in absent.infotexts[0]


def test_adetailer_details_softly_without_an_outer_mask(webui):
    result, inner = detailed(webui, [APART], [True], mask=None)
    plain = webui.inpaint(IMAGE, None, [True])
    assert [run["soft"] for run in inner] == [True]
    changed = difference(result.images[0], plain.images[0])
    apart = distance_transform_edt(np.asarray(box_mask(APART)) == 0)
    assert changed[apart == 0].mean() > 3
    assert changed[apart > default_reach(4, 32) + 2].max() == 0  # ADetailer dilates by 2 to each side
    assert "Soft inpainting" not in result.infotexts[0]


def test_adetailer_details_the_first_region_only(webui):
    """Boxes are places in the region's crop, so ADetailer must not compare them with the mask. Its fork does."""
    box = IN_MASK if webui.host.name != NEO else [40, 112, 88, 144]
    mask = ImageChops.lighter(drawn_disc(radius=20, x=0.25), drawn_disc(radius=20, x=0.75))
    settings = [{"regions_one_by_one": True}]
    result, inner = detailed(webui, [box], settings, mask=mask, inpaint_full_res_padding=16)
    plain = webui.inpaint(IMAGE, mask, settings, inpaint_full_res_padding=16)
    assert [run["soft"] for run in inner] == [True]
    assert_inpainted(result.images[0], IMAGE, mask, outside_of(mask, padding=16))
    assert difference(result.images[0], plain.images[0])[:, :128].max() > 0


CONTROL_MODULES = "inpaint_only", "inpaint_global_harmonious"


def controlled(webui, module, soft, mask=MASK, weight=1, **fields):
    """A run with ControlNet, and what its unit saw: (C, H, W), image and mask, 0 to 1."""
    model = next(name for name in webui.get("/controlnet/model_list?update=true")["model_list"] if name != "None")
    unit = {"enabled": True, "module": module, "model": model,
            "weight": weight, "pixel_perfect": True}
    webui.get("/companion/controls")
    result = webui.inpaint(IMAGE, mask, soft, others={"ControlNet": [unit]}, **fields)
    controls = webui.get("/companion/controls")
    seen = [np.load(io.BytesIO(base64.b64decode(array)))[0] for array in controls["seen"]]
    return result, seen, controls["samplings"]


PLAIN = {"edge_awareness": 0, "seam_search": 0, "feather_source": "own", "feather_width": 24}
"""Settings whose mask depends on nothing but what was painted."""


@pytest.mark.parametrize("module", CONTROL_MODULES)
@pytest.mark.parametrize("only_masked", [False, True])
def test_controlnet_sees_the_crop_and_the_mask_that_we_use(webui, module, only_masked):
    result, (seen, *more), (sampling,) = controlled(webui, module, [PLAIN], inpaint_full_res=only_masked, mask_blur=8)
    assert not more
    settings, padding = Settings(enabled=True, **PLAIN), 32 if only_masked else None
    expected = Image.fromarray((255 * repaint_mask(np.asarray(MASK) / 255, settings, Canvas(8, padding))).astype(np.uint8))
    left, top, width, height = sampling["crop"] or (0, 0, *IMAGE.size)
    crop = (left, top, left + width, top + height)
    image, mask = (np.asarray(whole.crop(crop).resize(IMAGE.size, Image.Resampling.LANCZOS)) for whole in (IMAGE, expected))
    assert np.abs(255 * seen[:3].transpose(1, 2, 0) - image).mean() < 2
    assert ((seen[3] > 0.5) != (mask > 127)).mean() < 0.01
    assert (seen[3] > 0.5).mean() > 1.2 * (np.asarray(MASK.crop(crop)) > 127).mean()
    assert_inpainted(result.images[0], IMAGE, MASK, outside_of(MASK, 24, padding))


@pytest.mark.parametrize("batches", [1, 2])
def test_controlnet_works_on_each_region_of_each_batch(webui, batches):
    mask = ImageChops.lighter(drawn_disc(radius=20, x=0.25), drawn_disc(radius=20, x=0.75))
    one_by_one = [{"regions_one_by_one": True}]
    request = dict(mask=mask, n_iter=batches, inpaint_full_res_padding=16, steps=4)
    result, seen, samplings = controlled(webui, "inpaint_global_harmonious", one_by_one, **request)
    assert len(samplings) == len(seen) == 2 * batches
    assert len({sampling["calls"] for sampling in samplings}) == 1
    assert samplings[0]["calls"] > 0
    for image in result.images[:batches]:
        assert_inpainted(image, IMAGE, mask, outside_of(mask, padding=16))
    # With weight 0 it changes nothing, unless a nested run would sample for the host's own run.
    idle, _, _ = controlled(webui, "inpaint_global_harmonious", one_by_one, weight=0, **request)
    for image, without in zip(idle.images, webui.inpaint(IMAGE, soft=one_by_one, **request).images):
        assert difference(image, without).max() <= webui.rounding


TILE, UPSCALE_PADDING, UPSCALE_BLUR = 256, 64, 8
LINEAR, CHESS = 0, 1
NO_FIX, BAND, INTERSECTIONS = 0, 1, 3
"""Ultimate SD Upscale's orders of tiles, and its ways to fix seams between them."""


def upscaled(webui, soft, order, fix):
    """The bundled model's scene in twice its size, in four tiles: the tiled image and, with a fix, the fixed one."""
    image = Image.fromarray(Scene.from_seed(HELD_OUT + 11).draw(TILE))
    arguments = [None, TILE, TILE, UPSCALE_BLUR, UPSCALE_PADDING, 64, 0.35, 32, 0, False, order, False, UPSCALE_BLUR, fix, 2,
                 2 * TILE, 2 * TILE, 2]
    return image, webui.inpaint(image, None, soft, script_name="ultimate sd upscale", script_args=arguments, prompt="",
                                cfg_scale=1, denoising_strength=0.35, steps=8)


def worst_edge(image, near=32):
    """Largest mean step, in levels, between neighbouring rows or columns near the edge of two tiles."""
    grey = image.astype(float).mean(-1)
    return max(np.abs(np.diff(grey, axis=axis)).mean(1 - axis)[TILE - near:TILE + near].max() for axis in (0, 1))


@pytest.mark.parametrize(("order", "fix"), [(LINEAR, NO_FIX), (CHESS, NO_FIX), (LINEAR, BAND), (LINEAR, INTERSECTIONS)])
def test_ultimate_upscale_repaints_each_tile_with_no_more_visible_seams(webui, order, fix):
    image, soft = upscaled(webui, [True], order, fix)
    _, plain = upscaled(webui, None, order, fix)
    assert len(soft.images) == len(plain.images) == 1 + (fix != NO_FIX)
    large = np.asarray(image.resize((2 * TILE, 2 * TILE), Image.Resampling.LANCZOS)).astype(float)
    for ours, theirs in zip(soft.images, plain.images):
        assert ours.shape == (2 * TILE, 2 * TILE, 3)
        changes = [np.abs(made - large).mean(-1).reshape(2, TILE, 2, TILE).mean((1, 3)) for made in (ours, theirs)]
        assert changes[0].min() > 2
        assert (changes[0] < 1.5 * changes[1] + 5).all()
        assert worst_edge(ours) < 1.1 * worst_edge(theirs) + 1
    assert "Soft inpainting enabled: True" in soft.infotexts[0]
    assert "Ultimate SD upscale" in soft.infotexts[0]
