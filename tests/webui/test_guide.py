"""The guide's own request, through the API."""
import numpy as np
import pytest
from PIL import Image

from tests.webui.host import drawn_disc, drawn_picture
from tests.webui.test_requests import GUIDE, soft_keys
from tests.webui.test_runs import outside_of

pytestmark = pytest.mark.usefixtures("clean_log")


def test_the_guides_squiggle_in_a_batch_of_nine(webui):
    picture, mask = drawn_picture(512, 512), drawn_disc(512, 512, 24, 0.4, 0.6)
    request = dict(width=512, height=512, mask_blur=64, inpainting_fill=2, sampler_name="Euler a", steps=20, cfg_scale=7,
                   denoising_strength=1, inpaint_full_res=False, inpaint_full_res_padding=0, batch_size=3, n_iter=3)
    result = webui.inpaint(picture, mask, [True, *GUIDE], **request)
    # Random weights change a small area more than a large one; the guide's reach is nearly the whole picture.
    hard = webui.inpaint(picture, Image.new("L", picture.size, 255), **{**request, "mask_blur": 0, "n_iter": 1})
    assert len(result.pictures) == 9
    assert len({made.tobytes() for made in result.pictures}) == 9
    original, painted, outside = np.asarray(picture).astype(float), np.asarray(mask) == 255, outside_of(mask, 64)
    for made, by_hard in zip(result.pictures, hard.pictures):
        assert (made[outside] == original[outside]).all()
        assert np.abs(made - original)[painted].mean() > 0.9 * np.abs(by_hard - original)[painted].mean()
    assert soft_keys(result.infotexts[0])["preservation strength"] == "0.05"
    assert "Mask blur: 64" in result.infotexts[0]
