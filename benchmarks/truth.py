"""Errors of composites whose truth is known, as the literature measures them, and changes to what was not painted.

Distances are given for a side of 512 pixels and scale with the image.
"""
from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, sobel
from skimage.color import deltaE_ciede2000, rgb2lab

from lib_softinpaint.generation import neighbours
from lib_softinpaint.method.cielab import lab

SIDE = 512

HALO_PX = 8
BINS_PX = (-32, -16, -8, 0, 8, 16, 32)
"""Signed distances from the painted edge between which errors are averaged. Negative is inside."""

TONE_PX = 4.0
"""Standard deviation of a Gaussian that removes the texture, which every autoencoder loses, and leaves the colours."""

RING_PX = 32


def signed_distance(painted: np.ndarray) -> np.ndarray:
    """(H, W) float: distance from the edge of the painted area, (H, W) bool, in pixels of a side of 512; inside negative."""
    inside, outside = distance_transform_edt(painted), distance_transform_edt(~painted)
    return np.where(painted, 0.5 - inside, outside - 0.5) / _scale(painted)


def halo(result: np.ndarray, original: np.ndarray, new: np.ndarray, distance: np.ndarray) -> float:
    """Mean L1 error, in 0 to 1, within HALO_PX of the painted edge, with weights that fall off from there.

    The truth is the new image in the painted area and, beside it, that mixture of original and new image that is nearest to
    the result: a feather may lie there, but it may not show colours of neither image.

    Parameters
    ----------
    result, original, new : (H, W, 3) uint8
    distance : (H, W) float
        From `signed_distance`.

    Source: the halo L1 of DecFormer, arXiv 2512.05198; the free mixture is ours, as methods choose their feather.
    """
    weight = np.clip(1 - np.abs(distance) / HALO_PX, 0, None)
    old, change, seen = (image.astype(float) for image in (original, new.astype(float) - original, result))
    share = ((seen - old) * change).sum(-1) / np.maximum((change ** 2).sum(-1), 1e-6)
    share = np.where(distance < 0, 1, np.clip(share, 0, 1))[..., None]
    error = np.abs(seen - (old + share * change)).mean(-1) / 255
    return float((error * weight).sum() / weight.sum())


def errors_by_distance(result: np.ndarray, truth: np.ndarray, distance: np.ndarray) -> list[float]:
    """Mean L1 error, in 0 to 1, between each two of BINS_PX. NaN where no pixel is that far from the edge.

    The truth is the new image in the painted area and the original everywhere else.
    """
    error = np.abs(result.astype(float) - truth).mean(-1) / 255
    bins = [(distance >= first) & (distance < last) for first, last in zip(BINS_PX, BINS_PX[1:])]
    return [float(error[each].mean()) if each.any() else np.nan for each in bins]


def gradient_at_edge(result: np.ndarray, truth: np.ndarray, painted: np.ndarray) -> float:
    """Mean length of the difference of both images' Sobel gradients on the painted edge, for each channel, 0 to 255.

    Source: ASUKA, arXiv 2312.04831 (its evaluation code; OpenCV's Canny of the mask as the edge).
    """
    edge = painted & ~binary_erosion(painted, border_value=1)
    difference = result.astype(float) - truth
    length = np.hypot(*(sobel(difference, axis, mode="reflect") for axis in (0, 1)))
    return float(length[edge].mean())


def half_eaten(result: np.ndarray, original: np.ndarray, distance: np.ndarray) -> float:
    """Share of the original's strong edges near the painted area that are neither kept nor gone. NaN without edges."""
    return neighbours.half_eaten(lab(original), lab(result), distance, _scale(distance))


def ring_change(result: np.ndarray, original: np.ndarray, distance: np.ndarray) -> float:
    """Mean CIE76 distance between result and original from the painted edge to RING_PX outside it."""
    ring = (distance > 0) & (distance < RING_PX)
    return float(np.linalg.norm(rgb2lab(result) - rgb2lab(original), axis=-1)[ring].mean()) if ring.any() else np.nan


def ciede2000(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """Mean colour difference of two images where the mask `where`, (H, W) bool, is true."""
    return float(deltaE_ciede2000(rgb2lab(one), rgb2lab(other))[where].mean())


def ciede2000_of_colours(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """The same without texture: after a Gaussian of TONE_PX."""
    return ciede2000(*(gaussian_filter(image / 255, (TONE_PX, TONE_PX, 0)) for image in (one, other)), where)


def _scale(image: np.ndarray) -> float:
    """Pixels of the image per pixel of a side of 512."""
    return max(image.shape[:2]) / SIDE
