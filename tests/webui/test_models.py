"""Models other than the scene model, a refiner, and start-up flags for memory and precision."""
from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from tests.tolerances import default_reach
from tests.webui import checkpoints, checkpoints_forge, checkpoints_reforge
from tests.webui.family import AUTOMATIC1111, CLASSIC, FORGE, NEO, REFORGE
from tests.webui.host import WebUI, drawn_disc, drawn_image
from tests.webui.test_requests import same

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, MASK = drawn_image(), drawn_disc()
DISTANCE = distance_transform_edt(np.asarray(MASK) == 0)
BLUR = 4
CORE_LEVELS, FEATHER_LEVELS = 20, 10
"""Least mean change of 255 levels: of the painted core, and of the feather by the preservation strength."""

FAMILY = (FORGE, NEO, REFORGE, CLASSIC)
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M", "DDIM", "UniPC", "LCM")
FLOW_SAMPLERS = {FORGE: ("Euler", "DPM++ 2M"), NEO: ("Euler", "Euler a", "DPM++ 2M", "LCM"), REFORGE: ("Euler", "DPM++ 2M")}
"""Only Forge Neo's Euler a and LCM add noise in the way a flow model needs. The other hosts add it on top. DDIM and
UniPC take their noise levels from a variance-preserving schedule, which a flow model does not have."""

ADVANCED_SAMPLING = "Advanced Model Sampling for reForge"
FLUX_SAMPLING = [True, "Flux", "v_prediction", False, "v_prediction", 120, 0.002, 500, 0.03, 2, 3, 1.73, 1.15, 0.5, 256, 256]
"""Arguments of that script: on, kind of sampling, and the settings of each kind; the last four are Flux's."""


@dataclass(frozen=True)
class Model:
    """A model in one host.

    Parameters
    ----------
    checkpoint
    is_flow
    options
        Settings of the host while it is loaded.
    request
        Fields of its requests.
    """

    checkpoint: str
    is_flow: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)


def forge_xl(checkpoint: str) -> Model:
    return Model(checkpoint, options={"live_previews_enable": False})  # its preview would download a decoder


FLUX = Model(checkpoints_forge.FLUX, is_flow=True, request={"scheduler": "Simple", "cfg_scale": 1})
MODELS = {
    "scenes": dict.fromkeys((AUTOMATIC1111, *FAMILY), Model(checkpoints.SCENES)),
    "zero-snr": {**dict.fromkeys(FAMILY, Model(checkpoints.ZERO_SNR)),  # AUTOMATIC1111 does not ask the checkpoint
                 AUTOMATIC1111: Model(checkpoints.ZERO_SNR, options={"sd_noise_schedule": "Zero Terminal SNR"})},
    "inpainting": dict.fromkeys((AUTOMATIC1111, *FAMILY), Model(checkpoints.INPAINTING)),
    "xl": {**dict.fromkeys((FORGE, NEO), forge_xl(checkpoints_forge.XL)),
           **dict.fromkeys((REFORGE, CLASSIC), Model(checkpoints_reforge.XL))},
    "xl-zero-snr": {**dict.fromkeys((FORGE, NEO), forge_xl(checkpoints_forge.XL_ZERO_SNR)),
                    **dict.fromkeys((REFORGE, CLASSIC), Model(checkpoints_reforge.XL_ZERO_SNR))},
    "xl-inpainting": {**dict.fromkeys((FORGE, NEO), forge_xl(checkpoints_forge.XL_INPAINTING)),
                      **dict.fromkeys((REFORGE, CLASSIC), Model(checkpoints_reforge.XL_INPAINTING))},
    "flow": {FORGE: FLUX, NEO: FLUX, REFORGE: Model(checkpoints_reforge.XL_FLOW, is_flow=True, request={
        "others": {ADVANCED_SAMPLING: FLUX_SAMPLING}})}}
"""By kind and host."""

ABSENT = {AUTOMATIC1111: "AUTOMATIC1111 builds SDXL with text encoders in full size, and has no flow models.",
          CLASSIC: "Forge Classic has no flow models."}
"""Why a host has no model of a kind."""


@contextmanager
def options(webui, **values):
    """Other settings of the host for a while."""
    before = webui.get("/sdapi/v1/options")
    webui.post("/sdapi/v1/options", values)
    try:
        yield
    finally:
        webui.post("/sdapi/v1/options", {name: before[name] for name in values})


@pytest.fixture(scope="module", params=[kind for kind in MODELS if kind != "scenes"])
def model(webui, request):
    """A loaded model of each kind. It stays loaded until a test wants another one."""
    model = MODELS[request.param].get(webui.host.name)
    if model is None:
        pytest.skip(ABSENT[webui.host.name])
    webui.post("/sdapi/v1/options", {"sd_model_checkpoint": model.checkpoint})
    with options(webui, **model.options):
        yield model
    webui.post("/sdapi/v1/options", {"sd_model_checkpoint": checkpoints.SCENES})
    webui.inpaint(IMAGE, MASK, [True])  # the first image after a change may differ


