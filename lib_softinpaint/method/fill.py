"""Masked content "fill": the surroundings' colours, spread over the masked area."""
from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SPREADS_PX = (256, 64, 16, 4)
"""Pixels, deviations of Gaussians: the widest reaches every masked pixel, the narrower ones stay local."""

SMALLEST_WEIGHT = 1e-6
"""Below this weight, a Gaussian has not reached the pixel, and a quotient of its tails would be noise."""


def fill_from_outside(image: np.ndarray, repaint: np.ndarray) -> np.ndarray:
    """The image with its masked area filled with blurred colours of its surroundings.

    Parameters
    ----------
    image : (H, W, 3) uint8
    repaint : (H, W) float, 0 to 1

    Returns
    -------
    (H, W, 3) uint8

    Source: own, by normalised convolution.
    """
    known = (1 - repaint.astype(np.float32))[..., None]
    if not (known > 0).any():
        return image.copy()
    filled = np.broadcast_to((image * known).sum((0, 1)) / known.sum(), image.shape)
    for spread in SPREADS_PX:
        weight = gaussian_filter(known, (spread, spread, 0), mode="nearest")
        colour = gaussian_filter(image * known, (spread, spread, 0), mode="nearest") / np.maximum(weight, SMALLEST_WEIGHT)
        trust = np.clip(4 * weight, 0, 1)
        filled = filled + trust * (colour - filled)
    return np.rint(image * known + filled * (1 - known)).clip(0, 255).astype(np.uint8)
