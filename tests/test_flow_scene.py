"""The bundled model as a flow model: images that can be looked at, from the pipeline of a transformer family."""
import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import flow_scene
from benchmarks.peers import FEW_STEPS, PLAIN
from benchmarks.tasks import TUNING_SCENES, make_task
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.families import family_of
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings
from tests import tiny_flow_models

pytestmark = tiny_flow_models.KNOWN_WARNINGS


@pytest.fixture(scope="module", params=[PLAIN, FEW_STEPS])
def model(request):
    return request.param


@pytest.fixture(scope="module")
def pipeline(model):
    return flow_scene.pipeline(model)


@pytest.mark.parametrize("timestep", [250, 600, 950])
def test_it_predicts_the_same_latent(pipeline, timestep):
    alpha_bar = models.load(str(models.SCENE_MODEL), "cpu").scheduler.alphas_cumprod[timestep].view(1)
    signal, deviation = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    generator = torch.Generator().manual_seed(timestep)
    sample, text = torch.randn(1, 4, 16, 16, generator=generator), torch.randn(1, 77, 128, generator=generator)
    with torch.no_grad():
        velocity = pipeline.transformer.unet(sample, timestep, text).sample
        t = deviation / (signal + deviation)
        flow = sample / (signal + deviation)
        flow_velocity, = pipeline.transformer(flow, t * flow_scene.TIMESTEPS, text)
    torch.testing.assert_close(flow - t * flow_velocity, signal * sample - deviation * velocity, atol=1e-2, rtol=0)


def test_soft_inpainting_paints_in_the_mask_only(pipeline, model):
    assert family_of(pipeline).label == "Stable Diffusion 3"
    task = make_task(next(iter(TUNING_SCENES)), "replace")
    fields = {"steps": 4, "cfg_scale": 1.0} if model == FEW_STEPS else {"steps": 8}

    def result(**changes):
        request = Request(prompt=task.prompt, seed=1, denoising_strength=1.0, settings=Settings(enabled=True, **changes),
                          mask_blur=8, **fields)
        kept = []
        made = models.inpaint(pipeline, request, Image.fromarray(task.image),
                              grey_image(task.painted.astype(np.float32)), keep=kept.append)
        return np.asarray(made).astype(int), kept[0]
    image, kept = result()
    outside = kept.sampled.repaint_px == 0
    np.testing.assert_array_equal(image[outside], task.image[outside])
    assert np.abs(image - task.image)[task.painted].mean() > 20
    assert np.abs(image - result(preservation_strength=8.0)[0]).max() > 20
