import dataclasses

import pytest

from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Size
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import (
    FIELDS,
    MASKED_CONTENTS,
    ONLY_MASKED,
    Request,
    from_infotext,
    to_api,
    to_infotext,
    unstretched,
    working_size,
)
from lib_softinpaint.settings.settings import Settings, as_builtin

FULL = Request(
    prompt='a house, "red": big', negative_prompt="blur,\nnoise", steps=9, sampler="DPM++ 2M", schedule_type="Karras",
    cfg_scale=5.5, seed=7, width=256, height=320, denoising_strength=0.5, mask_mode="Inpaint not masked", mask_blur=12,
    inpaint_area="Only masked", masked_area_padding=64, masked_content="latent noise",
    settings=Settings(enabled=True, schedule_bias=0.2, feather_source="host", edge_taper_px=3), clip_skip=2)
FROM_BUILTIN = (
    "a girl on a mountain\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, "
    "Seed: 3, Size: 512x768, Model hash: 6ce0161689, Denoising strength: 1.0, Soft inpainting enabled: True, "
    "Soft inpainting schedule bias: 0.2, Soft inpainting preservation strength: 0.05, "
    "Soft inpainting transition contrast boost: 1, Soft inpainting mask influence: 0, "
    "Soft inpainting difference threshold: 1.25, Soft inpainting difference contrast: 1.25, Mask blur: 64, "
    "Masked content: latent noise, Version: v1.10.1")


def written(request):
    return infotext.dump(to_infotext(request, Size=f"{request.width}x{request.height}"))


@pytest.mark.parametrize("request_", [FULL, Request(seed=1), Request(settings=Settings(enabled=False))])
def test_a_request_makes_the_round_trip_through_infotext(request_):
    again, notes = from_infotext(infotext.parse(written(request_)))
    assert again == request_
    assert len(notes) == (not request_.settings.enabled)


def test_a_builtin_infotext_gives_its_settings_and_equivalents_of_later_ones():
    request, notes = from_infotext(infotext.parse(FROM_BUILTIN))
    assert request == Request(
        prompt="a girl on a mountain", negative_prompt="blur", seed=3, width=512, height=768, denoising_strength=1,
        mask_blur=64, masked_content="latent noise", settings=as_builtin(
            schedule_bias=0.2, preservation_strength=0.05, transition_contrast_boost=1, mask_influence=0,
            difference_threshold=1.25, difference_contrast=1.25))
    assert notes == []


def test_a_size_that_would_stretch_the_image_is_replaced_by_its_own():
    image = Size(400, 600)
    for width, height, kept in ((600, 400, True), (300, 200, True), (1200, 800, True), (400, 600, False), (600, 600, False),
                                (512, 512, False)):
        asked = Request(width=width, height=height)
        assert (unstretched(asked, image) == asked) is kept
        assert kept or unstretched(asked, image) == Request()
        crop = Request(width=width, height=height, inpaint_area="Only masked")
        assert unstretched(crop, image) == crop


def test_seeds_go_up_to_those_of_32_bits():
    assert Request(seed=2 ** 32 - 1).seed == 4294967295
    with pytest.raises(BadInput):
        Request(seed=2 ** 32)


def test_the_working_size_is_the_given_or_image_size_in_whole_latent_pixels():
    assert working_size(Request(), Size(203, 250)) == Size(200, 248)
    assert working_size(Request(width=100), Size(203, 250)) == Size(200, 96)
    assert working_size(Request(width=15, height=8), Size(203, 250)) == Size(8, 8)


@pytest.mark.parametrize(("request_", "size", "came"), [
    (Request(width=4, height=4), Size(64, 64), "4x4"), (Request(width=7), Size(64, 64), "7x64"),
    (Request(), Size(5, 64), "64x5")])
def test_a_size_below_one_latent_pixel_raises_one_sentence(request_, size, came):
    with pytest.raises(BadInput, match=f"^Width and height must be 8 pixels or more, got {came}$"):
        working_size(request_, size)


def test_ignored_infotext_keys_are_named_except_harmless_ones():
    text = FROM_BUILTIN.replace("Version: ", "Clip skip: 2, Variation seed: 1, Variation seed strength: 0.3, ADetailer model: "
                                'face.pt, Hires upscale: 2, Lora hashes: "a: b", VAE hash: c, Model: m, '
                                'Soft inpainting kept: d, TI hashes: "e: f", Civitai resources: [{"type":"a","id":1}], '
                                "Version: ")
    request, notes = from_infotext(infotext.parse(text))
    assert request.clip_skip == 2
    assert notes == ["Ignored in the infotext: Variation seed, Variation seed strength, ADetailer model, Hires upscale, "
                     "TI hashes."]