def inpaint(webui, model, settings=None, **fields):
    """A soft inpainting, checked: exact beyond the feather, repainted in the core."""
    request = {"mask_blur": BLUR, "denoising_strength": 0.9, "steps": 6, **model.request, **fields}
    result = webui.inpaint(IMAGE, MASK, [settings or {}], **request)
    change = np.abs(result.images[0].astype(float) - np.asarray(IMAGE)).mean(-1)
    assert not change[default_reach(request["mask_blur"], None) < DISTANCE].any()
    assert change[DISTANCE == 0].mean() > CORE_LEVELS
    assert "Soft inpainting enabled: True" in result.infotexts[0]
    return result


def feather_difference(webui, model, **fields):
    """Mean difference in the feather, in levels of 255, between a preservation strength of 0 and of 8.

    The composite alone would keep the outside exact, so it hides whether the steps are blended.
    """
    free, kept = (inpaint(webui, model, {"preservation_strength": strength, "drift_correction": 0}, mask_blur=16,
                          denoising_strength=1, **fields).images[0].astype(float) for strength in (0, 8))
    return np.abs(free - kept)[(DISTANCE > 0) & (DISTANCE < 16)].mean()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_outside_is_exact_and_the_core_is_repainted(webui, model, sampler):
    if model.is_flow and sampler not in FLOW_SAMPLERS[webui.host.name]:
        pytest.skip(f"{sampler} of {webui.host.name} is not made for flow models")
    inpaint(webui, model, sampler_name=sampler)


def test_preservation_strength_reaches_the_sampler(webui, model):
    assert feather_difference(webui, model, sampler_name="Euler" if model.is_flow else "Euler a") > FEATHER_LEVELS


@pytest.mark.parametrize("model", ["inpainting", "xl-inpainting"], indirect=True)
def test_conditioning_mask_changes_what_an_inpainting_model_paints(webui, model):
    soft, hard = (inpaint(webui, model, {"conditioning_mask": mask}, mask_blur=16) for mask in ("soft", "hard"))
    assert not same(soft, hard)
    assert "Soft inpainting conditioning mask: hard" in hard.infotexts[0]


with_scenes = pytest.mark.parametrize("model", ["scenes"], indirect=True)


@with_scenes
@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
def test_a_refiner_takes_over(webui, model, sampler):
    by_steps = {"refiner_use_steps": True} if webui.host.name == NEO else {}  # it would switch at a noise level
    refiner = {"refiner_checkpoint": checkpoints.REFINER, "refiner_switch_at": 0.5}
    with options(webui, **by_steps):
        alone, refined, after = (inpaint(webui, model, sampler_name=sampler, **fields) for fields in ({}, refiner, {}))
    assert f"Refiner: {checkpoints.REFINER}" in refined.infotexts[0]
    assert not same(alone, refined)
    assert same(alone, after)


@with_scenes
def test_extra_noise(webui, model):
    without = inpaint(webui, model, denoising_strength=0.6)
    with options(webui, img2img_extra_noise=0.1):
        noisy = inpaint(webui, model, denoising_strength=0.6)
    assert "Extra noise: 0.1" in noisy.infotexts[0]
    assert not same(without, noisy)


NEVER_OOM = {FORGE: [True, True], CLASSIC: [True, True], REFORGE: [True, True, 512, 64]}
"""Arguments of the script: offload the UNet between uses, tile the autoencoder, and the tiles' sizes."""


@with_scenes
def test_never_oom(webui, model):
    if webui.host.name not in NEVER_OOM:
        pytest.skip(f"{webui.host.name} has no script Never OOM")
    before = len(webui.log)
    inpaint(webui, model, others={"Never OOM Integrated": NEVER_OOM[webui.host.name]})
    assert "NeverOOM Enabled for VAE" in webui.log[before:]


STARTS = {("medvram", AUTOMATIC1111): ("--medvram", ""),
          ("bf16", FORGE): ("--unet-in-bf16", "'storage_dtype': torch.bfloat16"),
          ("bf16", NEO): ("--bf16-unet", "torch.bfloat16"),
          ("fp8", FORGE): ("--unet-in-fp8-e4m3fn", "'storage_dtype': torch.float8_e4m3fn"),
          ("fp8", NEO): ("--fp8_e4m3fn-unet", "torch.float8_e4m3fn")}
"""By name and host: the flag, and what the log then says."""


@pytest.mark.parametrize("start", ["medvram", "bf16", "fp8"])
def test_start_up_flags_for_memory_and_precision(member, start):
    if (start, member.name) not in STARTS:
        pytest.skip(f"{member.name} is not started with {start}")
    flag, in_log = STARTS[start, member.name]
    with WebUI(member, start, (flag,)) as running:
        assert feather_difference(running, Model(checkpoints.SCENES)) > FEATHER_LEVELS
        assert in_log in running.log
        assert "Traceback" not in running.log
        assert "Error running" not in running.log
