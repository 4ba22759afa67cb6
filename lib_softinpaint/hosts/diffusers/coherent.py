"""Makes new content agree with its surroundings in a diffusers run: what its UNet is asked is changed before a step."""
from __future__ import annotations

from typing import Any

import torch

from lib_softinpaint.generation.coherent import CoherentCalls
from lib_softinpaint.hosts.diffusers.noise_levels import noise_level
from lib_softinpaint.method import coherence

CORRECTORS = "UniPCMultistepScheduler", "SASolverScheduler"
"""Schedulers that compute each sample again from the one before, which undoes what was changed in it."""


def corrector(scheduler: Any) -> str | None:
    """The scheduler's name if it is one of CORRECTORS or derives from one."""
    return next((kind.__name__ for kind in type(scheduler).__mro__ if kind.__name__ in CORRECTORS), None)


class CoherentUNet:
    """Stands for a run's UNet. At a step's first call, it changes the step's sample before it predicts.

    Parameters
    ----------
    running
        The run's copy of the pipeline, with its UNet and a `BlendingScheduler`.
    calls
    """

    def __init__(self, running: Any, calls: CoherentCalls):
        self.running = running
        self.unet = running.unet
        self.calls = calls

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # looked up while copying, before there is a UNet
            raise AttributeError(name)
        return getattr(self.unet, name)

    def __call__(self, model_input: torch.Tensor, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        scheduler, is_guided = self.running.scheduler, self.running.do_classifier_free_guidance
        kind, noisy = scheduler.config.prediction_type, scheduler.noisy
        guidance = min(self.running.guidance_scale, coherence.INNER_GUIDANCE)
        noisy = noisy.chunk(2)[0] if is_guided else noisy
        level = noise_level(scheduler.scheduler, timestep).to(noisy.device)

        def given(noisy: torch.Tensor) -> torch.Tensor:
            return scheduler.scale_model_input(torch.cat([noisy] * 2) if is_guided else noisy, timestep)

        def predict(noisy: torch.Tensor) -> torch.Tensor:
            output = self.unet(given(noisy), timestep, *args, **kwargs)[0].float()
            if is_guided:
                without, with_prompt = output.chunk(2)
                output = torch.lerp(without, with_prompt, guidance)
            scaled, sample = level.scaled_for(kind, noisy.float())
            return scaled.denoised(kind, output, sample)
        signal, sigma = level.signal.flatten(), level.sigma.flatten()
        if getattr(scheduler, "state_in_first_order", True):
            changed = self.calls.begin_step(noisy, signal, sigma, level.ratio, predict)
            if changed is not noisy:
                scheduler.changed, model_input, noisy = changed, given(changed), changed
        self.calls.ask(noisy, signal, sigma)
        return self.unet(model_input, timestep, *args, **kwargs)
