"""How an inpainting looks, in numbers: its seams, its ghosts, its lost contrast, and whether it changed anything.

Everything except the outside is measured at viewing size. Seams are searched along curves around the painted area, each cut
into stretches. A seam is an edge on the curve that the original did not have there, and that the result does not have on
parallel curves. An image's own edges, old or new, are no seam.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from lib_softinpaint.geometry import Box
from lib_softinpaint.method.blend import channel_norm
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.distance import depth_and_nearest

LOOKED_AT_PX = 512
"""Pixels of the longer side to which larger images are reduced: seams are judged as seen on a screen, in limited time."""

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

SURROUNDINGS_PX = 48
"""Margin around the mask: the last curve, its farthest parallel and the ring around that."""

CURVES_APART_PX = 8
"""Smallest distance between two curves."""

LEAST_PIXELS = 6
"""Pixels on one side of a stretch: with fewer, its colour is unknown."""

LEAST_GRADIENT = 1.0
"""CIELAB units per pixel, added to both gradients of the ratio: anything less is invisible."""

VISIBLE_FROM, VISIBLE_AT = 5.0, 15.0
"""CIELAB distances of original and new image: a mixture is invisible below the first and visible above the second."""

WINDOW_PX, WINDOW_STEP_PX = 7, 2
"""Side and spacing of the windows in which local contrast and mixtures of two images are measured."""

GHOST_FROM, GHOST_AT = 0.1, 0.3
"""Share of the fainter of two images: below the first it is invisible, from the second on both are visible."""

LEAST_CONTRAST = 0.5
"""CIELAB units of lightness: less contrast than this is not there to be lost."""

LEAST_EFFECT = 0.9
"""Share of hard inpainting's effect on the painted area from which everything requested counts as repainted."""


@dataclass(frozen=True)
class Scores:
    """One inpainting's numbers.

    outside_largest, outside_changed
        Largest change where the mask is 0, in 8-bit levels, and number of pixels that changed there; 0 is exact.
    outside_mean
        Mean change there, CIELAB units.
    jump, jump_painted
        Colour jump along the worst curve, and along the painted edge, CIELAB units; 2.3 is just noticeable.
    gradient_ratio, gradient_ratio_painted
        Gradient on the worst curve, and on the painted edge, divided by that on parallel curves; 1 is invisible.
    ghost
        Share of the masked area that shows both original and new image, 0 to 1; NaN if the new image is unknown.
    contrast_retention
        Local contrast in ghosts divided by the lower of both images', 0 to 1; NaN if the new image is unknown.
    effect
        Mean change of the painted area, CIELAB units.
    """

    outside_largest: int
    outside_changed: int
    outside_mean: float
    jump: float
    jump_painted: float
    gradient_ratio: float
    gradient_ratio_painted: float
    ghost: float
    contrast_retention: float
    effect: float


def score(original: np.ndarray, result: np.ndarray, repaint: np.ndarray, painted: np.ndarray,
          decoded: np.ndarray | None = None) -> Scores:
    """All numbers of one inpainting.

    Parameters
    ----------
    original, result : (H, W, 3) uint8
    repaint : (H, W) float, 0 to 1
        Where it is 0, nothing may change.
    painted : (H, W) bool
        What the user painted. The feather is around it or across its edge.
    decoded : (H, W, 3) uint8
        The new image before it was composited with the original.

    Raises
    ------
    ValueError
        If images and masks have different sizes, or if nothing is painted.

    Source: METHOD 8 in docs/method.md.
    """
    sizes = {each.shape[:2] for each in (original, result, repaint, painted, decoded) if each is not None}
    if len(sizes) > 1:
        raise ValueError(f"images and masks must have the same size, got {sorted(sizes)}")
    if not painted.any():
        raise ValueError("painted must have at least one True pixel, got none")
    largest, changed = outside_change(original, result, repaint)
    factor = max(1, -(-max(repaint.shape) // LOOKED_AT_PX))
    original, result = _reduced(original, factor), _reduced(result, factor)
    repaint, shares = _reduced(repaint.astype(np.float32), factor), _reduced(painted.astype(np.float32), factor)
    painted = shares >= min(0.5, shares.max())
    outside_mean = _mean(_distance(lab(original), lab(result)), repaint == 0) if changed else 0.0

    near = Box.around(painted | (repaint > 0), SURROUNDINGS_PX).inside
    original_lab, result_lab, repaint, painted = lab(original[near]), lab(result[near]), repaint[near], painted[near]
    jumps, ratios = seams(original_lab, result_lab, repaint, painted)
    ghost, contrast = math.nan, math.nan
    if decoded is not None:
        ghost, contrast = mixture(original_lab, result_lab, lab(_reduced(decoded, factor)[near]), repaint)
    return Scores(largest, changed, outside_mean, max(jumps.values()), jumps[0], max(ratios.values()), ratios[0],
                  ghost, contrast, _mean(_distance(original_lab, result_lab), painted))


def _distance(one: torch.Tensor, other: torch.Tensor) -> np.ndarray:
    return channel_norm((one - other)[None])[0, 0].numpy()


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].mean()) if where.any() else 0.0


