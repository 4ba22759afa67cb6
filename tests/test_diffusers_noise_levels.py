"""Where the mask is 0, each model call of each scheduler sees the original with noise of the expected level."""
import diffusers
import numpy as np
import pytest
import torch

from lib_softinpaint.hosts.diffusers import noise_levels
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.hosts.diffusers.scheduler import BlendingScheduler
from lib_softinpaint.hosts.diffusers.vae import encoded
from lib_softinpaint.method import schedule
from lib_softinpaint.settings.settings import Settings
from tests import tiny_models
from tests.webui.host import drawn_disc, drawn_image

pytestmark = tiny_models.KNOWN_WARNINGS

STEPS = 6
DETERMINISTIC, STOCHASTIC = 1e-3, 0.03
"""Tolerances: for each value of the noise against the first noise; for its mean against 0 and its deviation against 1."""
WRONG_TIME = 0.1
"""Tolerance for the noise-to-signal ratio against that of the model's timestep, which some schedulers round."""

KARRAS = {"use_karras_sigmas": True}
SDE = {"algorithm_type": "sde-dpmsolver++"}
CASES = {
    "DDIM": ("DDIMScheduler", {"clip_sample": False}, {}),
    "DDIM, eta 1": ("DDIMScheduler", {"clip_sample": False}, {"eta": 1.0}),
    "DDIM, v": ("DDIMScheduler", {"clip_sample": False, "prediction_type": "v_prediction"}, {}),
    "DDIM, sample": ("DDIMScheduler", {"clip_sample": False, "prediction_type": "sample"}, {}),
    "DDIM parallel": ("DDIMParallelScheduler", {"clip_sample": False}, {}),
    "DDPM": ("DDPMScheduler", {"clip_sample": False}, {}),
    "DDPM parallel": ("DDPMParallelScheduler", {"clip_sample": False}, {}),
    "LCM": ("LCMScheduler", {"clip_sample": False}, {}),
    "TCD": ("TCDScheduler", {"clip_sample": False}, {}),
    "TCD, eta 0.3": ("TCDScheduler", {"clip_sample": False}, {"eta": 0.3}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}, {}),
    "Euler": ("EulerDiscreteScheduler", {}, {}),
    "Euler Karras": ("EulerDiscreteScheduler", KARRAS, {}),
    "Euler, v": ("EulerDiscreteScheduler", {"prediction_type": "v_prediction"}, {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}, {}),
    "Heun": ("HeunDiscreteScheduler", {}, {}),
    "Heun Karras": ("HeunDiscreteScheduler", KARRAS, {}),
    "LMS": ("LMSDiscreteScheduler", {}, {}),
    "DPM2": ("KDPM2DiscreteScheduler", {}, {}),
    "DPM2 Karras": ("KDPM2DiscreteScheduler", KARRAS, {}),
    "DPM2, v": ("KDPM2DiscreteScheduler", {"prediction_type": "v_prediction"}, {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}, {}),
    "DPM2 a Karras": ("KDPM2AncestralDiscreteScheduler", KARRAS, {}),
    "DPM++ SDE": ("DPMSolverSDEScheduler", {"noise_sampler_seed": 1}, {}),
    "DPM++ SDE Karras": ("DPMSolverSDEScheduler", {"noise_sampler_seed": 1, **KARRAS}, {}),
    "DEIS": ("DEISMultistepScheduler", {}, {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}, {}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", KARRAS, {}),
    "DPM++ 3M": ("DPMSolverMultistepScheduler", {"solver_order": 3}, {}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", SDE, {}),
    "DPM++ 2M, not to 0": ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}, {}),
    "DPM++ 2S": ("DPMSolverSinglestepScheduler", {}, {}),
    "DPM++ 2S SDE": ("DPMSolverSinglestepScheduler", SDE, {}),
    "UniPC": ("UniPCMultistepScheduler", {}, {}),
    "UniPC Karras": ("UniPCMultistepScheduler", KARRAS, {}),
    "UniPC, flow": ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True}, {}),
    "SA": ("SASolverScheduler", {}, {}),
    "EDM Euler": ("EDMEulerScheduler", {}, {}),
    "EDM DPM++ 2M": ("EDMDPMSolverMultistepScheduler", {}, {}),
    "EDM, v": ("EDMEulerScheduler", {"prediction_type": "v_prediction"}, {})}
DRAWING = {"DDIM, eta 1", "DDPM", "DDPM parallel", "LCM", "TCD, eta 0.3", "Euler a", "DPM2 a", "DPM2 a Karras", "DPM++ SDE",
           "DPM++ SDE Karras", "DPM++ 2M SDE", "DPM++ 2S SDE", "SA"}
"""Cases that draw their own noise."""
OTHER_TIME = {"UniPC, flow", "EDM Euler", "EDM DPM++ 2M", "EDM, v"}
"""Cases with timesteps other than Stable Diffusion's."""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    made = SoftInpaintPipeline.from_pipe(tiny_models.sd1(tmp_path_factory.mktemp("model")))
    made.set_progress_bar_config(disable=True)
    return made


