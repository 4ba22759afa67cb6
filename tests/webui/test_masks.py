"""Mask shapes and grey strengths through the host."""
import base64
import hashlib
import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.geometry import Size
from lib_softinpaint.images.read import as_original
from lib_softinpaint.method.mask import resized
from tests.test_image_files import grey_profile
from tests.tolerances import default_reach
from tests.webui.family import CLASSIC
from tests.webui.host import drawn_disc, drawn_image, encoded
from tests.webui.test_requests import same, soft_keys

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, RADIUS = drawn_image(), 24
MASK = drawn_disc(radius=RADIUS)
PADDING = 32
HOW = {0: "stretch", 1: "cover", 2: "contain"}
DISTANCE = distance_transform_edt(np.asarray(MASK) == 0)
WIDE = {"inpainting_fill": 2, "denoising_strength": 1, "steps": 6}


def changed(result):
    return (result.images[0] != np.asarray(IMAGE)).any(-1)


STRAIGHT = {"edge_awareness": 0, "seam_search": 0}


@pytest.mark.parametrize(("settings", "reach"), [
    ({"feather_source": "own", "feather_width": 20, "edge_taper_px": 0}, 20),
    ({"feather_source": "own", "feather_width": 40, "feather_unit": "% of the mask", "edge_taper_px": 0},
     0.4 * np.pi ** 0.5 * RADIUS),
    ({"feather_source": "own", "feather_width": 10, "grow_px": 12, "edge_taper_px": 0}, 22),
    ({"feather_source": "Mask blur", "grow_px": 12, "edge_taper_px": 0}, 12 + 2.4 * 4),
    ({"feather_source": "Mask blur", "grow_px": -12, "edge_taper_px": 0}, -12 + 2.4 * 4)])
@pytest.mark.parametrize("only_masked", [False, True])
def test_the_feather_has_the_reach_of_its_settings(webui, settings, reach, only_masked):
    result = webui.inpaint(IMAGE, MASK, [{**STRAIGHT, **settings}], inpaint_full_res=only_masked, **WIDE)
    inside = np.where(DISTANCE > 0, DISTANCE, -distance_transform_edt(np.asarray(MASK) == 255))
    assert not changed(result)[inside > reach + 1.5].any()
    assert changed(result)[(inside < reach - 4) & (inside > reach - 8)].mean() > 0.5


def test_an_automatic_feather_spans_four_latent_pixels_and_less_in_a_crop(webui):
    """The crop of 112 pixels is generated at 256, so its latent pixels are 3.5 pixels wide."""
    for only_masked, reach in ((False, 4 * 8), (True, 4 * 3.5)):
        result = webui.inpaint(IMAGE, MASK, [{**STRAIGHT, "edge_taper_px": 0}], inpaint_full_res=only_masked,
                               inpaint_full_res_padding=32, **WIDE)
        assert not changed(result)[reach + 1.5 < DISTANCE].any()
        assert changed(result)[(reach - 4 > DISTANCE) & (reach - 8 < DISTANCE)].mean() > 0.5


def test_edge_awareness_keeps_the_feather_out_of_neighbours(webui):
    image = np.full((256, 256, 3), 120, np.uint8)
    image[100:156, 160:200] = 220, 60, 40
    neighbour = np.s_[104:152, 164:196]
    changes = {}
    for awareness in (0, 1):
        settings = {"edge_awareness": awareness, "seam_search": 0}
        result = webui.inpaint(Image.fromarray(image), MASK, [settings], mask_blur=16, **WIDE)
        changes[awareness] = (result.images[0] != image).any(-1)
    assert changes[0][neighbour].mean() > 0.2
    assert changes[1][neighbour].mean() < 0.01
    left = np.s_[:, :120]
    assert changes[1][left].mean() > 0.9 * changes[0][left].mean()