@pytest.mark.parametrize(("fields", "image"), [
    ({"width": 4, "height": 4}, Size(64, 64)), ({"width": 4}, Size(64, 64)), ({}, Size(7, 64))])
def test_a_request_below_one_latent_pixel_raises_one_sentence(fields, image):
    for ask in (working_size, to_api):
        with pytest.raises(ValueError, match="^Width and height must be 8 pixels or more, got "):
            ask(Request(**fields), image)


@pytest.mark.parametrize("params", [{"Size": "512"}, {"Size": "large"}])
def test_an_unparsable_size_is_ignored(params):
    assert from_infotext({"Seed": "1", **params})[0].width == 0


def test_an_infotext_without_soft_inpainting_is_noted():
    request, notes = from_infotext({"Seed": "1"})
    assert not request.settings.enabled
    assert notes == ["Soft inpainting is off because the image was made without it."]


@pytest.mark.parametrize("params", [{"Soft inpainting schedule bias": "abc"}, {"Steps": "2.5"}])
def test_an_invalid_setting_raises(params):
    with pytest.raises(ValueError, match="must be"):
        from_infotext({"Seed": "1", "Soft inpainting enabled": "True", **params})


def test_an_old_sampler_name_includes_the_schedule_type():
    request, _ = from_infotext({"Sampler": "DPM++ 2M SDE Karras", "Seed": "1"})
    assert (request.sampler, request.schedule_type) == ("DPM++ 2M SDE", "Karras")


def test_a_number_out_of_range_is_clamped_with_a_note():
    request, notes = from_infotext({"Steps": "900", "Seed": "1", "Soft inpainting enabled": "True"})
    assert request.steps == 150
    assert notes == ["Steps must be from 1 to 150, got 900; 150 is used instead."]


def test_an_invalid_value_raises_one_sentence():
    with pytest.raises(ValueError, match="Steps must be a number from 1 to 150, got 'many'"):
        from_infotext({"Steps": "many"})


def test_the_infotext_leaves_out_what_the_webui_leaves_out():
    keys = to_infotext(Request(seed=1, mask_blur=0)).keys()
    assert not keys & {"Mask mode", "Mask blur", "Inpaint area", "Masked area padding", "Masked content", "Schedule type",
                      "Clip skip"}
    assert not any(key.startswith("Soft") for key in to_infotext(Request(settings=Settings(enabled=False))))


def test_the_api_body_is_the_webuis():
    body = to_api(FULL, Size(300, 300))
    assert body["inpainting_fill"] == MASKED_CONTENTS.index("latent noise") == 2
    assert (body["width"], body["height"]) == (256, 320)
    assert (body["inpainting_mask_invert"], body["inpaint_full_res"], body["inpaint_full_res_padding"]) == (1, True, 64)
    assert body["alwayson_scripts"] == {"Soft Inpainting": {"args": [dataclasses.asdict(FULL.settings)]}}
    assert body["override_settings"] == {"CLIP_stop_at_last_layers": 2}
    bare = to_api(Request(settings=Settings(enabled=False)), Size(64, 64))
    assert bare["alwayson_scripts"] == {}
    assert bare["override_settings"] == {"CLIP_stop_at_last_layers": 1}  # an infotext without the key means 1


@pytest.mark.parametrize(("name", "value"), [
    ("steps", 0), ("steps", 2.5), ("steps", "20"), ("mask_mode", "mask"), ("prompt", None), ("denoising_strength", 0),
    ("seed", 2 ** 32)])
def test_the_constructor_validates(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, got "):
        Request(**{name: value})


def test_defaults_are_within_their_ranges():
    assert Request() == Request(**{field.name: field.default for field in FIELDS})


@pytest.mark.parametrize("enabled", [False, True])
def test_regions_are_inpainted_only_masked_if_soft_inpainting_is_on(enabled):
    request = Request(settings=Settings(enabled=enabled, regions_one_by_one=True))
    assert request.inpaint_area == (ONLY_MASKED if enabled else "Whole picture")
