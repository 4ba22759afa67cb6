"""A fault in a hook costs the soft inpainting, never the picture."""
import numpy as np
import pytest

from tests.webui.host import drawn_disc, drawn_picture
from tests.webui.test_requests import same
from tests.webui.test_runs import outside_of

PICTURE, MASK = drawn_picture(), drawn_disc()
METHODS = {"process": "_shape_mask", "process_batch": "_make_job", "blend": "blend", "blend_noise": "blend_noise",
           "finish": "finish", "measure": "measure", "shown": "shown", "composite": "composite"}


@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_hosts_own_result_follows_and_all_is_said(webui, method, only_masked):
    request = dict(sampler_name="DDIM" if method == "blend_noise" else "Euler a", inpaint_full_res=only_masked)
    before = len(webui.log)
    result = webui.inpaint(PICTURE, MASK, [True], others={"Injected fault": [METHODS[method]]}, **request)
    added = webui.log[before:]
    assert added.count("Traceback") == 1
    assert "RuntimeError: injected" in added
    assert "Error running" not in added
    assert "Soft inpainting failed and was left out: RuntimeError: injected" in result.infotexts[0]
    assert "Soft inpainting enabled" not in result.infotexts[0]
    # The host's own blur reaches a little further than the feather, and its premultiplied overlay moves a level.
    original, outside = np.asarray(PICTURE), outside_of(MASK, blur=6)
    assert np.abs(result.pictures[0].astype(int) - original)[outside].max() <= 1
    assert np.abs(result.pictures[0].astype(float) - original)[np.asarray(MASK) == 255].mean() > 20
    if method == "process":
        assert same(result, webui.inpaint(PICTURE, MASK, **request))
    assert webui.get("/companion/runs") == 0


def test_the_next_run_is_whole_again(webui):
    webui.inpaint(PICTURE, MASK, [True], others={"Injected fault": ["blend"]})
    assert "Soft inpainting enabled: True" in webui.inpaint(PICTURE, MASK, [True]).infotexts[0]
