"""Agreement with the surroundings and coherence rounds, with every sampler of each host."""
import itertools

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from tests.tolerances import default_reach
from tests.webui.conftest import SAMPLERS
from tests.webui.family import NEO
from tests.webui.host import drawn_disc, drawn_image
from tests.webui.test_runs import interrupted
from tests.webui.test_samplers import FAILING_WITHOUT_US

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, MASK = drawn_image(), drawn_disc()
PAINTED = np.asarray(MASK) == 255
OUTSIDE = distance_transform_edt(~PAINTED) > default_reach(4)
ALL_SAMPLERS = list(dict.fromkeys(itertools.chain(*SAMPLERS.values())))
WITHOUT = ("UniPC", "Restart", "DPM fast", "DPM adaptive", "PLMS", "DDIM CFG++")
"""Samplers with which nothing is changed in any host."""
WITH = ("Euler", "Euler a", "DPM++ 2M", "DPM++ SDE", "Heun", "DDIM")
"""Samplers with which it works in every host that has them."""


def inpaint(webui, sampler="Euler a", rounds=0, agreement=0.0, **fields):
    settings = {"coherence_rounds": rounds, "agreement": agreement}
    return webui.inpaint(IMAGE, MASK, [settings], **{"sampler_name": sampler, "steps": 8, "denoising_strength": 1, **fields})


@pytest.mark.parametrize("sampler", ALL_SAMPLERS)
def test_what_infotext_says_is_what_changes_pixels(webui, sampler):
    if (webui.host.name, sampler) in FAILING_WITHOUT_US:
        pytest.skip("this sampler fails in the host itself")
    plain = inpaint(webui, sampler)
    for rounds, agreement, key in ((0, 1, "agreement"), (2, 0, "coherence rounds")):
        changed = inpaint(webui, sampler, rounds, agreement)
        assert (changed.images[0][OUTSIDE] == np.asarray(IMAGE)[OUTSIDE]).all()
        difference = np.abs(changed.images[0].astype(int) - plain.images[0])[PAINTED].mean()
        if f"Soft inpainting {key}: 0" in changed.infotexts[0]:
            assert sampler not in WITH
            assert difference < 0.5
        else:
            assert sampler not in WITHOUT
            assert f"Soft inpainting {key}: {rounds or agreement}" in changed.infotexts[0]
            assert difference > 1


@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
def test_they_leave_no_trace_in_the_next_image(webui, sampler):
    before = inpaint(webui, sampler)
    inpaint(webui, sampler, 3, 1)
    after = inpaint(webui, sampler)
    assert np.abs(after.images[0].astype(int) - before.images[0]).max() <= webui.rounding + 1


def test_a_batch_equals_its_singles(webui):
    both = inpaint(webui, "Euler", 2, 1, batch_size=2)
    for seed, image in zip((1, 2), both.images):
        alone = inpaint(webui, "Euler", 2, 1, seed=seed).images[0]
        assert np.abs(image.astype(int) - alone).mean() < 1


def test_a_second_batch_of_a_request_equals_its_single(webui):
    both = inpaint(webui, "Euler", 2, 1, n_iter=2)
    alone = inpaint(webui, "Euler", 2, 1, seed=2).images[0]
    assert np.abs(both.images[1].astype(int) - alone).mean() < 1


def test_prompts_that_change_during_sampling_change_at_the_same_step(webui):
    """The host counts model calls. Those of rounds must not count."""
    early, late = (inpaint(webui, "Euler", 2, prompt=f"[a house:a tree on fire:{share}]").images[0].astype(int)
                   for share in (0.0, 0.99))
    same = inpaint(webui, "Euler", 2, prompt="a house").images[0].astype(int)
    assert np.abs(late - same)[PAINTED].mean() < np.abs(early - same)[PAINTED].mean() / 2


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"cfg_scale": 1}, "they need a CFG scale above 1, and it is 1."),
    ({"steps": 4}, "they need at least 6 steps to run, and there are 4.")])
def test_rounds_that_cannot_run_are_named(webui, fields, sentence):
    result = inpaint(webui, "Euler", 2, **fields)
    assert "Soft inpainting coherence rounds: 0" in result.infotexts[0]
    assert np.abs(result.images[0].astype(int) - inpaint(webui, "Euler", 0, **fields).images[0]).max() <= webui.rounding + 1
    assert f"Coherence rounds were left out: {sentence}" in result.infotexts[0]


def test_a_detailer_inside_a_run_has_rounds_of_its_own(webui):
    request = {"sampler_name": "Euler a", "steps": 8, "denoising_strength": 1}
    settings = {"coherence_rounds": 2, "agreement": 1.0, "least_opacity": 1.0}
    nested, plain = (webui.inpaint(IMAGE, MASK, [settings], others={"Nested runs": [each]}, **request).images[0].astype(int)
                     for each in (True, False))
    corner = np.zeros(MASK.size[::-1], bool)
    corner[:64, :64] = True
    assert np.abs(nested - plain)[~corner & PAINTED].max() <= webui.rounding + 1
    assert (nested[OUTSIDE] == np.asarray(IMAGE)[OUTSIDE]).all()


@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
def test_an_interrupted_run_keeps_the_outside(webui, sampler):
    result = interrupted(webui, lambda: inpaint(webui, sampler, 5, 1, steps=150, n_iter=3))
    assert len(result.images) < 3
    assert (result.images[0][OUTSIDE] == np.asarray(IMAGE)[OUTSIDE]).all()
    assert np.abs(result.images[0].astype(int) - np.asarray(IMAGE))[PAINTED].mean() > 10


def test_rounds_do_not_show_in_the_live_preview(webui):
    """With --medvram, the host decodes a preview in every model call."""
    if webui.host.name == NEO:
        pytest.skip("Forge Neo decodes no preview in a model call")
    def previews(rounds):
        settings = {"coherence_rounds": rounds, "agreement": 0.0}
        result = webui.inpaint(IMAGE, MASK, [settings], others={"Low memory": [True]}, sampler_name="Euler a", steps=8,
                               denoising_strength=1)
        return int(result.infotexts[0].rpartition("Previews: ")[2])
    assert previews(3) == previews(0) > 4
