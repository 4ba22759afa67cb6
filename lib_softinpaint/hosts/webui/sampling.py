"""Blends the original into the denoised prediction, within each model call."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from modules import shared

from lib_softinpaint.hosts.webui.faults import guarded
from lib_softinpaint.hosts.webui.run import Sampling, sampling_of
from lib_softinpaint.method import schedule


@dataclass(frozen=True)
class _ModelCall:
    """What the host passed to `on_cfg_denoiser` before a model call."""

    denoiser: Any
    noisy: torch.Tensor
    """(B, C, ..., h, w) float: the model's input."""
    sigma: torch.Tensor
    """(B,) float; the timestep if the denoiser masks before denoising. AUTOMATIC1111 counts both prompts in B."""


_call: _ModelCall | None = None
"""The model call in progress. The callback after the call receives neither its denoiser nor its noise level."""


def noise_ratio_of(denoiser: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Converts the host's sigma to a noise ratio."""
    return schedule.ratio_from_flow if is_flow(denoiser) else schedule.ratio_from_sigma


def is_flow(denoiser: Any) -> bool:
    """Whether the model is a flow model: only the sigmas of those end at 1."""
    sigmas = getattr(denoiser.inner_model, "sigmas", None)
    return sigmas is not None and float(sigmas.max()) <= 1


@guarded
def on_mask_blend(p: Any, mba: Any) -> None:
    """Called at each model call, where the host has such a hook, and once after the last."""
    sampling = sampling_of(p)
    if sampling is None:
        return
    levels = sampling.noise_levels
    if mba.is_final_blend:
        mba.blended_latent = sampling.job.finish(mba.current_latent)
    elif levels.is_round:
        mba.blended_latent = mba.current_latent
    elif getattr(mba.denoiser, "mask_before_denoising", False):
        alphas_cumprod = levels.alphas_cumprod
        if alphas_cumprod is None:
            alphas_cumprod = levels.alphas_cumprod = mba.denoiser.inner_model.inner_model.alphas_cumprod
        levels.call = mba.current_latent, schedule.alpha_bar_at(mba.sigma, alphas_cumprod)
        mba.blended_latent = mba.current_latent
    else:
        mba.blended_latent = _blended(sampling, mba.denoiser, mba.current_latent, mba.sigma)
        levels.is_blended = True


def _blended(sampling: Sampling, denoiser: Any, denoised: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    levels = sampling.noise_levels
    if levels.ratio is None:
        levels.ratio = noise_ratio_of(denoiser)
    return sampling.job.blend(denoised, levels.ratio(sigma))


def on_cfg_denoiser(params: Any) -> None:
    global _call
    _call = _ModelCall(params.denoiser, params.x, params.sigma)


def on_cfg_after_cfg(params: Any) -> None:
    """After CFG has combined the predictions, in each model call of any run."""
    global _call
    call, _call = _call, None
    p = getattr(call and call.denoiser, "p", None)
    sampling = sampling_of(p)
    if call is not None and sampling is not None and not sampling.noise_levels.is_round:
        _after_cfg(p, params, call, sampling)


@guarded
def _after_cfg(p: Any, params: Any, call: _ModelCall, sampling: Sampling) -> None:
    job, levels, denoiser = sampling.job, sampling.noise_levels, call.denoiser
    steps_along_uncond = getattr(denoiser, "need_last_noise_uncond", False)  # CFG++
    if levels.call is not None:
        (noisy, alpha_bar), levels.call = levels.call, None
        if steps_along_uncond:
            denoiser.last_noise_uncond, _ = job.blend_noise(noisy, denoiser.last_noise_uncond, alpha_bar)
        # Comes last, because the job measures the noise floor on the prediction that it blended last.
        params.x, denoised = job.blend_noise(noisy, params.x, alpha_bar)
    else:
        if not levels.is_blended:  # Forge Classic has no hook in the steps
            params.x = _blended(sampling, denoiser, params.x, call.sigma)
        levels.is_blended = False
        denoised = params.x.clone()  # LCM writes into its input
        if steps_along_uncond:
            _blend_uncond(sampling, call)
    # The host previews, and returns on interruption, a prediction without the blend, so it is replaced here. The host's own
    # `store_latent` would decode a second time, which is not always allowed while the sampler runs.
    denoiser.sampler.last_latent = denoised
    if getattr(shared.opts, "live_preview_content", "Prompt") != "Negative prompt":
        shared.state.current_latent = denoised


def _blend_uncond(sampling: Sampling, call: _ModelCall) -> None:
    """Blends the unconditional prediction, which Forge keeps as noise in `last_noise_uncond`."""
    denoiser, predicted = call.denoiser, sampling.job.predicted
    sigma = call.sigma.view(-1, *[1] * (call.noisy.ndim - 1))
    uncond = _blended(sampling, denoiser, call.noisy - sigma * denoiser.last_noise_uncond, call.sigma)
    denoiser.last_noise_uncond = (call.noisy - uncond) / sigma
    sampling.job.predicted = predicted  # the noise floor is that of the combined prediction
