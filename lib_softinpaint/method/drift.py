"""Colour drift of a decoded image: measured where its content is the original's, and removed where it predicts the new."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from torch.nn.functional import interpolate

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.smootherstep import smootherstep

BLOCK_PX = 8
"""Side of the blocks, in pixels, in whose means drift is measured: lost texture averages out."""

MOST_BLOCKS = 8192
"""Blocks in the mask from which on they are larger, to limit time: those of a mask of 720x720 pixels."""

NEAR_PX = 64.0
"""Pixels, deviation of a Gaussian: blocks within it share the drift of their place."""

ALIKE = 15.0
"""CIELAB units, deviation of a Gaussian: blocks within it share the drift of their colour."""

DOUBT = 1.0
"""Variance of what is not drift in one block's difference. That of each of the kernel's two parts is 1."""

SAMPLE_BLOCKS = 400
"""Known blocks from which drift is predicted, at most. More would cost time and predict little better."""

SURROUNDINGS_PX = 256
"""Margin around the mask from which they are taken."""

CLEAR_OF_EDGE_BLOCKS = 1
"""Margin around the mask, where the decoder mixes new content into the outside."""

LARGEST_DEVIATIONS = 6.0
"""In deviations of the observed differences: anything further off is content. Drift differs between colours by less."""

LEAST_SPREAD = 1.0
"""Levels, least deviation of the observed differences for that limit."""

UNCHANGED_DEVIATIONS = 1.4
"""In deviations of the prediction's errors outside the mask: a block in the mask counts as unchanged up to about there."""

LEAST_DEVIATION = 1.0
"""Levels, least deviation of those errors: smaller errors are invisible."""

UNCHANGED = 0.3, 0.4
"""Shares of the feather's blocks that must be unchanged: above the first for any trust, from the second on for full trust."""

EXPLAINED = 0.0, 0.3
"""Shares of the unchanged blocks' squared differences that the prediction must explain: above the first for any trust, from
the second on for full trust."""

MEDIAN_SQUARE = 2.366
"""Median of the summed squares of three standard normal values."""

FEWEST_BLOCKS = 12
"""Observed blocks below which nothing can be predicted; one colour map is fitted instead."""

FEWEST_PX = 256
"""Observed pixels below which no map can be fitted either; nothing is corrected."""

OBSERVED = 1, 99
"""Percentiles of the known pixels between which a tone counts as observed."""

GAINS = 0.8, 1.25
"""Limits of a colour map's gain: beyond them, the few pixels show other content."""

NORMAL_DEVIATION = 1.4826
"""Deviation of a normal distribution, in medians of its absolute values."""


@dataclass(frozen=True, eq=False)
class Drift:
    """Colour drift of a decoded image where the mask is above 0.

    Parameters
    ----------
    box
        Part of the image that holds it.
    correction : (h, w, 3) float32, levels, or broadcastable to it
        What removes it; the box's size.
    trust
        Share of the predicted drift that it contains, 0 to 1.
    """

    box: Box
    correction: np.ndarray
    trust: float

    def removed(self, decoded: np.ndarray, strength: float, area: Box) -> np.ndarray:
        """A part of the decoded image (H, W, 3) without a share of the drift, (h, w, 3) float32."""
        result, part = decoded[area.inside].astype(np.float32), area.overlap(self.box)
        if strength > 0 and part.width and part.height:
            correction = np.broadcast_to(self.correction, (*self.box.size, 3))
            result[part.seen_from(area).inside] += np.float32(strength) * correction[part.seen_from(self.box).inside]
        return result


def corrected(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, strength: float = 1.0,
              box: Box | None = None, area: Box | None = None) -> np.ndarray:
    """The decoded image without the colour drift of autoencoder and resampling, where the mask is above 0.

    Parameters
    ----------
    original, decoded, repaint, box
        As in `measured`.
    strength
        Share of the drift that is removed, 0 to 1.
    area
        The part that is needed; everything if None.

    Returns
    -------
    (H, W, 3) float32, the area's size
    """
    return measured(original, decoded, repaint, box).removed(decoded, strength, area or Box.whole(Size.of(repaint)))


