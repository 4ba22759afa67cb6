"""Encodes and decodes with a pipeline's VAE."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image


def encoded(pipeline: Any, image: Image.Image) -> torch.Tensor:
    """Latent of an image, (1, C, h, w), from the mode of the VAE, so the same image always gives the same latent.

    Raises ValueError if it is not finite even in float32.
    """
    def encode(vae: Any) -> torch.Tensor:
        pixels = pipeline.image_processor.preprocess(image).to(pipeline._execution_device, vae.dtype)
        return vae.encode(pixels).latent_dist.mode()
    latent, scale = _in_safe_precision(pipeline.vae, encode), pipeline.vae.config.scaling_factor
    if not latent.isfinite().all():
        raise ValueError("the model's VAE must encode the image to finite numbers, got NaN or infinity, even in float32")
    statistics = _statistics(pipeline.vae, latent)
    if statistics is None:
        scaled = latent * scale
    else:
        mean, std = statistics
        scaled = (latent - mean) * scale / std
    return scaled.to(pipeline.unet.dtype)


def decoded(pipeline: Any, latent: torch.Tensor) -> torch.Tensor:
    """Image of a latent (1, C, h, w), as (1, 3, H, W), -1 to 1. Not finite where the VAE fails even in float32."""
    def decode(vae: Any) -> torch.Tensor:
        statistics, scale = _statistics(vae, latent.to(vae.dtype)), vae.config.scaling_factor
        if statistics is None:
            scaled = latent.to(vae.dtype) / scale
        else:
            mean, std = statistics
            scaled = latent.to(vae.dtype) * std / scale + mean
        return vae.decode(scaled, return_dict=False)[0]
    return _in_safe_precision(pipeline.vae, decode)


def _statistics(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Mean and standard deviation of the VAE's latents, (1, C, 1, 1), or None if the model does not normalise by them."""
    values = [getattr(vae.config, name, None) for name in ("latents_mean", "latents_std")]
    if None in values:
        return None
    mean, std = (torch.tensor(each).view(1, -1, 1, 1).to(like) for each in values)
    return mean, std


def _in_safe_precision(vae: Any, compute: Callable[[Any], torch.Tensor]) -> torch.Tensor:
    """The VAE's result, in float32 if half precision is known to overflow, or if the result is not finite."""
    dtype = vae.dtype
    if not (getattr(vae.config, "force_upcast", False) and dtype == torch.float16):
        result = compute(vae)
        if dtype == torch.float32 or result.isfinite().all():
            return result
    vae.to(torch.float32)
    try:
        return compute(vae)
    finally:
        vae.to(dtype)
