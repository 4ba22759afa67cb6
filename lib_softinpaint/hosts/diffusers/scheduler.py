"""Wraps the scheduler of one diffusers run: blends the original into each prediction."""
from __future__ import annotations

import copy
import functools
from typing import Any

import torch

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers.latents import Latents
from lib_softinpaint.hosts.diffusers.noise_levels import adapter, noise_level


class BlendingScheduler:
    """Forwards every call to a scheduler, but blends the job's original into each prediction first.

    Parameters
    ----------
    scheduler
        From `own_copy`.
    job
    conditioning : (1 or B, 5, H, W) float
        Mask and masked-image latent for an inpainting UNet; None for other models.
    may_skip
        Whether steps that unlock no pixel of the mask may be skipped.
    latents
        How the denoiser packs its latents.
    """

    def __init__(self, scheduler: Any, job: SoftInpaintJob, conditioning: torch.Tensor | None = None, may_skip: bool = False,
                 latents: Latents | None = None):
        self.scheduler = scheduler
        self.job = job
        self.latents = latents or Latents()
        self.conditioning = conditioning
        self.may_skip = may_skip
        self.predicted: torch.Tensor | None = None
        """Denoised prediction of the last step, with the original blended in."""
        self.noisy: torch.Tensor | None = None
        """The sample of the step in progress, once for each prompt of the guidance."""
        self.changed: torch.Tensor | None = None
        """What the sample of the step in progress was changed to; None if it was not."""

        @functools.wraps(scheduler.step)  # the pipelines inspect its parameters
        def step(model_output, timestep, sample, *args, **kwargs):
            if self.changed is not None:
                sample, self.changed = self.changed, None
            kwargs = {**adapter(scheduler).step_arguments(scheduler), **kwargs}
            return scheduler.step(self._blended(model_output, timestep, sample), timestep, sample, *args, **kwargs)
        self.step = step

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # looked up while copying, before there is a scheduler
            raise AttributeError(name)
        return getattr(self.scheduler, name)

    def scale_model_input(self, sample: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.noisy = sample
        scaled = self.scheduler.scale_model_input(sample, *args, **kwargs)
        if self.conditioning is None:
            return scaled
        further = self.conditioning.to(scaled)
        return torch.cat([scaled, further.repeat(len(scaled) // len(further), 1, 1, 1)], dim=1)

    def _blended(self, output: torch.Tensor, timestep: Any, sample: torch.Tensor) -> torch.Tensor:
        """The model's output with the original blended into its denoised prediction; unchanged where the mask is 1."""
        kind, size = adapter(self.scheduler).kind(self.scheduler), Size(*self.job.reference.shape[-2:])
        output, sample = (self.latents.unpacked(each, size) for each in (output, sample))
        level, sample = noise_level(self.scheduler, timestep).to(sample.device).scaled_for(kind, sample.float())
        self.predicted = self.job.blend(level.denoised(kind, output.float(), sample), level.ratio)
        blended = level.output(kind, self.predicted, sample).to(output.dtype)
        return self.latents.packed(torch.where(self.job.repaint == 1, output, blended))

    def run_timesteps(self, timesteps: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Timesteps of a run that starts partway through a schedule, and how many of its first steps are skipped.

        Parameters
        ----------
        timesteps : (N,)
            The timesteps that diffusers would run.
        """
        timesteps = adapter(self.scheduler).timesteps(timesteps)
        if not self.may_skip:
            return timesteps, 0
        order, begin = self.scheduler.order, getattr(self.scheduler, "begin_index", None)
        ratios = [noise_level(self.scheduler, timestep, (begin or 0) + number * order).ratio
                  for number, timestep in enumerate(timesteps[::order])]
        skipped = self.job.locked_steps(torch.cat(ratios), order)
        if begin is not None:
            self.scheduler.set_begin_index(begin + skipped * order)
        return timesteps[skipped * order:], skipped


def own_copy(scheduler: Any) -> Any:
    """A scheduler for one run: a copy, or the scheduler itself if its owner has replaced a method, which may refer to it."""
    replaced = any(callable(getattr(type(scheduler), name, None)) for name in vars(scheduler))
    return scheduler if replaced else copy.deepcopy(scheduler)