@pytest.mark.parametrize("only_masked", [False, True])
def test_seam_search_cuts_in_the_feather_and_the_mask_shows_it(webui, only_masked):
    found = {}
    for search in (0, 0.5, 1):
        result = webui.inpaint(IMAGE, MASK, [{"seam_search": search}], mask_blur=16, inpaint_full_res=only_masked, **WIDE,
                               options={"return_mask": True})
        found[search] = result.images[0].astype(int), result.images[1][..., 0].astype(int)
        assert soft_keys(result.infotexts[0])["seam search"] == str(search)
    core, outside = np.asarray(MASK) == 255, DISTANCE > 2.4 * 16
    feather = ~core & ~outside
    for image, mask in found.values():
        assert (image[outside] == np.asarray(IMAGE)[outside]).all()
        assert (image[core] == found[0][0][core]).all()
        assert (mask[core] == found[0][1][core]).all()
    for number in (0, 1):  # the image and the saved mask
        assert np.abs(found[1][number] - found[0][number])[feather].mean() > 0.1
    assert np.abs(found[0.5][1] - (found[0][1] + found[1][1]) / 2).max() <= 1


def test_an_own_feather_does_not_follow_the_blur(webui):
    own = [{"feather_source": "own", "feather_width": 20}]
    one, other = (webui.inpaint(IMAGE, MASK, own, mask_blur=blur) for blur in (0, 48))
    assert same(one, other)
    assert "Mask blur: 48" in other.infotexts[0]
    assert soft_keys(one.infotexts[0])["feather width"] == "20"


def test_the_hosts_blur_gets_the_grown_mask(webui):
    narrow, wide = (changed(webui.inpaint(IMAGE, MASK, [{"feather_source": "host", "grow_px": grow}], **WIDE))
                    for grow in (0, 16))
    assert wide.sum() > 1.5 * narrow.sum()
    assert wide[(DISTANCE > 0) & (DISTANCE < 8)].mean() > 0.9


@pytest.mark.parametrize("mix", [0, 0.5, 1])
@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DDIM", "UniPC", "PLMS"])
def test_grey_paint_repaints_by_its_strength_at_any_threshold_mix(webui, sampler, mix):
    stripes = np.zeros(np.asarray(MASK).shape, np.uint8)
    for number, grey in enumerate((64, 128, 192, 255)):
        stripes[64:192, 32 + 48 * number:80 + 48 * number] = grey
    result = webui.inpaint(IMAGE, Image.fromarray(stripes), sampler_name=sampler, steps=12, denoising_strength=0.9,
                           mask_blur=0, soft=[{"threshold_mix": mix, "preservation_strength": 1, "edge_taper_px": 0}])
    change = np.abs(result.images[0].astype(int) - np.asarray(IMAGE)).mean(-1)
    strengths = [change[stripes == grey].mean() for grey in (64, 128, 192, 255)]
    assert not change[stripes == 0].any()
    assert strengths[0] < 0.7 * strengths[3], strengths
    assert strengths[1] < strengths[3], strengths
    assert soft_keys(result.infotexts[0])["threshold mix"] == str(mix)


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"denoising_strength": 0.05}, "Denoising strength 0.05 changes almost nothing"),
    ({"inpainting_fill": 2, "denoising_strength": 0.5}, "Masked content latent noise needs denoising strength 0.7"),
    ({"width": 384}, "Width and height (384x256) stretch the image (256x256)."),
    ({"inpaint_full_res": True, "inpaint_full_res_padding": 0, "denoising_strength": 0.9}, "With padding 0, ")])
def test_likely_problems_are_shown_below_the_image(webui, fields, sentence):
    result = webui.inpaint(IMAGE, MASK, [True], steps=2, **fields)
    assert sentence in webui.get("/companion/witness")["comments"]
    assert sentence not in result.infotexts[0]


@pytest.mark.parametrize(("only_masked", "sentence"), [
    (False, "The mask is empty, so nothing will be inpainted."),
    (True, "The mask is empty, so the WebUI will repaint the whole image.")])
def test_an_empty_mask_is_reported(webui, only_masked, sentence):
    if only_masked and webui.host.name == CLASSIC:
        pytest.skip("Forge Classic itself fails on an empty mask")
    result = webui.inpaint(IMAGE, Image.new("L", IMAGE.size), [True], steps=2, inpaint_full_res=only_masked)
    assert sentence in webui.get("/companion/witness")["comments"]
    assert sentence in result.infotexts[0]