def measured(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, box: Box | None = None) -> Drift:
    """Drift of the decoded image where the mask is above 0.

    Where the mask is 0, the sampler kept the original's latent, so any difference there is drift.

    Parameters
    ----------
    original, decoded : (H, W, 3) uint8 or float32, 0 to 255
    repaint : (H, W) float32, 0 to 1
        Where it is 0, the decoded image has the original's content.
    box
        The decoded part; everything if None.

    Source: own, see METHOD 7 in docs/method.md; the prediction is kernel ridge regression (Rasmussen and Williams, Gaussian
    Processes for Machine Learning, 2006, equations 2.25 and 5.12).
    """
    box = box or Box.whole(Size.of(repaint))
    inside = box.inside
    original, decoded, repaint = original[inside], decoded[inside], repaint[inside]
    repainted = repaint > 0
    part = Box.around(repainted)
    place = Box(part.left + box.left, part.top + box.top, part.width, part.height)
    if min(repaint.shape) < BLOCK_PX:
        return _mapped(original, decoded, repaint, part, place)
    # A large image's far parts would take most of the time.
    block_px = BLOCK_PX * max(1, math.ceil((np.count_nonzero(repainted) / MOST_BLOCKS) ** 0.5 / BLOCK_PX))
    window = Box.around(repainted, SURROUNDINGS_PX).aligned_to(block_px)
    near = window.inside
    of_window = _in_window(original[near], decoded[near], repaint[near], part.seen_from(window), block_px)
    if of_window is None:
        return _mapped(original, decoded, repaint, part, place)
    return Drift(place, *of_window)


def _mapped(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, part: Box, place: Box) -> Drift:
    """Drift from few known pixels. Nothing is left to check it."""
    correction = colour_map(original, decoded, repaint == 0, part)
    return Drift(place, correction, float(correction.any()))


def _in_window(original: np.ndarray, decoded: np.ndarray, repaint: np.ndarray, part: Box,
               block_px: int) -> tuple[np.ndarray, float] | None:
    """Correction and trust of a part, from all that surrounds it; None if too few blocks are known."""
    known = _block_means((repaint == 0)[..., None], block_px)[0] == 1
    feather = ~known & (_block_means((repaint == repaint.max())[..., None], block_px)[0] < 1)
    clear = cast(np.ndarray, binary_erosion(known, np.ones((3, 3)), CLEAR_OF_EDGE_BLOCKS, border_value=1))
    seen = _block_means(decoded, block_px)
    difference = _block_means(original, block_px) - seen
    finite = np.isfinite(difference).all(0)  # a decoder may overflow
    clear &= finite
    if np.count_nonzero(clear) < FEWEST_BLOCKS:
        return None
    predicted_at = cast(np.ndarray, binary_dilation(~known, np.ones((3, 3)))) & finite
    features = _features(np.where(finite, seen, 0), block_px)
    sample = np.flatnonzero(clear)
    if len(sample) > SAMPLE_BLOCKS:
        sample = np.random.default_rng(0).choice(sample, SAMPLE_BLOCKS, replace=False)
    drift = _without_content(np.where(clear, difference, 0), clear).reshape(3, -1)[:, sample].T
    values, deviation = _predicted(features[sample], drift, features[predicted_at.ravel()])
    field = np.zeros_like(difference)
    field[:, predicted_at] = values.T
    checked = ~known & finite
    trust = _trust(difference[:, checked], field[:, checked], feather[checked], deviation)
    return _enlarged(trust * field, part, block_px), trust


def _features(blocks: np.ndarray, block_px: int) -> np.ndarray:
    """Place and colour (h * w, 5) float32 of blocks (3, h, w), in the deviations within which blocks share their drift."""
    colours = lab(np.rint(blocks.transpose(1, 2, 0)).clip(0, 255).astype(np.uint8)).numpy() / ALIKE
    places = np.indices(blocks.shape[1:], np.float32) * (block_px / NEAR_PX)
    return np.concatenate([places, colours]).reshape(5, -1).T.astype(np.float32)


