"""The grid: every sampler of each host, both inpaint areas, the four masked contents, two sizes, batches."""
import itertools

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from tests.tolerances import default_reach
from tests.webui.conftest import SAMPLERS
from tests.webui.family import AUTOMATIC1111, NEO, REFORGE
from tests.webui.host import drawn_disc, drawn_image

ALL_SAMPLERS = list(dict.fromkeys(itertools.chain(*SAMPLERS.values())))
CONTENTS = {"fill": 0, "original": 1, "latent noise": 2, "latent nothing": 3}
BLUR, PADDING, RADIUS = 4, 32, 32
CORE_EFFECT = 0.9
"""On average. A single image may show something different and paler than its hard counterpart."""
LEAST_CORE_EFFECT = 0.7
CORE_LEVELS = 20
"""Mean change of the painted area, in levels of 255."""
REFERENCE = dict.fromkeys(("DDIM", "DDIM CFG++", "PLMS", "UniPC"), "Euler")
"""The sampler of the hard inpainting to compare with, if not the same one. With these samplers, the host puts the original
without noise beside noisy latents, so the model paints other things."""

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]


def test_the_grid_has_every_sampler_of_the_host(webui):
    assert [sampler["name"] for sampler in webui.get("/sdapi/v1/samplers")] == SAMPLERS[webui.host.name]


SAMPLED = {"drift_correction": 0}
"""No drift correction, because random shapes drift much in this autoencoder."""


FAILING_WITHOUT_US = {
    (NEO, "DPM++ 2s a RF"): "gives NaN with a model that is not a flow model",
    (REFORGE, "Euler A Comfy RF"): "gives NaN with a model that is not a flow model",
    (REFORGE, "DPM++ 2S Ancestral Comfy RF"): "gives NaN with a model that is not a flow model",
    (REFORGE, "DPM++ 2S Ancestral CFG++ Intern"): "answers with error 500"}
"""Samplers that fail in the host itself, and how."""


@pytest.fixture(autouse=True)
def works_in_the_host(request):
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    reason = FAILING_WITHOUT_US.get((getattr(params.get("member"), "name", None), params.get("sampler")))
    if reason:
        pytest.skip(f"in the host itself, this sampler {reason}")


def check(webui, only_masked, width=256, height=256, settings=SAMPLED, **fields):
    image, mask = drawn_image(width, height), drawn_disc(width, height, RADIUS)
    request = dict(width=width, height=height, inpaint_full_res=only_masked, inpaint_full_res_padding=PADDING,
                   mask_blur=BLUR, **fields)
    reference = {**request, "sampler_name": REFERENCE.get(request["sampler_name"], request["sampler_name"])}
    soft = webui.inpaint(image, mask, [settings], **request)
    painted = np.asarray(mask) == 255
    outside = distance_transform_edt(~painted) > default_reach(BLUR, PADDING if only_masked else None)
    original = np.asarray(image).astype(float)
    for ours in soft.images:
        assert (ours[outside] == original[outside]).all()
        assert np.abs(ours - original)[painted].mean() > CORE_LEVELS
    if webui.host.name != AUTOMATIC1111:
        return soft
    hard = webui.inpaint(image, mask, **reference)
    assert len(soft.images) == len(hard.images)
    if settings == SAMPLED:
        assert min(effects(soft, hard, image, painted)) > LEAST_CORE_EFFECT
    return soft


def effects(soft, hard, image, painted):
    """Change of the painted area in each image, as a share of that by hard inpainting."""
    change, by_hard = (np.abs(np.stack(made.images) - np.asarray(image, float))[:, painted].mean((1, 2))
                       for made in (soft, hard))
    return change / by_hard


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("area", ["whole picture", "only masked"])
@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_outside_is_exact_and_the_core_is_repainted(webui, sampler, area, content):
    check(webui, area == "only masked", sampler_name=sampler, inpainting_fill=CONTENTS[content])


@pytest.mark.automatic1111
@pytest.mark.parametrize("area", ["whole picture", "only masked"])
@pytest.mark.parametrize(("sampler", "content"), list(zip(ALL_SAMPLERS, itertools.cycle(CONTENTS))))
def test_another_size_with_a_batch(webui, sampler, content, area):
    soft = check(webui, area == "only masked", 320, 192, {}, sampler_name=sampler, inpainting_fill=CONTENTS[content],
                 batch_size=2)
    assert len(soft.images) == 2
    assert (soft.images[0] != soft.images[1]).any()


