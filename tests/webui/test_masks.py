"""How masks are shaped, and what grey means, through the host."""
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

from tests.webui.host import drawn_disc, drawn_picture
from tests.webui.test_requests import same, soft_keys

pytestmark = pytest.mark.usefixtures("clean_log")

PICTURE, RADIUS = drawn_picture(), 24
MASK = drawn_disc(radius=RADIUS)
DISTANCE = distance_transform_edt(np.asarray(MASK) == 0)
WIDE = {"inpainting_fill": 2, "denoising_strength": 1, "steps": 6}


def changed(result):
    return (result.pictures[0] != np.asarray(PICTURE)).any(-1)


@pytest.mark.parametrize(("settings", "reach"), [
    ({"feather_source": "own", "feather_width": 20, "edge_taper_px": 0}, 20),
    ({"feather_source": "own", "feather_width": 40, "feather_unit": "% of the mask", "edge_taper_px": 0},
     0.4 * np.pi ** 0.5 * RADIUS),
    ({"feather_source": "own", "feather_width": 10, "grow_px": 12, "edge_taper_px": 0}, 22),
    ({"grow_px": 12, "edge_taper_px": 0}, 12 + 2.4 * 4),
    ({"grow_px": -12, "edge_taper_px": 0}, -12 + 2.4 * 4)])
@pytest.mark.parametrize("only_masked", [False, True])
def test_the_feather_reaches_as_far_as_it_is_told(webui, settings, reach, only_masked):
    result = webui.inpaint(PICTURE, MASK, [settings], inpaint_full_res=only_masked, **WIDE)
    inside = np.where(DISTANCE > 0, DISTANCE, -distance_transform_edt(np.asarray(MASK) == 255))
    assert not changed(result)[inside > reach + 1.5].any()
    assert changed(result)[(inside < reach - 4) & (inside > reach - 8)].mean() > 0.5


def test_a_feather_of_ones_own_does_not_follow_the_blur(webui):
    own = [{"feather_source": "own", "feather_width": 20}]
    one, other = (webui.inpaint(PICTURE, MASK, own, mask_blur=blur) for blur in (0, 48))
    assert same(one, other)
    assert "Mask blur: 48" in other.infotexts[0]
    assert soft_keys(one.infotexts[0])["feather width"] == "20"


def test_the_hosts_blur_gets_the_grown_mask(webui):
    narrow, wide = (changed(webui.inpaint(PICTURE, MASK, [{"feather_source": "host", "grow_px": grow}], **WIDE))
                    for grow in (0, 16))
    assert wide.sum() > 1.5 * narrow.sum()
    assert wide[(DISTANCE > 0) & (DISTANCE < 8)].mean() > 0.9


@pytest.mark.parametrize("mix", [0, 0.5, 1])
@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M", "DDIM", "UniPC", "PLMS"])
def test_grey_paint_repaints_by_its_strength_at_any_threshold_mix(webui, sampler, mix):
    stripes = np.zeros(np.asarray(MASK).shape, np.uint8)
    for number, grey in enumerate((64, 128, 192, 255)):
        stripes[64:192, 32 + 48 * number:80 + 48 * number] = grey
    result = webui.inpaint(PICTURE, Image.fromarray(stripes), sampler_name=sampler, steps=12, denoising_strength=0.9,
                           mask_blur=0, soft=[{"threshold_mix": mix, "preservation_strength": 1, "edge_taper_px": 0}])
    change = np.abs(result.pictures[0].astype(int) - np.asarray(PICTURE)).mean(-1)
    strengths = [change[stripes == grey].mean() for grey in (64, 128, 192, 255)]
    assert not change[stripes == 0].any()
    assert strengths[0] < 0.7 * strengths[3], strengths
    assert strengths[1] < strengths[3], strengths
    assert soft_keys(result.infotexts[0])["threshold mix"] == str(mix)


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"denoising_strength": 0.05}, "Denoising strength 0.05 changes next to nothing"),
    ({"inpainting_fill": 2, "denoising_strength": 0.5}, "Masked content latent noise needs a denoising strength of 0.7"),
    ({"width": 384}, "Width and height 384x256 stretch the picture, which is 256x256."),
    ({"inpaint_full_res": True, "inpaint_full_res_padding": 0, "denoising_strength": 0.9}, "Only masked with a padding of 0")])
def test_what_is_likely_to_disappoint_is_said_under_the_picture(webui, fields, sentence):
    result = webui.inpaint(PICTURE, MASK, [True], steps=2, **fields)
    assert sentence in webui.get("/companion/witness")["comments"]
    assert sentence not in result.infotexts[0]


def test_an_empty_mask_is_said_to_be_empty(webui):
    webui.inpaint(PICTURE, Image.new("L", PICTURE.size), [True], steps=2)
    assert "The mask is empty: nothing is inpainted." in webui.get("/companion/witness")["comments"]
