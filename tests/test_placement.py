"""Devices, precisions and offloading. Tests of a GPU are skipped where there is none."""
import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image

from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.pipeline import DTYPE, SoftInpaintPipeline
from lib_softinpaint.hosts.placement import BFLOAT16, BY_LAYER, BY_MODEL, FLOAT16, FLOAT32, OFFLOADS, PRECISIONS, WHOLE
from lib_softinpaint.settings.request import Request
from tests import tiny_models
from tests.test_cli import IMAGE, MASK, outside, pixels

pytestmark = [*tiny_models.KNOWN_WARNINGS,
              pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed")]

REQUEST = Request(prompt="an orange tree", steps=4, denoising_strength=1, mask_blur=8, seed=3)
ORIGINAL, PAINTED, AWAY = pixels(IMAGE), pixels(MASK)[..., 0] == 255, outside(MASK, REQUEST.mask_blur)
GPU = models.chosen_device()
NEEDS_GPU = [pytest.mark.gpu, pytest.mark.skipif(GPU == "cpu", reason="PyTorch finds no GPU")]
DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=NEEDS_GPU)])


def inpainted(pipeline):
    return np.asarray(models.inpaint(pipeline, REQUEST, Image.open(IMAGE), Image.open(MASK))).astype(int)


def scene_pipeline(device, precision=FLOAT32, offload=WHOLE):
    """Not `models.load`, which offloads from GPUs only and keeps one pipeline."""
    pipeline = SoftInpaintPipeline.from_pretrained(models.SCENE_MODEL, **{DTYPE: getattr(torch, precision)})
    pipeline.set_progress_bar_config(disable=True)
    return models.placed(pipeline, GPU if device == "gpu" else device, offload)


@pytest.fixture(scope="module")
def expected():
    return inpainted(scene_pipeline("cpu"))


@DEVICES
@pytest.mark.parametrize("precision", [FLOAT32, BFLOAT16, pytest.param(FLOAT16, marks=NEEDS_GPU)])  # slow on a CPU
def test_each_precision_keeps_the_outside_and_repaints_the_core(device, precision, expected):
    """PyTorch 2.1 draws other noise in half precision, so its images are not compared."""
    pipeline = scene_pipeline(device, precision)
    assert pipeline.unet.dtype == getattr(torch, precision)
    made = inpainted(pipeline)
    assert (made[AWAY] == ORIGINAL[AWAY]).all()
    change, wanted = (np.abs(image - ORIGINAL)[PAINTED].mean() for image in (made, expected))
    assert change > 0.7 * wanted > 5
    if precision == FLOAT32 or not torch.__version__.startswith("2.1."):
        assert np.abs(made - expected)[PAINTED].mean() < (0.02 if precision == FLOAT32 else 0.3) * wanted


@DEVICES
@pytest.mark.parametrize("offload", [BY_MODEL, BY_LAYER])
def test_offloading_changes_nothing(device, offload, expected):
    made = inpainted(scene_pipeline(device, offload=offload))
    assert np.abs(made - (expected if device == "cpu" else inpainted(scene_pipeline(device)))).max() <= 1


@DEVICES
def test_offloaded_layers_decode_in_float32_where_half_precision_overflows(device, monkeypatch):
    pipeline = scene_pipeline(device, BFLOAT16, BY_LAYER)
    expected = inpainted(pipeline)
    pipeline.vae.register_to_config(force_upcast=False)
    decode, seen = pipeline.vae.decode, []

    def overflowing(latent, *arguments, **named):
        seen.append(latent.dtype)
        result = decode(latent, *arguments, **named)
        return (result[0] * (torch.inf if latent.dtype == torch.bfloat16 else 1), *result[1:])
    monkeypatch.setattr(pipeline.vae, "decode", overflowing)
    made = inpainted(pipeline)
    assert set(seen) == {torch.bfloat16, torch.float32}
    assert np.abs(made - expected)[PAINTED].mean() < 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
def test_offloading_needs_less_memory():
    def peak(offload):
        pipeline = scene_pipeline("cuda", offload=offload)
        torch.cuda.reset_peak_memory_stats()
        inpainted(pipeline)
        return torch.cuda.max_memory_allocated()
    assert peak(BY_LAYER) < peak(BY_MODEL) < peak(WHOLE)


@pytest.mark.parametrize(("cuda", "xpu", "mps", "chosen"), [
    (True, True, True, "cuda"), (False, True, True, "xpu"), (False, False, True, "mps"), (False, False, False, "cpu"),
    (False, None, False, "cpu")])
def test_the_best_available_device_is_chosen(monkeypatch, cuda, xpu, mps, chosen):
    """PyTorch has no `xpu` before 2.3."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    if xpu is None:
        monkeypatch.delattr(torch, "xpu", raising=False)
    else:
        monkeypatch.setattr(torch, "xpu", torch.nn.Module(), raising=False)
        torch.xpu.is_available = lambda: xpu
    assert models.chosen_device() == chosen


@pytest.mark.parametrize(("arguments", "sentence"), [
    (("cpu", "models"), f"offload must be one of {', '.join(OFFLOADS)}, got 'models'"),
    (("cpu", WHOLE, "fp16"), f"precision must be one of {', '.join(PRECISIONS)}, got 'fp16'"),
    (("cpu", BY_MODEL), "offload 'model' needs a GPU, got the device 'cpu'"),
    (("nonsense", BY_MODEL), f"device must be available to PyTorch, which has {', '.join(models.devices())}, got 'nonsense'")])
def test_what_cannot_be_is_rejected_with_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        models.load(str(models.SCENE_MODEL), *arguments)