FEATHER_LEVELS = 10


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_preservation_strength_reaches_the_sampler(webui, sampler):
    """The composite alone would keep the outside exact, so it hides whether the steps are blended."""
    image, mask = drawn_image(), drawn_disc()
    request = dict(sampler_name=sampler, mask_blur=16, steps=8, denoising_strength=1)
    free, kept = (webui.inpaint(image, mask, [{"preservation_strength": strength, **SAMPLED}], **request).images[0]
                  for strength in (0, 8))
    feather = distance_transform_edt(np.asarray(mask) == 0)
    feather = (feather > 0) & (feather < 16)
    assert np.abs(free.astype(float) - kept)[feather].mean() > FEATHER_LEVELS


DETERMINISTIC = {"DPM++ 2M", "Euler", "LMS", "Heun", "DPM2", "DDIM", "DDIM CFG++", "PLMS", "UniPC"}
"""Samplers that must leave the first noise in the latents. The others must leave noise of the right strength."""
SAME_NOISE, SAME_NOISE_ELSEWHERE = 1e-3, 0.02
"""In AUTOMATIC1111, and in the other hosts, which round more at the last steps."""
NOISE_TOLERANCE, LOOSE_NOISE_TOLERANCE = 0.03, 1
LOOSE = "CFG++", "IPNDM_V", "Dy", "DY", "Negative", "Kohaku"
"""Parts of the names of samplers whose latents have more or less noise than their noise level says: they step along the
unconditional prediction in a function of their own, extrapolate over uneven steps, or mix and subtract noise. At the last
call, the noise is so weak that this can be more than the noise itself; the call is left out."""
LAST_CALL_AT_WRONG_LEVEL = "RES Solver"
"""The host gives this sampler's last call the noise level of the one before it."""
ONE_AT_A_TIME = "ODE"
"""Part of the names of samplers that fail in the host itself with a batch."""


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_each_model_call_sees_the_original_and_its_noise_outside(webui, sampler):
    side, least_count = (512, 25_000) if webui.host.name == AUTOMATIC1111 else (384, 10_000)
    image, mask = drawn_image(side, side), drawn_disc(side, side, 3 * side // 32)
    batch = 1 if ONE_AT_A_TIME in sampler else 2
    webui.inpaint(image, mask, [{"agreement": 0}], sampler_name=sampler, width=side, height=side, batch_size=batch, steps=8)
    seen = webui.get("/companion/surroundings")
    assert len(seen["calls"]) >= 5
    distances, means, deviations, counts = np.transpose(seen["calls"])
    assert counts.min() > least_count * batch / 2
    if sampler in DETERMINISTIC:  # the host starts timestep samplers with noise of the previous level, which then stays
        assert distances.max() < (SAME_NOISE if webui.host.name == AUTOMATIC1111 else SAME_NOISE_ELSEWHERE)
    else:
        loose = any(part in sampler for part in LOOSE)
        tolerance = LOOSE_NOISE_TOLERANCE if loose else NOISE_TOLERANCE
        calls = slice(-1 if loose or sampler == LAST_CALL_AT_WRONG_LEVEL else None)
        assert np.abs(means[calls]).max() < tolerance
        assert np.abs(deviations[calls] - 1).max() < tolerance
    assert seen["predicted_apart"] < 1e-3  # the noise floor uses the combined prediction, even with CFG++


@pytest.mark.automatic1111
def test_the_core_is_repainted_as_much_as_by_hard_inpainting_on_average(webui):
    """Over all samplers, both areas, and the four masked contents in turn."""
    image, mask = drawn_image(), drawn_disc(radius=RADIUS)
    found = []
    contents = itertools.cycle(CONTENTS.values())
    for only_masked, sampler in itertools.product((False, True), SAMPLERS[webui.host.name]):
        request = dict(inpaint_full_res=only_masked, inpaint_full_res_padding=PADDING, inpainting_fill=next(contents))
        soft = webui.inpaint(image, mask, [SAMPLED], sampler_name=sampler, **request)
        hard = webui.inpaint(image, mask, sampler_name=REFERENCE.get(sampler, sampler), **request)
        found += list(effects(soft, hard, image, np.asarray(mask) == 255))
    assert np.mean(found) > CORE_EFFECT
    assert (np.array(found) > CORE_EFFECT).mean() > 0.9