def outside_change(original: np.ndarray, result: np.ndarray, repaint: np.ndarray) -> tuple[int, int]:
    """Largest change in 8-bit levels and count of changed pixels where the mask is 0.

    Parameters
    ----------
    original, result : (H, W, 3) uint8
    repaint : (H, W) float, 0 to 1
    """
    red, green, blue = np.moveaxis(original != result, -1, 0)
    differs = (red | green | blue) & (repaint == 0)
    change = original[differs].astype(np.int16) - result[differs]
    return int(np.abs(change).max(initial=0)), int(differs.sum())


def seams(original: torch.Tensor, result: torch.Tensor, repaint: np.ndarray,
          painted: np.ndarray) -> tuple[dict[int, float], dict[int, float]]:
    """Colour jump and gradient ratio of each curve, by its distance from the painted edge; positive is outward.

    The curves run along the painted edge, through the feather, on its outer rim, and beyond.

    Parameters
    ----------
    original, result : (3, H, W) float32, CIELAB
    repaint : (H, W) float, 0 to 1
    painted : (H, W) bool

    Returns
    -------
    jumps
        Mean over the stretches of a curve, CIELAB units.
    ratios
        Gradient on the curve divided by that on parallel curves.
    """
    distance, stretch = _along_edge(painted)
    curves = _curves(distance, repaint)
    margin = max(map(abs, PARALLELS_PX)) + max(RING_PX) + BESIDE_PX
    first, last = min(curves) - margin, max(curves) + margin
    change = result - original
    values = torch.cat([result, change, _gradient(result)[None], _gradient(change)[None]])
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

    jumps, ratios = {}, {}
    for curve in curves:
        on, length = window(curve - EDGE_PX, curve + EDGE_PX)
        here = height(curve)
        beside = np.fmax(height(curve - BESIDE_PX), height(curve + BESIDE_PX))
        weight = np.where(np.isnan(here), 0, length)
        excess = np.nan_to_num(np.maximum(here - np.nan_to_num(beside), 0))
        jumps[curve] = float((excess * weight).sum() / max(weight.sum(), 1))

        near, near_count = (one + other for one, other in zip(window(curve - TEXTURE_PX[1], curve - TEXTURE_PX[0]),
                                                              window(curve + TEXTURE_PX[0], curve + TEXTURE_PX[1])))
        texture = near[6] / np.maximum(near_count, 1) + LEAST_GRADIENT
        edge, edge_of_change = on[6:] / np.maximum(length, 1) + LEAST_GRADIENT
        # An edge that the original also had on the curve is no seam.
        new_share = np.minimum((edge_of_change - LEAST_GRADIENT) / edge, 1)
        weight = np.where(near_count >= LEAST_PIXELS, length, 0)
        total = max((texture * weight).sum(), LEAST_GRADIENT)
        ratios[curve] = 1 + float(((edge - texture) * new_share * weight).sum() / total)
    return jumps, ratios


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


