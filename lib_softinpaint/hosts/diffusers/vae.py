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
        return pipeline.latents.encoded(vae, pixels)
    latent = _in_safe_precision(pipeline.vae, encode)
    if not latent.isfinite().all():
        raise ValueError("the model's VAE must encode the image to finite numbers, got NaN or infinity, even in float32")
    return latent.to(pipeline.latent_dtype)


def decoded(pipeline: Any, latent: torch.Tensor) -> torch.Tensor:
    """Image of a latent (1, C, h, w), as (1, 3, H, W), -1 to 1. Not finite where the VAE fails even in float32."""
    return _in_safe_precision(pipeline.vae, lambda vae: pipeline.latents.decoded(vae, latent.to(vae.dtype)))


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
