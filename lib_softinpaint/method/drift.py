"""Colour drift of a decoded picture, observed where its content is the original's, and extended to where it is new."""
from __future__ import annotations

from typing import cast

import numpy as np
import torch
from scipy.ndimage import binary_erosion, gaussian_filter
from torch.nn.functional import interpolate

from lib_softinpaint.geometry import Box, Size

BLOCK_PX = 8
"""Pixels to a side of the blocks in whose means drift is looked at: it is smooth, and lost texture averages out."""

SPREADS_PX = (96.0, 32.0, 12.0)
"""Pixels, deviations of Gaussians: each finer one is trusted as far as it has observed enough near by."""

REACH_IN_DEVIATIONS = 3.0

CLEAR_OF_EDGE_BLOCKS = 1
"""Around the mask, where the decoder mixes new content into what is outside."""

ENOUGH = 0.25
"""Share of observed blocks under a Gaussian from which on its mean is trusted wholly."""

LARGEST_DEVIATIONS = 3.0
"""Of the observed differences' usual one: what lies further off is content."""

FEWEST_BLOCKS = 12
"""Observed blocks below which no field can be told, and one colour map is fitted instead."""

FEWEST_PX = 256
"""Observed pixels below which no map can be fitted either, and nothing is corrected."""

OBSERVED = 1, 99
"""Percentiles of the known pixels between which a tone counts as observed."""

GAINS = 0.8, 1.25
"""Of a colour map: beyond, the few pixels show other content."""

NORMAL_DEVIATION = 1.4826
"""Of a normal distribution, in medians of its absolute values."""


def corrected(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, strength: float = 1.0,
              box: Box | None = None) -> np.ndarray:
    """Decoded picture less the colour drift of autoencoder and resampling.

    Where the mask is 0 the sampler kept the original's latent, so that all difference there is drift.

    Parameters
    ----------
    original, decoded : (H, W, 3) uint8 or float32, 0 to 255
    repaint : (H, W) float32, 0 to 1
        Where it is 0 the decoded picture's content is the original's.
    strength
        Share of the drift that is taken away, 0 to 1.
    box
        What was decoded; all of it if None.

    Returns
    -------
    (H, W, 3) float32

    Source: own, see METHOD 7 in docs/method.md; the field is a normalised convolution (Knutsson and Westin, CVPR 1993),
    from coarse to fine.
    """
    result = decoded.astype(np.float32)
    if strength == 0:
        return result
    inside = (box or Box.whole(Size.of(repaint))).inside
    result[inside] += strength * _drift(original[inside], result[inside], repaint[inside] == 0)
    return result


def _drift(original: np.ndarray, decoded: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What to add to the decoded picture, (H, W, 3) float32 levels or one that broadcasts to it."""
    height, width = known.shape
    if min(height, width) < BLOCK_PX:
        return colour_map(original, decoded, known)
    known_blocks = _block_means(known[..., None].astype(np.float32))[0] == 1
    clear = cast(np.ndarray, binary_erosion(known_blocks, np.ones((3, 3)), CLEAR_OF_EDGE_BLOCKS, border_value=1))
    difference = _block_means(original.astype(np.float32) - decoded)
    clear &= np.isfinite(difference).all(0)  # a decoder may overflow
    if np.count_nonzero(clear) < FEWEST_BLOCKS:
        return colour_map(original, decoded, known)
    field = _extended(_without_content(np.where(clear, difference, 0), clear), clear)
    enlarged = interpolate(torch.from_numpy(field)[None], scale_factor=BLOCK_PX, mode="bilinear", align_corners=False)[0]
    enlarged = enlarged.permute(1, 2, 0).numpy()
    left_over = height - enlarged.shape[0], width - enlarged.shape[1]
    return np.pad(enlarged, [(0, pixels) for pixels in (*left_over, 0)], mode="edge") if any(left_over) else enlarged


def _block_means(values: np.ndarray) -> np.ndarray:
    """Means (C, h, w) of the blocks of (H, W, C) float32; what is left of a division is cut off."""
    rows, columns, channels = values.shape[0] // BLOCK_PX, values.shape[1] // BLOCK_PX, values.shape[2]
    values = values[:rows * BLOCK_PX, :columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns * BLOCK_PX * channels)
    sums = values.sum(1).reshape(rows, columns, BLOCK_PX, channels).sum(2)
    return sums.transpose(2, 0, 1) / np.float32(BLOCK_PX ** 2)


def _without_content(difference: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The blocks' differences, held within what is usual for drift."""
    observed = difference[:, known]
    usual = np.median(observed, axis=1)[:, None, None]
    deviation = NORMAL_DEVIATION * np.median(np.abs(observed - usual[..., 0]), axis=1)[:, None, None]
    return np.clip(difference, usual - LARGEST_DEVIATIONS * deviation, usual + LARGEST_DEVIATIONS * deviation)


def _extended(difference: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Smooth field (3, h, w) that agrees with the known blocks' differences, and goes on from them."""
    weights = known.astype(np.float32)
    field = np.broadcast_to(difference[:, known].mean(1)[:, None, None], difference.shape)
    for spread in SPREADS_PX:
        def spread_out(values: np.ndarray, deviation: float = spread / BLOCK_PX) -> np.ndarray:
            return gaussian_filter(values, deviation, mode="nearest", truncate=REACH_IN_DEVIATIONS)
        near = spread_out(weights)
        mean = np.stack([spread_out(channel * weights) for channel in difference]) / np.maximum(near, 1e-6)
        field = field + np.clip(near / ENOUGH, 0, 1) * (mean - field)
    return field.astype(np.float32)


def colour_map(original: np.ndarray, decoded: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What one gain and offset for each channel add to the decoded picture, fitted to few known pixels.

    By regression of the original on the decoded: the ratio of their deviations would take lost texture for lost contrast.
    Tones that were not observed are shifted as the nearest that were.
    """
    known = known & np.isfinite(decoded).all(-1)
    if np.count_nonzero(known) < FEWEST_PX:
        return np.zeros(3, np.float32)
    wanted, seen = original[known].astype(np.float32), decoded[known]
    middle = seen.mean(0)
    variance = np.maximum(np.square(seen - middle).mean(0), 1)
    gain = np.clip(((wanted - wanted.mean(0)) * (seen - middle)).mean(0) / variance, *GAINS)
    return (gain - 1) * (np.clip(decoded, *np.percentile(seen, OBSERVED, axis=0)) - middle) + wanted.mean(0) - middle
