"""A fault in a hook costs the soft inpainting, never the picture."""
import numpy as np
import pytest

from tests.webui.host import drawn_disc, drawn_picture
from tests.webui.test_runs import assert_alike, outside_of

PICTURE, MASK = drawn_picture(), drawn_disc()
METHODS = {"process": "_shape_mask", "process_batch": "_make_job", "blend": "blend", "blend_noise": "blend_noise",
           "finish": "finish", "measure": "measure", "opacity": "opacity_px", "composite": "composited"}


@pytest.mark.parametrize("blur", [4, 24])
@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_hosts_own_result_follows_and_all_is_said(webui, method, only_masked, blur):
    request = dict(sampler_name="DDIM" if method == "blend_noise" else "Euler a", inpaint_full_res=only_masked,
                   mask_blur=blur)
    before = len(webui.log)
    result = webui.inpaint(PICTURE, MASK, [True], others={"Injected fault": [METHODS[method]]}, **request)
    added = webui.log[before:]
    assert added.count("Traceback") == 1
    assert "RuntimeError: injected" in added
    assert "Error running" not in added
    assert "Soft inpainting failed and was left out: RuntimeError: injected" in result.infotexts[0]
    assert "Soft inpainting enabled" not in result.infotexts[0]
    # The host's own blur reaches a little further than the feather, and its premultiplied overlay moves a level.
    original, outside = np.asarray(PICTURE).astype(int), outside_of(MASK, blur=1.5 * blur)
    ordinary = webui.inpaint(PICTURE, MASK, **request)
    assert np.abs(result.pictures[0] - original)[outside].max() <= 1
    if METHODS[method] in ("_shape_mask", "_make_job"):
        assert_alike(result, ordinary)
    elif blur == 4:
        assert np.abs(result.pictures[0] - original)[np.asarray(MASK) == 255].mean() > 20
    # A fault on the way leaves what was sampled before it; where the host repaints nothing, nothing is shown of that.
    if method in ("blend", "blend_noise"):
        assert np.abs(result.pictures[0].astype(int) - ordinary.pictures[0]).mean() < 20
    assert webui.get("/companion/runs") == 0


def test_a_detailer_after_a_fault_does_not_make_the_infotext_lie(webui):
    result = webui.inpaint(PICTURE, MASK, [True], others={"Injected fault": ["measure"], "Nested runs": [True]})
    assert "Soft inpainting failed and was left out" in result.infotexts[0]
    assert "Soft inpainting enabled" not in result.infotexts[0]


def test_the_next_run_is_whole_again(webui):
    webui.inpaint(PICTURE, MASK, [True], others={"Injected fault": ["blend"]})
    assert "Soft inpainting enabled: True" in webui.inpaint(PICTURE, MASK, [True]).infotexts[0]
