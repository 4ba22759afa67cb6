"""Seams: edges of the composite that belong to neither image.

Seams are searched along curves around the painted area, each cut into stretches. A seam is an edge on the curve that the
original did not have there, and that the result does not have on parallel curves. An image's own edges, old or new, are no
seam.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from lib_softinpaint.method.blend import channel_norm
from lib_softinpaint.method.distance import depth_and_nearest

STRETCH_PX = 16
"""Length of a stretch, over which colours are averaged: shorter stretches would follow grain."""

RING_PX = 1, 5
"""Distances from a curve between which the colours of its two sides are measured."""

PARALLELS_PX = -20, -12, 12, 20
"""Distances of parallel curves, whose median jump is the image's own."""

BESIDE_PX = 6
"""Distance of the two curves that a seam must stand out from: a new object's outline follows no curve for long, and has
similar steps on these."""

EDGE_PX = 2
"""Distance on either side of a curve that holds its gradients, even if widened by JPEG's halved colour resolution."""

TEXTURE_PX = 8, 16
"""Distances from a curve between which gradients are the image's own."""

FARTHEST_PX = 64
"""Distance of the last curve from the painted edge, at most: no feather that hides a seam is wider."""

CURVES_APART_PX = 4
"""Distance of neighbouring curves: the rings of each meet those of the next, so that no seam runs between them."""

SURROUNDINGS_PX = FARTHEST_PX + max(PARALLELS_PX) + max(RING_PX) + BESIDE_PX
"""Margin around the painted area: the last curve, its farthest parallel and the ring around that."""

CHANGED_FROM = 1.0
"""CIELAB distance from which a pixel counts as changed: no curve lies beyond the last such pixel."""

SEEN_FROM, SEEN_AT = 0.7, 2.3
"""CIELAB units of a step on a smooth surface: invisible below the first, plainly visible from the second on."""

HIDING_GRADIENT = 2.0
"""CIELAB units per pixel: texture of this gradient doubles the step that is needed to see it."""

LEAST_PIXELS = 6
"""Pixels on one side of a stretch: with fewer, its colour is unknown."""

LEAST_GRADIENT = 1.0
"""CIELAB units per pixel, added to both gradients of the ratio: anything less is invisible."""


@dataclass(frozen=True)
class Curve:
    """The seam along one curve.

    jump
        Mean step of the colours over the stretches, CIELAB units.
    outline
        Share of the curve on which the step is visible, 0 to 1. A faint step counts on a smooth surface, not in texture.
    ratio
        Gradient on the curve divided by that on parallel curves; 1 is invisible.
    """

    jump: float
    outline: float
    ratio: float


