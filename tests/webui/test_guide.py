"""The guide's own request through the API, on a scene that the model knows: a squiggle, a wide blur, pure noise."""
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.webui.test_requests import GUIDE, soft_keys
from tests.webui.test_runs import outside_of
from training.scenes import HELD_OUT, Scene

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

SIDE, BATCH, BATCHES = 512, 3, 3
SQUIGGLE = [(300, 330), (330, 360), (310, 390), (340, 420)]


def test_the_guides_squiggle_in_a_batch_of_nine(webui):
    image, mask = Image.fromarray(Scene.from_seed(HELD_OUT + 11).draw(SIDE)), Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).line(SQUIGGLE, fill=255, width=24, joint="curve")
    request = dict(prompt="a person in red", width=SIDE, height=SIDE, mask_blur=64, inpainting_fill=2, sampler_name="Euler a",
                   steps=20, cfg_scale=7, denoising_strength=1, inpaint_full_res=False, inpaint_full_res_padding=0,
                   batch_size=BATCH)
    result = webui.inpaint(image, mask, [True, *GUIDE], n_iter=BATCHES, **request)
    hard = webui.inpaint(image, mask, **{**request, "mask_blur": 0})
    assert len(result.images) == BATCH * BATCHES
    assert len({made.tobytes() for made in result.images}) == BATCH * BATCHES
    original, painted, outside = np.asarray(image).astype(float), np.asarray(mask) == 255, outside_of(mask, 64)
    for made in result.images:
        assert (made[outside] == original[outside]).all()
    effect, by_hard = (np.mean([np.abs(made - original)[painted].mean() for made in run.images[:BATCH]])
                       for run in (result, hard))
    assert effect > 0.9 * by_hard
    assert soft_keys(result.infotexts[0])["preservation strength"] == "0.05"
    assert "Mask blur: 64" in result.infotexts[0]
