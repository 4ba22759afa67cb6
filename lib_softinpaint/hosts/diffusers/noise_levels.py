"""Noise levels of diffusers' schedulers, with one adapter for each family.

The names follow k-diffusion's wrappers. A noisy sample is signal * latent + sigma * noise.
"""
from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from lib_softinpaint.method import schedule

LARGEST_LMS_ORDER = 4
"""The default in diffusers and in k-diffusion."""


@dataclass(frozen=True)
class NoiseLevel:
    """Signal and noise in the sample at one model call: signal * latent + sigma * noise.

    Parameters
    ----------
    signal, sigma : (1, 1, 1, 1) float32
    sigma_data
        Standard deviation of the latents that the model was trained on.
    """

    signal: torch.Tensor
    sigma: torch.Tensor
    sigma_data: float = 1.0

    def to(self, device: torch.device) -> NoiseLevel:
        return replace(self, signal=self.signal.to(device), sigma=self.sigma.to(device))

    @property
    def ratio(self) -> torch.Tensor:
        """Noise-to-signal ratio, (1,) float32."""
        return schedule.ratio_from_sigma((self.sigma / self.signal / self.sigma_data).reshape(1))

    def scaled_for(self, kind: str, sample: torch.Tensor) -> tuple[NoiseLevel, torch.Tensor]:
        """The level and the sample, rescaled for this prediction type. v-prediction needs samples of variance one."""
        if kind != "v_prediction":
            return self, sample
        scale = (self.signal ** 2 + self.sigma ** 2).rsqrt()
        return replace(self, signal=self.signal * scale, sigma=self.sigma * scale), sample * scale

    def denoised(self, kind: str, output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Denoised prediction from a model's output. All are float32 and scaled for this prediction type."""
        if kind == "epsilon":
            return (sample - self.sigma * output) / self.signal
        if kind == "v_prediction":
            return self.signal * sample - self.sigma * output
        return sample - self.sigma * output if kind == "flow_prediction" else output

    def output(self, kind: str, denoised: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """The model output for this denoised prediction. The inverse of `denoised`."""
        if kind == "epsilon":
            return (sample - self.signal * denoised) / self.sigma
        if kind == "v_prediction":
            return (self.signal * sample - denoised) / self.sigma
        return (sample - denoised) / self.sigma if kind == "flow_prediction" else denoised


@dataclass(frozen=True)
class PreconditionedLevel(NoiseLevel):
    """Level for a model whose output is scaled and added to its input.

    Source: Karras et al., arXiv 2206.00364, table 1.
    """

    def get_scalings(self, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
        """c_skip and c_out."""
        variance = self.sigma ** 2 + self.sigma_data ** 2
        c_out = self.sigma * self.sigma_data / variance.sqrt()
        return self.sigma_data ** 2 / variance, -c_out if kind == "v_prediction" else c_out

    def scaled_for(self, kind: str, sample: torch.Tensor) -> tuple[NoiseLevel, torch.Tensor]:
        return self, sample

    def denoised(self, kind: str, output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        c_skip, c_out = self.get_scalings(kind)
        return c_skip * sample + c_out * output

    def output(self, kind: str, denoised: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        c_skip, c_out = self.get_scalings(kind)
        return (denoised - c_skip * sample) / c_out


class _Adapter:
    """How a scheduler family represents its noise level. The defaults fit most families."""

    kinds: tuple[str, ...] = ("epsilon", "v_prediction")
    """Prediction types that its schedulers support."""

    def kind(self, scheduler: Any) -> str:
        """Prediction type of the scheduler's model."""
        return scheduler.config.prediction_type

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        raise NotImplementedError

    def timesteps(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Timesteps of a run, from the part of the schedule that it covers."""
        return timesteps

    def step_arguments(self, scheduler: Any) -> dict[str, Any]:
        """Extra arguments for the scheduler's next step."""
        return {}


class _Discrete(_Adapter):
    """The DDPM family: one level for each training timestep."""

    kinds = ("epsilon", "v_prediction", "sample")

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        alpha_bar = scheduler.alphas_cumprod[int(timestep)].float().view(1, 1, 1, 1)
        return NoiseLevel(alpha_bar ** 0.5, (1 - alpha_bar) ** 0.5)


class _Plms(_Discrete):
    """PLMS makes its first step twice, the second time with the mean of the predictions at both ends."""

    kinds = ("epsilon", "v_prediction")

    def timesteps(self, timesteps: torch.Tensor) -> torch.Tensor:
        # diffusers' part of the schedule lacks the doubled timestep, so the sample would lag one step behind.
        once = timesteps.unique_consecutive()
        return torch.cat([once[:2], once[1:]])


class _BySigma(_Adapter):
    """Samplers from k-diffusion: noise of standard deviation sigma on an unscaled latent."""

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        index = _index(scheduler, timestep) if index is None else index
        sigma = self.sigma(scheduler, index).float().view(1, 1, 1, 1)
        return NoiseLevel(torch.ones_like(sigma), sigma)

    def sigma(self, scheduler: Any, index: int) -> torch.Tensor:
        return scheduler.sigmas[index]


class _Lms(_BySigma):
    def step_arguments(self, scheduler: Any) -> dict[str, Any]:
        # diffusers counts the order from the start of the schedule, but a run that begins later has no derivatives yet.
        return {"order": min(len(scheduler.derivatives) + 1, LARGEST_LMS_ORDER)}


class _Heun(_BySigma):
    kinds = ("epsilon", "v_prediction", "sample")


class _Interpolated(_BySigma):
    """DPM2: the second model call of a step is between two sigmas."""

    def sigma(self, scheduler: Any, index: int) -> torch.Tensor:
        return scheduler.sigmas[index] if scheduler.state_in_first_order else scheduler.sigmas_interpol[index]


class _Midpoint(_BySigma):
    """DPM++ SDE: the second model call of a step is at the midpoint in log sigma."""

    def sigma(self, scheduler: Any, index: int) -> torch.Tensor:
        return scheduler.sigmas[index] if scheduler.state_in_first_order else scheduler.mid_point_sigma


class _Solver(_BySigma):
    """The DPM-Solver family: the same sigmas on samples of variance one, or the sigmas of flow models."""

    kinds = ("epsilon", "v_prediction", "sample", "flow_prediction")

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        return NoiseLevel(*scheduler._sigma_to_alpha_sigma_t(super().level(scheduler, timestep, index).sigma))


class _Flow(_BySigma):
    """Flow matching: the sample is (1 - sigma) * latent + sigma * noise, and the model predicts noise - latent.

    Shifted schedules change the sigmas themselves, so they need nothing more. At a sigma of 1 the ratio is infinite, which
    `NoiseLevel.ratio` caps.

    Source: Esser et al., arXiv 2403.03206, section 2.
    """

    kinds = ("flow_prediction",)

    def kind(self, scheduler: Any) -> str:
        return "flow_prediction"

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        sigma = super().level(scheduler, timestep, index).sigma
        return NoiseLevel(1 - sigma, sigma)


class _Preconditioned(_BySigma):
    """EDM: the same sigmas, with a model whose output is scaled and added to its input."""

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        plain = super().level(scheduler, timestep, index)
        return PreconditionedLevel(plain.signal, plain.sigma, scheduler.config.sigma_data)


ADAPTERS = {
    "DDIMScheduler": _Discrete(),
    "DDIMParallelScheduler": _Discrete(),
    "DDPMScheduler": _Discrete(),
    "DDPMParallelScheduler": _Discrete(),
    "LCMScheduler": _Discrete(),
    "PNDMScheduler": _Plms(),
    "TCDScheduler": _Discrete(),
    "EulerDiscreteScheduler": _BySigma(),
    "EulerAncestralDiscreteScheduler": _BySigma(),
    "LMSDiscreteScheduler": _Lms(),
    "HeunDiscreteScheduler": _Heun(),
    "KDPM2DiscreteScheduler": _Interpolated(),
    # Its second model call is at the logarithmic mean of a sigma and its sigma_down, which is the next entry of its sigmas.
    "KDPM2AncestralDiscreteScheduler": _BySigma(),
    "DPMSolverSDEScheduler": _Midpoint(),
    "DEISMultistepScheduler": _Solver(),
    "DPMSolverMultistepScheduler": _Solver(),
    "DPMSolverSinglestepScheduler": _Solver(),
    "SASolverScheduler": _Solver(),
    "UniPCMultistepScheduler": _Solver(),
    "EDMDPMSolverMultistepScheduler": _Preconditioned(),
    "EDMEulerScheduler": _Preconditioned()}
"""By the name of the scheduler's class or of one that it derives from."""

FLOW_ADAPTERS = {
    "FlowMatchEulerDiscreteScheduler": _Flow(),
    "FlowMatchHeunDiscreteScheduler": _Flow(),
    "FlowMatchLCMScheduler": _Flow()}
"""The same for flow models, whose pipelines call methods that other schedulers lack."""

HARMLESS: dict[str, tuple[Any, ...]] = {
    "clip_sample": (False,), "thresholding": (False,), "skip_prk_steps": (True,),
    "variance_type": (None, "fixed_small", "fixed_small_log"), "scale_factors": (None,), "invert_sigmas": (False,)}
"""Configuration values that leave the noise level as reported. Other values change how much noise a step removes."""


def adapter(scheduler: Any) -> _Adapter:
    """The adapter for a scheduler's family. Raises ValueError if the family is unknown."""
    return _found(scheduler, {**ADAPTERS, **FLOW_ADAPTERS})


def _found(scheduler: Any, adapters: Mapping[str, _Adapter]) -> _Adapter:
    for kind in type(scheduler).__mro__:
        if kind.__name__ in adapters:
            return adapters[kind.__name__]
    raise ValueError(f"scheduler must be one whose noise level is known ({', '.join(sorted(adapters))}), got "
                     f"{type(scheduler).__name__}")


def noise_level(scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
    """The noise level at the next model call.

    Parameters
    ----------
    timestep
        The timestep that the model is called with.
    index
        Index of the timestep in the schedule if no step has been taken yet. If None, the scheduler's current step.
    """
    return adapter(scheduler).level(scheduler, timestep, index)


def check(scheduler: Any, adapters: Mapping[str, _Adapter] = ADAPTERS) -> None:
    """Raises ValueError if a scheduler's noise level is unknown or if its configuration changes it.

    Parameters
    ----------
    adapters
        Those of the schedulers that the model can run with.
    """
    family, name, config = _found(scheduler, adapters), type(scheduler).__name__, scheduler.config
    kinds, kind = family.kinds, family.kind(scheduler)
    if kind not in kinds:
        raise ValueError(f"prediction_type of a {name} must be one of {', '.join(kinds)}, got {kind!r}")
    for key in HARMLESS.keys() & inspect.signature(type(scheduler)).parameters.keys():  # a config may hold more
        if config[key] not in HARMLESS[key]:
            right = HARMLESS[key][0]
            raise ValueError(f"{key} of a {name} must be {right} for latents, got {config[key]!r}: use "
                             f"{name}.from_config(pipeline.scheduler.config, {key}={right})")


def _index(scheduler: Any, timestep: Any) -> int:
    """Index of the scheduler's current sigma."""
    if scheduler.step_index is not None:
        return scheduler.step_index
    return scheduler.index_for_timestep(timestep) if scheduler.begin_index is None else scheduler.begin_index
