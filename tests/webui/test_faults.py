"""After a fault in a hook, the result is a normal inpaint."""
import urllib.error

import numpy as np
import pytest
from PIL import ImageChops

from tests.webui.family import AUTOMATIC1111, NEO, REFORGE
from tests.webui.host import drawn_disc, drawn_image
from tests.webui.test_requests import soft_keys
from tests.webui.test_runs import assert_alike, outside_of

pytestmark = pytest.mark.every_host

IMAGE, MASK = drawn_image(), drawn_disc()
METHODS = {"process": "shape_masks", "process_batch": "start_sampling", "blend": "blend", "blend_noise": "blend_noise",
           "finish": "finish", "measure": "measure", "opacity": "opacity_px", "composite": "composited"}


@pytest.mark.parametrize("blur", [4, 24])
@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_after_a_fault_the_hosts_own_result_is_kept_and_noted(webui, method, only_masked, blur):
    if method == "blend_noise" and webui.host.name != AUTOMATIC1111:
        pytest.skip("only AUTOMATIC1111 has samplers that predict noise")
    request = dict(sampler_name="DDIM" if method == "blend_noise" else "Euler a", inpaint_full_res=only_masked,
                   mask_blur=blur)
    before = len(webui.log)
    result = webui.inpaint(IMAGE, MASK, [True], others={"Injected fault": [METHODS[method]]}, **request)
    added = webui.log[before:]
    assert added.count("Traceback") == 1
    assert "RuntimeError: injected" in added
    assert "Error running" not in added
    assert "Soft inpainting failed, so the WebUI's own inpainting was used: RuntimeError: injected" in result.infotexts[0]
    assert "Soft inpainting enabled" not in result.infotexts[0]
    # The host's own blur reaches a little further than the feather, and its premultiplied overlay moves a level.
    original, outside = np.asarray(IMAGE).astype(int), outside_of(MASK, blur=1.5 * blur)
    ordinary = webui.inpaint(IMAGE, MASK, **request)
    assert np.abs(result.images[0] - original)[outside].max() <= 1
    if METHODS[method] in ("shape_masks", "start_sampling"):
        assert_alike(result, ordinary)
    elif blur == 4:
        assert np.abs(result.images[0] - original)[np.asarray(MASK) == 255].mean() > 20
    # A fault during sampling keeps the earlier steps. Where the host repaints nothing, they are not shown.
    if method in ("blend", "blend_noise"):
        assert np.abs(result.images[0].astype(int) - ordinary.images[0]).mean() < 20
    assert webui.get("/companion/runs") == 0


def assert_ordinary_inpainting_follows(webui, result, sentence, ordinary):
    assert "Error running" not in webui.log
    assert sentence in result.infotexts[0]
    assert list(soft_keys(result.infotexts[0])) == ["note"]
    assert_alike(result, ordinary)
    assert webui.get("/companion/runs") == 0


@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("field", ["image_mask", "inpainting_mask_invert", "mask_blur_x", "mask_blur_y", "mask_round"])
def test_a_read_only_field(webui, field, only_masked):
    if field.startswith("mask_blur_") and webui.host.name == NEO:
        pytest.skip("Forge Neo's per-axis fields are always read-only")
    request = dict(inpaint_full_res=only_masked, inpaint_full_res_padding=24, mask_blur=8)
    ordinary = webui.inpaint(IMAGE, MASK, **request)
    result = webui.inpaint(IMAGE, MASK, [True], others={"Refusing field": [field, 0]}, **request)
    sentence = f"Soft inpainting failed, so the WebUI's own inpainting was used: AttributeError: {field} has no setter"
    assert_ordinary_inpainting_follows(webui, result, sentence, ordinary)
    assert webui.get("/companion/witness")["fields"] == {"mask_blur_x": 8, "mask_round": True, "inpaint_full_res_padding": 24}


def test_a_field_that_cannot_be_restored_does_not_affect_others(webui):
    ordinary, before = webui.inpaint(IMAGE, MASK, mask_blur=8), len(webui.log)
    result = webui.inpaint(IMAGE, MASK, [True], mask_blur=8, others={
        "Refusing field": ["inpainting_mask_invert", 1], "Injected fault": ["start_sampling"]})
    assert "inpainting_mask_invert could not be restored" in webui.log[before:]
    sentence = "Soft inpainting failed, so the WebUI's own inpainting was used: RuntimeError: injected"
    assert_ordinary_inpainting_follows(webui, result, sentence, ordinary)
    assert webui.get("/companion/witness")["fields"] == {"mask_blur_x": 8, "mask_round": True, "inpaint_full_res_padding": 32}