def _curves(distance: np.ndarray, repaint: np.ndarray) -> list[int]:
    """Distances at which seams are searched. Inside the painted area, edges are the new content's own."""
    transition = distance[(repaint > 0) & (repaint < repaint.max())]
    outer = max(0, math.ceil(transition.max())) if transition.size else 0
    wanted = [0, outer, outer // 3, 2 * outer // 3, outer + 2 * CURVES_APART_PX]
    chosen: list[int] = []
    for curve in wanted:
        if all(abs(curve - other) >= CURVES_APART_PX for other in chosen):
            chosen.append(curve)
    return chosen


def _gradient(values: torch.Tensor) -> torch.Tensor:
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


def mixture(original: torch.Tensor, result: torch.Tensor, decoded: torch.Tensor, repaint: np.ndarray) -> tuple[float, float]:
    """Ghost index and contrast retention of a result that may show two images at once.

    Each window of the result is fitted as a mixture (1 - a) * original + a * decoded. It is a ghost if neither image is
    faint and both differ visibly.

    Parameters
    ----------
    original, result, decoded : (3, H, W) float32, CIELAB
    repaint : (H, W) float, 0 to 1
    """
    def mean(values: torch.Tensor) -> torch.Tensor:
        return avg_pool2d(values[None], WINDOW_PX, WINDOW_STEP_PX, WINDOW_PX // 2, count_include_pad=False)[0]

    def deviation(lightness: torch.Tensor) -> torch.Tensor:
        centred = lightness[None] - lightness.mean()
        return (mean(centred ** 2) - mean(centred) ** 2).clamp_(min=0).sqrt_()[0]

    apart, changed = decoded - original, result - original
    squared = mean((apart ** 2).sum(0, keepdim=True))[0]
    share = mean((apart * changed).sum(0, keepdim=True))[0] / squared.clamp(min=1e-6)
    share = share.clamp_(0, 1)
    visible = ((squared.sqrt() - VISIBLE_FROM) / (VISIBLE_AT - VISIBLE_FROM)).clamp_(0, 1)
    masked = torch.from_numpy(repaint[::WINDOW_STEP_PX, ::WINDOW_STEP_PX] > 0)
    if not masked.any():
        return 0.0, 1.0
    fainter = torch.minimum(share, 1 - share)
    ghost = (((fainter - GHOST_FROM) / (GHOST_AT - GHOST_FROM)).clamp_(0, 1) * visible)[masked].mean().item()
    mixed = masked & (fainter > GHOST_FROM)
    lesser = torch.minimum(deviation(original[0]), deviation(decoded[0]))
    mixed &= lesser > LEAST_CONTRAST
    if not mixed.any():
        return ghost, 1.0
    kept = torch.minimum(deviation(result[0]), lesser)
    return ghost, (kept[mixed].sum() / lesser[mixed].sum()).item()


def latent_effect(original: torch.Tensor, result: torch.Tensor, painted: torch.Tensor) -> float:
    """Mean latent distance in the painted area. Divided by that of hard inpainting, it is the core effect.

    Parameters
    ----------
    original, result : (C, H, W) float
    painted : (H, W) bool
    """
    return channel_norm((result.float() - original.float())[None])[0, 0][painted].mean().item()


def blend_score(scores: Scores, core_effect: float = 1.0) -> float:
    """One number to rank candidates: 100 means no seam, no ghost, an unchanged outside, and everything requested repainted.

    Parameters
    ----------
    core_effect
        Mean latent distance in the painted area divided by that of hard inpainting, if known.

    Source: own; each part is scaled to where a seam or ghost is plainly visible.
    """
    seam = scores.jump / 10 + max(0.0, scores.gradient_ratio - 1) / 2
    ghost = 0.0 if math.isnan(scores.ghost) else 2 * scores.ghost
    decay = scores.outside_mean / 5
    return 100 * math.exp(-seam - ghost - decay) * min(1.0, core_effect / LEAST_EFFECT)


def _reduced(image: np.ndarray, factor: int) -> np.ndarray:
    return image if factor == 1 else np.asarray(Image.fromarray(image).reduce(factor))
