"""Settings as API clients send them, and the infotext."""
import numpy as np
import pytest

from lib_softinpaint import __version__
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.settings import DRIFT_APPLIED_KEY, PAINTED_KEY
from tests.webui.host import drawn_disc, drawn_image

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, MASK = drawn_image(), drawn_disc()
GUIDE = [0.2, 0.05, 1, 0, 1.25, 1.25]


def soft_keys(text):
    """Settings in the infotext, by key. What was measured and the file of the painted mask are left out."""
    pairs = (pair.split(": ", 1) for pair in text.splitlines()[-1].split(", ") if ": " in pair)
    return {key.removeprefix("Soft inpainting "): value for key, value in pairs
            if key.startswith("Soft inpainting ") and key not in (DRIFT_APPLIED_KEY, PAINTED_KEY)}


def same(one, other):
    """Equal, up to the rounding by which identical requests differ in this host."""
    return len(one.images) == len(other.images) and all(
        np.abs(ours.astype(int) - theirs).max() <= one.rounding for ours, theirs in zip(one.images, other.images))


def test_the_script_is_listed_once_in_the_builtins_place(webui):
    listed = [script for script in webui.get("/sdapi/v1/script-info") if script["name"] == "soft inpainting"]
    assert len(listed) == 1
    assert [argument["label"] for argument in listed[0]["args"]][:7] == [
        "Soft inpainting", "Schedule bias", "Preservation strength", "Transition contrast boost", "Mask influence",
        "Difference threshold", "Difference contrast"]


@pytest.mark.parametrize("args", [[False], [None], [False, 0.2, "nonsense"], [{"enabled": False}], []])
def test_switched_off_equals_absent(webui, args):
    off = webui.inpaint(IMAGE, MASK, args)
    assert same(off, webui.inpaint(IMAGE, MASK))
    assert "Soft inpainting" not in off.infotexts[0]


def test_the_same_request_after_another_job_gives_the_same_image(webui):
    first = webui.inpaint(IMAGE, MASK, [True], sampler_name="DDIM")
    webui.inpaint(drawn_image(192, 320, 3), drawn_disc(192, 320, 20), [True, *GUIDE], inpaint_full_res=True, width=320)
    assert same(first, webui.inpaint(IMAGE, MASK, [True], sampler_name="DDIM"))


@pytest.mark.parametrize("args", [
    [True, 0.2, 0.05, 1, 0, 1.25, 1.25], ["true", "0.2", "0.05", "1", "0", "1.25", "1.25"], [True, *GUIDE, *[None] * 23, 1, 2],
    [{"schedule_bias": 0.2, "preservation_strength": "0.05", "transition_contrast_boost": 1, "difference_threshold": 1.25,
      "difference_contrast": 1.25, "mask_influence": None}]])
def test_lists_and_dicts_of_numbers_strings_and_nulls_are_read_the_same(webui, args):
    result = webui.inpaint(IMAGE, MASK, args, steps=4)
    assert soft_keys(result.infotexts[0]) == {
        "enabled": "True", "schedule bias": "0.2", "preservation strength": "0.05", "transition contrast boost": "1",
        "mask influence": "0", "difference threshold": "1.25", "difference contrast": "1.25", "feather source": "Automatic",
        "edge taper": "12", "mask grow": "0", "feather width": "32", "feather unit": "pixels", "threshold mix": "0",
        "least opacity": "1", "drift correction": "1", "grain": "0", "conditioning mask": "soft",
        "automatic threshold": "False", "edge awareness": "1", "seam search": "1",
        "coherence rounds": "0", "agreement": "1", "regions one by one": "False", "version": __version__}
    assert same(result, webui.inpaint(IMAGE, MASK, [True, *GUIDE], steps=4))


def test_one_argument_means_defaults(webui):
    assert soft_keys(webui.inpaint(IMAGE, MASK, [True]).infotexts[0])["preservation strength"] == "0.5"


def test_a_number_out_of_range_is_clamped_and_noted_in_the_infotext(webui):
    result = webui.inpaint(IMAGE, MASK, [True, 1, 0.5, 0])
    sentence = "Transition contrast boost must be from 1 to 32, got 0; 1 is used instead."
    assert sentence in result.infotexts[0]
    assert sentence in webui.get("/companion/witness")["comments"]
    assert soft_keys(result.infotexts[0])["transition contrast boost"] == "1"
    assert same(result, webui.inpaint(IMAGE, MASK, [True, 1, 0.5, 1]))


@pytest.mark.parametrize(("args", "sentence"), [
    ([True, "much"], "Schedule bias must be a number from 0 to 8, got 'much'."),
    ([True, "NaN"], "Schedule bias must be a number from 0 to 8, got 'NaN'."),
    ([{"bias": 1}], "Unknown soft inpainting setting 'bias'"),
    ([True, 1, 0.5, 4, 0, 0.5, 2, "soft"], "Feather source must be one of Automatic, Mask blur, own, host, got 'soft'.")])
def test_an_invalid_setting_gives_normal_inpainting_and_a_note(webui, args, sentence):
    result = webui.inpaint(IMAGE, MASK, args)
    assert sentence in result.infotexts[0]
    assert sentence in webui.get("/companion/witness")["comments"]
    assert same(result, webui.inpaint(IMAGE, MASK))
    assert "Soft inpainting enabled" not in result.infotexts[0]


def test_the_infotext_makes_the_round_trip(webui):
    made = webui.inpaint(IMAGE, MASK, [True, *GUIDE, "host", 3], mask_blur=8)
    again = webui.inpaint(IMAGE, MASK, infotext=made.infotexts[0], mask_blur=8)
    assert soft_keys(again.infotexts[0]) == soft_keys(made.infotexts[0])
    assert same(made, again)


def test_the_infotext_says_how_much_drift_was_removed(webui):
    on, off = (infotext.parse(webui.inpaint(IMAGE, MASK, [{"drift_correction": strength}]).infotexts[0])
               for strength in (1, 0))
    assert 0 <= float(on["Soft inpainting drift applied"]) <= 1
    assert "Soft inpainting drift applied" not in off


def test_a_builtin_infotext_pastes_with_its_equivalents(webui):
    old = webui.inpaint(IMAGE, MASK, [True, *GUIDE], title="Built-in soft inpainting", mask_blur=8)
    assert "Soft inpainting version" not in old.infotexts[0]
    pasted = webui.inpaint(IMAGE, MASK, infotext=old.infotexts[0], mask_blur=8)
    assert soft_keys(pasted.infotexts[0]) == {
        **soft_keys(old.infotexts[0]), "feather source": "host", "edge taper": "0", "mask grow": "0", "feather width": "32",
        "feather unit": "pixels", "threshold mix": "0", "least opacity": "0", "drift correction": "0", "grain": "0",
        "conditioning mask": "soft", "automatic threshold": "False", "edge awareness": "0", "seam search": "0",
        "coherence rounds": "0", "agreement": "0", "regions one by one": "False", "version": __version__}


def test_the_users_mask_fields_are_in_the_infotext(webui):
    result = webui.inpaint(IMAGE, MASK, [True], mask_blur=13, inpainting_mask_invert=1, inpaint_full_res=True,
                           inpaint_full_res_padding=29)
    for pair in ("Mask blur: 13", "Mask mode: Inpaint not masked", "Inpaint area: Only masked", "Masked area padding: 29"):
        assert pair in result.infotexts[0]
