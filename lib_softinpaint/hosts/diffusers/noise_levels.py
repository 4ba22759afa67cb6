"""Noise levels of diffusers' schedulers: an adapter for each family tells what a sample holds at a model call.

The words are those of k-diffusion's wrappers: a noisy sample is signal * latent + sigma * noise.
"""
from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch

from lib_softinpaint.method import schedule

LARGEST_LMS_ORDER = 4
"""diffusers' default, and k-diffusion's."""


@dataclass(frozen=True)
class NoiseLevel:
    """What a sample holds at one model call: signal * latent + sigma * noise.

    Parameters
    ----------
    signal, sigma : (1, 1, 1, 1) float32
    sigma_data
        Standard deviation of the latents on which the model was trained.
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
        """The level and the sample at the scale on which this prediction type is defined: v on samples of variance one."""
        if kind != "v_prediction":
            return self, sample
        scale = (self.signal ** 2 + self.sigma ** 2).rsqrt()
        return replace(self, signal=self.signal * scale, sigma=self.sigma * scale), sample * scale

    def denoised(self, kind: str, output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Denoised prediction in a model's output of this prediction type; all float32 and scaled for it."""
        if kind == "epsilon":
            return (sample - self.sigma * output) / self.signal
        if kind == "v_prediction":
            return self.signal * sample - self.sigma * output
        return sample - self.sigma * output if kind == "flow_prediction" else output

    def output(self, kind: str, denoised: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """The model's output of this prediction type that means this denoised prediction."""
        if kind == "epsilon":
            return (sample - self.signal * denoised) / self.sigma
        if kind == "v_prediction":
            return (self.signal * sample - denoised) / self.sigma
        return (sample - denoised) / self.sigma if kind == "flow_prediction" else denoised


@dataclass(frozen=True)
class PreconditionedLevel(NoiseLevel):
    """Of a model whose output is scaled and added to its input.

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
    """What is particular to a family; here what most have in common."""

    kinds: tuple[str, ...] = ("epsilon", "v_prediction")
    """Prediction types that its schedulers know."""

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        raise NotImplementedError

    def timesteps(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Those of a run that begins within a schedule."""
        return timesteps

    def step_arguments(self, scheduler: Any) -> dict[str, Any]:
        """Of the scheduler's next step."""
        return {}


class _Discrete(_Adapter):
    """DDPM and its kin: a level for each timestep of training."""

    kinds = ("epsilon", "v_prediction", "sample")

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        alpha_bar = scheduler.alphas_cumprod[int(timestep)].float().view(1, 1, 1, 1)
        return NoiseLevel(alpha_bar ** 0.5, (1 - alpha_bar) ** 0.5)


class _Plms(_Discrete):
    """PLMS: its first step is made twice, the second time from the mean of the predictions at its two ends."""

    kinds = ("epsilon", "v_prediction")

    def timesteps(self, timesteps: torch.Tensor) -> torch.Tensor:
        # A part of diffusers' schedule lacks the doubled timestep, and the sample would lag a step behind.
        once = timesteps.unique_consecutive()
        return torch.cat([once[:2], once[1:]])


class _BySigma(_Adapter):
    """Samplers of k-diffusion: noise of deviation sigma on an unscaled latent."""

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        index = _index(scheduler, timestep) if index is None else index
        sigma = self.sigma(scheduler, index).float().view(1, 1, 1, 1)
        return NoiseLevel(torch.ones_like(sigma), sigma)

    def sigma(self, scheduler: Any, index: int) -> torch.Tensor:
        return scheduler.sigmas[index]


class _Lms(_BySigma):
    def step_arguments(self, scheduler: Any) -> dict[str, Any]:
        # diffusers counts the order from the start of the schedule, where a run that begins within it has no derivatives.
        return {"order": min(len(scheduler.derivatives) + 1, LARGEST_LMS_ORDER)}


class _Heun(_BySigma):
    kinds = ("epsilon", "v_prediction", "sample")


class _Interpolated(_BySigma):
    """DPM2: the second model call of a step lies between two sigmas."""

    def sigma(self, scheduler: Any, index: int) -> torch.Tensor:
        return scheduler.sigmas[index] if scheduler.state_in_first_order else scheduler.sigmas_interpol[index]


class _Midpoint(_BySigma):
    """DPM++ SDE: the second model call of a step lies in the middle of it, by the logarithm of sigma."""

    def sigma(self, scheduler: Any, index: int) -> torch.Tensor:
        return scheduler.sigmas[index] if scheduler.state_in_first_order else scheduler.mid_point_sigma


class _Solver(_BySigma):
    """DPM-Solver and its kin: the same sigmas, on samples of variance one; or those of flow models."""

    kinds = ("epsilon", "v_prediction", "sample", "flow_prediction")

    def level(self, scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
        return NoiseLevel(*scheduler._sigma_to_alpha_sigma_t(super().level(scheduler, timestep, index).sigma))


class _Preconditioned(_BySigma):
    """EDM: the same sigmas, and a model whose output is scaled and added to its input."""

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
    # Between a sigma and where its ancestral step goes down to lies, by the logarithm, the next sigma.
    "KDPM2AncestralDiscreteScheduler": _BySigma(),
    "DPMSolverSDEScheduler": _Midpoint(),
    "DEISMultistepScheduler": _Solver(),
    "DPMSolverMultistepScheduler": _Solver(),
    "DPMSolverSinglestepScheduler": _Solver(),
    "SASolverScheduler": _Solver(),
    "UniPCMultistepScheduler": _Solver(),
    "EDMDPMSolverMultistepScheduler": _Preconditioned(),
    "EDMEulerScheduler": _Preconditioned()}
"""By the scheduler's class, or one that it derives from."""

HARMLESS: dict[str, tuple[Any, ...]] = {
    "clip_sample": (False,), "thresholding": (False,), "skip_prk_steps": (True,),
    "variance_type": (None, "fixed_small", "fixed_small_log")}
"""Values of a scheduler's configuration under which it adds and removes as much noise as its level tells."""


def adapter(scheduler: Any) -> _Adapter:
    """Of the scheduler's family. Raises ValueError where that is not known."""
    for kind in type(scheduler).__mro__:
        if kind.__name__ in ADAPTERS:
            return ADAPTERS[kind.__name__]
    raise ValueError(f"scheduler must be one whose noise level is known ({', '.join(sorted(ADAPTERS))}), got "
                     f"{type(scheduler).__name__}")


def noise_level(scheduler: Any, timestep: Any, index: int | None = None) -> NoiseLevel:
    """The level at the model call that comes next, or at the first one of a step.

    Parameters
    ----------
    timestep
        With which the model is called.
    index
        Of the timestep among the scheduler's, where no step was made yet; the one at which the scheduler stands if None.
    """
    return adapter(scheduler).level(scheduler, timestep, index)


def check(scheduler: Any) -> None:
    """Raises ValueError where a scheduler's noise level is not known, or not kept to."""
    kinds, name, config = adapter(scheduler).kinds, type(scheduler).__name__, scheduler.config
    if config.prediction_type not in kinds:
        raise ValueError(f"prediction_type of a {name} must be one of {', '.join(kinds)}, got {config.prediction_type!r}")
    for key in HARMLESS.keys() & inspect.signature(type(scheduler)).parameters.keys():  # others it only carries along
        if config[key] not in HARMLESS[key]:
            right = HARMLESS[key][0]
            raise ValueError(f"{key} of a {name} must be {right} for latents, got {config[key]!r}: use "
                             f"{name}.from_config(pipeline.scheduler.config, {key}={right})")


def _index(scheduler: Any, timestep: Any) -> int:
    """Of the sigma at which the scheduler stands."""
    if scheduler.step_index is not None:
        return scheduler.step_index
    return scheduler.index_for_timestep(timestep) if scheduler.begin_index is None else scheduler.begin_index
