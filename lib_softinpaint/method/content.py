"""Masked content of our own: what is in the painted area before noise is added."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lib_softinpaint.method.fill import fill_from_rim
from lib_softinpaint.settings.settings import LOCAL_FILL, RECOLOUR

LUMINANCE_OF_RGB = 0.2126729, 0.7151522, 0.0721750
"""Share of linear red, green and blue in the luminance. Source: IEC 61966-2-1 (sRGB)."""

OWN_STREAM = 0x5EED
"""Added to a seed, so that the extra noise is not the noise that the sampler draws from the same seed."""


def prepared(image: np.ndarray, repaint: np.ndarray, content: str) -> np.ndarray:
    """The image with its masked area as the setting "Own masked content" says.

    Parameters
    ----------
    image : (H, W, 3) uint8
    repaint : (H, W) float, 0 to 1
    content
        LOCAL_FILL, RECOLOUR, or any other text to change nothing.

    Returns
    -------
    (H, W, 3) uint8
    """
    if content == LOCAL_FILL:
        return fill_from_rim(image, repaint)
    return without_chroma(image, repaint) if content == RECOLOUR else image


def without_chroma(image: np.ndarray, repaint: np.ndarray) -> np.ndarray:
    """The image with greys of the same lightness in its masked area.

    Parameters
    ----------
    image : (H, W, 3) uint8
        sRGB.
    repaint : (H, W) float, 0 to 1
        Greys mix.

    Returns
    -------
    (H, W, 3) uint8

    Source: CIELAB's lightness depends on luminance alone (CIE 15), so a grey of the same luminance has it.
    """
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    luminance = linear[image] @ np.array(LUMINANCE_OF_RGB, np.float32)
    grey = np.where(luminance <= 0.0031308, 12.92 * luminance, 1.055 * luminance ** (1 / 2.4) - 0.055)
    share = repaint.astype(np.float32)[..., None]
    return np.rint(image + share * (255 * grey[..., None] - image)).clip(0, 255).astype(np.uint8)


def with_extra_noise(latent: torch.Tensor, repaint: torch.Tensor, strength: float, seeds: Sequence[int]) -> torch.Tensor:
    """The latent with noise where it is repainted, in proportion to the mask.

    Parameters
    ----------
    latent : (B or 1, C, ..., h, w) float
    repaint : (B or 1, 1, ..., h, w) float, 0 to 1
    strength
        Deviation of the noise where the mask is 1, in latent units.
    seeds
        One for each of B images. The same seed gives the same noise.

    Returns
    -------
    (B, C, ..., h, w), of the latent's dtype

    Source: own. AUTOMATIC1111's *Extra noise* (1.6 and later) adds such noise to the whole latent.
    """
    noise = torch.stack([torch.randn(latent.shape[1:], generator=torch.Generator().manual_seed(seed + OWN_STREAM))
                         for seed in seeds]).to(latent)
    return latent + strength * repaint.to(latent) * noise