GREY = Image.fromarray(np.asarray(MASK) // 2)


def test_the_mask_image_is_used_if_nothing_is_painted(webui):
    painted = webui.inpaint(IMAGE, MASK, [{"threshold_mix": 0.5}])
    blank, elsewhere = Image.new("L", IMAGE.size), drawn_disc(radius=20, x=0.2, y=0.2)
    for sent in (encoded(MASK), "data:image/png;base64," + encoded(MASK)):
        assert same(webui.inpaint(IMAGE, blank, [{"threshold_mix": 0.5, "mask_image": sent}]), painted)
        named = webui.inpaint(IMAGE, blank, [{"mask_image": sent}], steps=1).infotexts[0]
        assert soft_keys(named)["mask image"] == hashlib.sha256(base64.b64decode(encoded(MASK))).hexdigest()[:10]
    assert "mask image" not in soft_keys(painted.infotexts[0])
    # Detailers paint their own masks and pass our arguments on.
    not_used = webui.inpaint(IMAGE, MASK, [{"threshold_mix": 0.5, "mask_image": encoded(elsewhere)}])
    assert same(not_used, painted)
    assert "mask image" not in soft_keys(not_used.infotexts[0])


def test_the_mask_image_works_without_a_painted_mask(webui):
    fields = {"inpainting_fill": 1, "inpaint_full_res": False}
    assert same(webui.inpaint(IMAGE, None, [{"mask_image": encoded(MASK)}], **fields),
                webui.inpaint(IMAGE, MASK, [{}], **fields))


@pytest.mark.parametrize("size", [(128, 128), (512, 512), (256, 128), (384, 256)])
@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("only_masked", [False, True])
def test_a_mask_of_another_size_is_placed_like_the_hosts_own(webui, only_masked, mode, size):
    """The host resizes it by the resize mode. With Only masked, its crop is elsewhere, so its effect is not comparable."""
    mask = drawn_disc(*size, min(size) // 6)
    placed = np.asarray(Image.fromarray(np.rint(255 * resized(np.asarray(mask, np.float32) / 255, Size(256, 256), HOW[mode]))))
    core = placed == 255
    blurred, cells = 2.4 * 4 * 256 / min(size), 4 * 8 * max(size) / min(size)
    reach = (default_reach(4, PADDING) if only_masked else max(blurred, cells)) + 2
    fields = {"inpaint_full_res": only_masked, "resize_mode": mode}
    placed = Image.fromarray(placed.astype(np.uint8))
    result, other_size, plain = (webui.inpaint(IMAGE, sent, soft, **fields) for sent, soft in (
        (mask, [True]), (placed, [True]), (placed if only_masked else mask, None)))
    change, as_placed, by_host = (np.abs(each.images[0].astype(int) - np.asarray(IMAGE)).mean(-1)
                                  for each in (result, other_size, plain))
    assert not change[distance_transform_edt(np.asarray(placed) == 0) > reach].any()
    assert change[core].mean() > max(20, 0.9 * as_placed[core].mean())
    assert (by_host[core] > 0).mean() > 0.9
    how = "stretched" if mode == 0 and size[0] != size[1] else "resized"
    assert f"The mask ({size[0]}x{size[1]}) was {how} to fit the image (256x256)." in result.infotexts[0]


def test_the_mask_image_can_be_inverted(webui):
    result = webui.inpaint(IMAGE, None, [{"mask_image": encoded(MASK)}], inpainting_mask_invert=1, **WIDE)
    assert not changed(result)[distance_transform_edt(np.asarray(MASK)) > default_reach(4) + 1].any()
    assert changed(result)[DISTANCE > 30].mean() > 0.5


@pytest.mark.parametrize(("sent", "sentence"), [
    ("bm8gcGljdHVyZQ==", "Mask image must be an image as base64"),
    (encoded(drawn_disc(128, 64)), "Mask image must have the aspect ratio of its image, 256x256, got 128x64.")])
def test_an_invalid_mask_image_gives_normal_inpainting_and_a_note(webui, sent, sentence):
    blank = Image.new("L", IMAGE.size)
    result = webui.inpaint(IMAGE, blank, [{"mask_image": sent}])
    assert sentence in result.infotexts[0]
    assert same(result, webui.inpaint(IMAGE, blank))


def test_16_bit_and_alpha_masks_repaint_by_their_strength(webui):
    """The host would clip 16-bit values at 255. The mask of its own canvas is in the alpha channel."""
    grey = [{"threshold_mix": 0, "mask_image": ""}]
    wanted = webui.inpaint(IMAGE, GREY, grey)
    deep = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
    alpha = Image.new("RGBA", IMAGE.size, (200, 0, 0, 0))
    alpha.putalpha(GREY)
    for mask in (deep, alpha):
        assert same(webui.inpaint(IMAGE, mask, grey), wanted)
        assert same(webui.inpaint(IMAGE, None, [{"threshold_mix": 0, "mask_image": encoded(mask)}], inpainting_fill=1,
                                  inpaint_full_res=False), wanted)
    finer = Image.fromarray((np.asarray(GREY).astype(np.uint16) * 257 + 100 * (np.asarray(GREY) > 0)).astype(np.uint16))
    # At most a level of 255 apart, so the rounding that `same` accepts would hide it.
    assert (webui.inpaint(IMAGE, finer, grey).images[0] != wanted.images[0]).any()


@pytest.mark.parametrize(("sampler", "calls_a_step"), [("Euler", 1), ("Heun", 2), ("DPM2", 2)])
def test_locked_steps_are_skipped_without_changing_the_result(webui, sampler, calls_a_step):
    def inpainted(extra_noise):
        webui.get("/companion/stopwatch")
        result = webui.inpaint(IMAGE, GREY, soft, options={"img2img_extra_noise": extra_noise}, **fields)
        return result, webui.get("/companion/stopwatch")["calls"], webui.get("/companion/witness")["comments"]
    fields = {"sampler_name": sampler, "steps": 16, "denoising_strength": 0.9, "mask_blur": 0}
    soft = [{"threshold_mix": 1, "edge_taper_px": 0}]
    shortened, calls, comments = inpainted(0)
    skipped, = re.findall(r"(\d+) of \d+ steps were skipped, because no pixel may change in them yet\.", comments)
    assert "Denoising strength: 0.9" in shortened.infotexts[0]
    whole, all_calls, comments = inpainted(1e-9)  # then no step is skipped
    assert "steps were skipped" not in comments
    webui.inpaint(IMAGE, GREY, options={"img2img_extra_noise": 0}, steps=1)  # the host keeps options between calls
    assert np.abs(shortened.images[0].astype(int) - whole.images[0]).max() <= 1
    assert all_calls - calls == int(skipped) * calls_a_step > 0


@pytest.mark.parametrize(("settings", "fields"), [
    ({"threshold_mix": 0.95}, {}), ({"threshold_mix": 1}, {"sampler_name": "DPM++ 2M"}),
    ({"threshold_mix": 1}, {"sampler_name": "Euler a"}), ({"threshold_mix": 1}, {"inpainting_fill": 0}),
    ({"threshold_mix": 1}, {"prompt": "a [red:blue:0.5] house"}), ({"threshold_mix": 1}, {"s_min_uncond": 1})])
def test_no_step_is_skipped_if_that_would_change_the_result(webui, settings, fields):
    webui.inpaint(IMAGE, GREY, [settings], **{"sampler_name": "Euler", "mask_blur": 0, **fields})
    assert "steps were skipped" not in webui.get("/companion/witness")["comments"]


@pytest.fixture
def inpainting_model(webui):
    webui.post("/sdapi/v1/options", {"sd_model_checkpoint": "softinpaint-inpainting"})
    yield
    webui.post("/sdapi/v1/options", {"sd_model_checkpoint": "softinpaint-scenes"})
    webui.inpaint(IMAGE, MASK, [True])  # the first image after a change may differ


@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
@pytest.mark.parametrize("only_masked", [False, True])
def test_an_inpainting_model_gets_the_mask_soft_or_hard(webui, inpainting_model, sampler, only_masked):
    fields = {"sampler_name": sampler, "inpaint_full_res": only_masked, "mask_blur": 16}
    soft, hard = (webui.inpaint(IMAGE, MASK, [{"conditioning_mask": mask}], **fields) for mask in ("soft", "hard"))
    assert not same(soft, hard)
    assert soft_keys(hard.infotexts[0])["conditioning mask"] == "hard"
    for result in (soft, hard):
        assert not changed(result)[default_reach(16) + 1 < DISTANCE].any()
        assert changed(result)[DISTANCE == 0].mean() > 0.9


def test_conditioning_mask_has_no_effect_on_other_models(webui):
    soft, hard = (webui.inpaint(IMAGE, GREY, [{"conditioning_mask": mask}]) for mask in ("soft", "hard"))
    assert same(soft, hard)


def test_a_noisy_or_compressed_mask_works_like_the_clean_one(webui):
    noise = np.random.default_rng(0).integers(0, 9, np.asarray(MASK).shape)
    noisy = Image.fromarray(np.maximum(np.asarray(MASK), noise).astype(np.uint8))
    stream = io.BytesIO()
    MASK.convert("RGB").save(stream, "JPEG", quality=75)
    for only_masked in (False, True):
        clean = webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=only_masked, steps=4)
        for mask, note in ((noisy, "count as unpainted"), (Image.open(stream), "The mask has noise")):
            result = webui.inpaint(IMAGE, mask, [True], inpaint_full_res=only_masked, steps=4)
            assert same(result, clean)
            assert note in result.infotexts[0]
            assert note in webui.get("/companion/witness")["comments"]


def test_the_result_keeps_the_colour_profile(webui):
    image = drawn_image()
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    result = webui.inpaint(image, MASK, [True])
    assert same(result, webui.inpaint(IMAGE, MASK, [True]))
    assert result.profiles == [image.info["icc_profile"]]


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_a_grey_profile_is_applied(webui, gamma):
    grey = IMAGE.convert("L")
    grey.info["icc_profile"] = grey_profile(gamma)
    result = webui.inpaint(grey, MASK, [True])
    seen = np.asarray(as_original(grey))
    outside = default_reach(4) < DISTANCE
    assert (result.images[0][outside] == seen[outside]).all()
    assert result.profiles == [None]
    assert (np.abs(seen.astype(int) - np.asarray(grey)[..., None]).max() > 40) == (gamma == 1)


def test_an_ignored_gamma_is_noted(webui):
    buffer = io.BytesIO()
    IMAGE.save(buffer, "PNG")
    data = buffer.getvalue()
    chunk = b"gAMA" + struct.pack(">I", 100000)
    body = data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    result = webui.inpaint(body, MASK, [True])
    assert "The image's gamma of 1 was ignored" in result.infotexts[0]
    assert same(result, webui.inpaint(IMAGE, MASK, [True]))


@pytest.mark.parametrize("feather", ["Mask blur", "host"])
@pytest.mark.parametrize("only_masked", [False, True])
def test_overlays_with_a_precise_mask(webui, only_masked, feather):
    option = "img2img_inpaint_precise_mask"
    if option not in webui.get("/sdapi/v1/options"):
        pytest.skip(f"{webui.host} has no such option")
    soft = [{"feather_source": feather}]
    try:
        result = webui.inpaint(IMAGE, MASK, soft, inpaint_full_res=only_masked, options={option: True})
    finally:
        webui.post("/sdapi/v1/options", {option: False})  # the host keeps it between calls
    original, change = np.asarray(IMAGE), np.abs(result.images[0].astype(int) - np.asarray(IMAGE)).mean(-1)
    reach = 2.5 * 4 * 2 ** 0.5 if feather == "host" else 2.4 * 4  # the host blurs with a square kernel
    assert (result.images[0] == original)[reach + 2 < DISTANCE].all()
    assert change[DISTANCE == 0].mean() > 20
    assert soft_keys(result.infotexts[0])["feather source"] == feather