def seams(original: torch.Tensor, result: torch.Tensor, painted: np.ndarray) -> dict[int, Curve]:
    """The seam along each curve, by the curve's distance from the painted edge in pixels.

    The curves run from the painted edge outward, as far as the result differs from the original and a little beyond, at
    most FARTHEST_PX. Inside the painted area, edges are the new content's own.

    Parameters
    ----------
    original, result : (3, H, W) float32, CIELAB
    painted : (H, W) bool
    """
    distance, stretch = _along_edge(painted)
    change = result - original
    curves = _curves(distance, channel_norm(change[None])[0, 0].numpy() >= CHANGED_FROM)
    margin = max(PARALLELS_PX) + max(RING_PX) + BESIDE_PX
    first, last = min(curves) - margin, max(curves) + margin
    values = torch.cat([result, change, gradient(result)[None], gradient(change)[None]])
    sums, counts = _binned(values, np.floor(distance).astype(np.int32), stretch, first, last)

    def window(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums (values, stretches) and pixel counts (stretches) at distances from `start` to below `stop`."""
        return sums[..., stop - first] - sums[..., start - first], counts[:, stop - first] - counts[:, start - first]

    @cache
    def step(curve: int) -> np.ndarray:
        """(2, 3, stretches): colour inside a curve minus outside, for result and change; NaN where unknown."""
        inner, inner_count = window(curve - RING_PX[1], curve - RING_PX[0])
        outer, outer_count = window(curve + RING_PX[0], curve + RING_PX[1])
        known = np.minimum(inner_count, outer_count) >= LEAST_PIXELS
        difference = inner[:6] / np.maximum(inner_count, 1) - outer[:6] / np.maximum(outer_count, 1)
        return np.where(known, difference, np.nan).reshape(2, 3, -1)

    def height(curve: int) -> np.ndarray:
        """(stretches): step common to result and change, minus the result's steps on parallel curves; or NaN."""
        parallels = np.nan_to_num(np.stack([step(curve + offset) for offset in PARALLELS_PX]), nan=0.0)
        steps = step(curve)
        return np.minimum(np.linalg.norm(steps, axis=1), np.linalg.norm(steps - np.median(parallels, 0), axis=1)).min(axis=0)

    found = {}
    for curve in curves:
        on, length = window(curve - EDGE_PX, curve + EDGE_PX)
        here = height(curve)
        beside = np.fmax(height(curve - BESIDE_PX), height(curve + BESIDE_PX))
        weight = np.where(np.isnan(here), 0, length)
        excess = np.nan_to_num(np.maximum(here - np.nan_to_num(beside), 0))
        jump = float((excess * weight).sum() / max(weight.sum(), 1))

        near, near_count = (one + other for one, other in zip(window(curve - TEXTURE_PX[1], curve - TEXTURE_PX[0]),
                                                              window(curve + TEXTURE_PX[0], curve + TEXTURE_PX[1])))
        texture = near[6] / np.maximum(near_count, 1)
        seen = (excess / (1 + texture / HIDING_GRADIENT) - SEEN_FROM) / (SEEN_AT - SEEN_FROM)
        outline = float((seen.clip(0, 1) * weight).sum() / max(weight.sum(), 1))

        texture = texture + LEAST_GRADIENT
        edge, edge_of_change = on[6:] / np.maximum(length, 1) + LEAST_GRADIENT
        # An edge that the original also had on the curve is no seam.
        new_share = np.minimum((edge_of_change - LEAST_GRADIENT) / edge, 1)
        weight = np.where(near_count >= LEAST_PIXELS, length, 0)
        total = max((texture * weight).sum(), LEAST_GRADIENT)
        ratio = 1 + float(((edge - texture) * new_share * weight).sum() / total)
        found[curve] = Curve(jump, outline, ratio)
    return found


def _along_edge(painted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the painted edge, positive outward, and number of the nearest stretch of the edge."""
    height, width = painted.shape
    if painted.all():
        return np.full(painted.shape, -float(sum(painted.shape))), np.zeros(painted.shape, np.int64)
    outside, to_painted = depth_and_nearest(~painted)
    inside, to_unpainted = depth_and_nearest(painted)
    # Both sides of an edge belong to the stretch of its painted pixel.
    nearest = np.where(painted, to_painted[:, to_unpainted[0], to_unpainted[1]], to_painted)
    rows, columns = nearest // STRETCH_PX
    return np.where(painted, 0.5 - inside, outside - 0.5), rows * (width // STRETCH_PX + 1) + columns


def _curves(distance: np.ndarray, changed: np.ndarray) -> range:
    """Distances at which seams are searched."""
    last = max(0.0, distance[changed].max()) if changed.any() else 0.0
    return range(0, min(FARTHEST_PX, math.ceil(last) + CURVES_APART_PX) + 1, CURVES_APART_PX)


def gradient(values: torch.Tensor) -> torch.Tensor:
    """Length of the gradient over all channels, (H, W), for each pixel."""
    squared = torch.zeros_like(values[0])
    squared[:, :-1] += (values[:, :, 1:] - values[:, :, :-1]).square_().sum(0)
    squared[:-1] += (values[:, 1:] - values[:, :-1]).square_().sum(0)
    return squared.sqrt_()


def _binned(values: torch.Tensor, distance: np.ndarray, stretch: np.ndarray, first: int,
            last: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums (C, stretches, distances) of each channel and counts (stretches, distances), from `first` to each distance."""
    used = (distance >= first) & (distance < last)
    numbers, stretches = np.unique(stretch[used], return_inverse=True)
    place = stretches * (last - first) + distance[used] - first
    shape = len(numbers), last - first
    weights = [None, *values[:, torch.from_numpy(used)].numpy()]
    binned = np.stack([np.bincount(place, weight, math.prod(shape)).reshape(shape) for weight in weights])
    running = np.pad(binned.cumsum(-1), ((0, 0), (0, 0), (1, 0)))
    return running[1:], running[0]
