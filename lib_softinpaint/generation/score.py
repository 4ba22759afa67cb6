"""How an inpainting looks, in numbers: its seams, its ghosts, its lost contrast, and whether it changed anything.

Everything except the outside is measured at viewing size.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from lib_softinpaint.generation.ghosts import mixture
from lib_softinpaint.generation.seams import SURROUNDINGS_PX, seams
from lib_softinpaint.geometry import Box
from lib_softinpaint.method.blend import channel_norm
from lib_softinpaint.method.cielab import lab

LOOKED_AT_PX = 512
"""Pixels of the longer side to which larger images are reduced: seams are judged as seen on a screen, in limited time."""


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
