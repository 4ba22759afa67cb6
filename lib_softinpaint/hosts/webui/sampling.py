"""Blends the original into the denoised prediction, within each model call."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from modules import shared

from lib_softinpaint.hosts.webui.faults import guarded
from lib_softinpaint.hosts.webui.run import Sampling, sampling_of
from lib_softinpaint.method import schedule

_denoiser: Any = None
"""The denoiser of the model call in progress. The callback after the call does not receive it."""


def noise_ratio_of(denoiser: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Converts the host's sigma to a noise ratio. Only a flow model's sigmas end at 1."""
    sigmas = getattr(denoiser.inner_model, "sigmas", None)
    is_flow = sigmas is not None and float(sigmas.max()) <= 1
    return schedule.ratio_from_flow if is_flow else schedule.ratio_from_sigma


@guarded
def on_mask_blend(p: Any, mba: Any) -> None:
    """Called at each model call, and once after the last."""
    sampling = sampling_of(p)
    if sampling is None:
        return
    levels = sampling.noise_levels
    if mba.is_final_blend:
        mba.blended_latent = sampling.job.finish(mba.current_latent)
    elif getattr(mba.denoiser, "mask_before_denoising", False):
        alphas_cumprod = levels.alphas_cumprod
        if alphas_cumprod is None:
            alphas_cumprod = levels.alphas_cumprod = mba.denoiser.inner_model.inner_model.alphas_cumprod
        levels.call = mba.current_latent, schedule.alpha_bar_at(mba.sigma, alphas_cumprod)
        mba.blended_latent = mba.current_latent
    else:
        if levels.ratio is None:
            levels.ratio = noise_ratio_of(mba.denoiser)
        mba.blended_latent = sampling.job.blend(mba.current_latent, levels.ratio(mba.sigma))


def on_cfg_denoiser(params: Any) -> None:
    global _denoiser
    _denoiser = params.denoiser


def on_cfg_after_cfg(params: Any) -> None:
    """After CFG has combined the predictions, in each model call of any run."""
    global _denoiser
    denoiser, _denoiser = _denoiser, None
    p = getattr(denoiser, "p", None)
    sampling = sampling_of(p)
    if sampling is not None:
        _after_cfg(p, params, denoiser, sampling)


@guarded
def _after_cfg(p: Any, params: Any, denoiser: Any, sampling: Sampling) -> None:
    job, levels = sampling.job, sampling.noise_levels
    if levels.call is None:
        denoised = params.x.clone()  # LCM writes into its input
    else:
        (noisy, alpha_bar), levels.call = levels.call, None
        if getattr(denoiser, "need_last_noise_uncond", False):  # CFG++ steps along the unconditional noise
            denoiser.last_noise_uncond, _ = job.blend_noise(noisy, denoiser.last_noise_uncond, alpha_bar)
        # Comes last, because the job measures the noise floor on the prediction that it blended last.
        params.x, denoised = job.blend_noise(noisy, params.x, alpha_bar)
    # The host previews, and returns on interruption, a prediction without the blend, so it is replaced here. The host's own
    # `store_latent` would decode a second time, which is not always allowed while the sampler runs.
    denoiser.sampler.last_latent = denoised
    if getattr(shared.opts, "live_preview_content", "Prompt") != "Negative prompt":
        shared.state.current_latent = denoised
