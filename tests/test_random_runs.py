"""Whole runs through the WebUI's hooks with random settings, masks and sizes, and the host's stand-ins of others' tests."""
import json
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as some
from PIL import Image

from lib_softinpaint.errors import BadInput
from lib_softinpaint.images.encoded import decoded
from lib_softinpaint.images.painted import grey_image, strengths
from lib_softinpaint.method.mask import to_latent
from lib_softinpaint.settings.settings import FIELDS, Settings, from_infotext, read_args, to_infotext
from tests import random_requests
from tests.random_requests import WRONG
from tests.test_webui_latents import FAULTS, hooks, processing, sampled  # noqa: F401 - a fixture

LATENT_PX = 8
WITHOUT_MODEL = {"agreement": 0.0, "coherence_rounds": 0, "regions_one_by_one": False}
"""Settings that call the host's model or run it again: tests/webui/test_fuzz.py sends them."""
HIDDEN = ("image_mask", "latent_mask", "inpainting_mask_invert", "mask_blur", "mask_blur_x", "mask_blur_y", "mask_round",
          "inpaint_full_res", "inpaint_full_res_padding", "init_images", "inpainting_fill", "mask", "nmask")
"""Fields that we may change during a run."""
RUNS = limits(max_examples=random_requests.COUNT or 60, deadline=None, derandomize=not random_requests.COUNT, database=None,
              suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.fixture
def host(hooks):  # noqa: F811
    """The hooks module, with a VAE that encodes anything."""
    modules = sys.modules["modules"]
    modules.sd_samplers_common.images_tensor_to_samples = lambda pixels, *rest: torch.nn.functional.avg_pool2d(
        pixels, LATENT_PX).mean(1, keepdim=True).expand(-1, 4, -1, -1)
    vars(modules.shared.opts).update(sd_vae_encode_method="Full", overlay_inpaint=True)
    return hooks


@some.composite
def run(draw):
    """A `p` of the host with a mask, and the arguments of our script."""
    size = tuple(LATENT_PX * draw(some.integers(3, 10)) for _ in range(2))
    p = processing((4, *(side // LATENT_PX for side in size)))
    p.height, p.width = size
    p.init_images = [draw(random_requests.images(size))]
    mask_size = draw(some.sampled_from((size, (size[0] + 8, size[1] * 2), (16, 16))))
    p.image_mask = draw(random_requests.masks(mask_size))
    blur = draw(some.integers(0, 64))
    p.mask_blur = p.mask_blur_x = p.mask_blur_y = blur
    p.inpainting_mask_invert = draw(some.integers(0, 1))
    p.inpainting_fill = draw(some.integers(0, 3))
    p.resize_mode = draw(some.integers(0, 3))
    p.denoising_strength = draw(some.floats(0, 1))
    return p, draw(random_requests.arguments(size, **WITHOUT_MODEL))


def init(p):
    """What the host's `init` makes of the image and the shaped mask, without cropping."""
    image, mask = p.init_images[0].convert("RGB"), p.image_mask.convert("L").resize((p.width, p.height))
    p.mask_for_overlay = mask
    overlay = image.convert("RGBA")
    overlay.putalpha(Image.fromarray(255 - np.asarray(mask)))
    p.overlay_images = [overlay]
    repaint = torch.from_numpy(to_latent(np.asarray(mask, np.float32) / 255, *p.init_latent.shape[-2:]))
    p.nmask = repaint.expand(p.init_latent.shape[1:]).clone()
    p.mask = 1 - p.nmask
    p.batch_index = 0


@RUNS
@given(case=run())
def test_no_request_makes_a_hook_fail(host, case):
    FAULTS.clear()
    p, args = case
    before = {name: getattr(p, name) for name in HIDDEN if hasattr(p, name)}
    host.process(p, tuple(args))
    runs = sys.modules["lib_softinpaint.hosts.webui.run"].runs
    if runs.get(p) is not None:
        init(p)
        host.process_batch(p)
        assert FAULTS == []
        latent, _, _ = sampled(host, p)
        host.post_sample(p, types.SimpleNamespace(samples=latent))
        run = runs.get(p)
        outside = (run.sampling.job.repaint == 0).expand_as(latent)
        assert torch.equal(latent[outside], run.sampling.job.reference[outside])
        assert latent.isfinite().all()
        opacity = run.sampled.images[0].opacity_px(run.settings)
        assert opacity.shape == (p.height, p.width)
        assert 0 <= opacity.min() <= opacity.max() <= 1
        host.postprocess(p, types.SimpleNamespace(extra_generation_params={}))
    assert FAULTS == []
    assert runs.get(p) is None
    assert {name: getattr(p, name) for name in before if name not in ("mask", "nmask")} == before
    json.dumps(p.extra_generation_params)


@RUNS
@given(args=random_requests.settings(enabled=True))
def test_valid_settings_survive_the_infotext(args):
    settings, notes = read_args([args])
    assert notes == []
    params = {key: str(value) for key, value in to_infotext(settings).items()}
    for name, field in FIELDS.items():
        if field.saved:
            value = from_infotext(field, params)
            assert value == getattr(settings, name) or field.unsaid == getattr(settings, name), name


@RUNS
@given(args=some.lists(WRONG, max_size=len(FIELDS) + 2) | some.dictionaries(some.sampled_from([*FIELDS, "bias"]), WRONG).map(
    lambda fields: [fields]))
def test_arguments_are_read_or_refused_with_a_sentence(args):
    try:
        settings, notes = read_args(args)
    except ValueError as refused:
        assert 10 < len(str(refused)) < 3000
        str(refused).encode()
    else:
        assert isinstance(settings, Settings)
        "".join(notes).encode()


@RUNS
@given(text=random_requests.broken_files())
def test_a_broken_mask_image_is_refused_or_read(text):
    try:
        mask = strengths(decoded(text, "Mask image"))
    except BadInput:
        return
    assert 0 <= mask.min() <= mask.max() <= 1


@RUNS
@given(mask=some.integers(1, 40).flatmap(lambda side: random_requests.masks((side, 41 - side))))
def test_every_mask_reads_as_strengths_and_as_itself_again(mask):
    painted = strengths(mask)
    assert painted.shape == mask.size[::-1]
    assert 0 <= painted.min() <= painted.max() <= 1
    again = strengths(grey_image(painted))
    assert np.abs(again - painted).max() <= 0.1
