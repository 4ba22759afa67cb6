"""The original's grain on new content, which autoencoders paint too smooth."""
from __future__ import annotations

import math
from typing import cast

import numpy as np

from lib_softinpaint.geometry import Box
from lib_softinpaint.method.drift import NORMAL_DEVIATION

FINE_PX = 1.0
"""Pixels, deviation of a Gaussian: it removes grain and the finest texture."""

TONES = np.linspace(0, 255, 6)
"""Levels of luminance at which grain is compared: film and sensors have more of it in some tones than in others."""

FEWEST_PX = 256
"""With fewer pixels of a tone, its grain is taken from all tones together."""

MOST_PX = 100_000
"""Pixels from which a deviation is estimated: enough for 1 % accuracy."""

WHITE_DEVIATION = 0.873
"""Deviation that remains of white noise with deviation 1 after the coarse part is removed."""

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""Source: ITU-R BT.601."""


def matched(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, strength: float, seed: int) -> np.ndarray:
    """The decoded image with as much grain, per channel and tone, as the original has outside the mask.

    Parameters
    ----------
    original, decoded : (H, W, 3) uint8 or float32, 0 to 255
    repaint : (H, W) float32, 0 to 1
    strength
        Share of the missing grain that is added, 0 to 1.
    seed
        Seed of the grain: the same seed gives the same grain.

    Returns
    -------
    (H, W, 3) float32

    Source: own, see METHOD 7 in docs/method.md.
    """
    result = decoded.astype(np.float32)
    if strength == 0:
        return result
    outside, inside = repaint == 0, repaint > 0
    if np.count_nonzero(outside) < FEWEST_PX or not inside.any():
        return result
    original = original.astype(np.float32)
    box = Box.around(inside).inside
    new = result[box]
    wanted, present = _deviations(original, outside), _deviations(new, inside[box])
    missing = np.sqrt(np.maximum(wanted ** 2 - present ** 2, 0))
    noise = np.random.default_rng(seed).standard_normal(new.shape, np.float32) / WHITE_DEVIATION
    tone = new @ LUMINANCE
    for channel in range(3):
        new[..., channel] += strength * noise[..., channel] * np.interp(tone, TONES, missing[:, channel])
    return result


def _fine(image: np.ndarray) -> np.ndarray:
    """The fine part of an image (H, W, 3) float32."""
    radius = math.ceil(3 * FINE_PX)
    weights = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * FINE_PX ** 2)).astype(np.float32)
    weights /= weights.sum()
    height, width = image.shape[:2]
    padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    # Summing shifted images takes a quarter of the time of SciPy's filter.
    rows = cast(np.ndarray, sum(weight * padded[shift:shift + height] for shift, weight in enumerate(weights)))
    return image - sum(weight * rows[:, shift:shift + width] for shift, weight in enumerate(weights))


def _deviations(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Deviation of the grain at each tone, (tones, 3) float, levels. The median ignores edges, which are few."""
    places = np.flatnonzero(where)
    places = places[::math.ceil(len(places) / MOST_PX)]
    fine, tone = np.abs(_fine(image).reshape(-1, 3)[places]), image.reshape(-1, 3)[places] @ LUMINANCE
    finite = np.isfinite(fine).all(-1)  # a decoder may overflow
    if not finite.all():
        fine, tone = fine[finite], tone[finite]
        if not len(fine):
            return np.zeros((len(TONES), 3))
    overall = NORMAL_DEVIATION * np.median(fine, axis=0)
    half_step = (TONES[1] - TONES[0]) / 2
    deviations = []
    for level in TONES:
        at_tone = np.abs(tone - level) <= half_step
        deviations.append(NORMAL_DEVIATION * np.median(fine[at_tone], axis=0)
                          if np.count_nonzero(at_tone) >= FEWEST_PX else overall)
    return np.stack(deviations)