@pytest.fixture
def nan_reaches_the_hooks(webui):
    if webui.host.name == NEO:
        pytest.skip("Forge Neo replaces NaN by black before its hooks")


@pytest.mark.usefixtures("nan_reaches_the_hooks")
@pytest.mark.parametrize("only_masked", [False, True])
def test_after_nan_the_image_is_decoded_again(webui, only_masked):
    result = webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=only_masked, others={"NaN": [0.5]})
    assert_alike(result, webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=only_masked))
    assert "The VAE failed on part of image 1, so it was decoded again." in result.infotexts[0]


@pytest.mark.usefixtures("nan_reaches_the_hooks")
@pytest.mark.parametrize("only_masked", [False, True])
def test_where_the_decoder_always_gives_nan_the_original_is_shown(webui, only_masked):
    result = webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=only_masked, others={"NaN": [0.5, 2]})
    original = np.asarray(IMAGE).astype(int)
    change = np.abs(result.images[0] - original)
    assert not change[outside_of(MASK, padding=32 if only_masked else None)].any()
    assert change[:126][np.asarray(MASK)[:126] == 255].mean() > 20
    below, painted = change[132:], np.asarray(MASK)[132:] == 255
    assert below[painted].mean() < 3
    assert "The VAE failed to decode 50% of image 1; the original is shown there." in result.infotexts[0]


FOR_FLOW_MODELS = {NEO: "DPM++ 2s a RF", REFORGE: "Euler A Comfy RF"}
"""Samplers that give NaN with other models."""


def test_where_the_sampler_gives_nan_the_original_is_shown(webui):
    if webui.host.name not in FOR_FLOW_MODELS:
        pytest.skip("no sampler gives NaN with this model")
    result = webui.inpaint(IMAGE, MASK, [True], sampler_name=FOR_FLOW_MODELS[webui.host.name])
    assert "The sampler failed on " in result.infotexts[0]
    assert np.abs(result.images[0].astype(int) - np.asarray(IMAGE)).mean() < 10  # what the autoencoder loses


@pytest.mark.automatic1111  # the others do not look for NaN, so the original is shown
def test_nan_everywhere_is_the_hosts_own_error(webui):
    """It would decode again with higher precision. The CPU has none, so the request fails."""
    for soft in (None, [True]):
        with pytest.raises(urllib.error.HTTPError) as refused:
            webui.inpaint(IMAGE, MASK, soft, others={"NaN": [1]})
        assert refused.value.code == 500
        assert "NansException" in refused.value.read().decode()
    assert webui.get("/companion/runs") == 0
    assert "Soft inpainting enabled: True" in webui.inpaint(IMAGE, MASK, [True]).infotexts[0]


def test_the_infotext_is_right_if_a_detailer_runs_after_a_fault(webui):
    result = webui.inpaint(IMAGE, MASK, [True], others={"Injected fault": ["measure"], "Nested runs": [True]})
    assert "Soft inpainting failed, so the WebUI" in result.infotexts[0]
    assert "Soft inpainting enabled" not in result.infotexts[0]


def test_a_fault_does_not_affect_the_next_run(webui):
    webui.inpaint(IMAGE, MASK, [True], others={"Injected fault": ["blend"]})
    assert "Soft inpainting enabled: True" in webui.inpaint(IMAGE, MASK, [True]).infotexts[0]


@pytest.mark.parametrize("method", ["shape_masks", "start_sampling", "opacity_px"])
def test_after_a_fault_with_regions_one_by_one_the_host_inpaints_all_of_them(webui, method):
    left, right = drawn_disc(radius=20, x=0.25, y=0.3), drawn_disc(radius=20, x=0.75, y=0.3)
    before = len(webui.log)
    result = webui.inpaint(IMAGE, ImageChops.lighter(left, right), [{"regions_one_by_one": True}],
                           others={"Injected fault": [method]}, steps=4)
    assert "RuntimeError: injected" in webui.log[before:]
    assert "the WebUI's own inpainting was used: RuntimeError: injected" in result.infotexts[0]
    change = np.abs(result.images[0].astype(int) - np.asarray(IMAGE)).mean(-1)
    for mask in (left, right):
        assert change[np.asarray(mask) == 255].mean() > 8
    assert webui.get("/companion/runs") == 0
