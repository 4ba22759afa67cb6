"""The original's grain on new content, which autoencoders paint too smooth."""
from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

FINE_PX = 1.0
"""Pixels, a Gaussian's deviation: what it takes away is grain and the finest texture."""

TONES = np.linspace(0, 255, 6)
"""Levels of luminance at which grain is compared: film and sensors have more of it in some tones than in others."""

FEWEST_PX = 256
"""Pixels of a tone below which its grain is taken from all tones together."""

WHITE_DEVIATION = 0.873
"""Deviation that white noise of deviation 1 keeps when what is coarser than fine is taken away."""

LUMINANCE = np.float32([0.299, 0.587, 0.114])
"""Source: ITU-R BT.601."""

NORMAL_DEVIATION = 1.4826
"""Of a normal distribution, in medians of its absolute values: edges, which are few, do not count as grain."""


def matched(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, strength: float, seed: int) -> np.ndarray:
    """Decoded picture with as much grain as the original has outside the mask, in each channel and tone.

    Parameters
    ----------
    original, decoded : (H, W, 3) uint8 or float32, 0 to 255
    repaint : (H, W) float32, 0 to 1
    strength
        Share of the missing grain that is added, 0 to 1.
    seed
        Of the grain: the same gives the same.

    Returns
    -------
    (H, W, 3) float32

    Source: own, see METHOD 7 in docs/method.md.
    """
    result = decoded.astype(np.float32)
    outside, inside = repaint == 0, repaint > 0
    if strength == 0 or np.count_nonzero(outside) < FEWEST_PX or not inside.any():
        return result
    original = original.astype(np.float32)
    wanted = _deviations(original, outside)
    present = _deviations(result, inside)
    missing = np.sqrt(np.maximum(wanted ** 2 - present ** 2, 0))
    noise = np.random.default_rng(seed).standard_normal(result.shape, np.float32) / WHITE_DEVIATION
    tone = result @ LUMINANCE
    for channel in range(3):
        result[..., channel] += strength * noise[..., channel] * np.interp(tone, TONES, missing[:, channel])
    return result


def _fine(picture: np.ndarray) -> np.ndarray:
    return picture - gaussian_filter(picture, (FINE_PX, FINE_PX, 0))


def _deviations(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Deviation of the grain at each tone, (tones, 3) float, levels."""
    fine, tone = np.abs(_fine(picture)[where]), (picture @ LUMINANCE)[where]
    overall = NORMAL_DEVIATION * np.median(fine, axis=0)
    half_step = (TONES[1] - TONES[0]) / 2
    deviations = []
    for level in TONES:
        at_tone = np.abs(tone - level) <= half_step
        deviations.append(NORMAL_DEVIATION * np.median(fine[at_tone], axis=0)
                          if np.count_nonzero(at_tone) >= FEWEST_PX else overall)
    return np.stack(deviations)