def _predicted(known: np.ndarray, drift: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, float]:
    """Drift (M, 3) of blocks with features (M, 5), and the deviation of the prediction's errors, in levels.

    The prediction comes from blocks with features (N, 5) and drift (N, 3). For colours that none of them has, it is their mean
    drift. The errors are those of each known block, predicted from the others.
    """
    blocks, mean = torch.from_numpy(known), torch.from_numpy(drift.mean(0))
    inverse = torch.linalg.inv(_kernel(blocks, blocks) + DOUBT * torch.eye(len(blocks)))
    weights = inverse @ (torch.from_numpy(drift) - mean)
    errors = weights / inverse.diagonal()[:, None]
    deviation = (errors.square().sum(1).median().item() / MEDIAN_SQUARE) ** 0.5
    return (mean + _kernel(torch.from_numpy(wanted), blocks) @ weights).numpy(), deviation


def _kernel(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Covariance of the drift of blocks, (N, M): one part depends on colour alone, an equal one on colour and place."""
    near, alike = (torch.cdist(one[:, part], other[:, part]).square_().mul_(-0.5).exp_()
                   for part in (slice(2), slice(2, None)))
    return near.add_(1).mul_(alike)


def _trust(difference: np.ndarray, predicted: np.ndarray, feather: np.ndarray, deviation: float) -> float:
    """How far the prediction holds in the mask, 0 to 1, from the blocks (3, N) there that still show the original.

    New content tells nothing about drift. It may also change the drift: a decoder that looks at the whole image shifts the
    outside one way and the new content the other. So there is no trust without unchanged blocks. They are counted in the
    feather, (N,) bool, or in the whole mask if its edge is hard.
    """
    if not difference.size:
        return 1.0
    missed, there = np.square(difference - predicted).sum(0), np.square(difference).sum(0)
    tolerance = UNCHANGED_DEVIATIONS * max(deviation, LEAST_DEVIATION)
    unchanged = np.exp(-np.minimum(missed, there) / (2 * 3 * tolerance ** 2))
    explained = 1 - (unchanged * missed).sum() / max((unchanged * there).sum(), 1e-6)
    counted = feather if np.count_nonzero(feather) >= FEWEST_BLOCKS else np.ones_like(feather)
    return _rise(unchanged[counted].mean(), *UNCHANGED) * _rise(explained, *EXPLAINED)


def _rise(value: float, first: float, last: float) -> float:
    """0 up to the first value, 1 from the last on, smooth between them."""
    return float(smootherstep(torch.tensor((value - first) / (last - first)).clamp(0, 1)))


def _enlarged(field: np.ndarray, part: Box, block_px: int) -> np.ndarray:
    """A part (h, w, 3) of the image from a value per block, (3, rows, columns) float32."""
    spans = (part.top, part.bottom, field.shape[1]), (part.left, part.right, field.shape[2])
    # One block more on each side, towards which the part's outermost pixels are interpolated.
    rows, columns = (slice(max(min(start // block_px, blocks - 1) - 1, 0), (stop - 1) // block_px + 2)
                     for start, stop, blocks in spans)
    near = torch.from_numpy(field[:, rows, columns])[None]
    enlarged = interpolate(near, scale_factor=block_px, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    top, left = part.top - rows.start * block_px, part.left - columns.start * block_px
    missing = [max(0, top + part.height - enlarged.shape[0]), max(0, left + part.width - enlarged.shape[1])]
    if any(missing):  # the image is not a whole number of blocks
        enlarged = np.pad(enlarged, [(0, pixels) for pixels in (*missing, 0)], mode="edge")
    return enlarged[top:top + part.height, left:left + part.width]


def _block_means(values: np.ndarray, block_px: int) -> np.ndarray:
    """Means (C, h, w) of the blocks of (H, W, C); incomplete blocks are cut off."""
    rows, columns, channels = values.shape[0] // block_px, values.shape[1] // block_px, values.shape[2]
    values = values[:rows * block_px, :columns * block_px].reshape(rows, block_px, columns * block_px * channels)
    sums = values.sum(1, dtype=np.float32).reshape(rows, columns, block_px, channels).sum(2)
    return sums.transpose(2, 0, 1) / np.float32(block_px ** 2)


def _without_content(difference: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The blocks' differences, clipped to the usual range of drift."""
    observed = difference[:, known]
    usual = np.median(observed, axis=1)[:, None, None]
    deviation = NORMAL_DEVIATION * np.median(np.abs(observed - usual[..., 0]), axis=1)[:, None, None]
    deviation = np.maximum(deviation, LEAST_SPREAD)
    return np.clip(difference, usual - LARGEST_DEVIATIONS * deviation, usual + LARGEST_DEVIATIONS * deviation)


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
