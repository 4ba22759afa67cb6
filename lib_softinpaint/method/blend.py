"""Original latent and denoised latent -> blended latent with its contrast preserved."""
from __future__ import annotations

import torch

NORM_EPSILON = 1e-5
"""Latent units. Keeps the division by a blended vector's length finite where two opposite vectors cancel."""


def channel_norm(latent: torch.Tensor) -> torch.Tensor:
    """Length of each pixel's latent vector.

    Parameters
    ----------
    latent : (B, C, ..., H, W) float

    Returns
    -------
    (B, 1, ..., H, W), dtype of `latent`
    """
    # Summing squares by hand takes a third of torch.linalg.vector_norm's time over so few channels.
    return (latent * latent).sum(dim=1, keepdim=True).sqrt_()


def blend(original: torch.Tensor, original_norm: torch.Tensor, denoised: torch.Tensor, share: torch.Tensor,
          contrast_boost: float) -> torch.Tensor:
    """Interpolated latent whose vectors' lengths are the power mean of the two lengths.

    Where the share is 0 or 1, the result is `original` or `denoised`, bit for bit.

    Parameters
    ----------
    original, denoised : (B, C, ..., H, W) float32
    original_norm : (B, 1, ..., H, W) float32
        `channel_norm(original)`. It is the same at every step, so it is computed once.
    share : (B or 1, 1, ..., H, W) float32, 0 to 1
        1 = denoised.
    contrast_boost
        Exponent of the power mean: 1 is the weighted mean, high values approach the larger of the two lengths.

    Returns
    -------
    (B, C, ..., H, W) float32, a new tensor

    Source: observed in AUTOMATIC1111 1.10.1, in float64 there. Here the larger length is factored out, so that float32
    does not overflow.
    """
    blended = torch.lerp(original, denoised, share)
    denoised_norm = channel_norm(denoised)
    if contrast_boost == 1:
        wanted_norm = torch.lerp(original_norm, denoised_norm, share)
    else:
        larger = torch.maximum(original_norm, denoised_norm)
        relative = torch.minimum(original_norm, denoised_norm).div_(larger.clamp(min=torch.finfo(larger.dtype).tiny))
        share_of_larger = torch.where(denoised_norm >= original_norm, share, 1 - share)
        wanted_norm = torch.lerp(relative.pow_(contrast_boost), torch.ones((), dtype=larger.dtype, device=larger.device),
                                 share_of_larger).pow_(1 / contrast_boost).mul_(larger)
    scale = wanted_norm.div_(channel_norm(blended).add_(NORM_EPSILON))
    # Shares of 0 and 1 must stay exact.
    scale.masked_fill_((share == 0) | (share == 1), 1)
    return blended.mul_(scale)
