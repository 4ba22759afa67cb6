"""Colour drift of a decoded image: measured where its content is the original's, extended to where it is new."""
from __future__ import annotations

from typing import cast

import numpy as np
import torch
from scipy.ndimage import binary_erosion, gaussian_filter
from torch.nn.functional import interpolate

from lib_softinpaint.geometry import Box, Size

BLOCK_PX = 8
"""Side of the blocks, in pixels, in whose means drift is measured: drift is smooth, and lost texture averages out."""

SPREADS_PX = (96.0, 32.0, 12.0)
"""Pixels, deviations of Gaussians. A finer one is trusted where it has enough observations nearby."""

REACH_IN_DEVIATIONS = 3.0

CLEAR_OF_EDGE_BLOCKS = 1
"""Margin around the mask, where the decoder mixes new content into the outside."""

ENOUGH = 0.25
"""Share of observed blocks under a Gaussian from which its mean is fully trusted."""

LARGEST_DEVIATIONS = 3.0
"""In deviations of the observed differences: anything further off is content."""

FEWEST_BLOCKS = 12
"""Observed blocks below which no field can be estimated; one colour map is fitted instead."""

FEWEST_PX = 256
"""Observed pixels below which no map can be fitted either; nothing is corrected."""

OBSERVED = 1, 99
"""Percentiles of the known pixels between which a tone counts as observed."""

GAINS = 0.8, 1.25
"""Limits of a colour map's gain: beyond them, the few pixels show other content."""

NORMAL_DEVIATION = 1.4826
"""Deviation of a normal distribution, in medians of its absolute values."""


def corrected(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, strength: float = 1.0,
              box: Box | None = None, area: Box | None = None) -> np.ndarray:
    """The decoded image without the colour drift of autoencoder and resampling.

    Where the mask is 0, the sampler kept the original's latent, so any difference there is drift.

    Parameters
    ----------
    original, decoded : (H, W, 3) uint8 or float32, 0 to 255
    repaint : (H, W) float32, 0 to 1
        Where it is 0, the decoded image has the original's content.
    strength
        Share of the drift that is removed, 0 to 1.
    box
        The decoded part; everything if None.
    area
        The part that is needed; everything if None.

    Returns
    -------
    (H, W, 3) float32, the area's size

    Source: own, see METHOD 7 in docs/method.md; the field is a normalised convolution (Knutsson and Westin, CVPR 1993),
    from coarse to fine.
    """
    whole = Box.whole(Size.of(repaint))
    box, area = box or whole, area or whole
    result, part = decoded[area.inside].astype(np.float32), area.overlap(box)
    if strength > 0 and part.width and part.height:
        inside = box.inside
        correction = _drift(original[inside], decoded[inside], repaint[inside] == 0, part.seen_from(box))
        result[part.seen_from(area).inside] += strength * correction
    return result


def _drift(original: np.ndarray, decoded: np.ndarray, known: np.ndarray, part: Box) -> np.ndarray:
    """Correction to add to a part of the decoded image: levels, (h, w, 3) float32 or broadcastable to it."""
    if min(known.shape) < BLOCK_PX:
        return colour_map(original, decoded, known, part)
    known_blocks = _block_means(known[..., None])[0] == 1
    clear = cast(np.ndarray, binary_erosion(known_blocks, np.ones((3, 3)), CLEAR_OF_EDGE_BLOCKS, border_value=1))
    difference = _block_means(original) - _block_means(decoded)
    clear &= np.isfinite(difference).all(0)  # a decoder may overflow
    if np.count_nonzero(clear) < FEWEST_BLOCKS:
        return colour_map(original, decoded, known, part)
    return _enlarged(_extended(_without_content(np.where(clear, difference, 0), clear), clear), part)


def _enlarged(field: np.ndarray, part: Box) -> np.ndarray:
    """A part (h, w, 3) of the image from a value per block, (3, rows, columns) float32."""
    spans = (part.top, part.bottom, field.shape[1]), (part.left, part.right, field.shape[2])
    # One block more on each side, towards which the part's outermost pixels are interpolated.
    rows, columns = (slice(max(min(start // BLOCK_PX, blocks - 1) - 1, 0), (stop - 1) // BLOCK_PX + 2)
                     for start, stop, blocks in spans)
    near = torch.from_numpy(field[:, rows, columns])[None]
    enlarged = interpolate(near, scale_factor=BLOCK_PX, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    top, left = part.top - rows.start * BLOCK_PX, part.left - columns.start * BLOCK_PX
    missing = [max(0, top + part.height - enlarged.shape[0]), max(0, left + part.width - enlarged.shape[1])]
    if any(missing):  # the image is not a whole number of blocks
        enlarged = np.pad(enlarged, [(0, pixels) for pixels in (*missing, 0)], mode="edge")
    return enlarged[top:top + part.height, left:left + part.width]


def _block_means(values: np.ndarray) -> np.ndarray:
    """Means (C, h, w) of the blocks of (H, W, C); incomplete blocks are cut off."""
    rows, columns, channels = values.shape[0] // BLOCK_PX, values.shape[1] // BLOCK_PX, values.shape[2]
    values = values[:rows * BLOCK_PX, :columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns * BLOCK_PX * channels)
    sums = values.sum(1, dtype=np.float32).reshape(rows, columns, BLOCK_PX, channels).sum(2)
    return sums.transpose(2, 0, 1) / np.float32(BLOCK_PX ** 2)


def _without_content(difference: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The blocks' differences, clipped to the usual range of drift."""
    observed = difference[:, known]
    usual = np.median(observed, axis=1)[:, None, None]
    deviation = NORMAL_DEVIATION * np.median(np.abs(observed - usual[..., 0]), axis=1)[:, None, None]
    return np.clip(difference, usual - LARGEST_DEVIATIONS * deviation, usual + LARGEST_DEVIATIONS * deviation)


def _extended(difference: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Smooth field (3, h, w) that matches the known blocks' differences and extends them."""
    weights = known.astype(np.float32)
    field = np.broadcast_to(difference[:, known].mean(1)[:, None, None], difference.shape)
    for spread in SPREADS_PX:
        def spread_out(values: np.ndarray, deviation: float = spread / BLOCK_PX) -> np.ndarray:
            return gaussian_filter(values, deviation, mode="nearest", truncate=REACH_IN_DEVIATIONS)
        near = spread_out(weights)
        mean = np.stack([spread_out(channel * weights) for channel in difference]) / np.maximum(near, 1e-6)
        field = field + np.clip(near / ENOUGH, 0, 1) * (mean - field)
    return field.astype(np.float32)


def colour_map(original: np.ndarray, decoded: np.ndarray, known: np.ndarray, part: Box | None = None) -> np.ndarray:
    """Correction of a part of the decoded image by one gain and offset per channel, fitted to few known pixels.

    Fitted by regression of the original on the decoded image: the ratio of their deviations would mistake lost texture for
    lost contrast. Unobserved tones are shifted like the nearest observed ones.
    """
    known = known & np.isfinite(decoded).all(-1)
    if np.count_nonzero(known) < FEWEST_PX:
        return np.zeros(3, np.float32)
    wanted, seen = original[known].astype(np.float32), decoded[known].astype(np.float32)
    middle = seen.mean(0)
    variance = np.maximum(np.square(seen - middle).mean(0), 1)
    gain = np.clip(((wanted - wanted.mean(0)) * (seen - middle)).mean(0) / variance, *GAINS)
    shown = decoded if part is None else decoded[part.inside]
    return (gain - 1) * (np.clip(shown, *np.percentile(seen, OBSERVED, axis=0)) - middle) + wanted.mean(0) - middle
