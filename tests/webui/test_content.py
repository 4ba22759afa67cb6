"""Masked content of our own, extra noise and mask tools through the host."""
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_fill_holes, distance_transform_edt

from lib_softinpaint.method.cielab import lab
from tests.tolerances import default_reach
from tests.webui.host import drawn_disc, drawn_image, encoded
from tests.webui.test_requests import same, soft_keys

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, MASK = drawn_image(), drawn_disc()
PAINTED = np.asarray(MASK) == 255
FAR = distance_transform_edt(~PAINTED) > default_reach(4) + 1
CONTENTS = {"own_masked_content": "local fill"}, {"own_masked_content": "recolour"}, {"extra_noise": 0.5}


def change(one, other):
    return np.abs(one.images[0].astype(int) - other.images[0])


@pytest.mark.parametrize("changes", CONTENTS)
@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
def test_content_of_our_own_changes_only_what_is_painted(webui, changes, only_masked, sampler):
    fields = {"sampler_name": sampler, "inpaint_full_res": only_masked, "denoising_strength": 0.6}
    plain, ours = (webui.inpaint(IMAGE, MASK, [settings], **fields) for settings in ({}, changes))
    assert change(plain, ours)[PAINTED].mean() > 1
    assert (ours.images[0] == np.asarray(IMAGE))[FAR].all()
    (name, value), = changes.items()
    assert soft_keys(ours.infotexts[0])[name.replace("_", " ")] == str(value)
    assert name.replace("_", " ") not in soft_keys(plain.infotexts[0])
    assert same(webui.inpaint(IMAGE, MASK, [{}], **fields), plain)  # nothing of it is left behind


def test_our_content_stands_in_for_the_hosts(webui):
    by_default, by_fill = (webui.inpaint(IMAGE, MASK, [CONTENTS[0]], inpainting_fill=number) for number in (1, 0))
    assert same(by_default, by_fill)
    assert "Masked content" not in by_fill.infotexts[0]
    webui.inpaint(IMAGE, MASK, [CONTENTS[0]], inpainting_fill=2, denoising_strength=0.5, steps=1)
    assert "latent noise" not in webui.get("/companion/witness")["comments"]


def test_recolour_starts_from_greys(webui):
    """With so little noise, the image is hardly more than what was encoded."""
    fields = {"denoising_strength": 0.2, "steps": 10}
    original, grey = (webui.inpaint(IMAGE, MASK, [settings], **fields) for settings in ({}, CONTENTS[1]))
    chroma = [np.hypot(*lab(each.images[0]).numpy()[1:])[PAINTED].mean() for each in (original, grey)]
    lightness = [lab(each.images[0]).numpy()[0][PAINTED].mean() for each in (original, grey)]
    assert chroma[1] < 0.7 * chroma[0]
    assert abs(lightness[0] - lightness[1]) < 8


@pytest.mark.parametrize("changes", CONTENTS)
def test_a_batch_and_a_count_equal_their_singles(webui, changes):
    together = webui.inpaint(IMAGE, MASK, [changes], batch_size=2, n_iter=2)
    for number, image in enumerate(together.images):
        single = webui.inpaint(IMAGE, MASK, [changes], seed=1 + number).images[0]
        assert np.abs(image.astype(int) - single)[PAINTED].mean() < 3, number


def test_no_step_is_skipped_with_content_of_our_own(webui):
    grey = Image.fromarray(np.asarray(MASK) // 2)
    for changes in CONTENTS:
        webui.inpaint(IMAGE, grey, [{"threshold_mix": 1, **changes}], sampler_name="Euler", mask_blur=0, steps=16)
        assert "steps were skipped" not in webui.get("/companion/witness")["comments"]


# Mask tools

def test_tools_edit_what_is_painted(webui):
    ring = np.asarray(MASK).copy()
    ring[np.hypot(*(np.mgrid[:256, :256] - 128)) < 16] = 0
    ring[20:23, 20:23] = 255
    tools = "fill holes, drop specks 8"
    edited = webui.inpaint(IMAGE, Image.fromarray(ring), [{"mask_tools": tools}])
    assert binary_fill_holes(ring[30:] > 0).sum() == PAINTED.sum()
    assert same(edited, webui.inpaint(IMAGE, MASK, [{}]))
    assert f'Soft inpainting mask tools: "{tools}"' in edited.infotexts[0]
    # Inpaint not masked inverts what the tools leave.
    assert same(webui.inpaint(IMAGE, Image.fromarray(ring), [{"mask_tools": tools}], inpainting_mask_invert=1),
                webui.inpaint(IMAGE, MASK, [{}], inpainting_mask_invert=1))


@pytest.mark.parametrize("mask", [None, Image.new("L", IMAGE.size)])
@pytest.mark.parametrize("tools", ["colour #fa00fa 5", "luminance 58-60, drop specks 20"])
def test_a_mask_is_made_from_the_image_if_nothing_is_painted(webui, mask, tools):
    image = np.asarray(IMAGE).copy()
    image[PAINTED] = 250, 0, 250
    if "luminance" in tools:
        image[~PAINTED] //= 3
    image = Image.fromarray(image)
    by_tools, by_mask = (webui.inpaint(image, sent, [{"mask_tools": text}], inpaint_full_res=False)
                         for sent, text in ((mask, tools), (MASK, "")))
    assert same(by_tools, by_mask)
    painted = webui.inpaint(image, drawn_disc(radius=20, x=0.3), [{"mask_tools": tools.split(",")[0]}])
    assert same(painted, webui.inpaint(image, drawn_disc(radius=20, x=0.3), [{}]))


def test_the_images_transparency_is_a_mask(webui):
    image = IMAGE.convert("RGBA")
    image.putalpha(Image.fromarray(255 - np.asarray(MASK)))
    made = webui.inpaint(image, None, [{"mask_tools": "transparency"}])
    assert same(made, webui.inpaint(image, MASK, [{}]))
    assert (made.images[0] == np.asarray(IMAGE))[FAR].all()


@pytest.mark.parametrize(("tools", "sentence"), [
    ("smoth 4", "Soft inpainting was skipped: Mask tools must be steps such as"),
    ("fill holes, transparency", "Mask tools may name one of transparency, luminance, colour, and only as the first step")])
def test_tools_that_cannot_be_read_give_normal_inpainting_and_a_note(webui, tools, sentence):
    result = webui.inpaint(IMAGE, MASK, [{"mask_tools": tools}])
    assert sentence in result.infotexts[0]
    assert same(result, webui.inpaint(IMAGE, MASK))


def test_a_mask_image_is_edited_too(webui):
    blank = Image.new("L", IMAGE.size)
    assert same(webui.inpaint(IMAGE, blank, [{"mask_image": encoded(MASK), "mask_tools": "grow 20 %"}]),
                webui.inpaint(IMAGE, MASK, [{"mask_tools": "grow 20 %"}]))