def check(pipeline, monkeypatch, name, strength):
    kind, changes, fields = CASES[name]
    if kind == "DPMSolverSDEScheduler":
        pytest.importorskip("torchsde", reason="torchsde is not installed")
    base = {} if kind.startswith("EDM") else {
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    base = {key: value for key, value in base.items() if not (kind == "DPMSolverSDEScheduler" and key == "steps_offset")}
    runner = pipeline.with_scheduler(getattr(diffusers, kind).from_config({**base, **changes}))
    side, images = (320, 4) if name in DRAWING else (96, 1)  # more noise makes its mean more precise
    image = drawn_image(side, side)
    original = encoded(pipeline, image)
    first = torch.randn((images, *original.shape[1:]), generator=torch.Generator().manual_seed(1))
    calls = []
    blended = BlendingScheduler._blended

    def recording(self, output, timestep, sample):
        level = noise_levels.noise_level(self.scheduler, timestep)
        noise = (sample - level.signal * original) / level.sigma
        outside = (self.job.repaint == 0).expand_as(noise)
        calls.append((noise[outside] - (0 if name in DRAWING else first[outside]), level, timestep))
        return blended(self, output, timestep, sample)
    monkeypatch.setattr(BlendingScheduler, "_blended", recording)
    samples = runner("a", image, drawn_disc(side, side, 20), num_inference_steps=STEPS, strength=strength,
                     num_images_per_prompt=images, guidance_scale=1.0, output_type="latent", mask_blur=4,
                     settings=Settings(enabled=True, agreement=0), generator=torch.Generator().manual_seed(1), **fields).images
    assert len(calls) >= STEPS * strength - 1
    for noise, level, timestep in calls:
        if name in DRAWING:
            assert abs(noise.mean()) < STOCHASTIC, timestep
            assert noise.std() == pytest.approx(1, abs=STOCHASTIC), timestep
        else:
            assert noise.abs().max() < DETERMINISTIC, timestep
        if name not in OTHER_TIME:
            alpha_bar = schedule.alpha_bar_at(torch.as_tensor(timestep).reshape(1), betas_of_stable_diffusion())
            assert level.sigma / level.signal == pytest.approx(((1 - alpha_bar) / alpha_bar).sqrt().item(), rel=WRONG_TIME)
    assert samples.isfinite().all()


def betas_of_stable_diffusion():
    return torch.cumprod(1 - torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000) ** 2, 0)


@pytest.mark.parametrize("strength", [0.75, 1.0])
@pytest.mark.parametrize("name", CASES)
def test_each_model_call_sees_the_original_and_its_noise_outside(pipeline, monkeypatch, name, strength):
    check(pipeline, monkeypatch, name, strength)


@pytest.mark.parametrize("name", ["DPM2", "DPM2 Karras"])
def test_the_check_detects_a_wrong_level_in_a_second_call(pipeline, monkeypatch, name):
    monkeypatch.setitem(noise_levels.ADAPTERS, "KDPM2DiscreteScheduler", noise_levels._BySigma())
    with pytest.raises(AssertionError):
        check(pipeline, monkeypatch, name, 0.75)


def test_every_known_scheduler_is_tested():
    assert {kind for kind, _, _ in CASES.values()} == set(noise_levels.ADAPTERS)


@pytest.mark.parametrize("kind", [diffusers.IPNDMScheduler, diffusers.FlowMatchEulerDiscreteScheduler,
                                  diffusers.DDIMInverseScheduler, diffusers.CMStochasticIterativeScheduler])
def test_an_unknown_scheduler_is_rejected_by_name(pipeline, kind):
    with pytest.raises(ValueError, match=rf"level is known \(DDIMParallelScheduler, .*\), got {kind.__name__}$"):
        pipeline.with_scheduler(kind())("a", drawn_image(64, 64), drawn_disc(64, 64, 10))


@pytest.mark.parametrize(("scheduler", "sentence"), [
    (diffusers.DDPMScheduler(), r"clip_sample of a DDPMScheduler must be False for latents, got True: use DDPMScheduler\."),
    (diffusers.DDPMScheduler(clip_sample=False, variance_type="fixed_large"), "variance_type of a DDPMScheduler must be None"),
    (diffusers.PNDMScheduler(), "skip_prk_steps of a PNDMScheduler must be True"),
    (diffusers.UniPCMultistepScheduler(thresholding=True), "thresholding of a UniPCMultistepScheduler must be False"),
    (diffusers.EulerDiscreteScheduler(prediction_type="sample"), "prediction_type of a EulerDiscreteScheduler must be")])
def test_a_configuration_with_unknown_noise_levels_is_rejected(pipeline, scheduler, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        pipeline.with_scheduler(scheduler)("a", drawn_image(64, 64), drawn_disc(64, 64, 10))


def test_unused_configuration_keys_are_accepted():
    carried = diffusers.EulerDiscreteScheduler.from_config(diffusers.DDPMScheduler(clip_sample=True).config)
    assert carried.config.clip_sample
    noise_levels.check(carried)


def test_the_edm_preconditioning_is_inverted():
    scheduler = diffusers.EDMEulerScheduler()
    scheduler.set_timesteps(4)
    scheduler.set_begin_index(1)
    level = noise_levels.noise_level(scheduler, scheduler.timesteps[1])
    output, sample = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    denoised = level.denoised("epsilon", output, sample)
    torch.testing.assert_close(denoised, scheduler.precondition_outputs(sample, output, scheduler.sigmas[1]))
    torch.testing.assert_close(level.output("epsilon", denoised, sample), output, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(level.ratio, min(scheduler.sigmas[1].item() / 0.5, schedule.NOISE_RATIO_LIMIT), rtol=1e-6)
