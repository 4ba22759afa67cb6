"""How an inpainting looks, in numbers: its seams, its ghosts, its lost contrast, and whether it changed anything.

Everything except the outside is measured at viewing size.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from lib_softinpaint.generation.ghosts import foreign_edges, mixture, shown_share
from lib_softinpaint.generation.neighbours import NEIGHBOURS_PX, half_eaten
from lib_softinpaint.generation.seams import SURROUNDINGS_PX, seams
from lib_softinpaint.geometry import Box
from lib_softinpaint.method.blend import channel_norm
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.distance import depth

LOOKED_AT_PX = 512
"""Pixels of the longer side to which larger images are reduced: seams are judged as seen on a screen, in limited time."""

LEAST_EFFECT = 0.9
"""Share of hard inpainting's effect on the painted area from which everything requested counts as repainted."""

AROUND_PX = 16
"""Ghosts are compared with the painted area and so many pixels around it: the same area for every method, whatever mask a
method promises."""


@dataclass(frozen=True)
class Scores:
    """One inpainting's numbers.

    outside_largest, outside_changed
        Largest change where the mask is 0, in 8-bit levels, and number of pixels that changed there; 0 is exact.
    outside_mean
        Mean change there, CIELAB units.
    jump, jump_painted
        Colour jump along the worst curve, and along the painted edge, CIELAB units; 2.3 is just noticeable.
    outline
        Share of the worst curve on which a step is visible, 0 to 1.
    gradient_ratio, gradient_ratio_painted
        Gradient on the worst curve, and on the painted edge, divided by that on parallel curves; 1 is invisible.
    foreign_edges
        Gradients that neither image has, summed and divided by the length of the painted edge, CIELAB units; NaN if the new
        image is unknown.
    ghost
        Area that shows both original and new image, in shares of the painted area and AROUND_PX around it; NaN if the new
        image is unknown.
    contrast_retention
        Local contrast in ghosts divided by the lower of both images', 0 to 1; NaN if the new image is unknown.
    half_eaten
        Share of the original's strong edges beside the painted area that are neither kept nor gone, 0 to 1; NaN without any.
    shown
        Share of the new image that is visible in the painted area, 0 to 1; NaN if the new image is unknown.
    effect
        Mean change of the painted area, CIELAB units.
    """

    outside_largest: int
    outside_changed: int
    outside_mean: float
    jump: float
    jump_painted: float
    outline: float
    gradient_ratio: float
    gradient_ratio_painted: float
    foreign_edges: float
    ghost: float
    contrast_retention: float
    half_eaten: float
    shown: float
    effect: float


def score(original: np.ndarray, result: np.ndarray, repaint: np.ndarray, painted: np.ndarray,
          decoded: np.ndarray | None = None) -> Scores:
    """All numbers of one inpainting.

    Parameters
    ----------
    original, result : (H, W, 3) uint8
    repaint : (H, W) float, 0 to 1
        Where it is 0, nothing may change. Only the numbers of the outside depend on it.
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

    scale = max(original.shape[:2]) / LOOKED_AT_PX
    around = Box.around(painted | (original != result).any(-1), max(SURROUNDINGS_PX, NEIGHBOURS_PX[1] * scale)).inside
    original_lab, result_lab, painted = lab(original[around]), lab(result[around]), painted[around]
    curves = seams(original_lab, result_lab, painted)
    distance = depth(~painted)
    foreign, ghost, contrast, shown = math.nan, math.nan, math.nan, math.nan
    if decoded is not None:
        decoded_lab = lab(_reduced(decoded, factor)[around])
        ghost_px, contrast = mixture(original_lab, result_lab, decoded_lab)
        ghost = ghost_px / (distance < AROUND_PX * scale).sum()
        foreign = foreign_edges(original_lab, result_lab, decoded_lab) / max(_edge_length(painted), 1)
        shown = shown_share(original_lab, result_lab, decoded_lab, painted)
    return Scores(
        largest, changed, outside_mean, max(curve.jump for curve in curves.values()), curves[0].jump,
        max(curve.outline for curve in curves.values()), max(curve.ratio for curve in curves.values()), curves[0].ratio,
        foreign, ghost, contrast, half_eaten(original_lab, result_lab, distance / scale, scale), shown,
        _mean(_distance(original_lab, result_lab), painted))


def _distance(one: torch.Tensor, other: torch.Tensor) -> np.ndarray:
    return channel_norm((one - other)[None])[0, 0].numpy()


def _edge_length(painted: np.ndarray) -> int:
    """Pixel sides between painted and unpainted pixels."""
    return int((painted[1:] != painted[:-1]).sum() + (painted[:, 1:] != painted[:, :-1]).sum())


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


def latent_effect(unchanged: Sequence[torch.Tensor], result: torch.Tensor, painted: torch.Tensor) -> float:
    """Mean latent distance in the painted area. Divided by that of hard inpainting, it is the core effect.

    Parameters
    ----------
    unchanged : (C, H, W) float each
        Latents that show no change: the original's, and the original's after a round trip through the autoencoder, because
        its drift is no effect. The nearest counts.
    result : (C, H, W) float
    painted : (H, W) bool
    """
    distances = [channel_norm((result.float() - each.float())[None])[0, 0] for each in unchanged]
    return torch.stack(distances).amin(0)[painted].mean().item()


WEIGHTS = {"jump": 0.01, "outline": 1.435, "gradient": 0.05, "foreign edges": 0.917, "ghost": 3.848, "half-eaten": 1.568,
           "outside": 0.16, "hidden": 0.1, "unchanged": 0.1, "missing": 2.331}
"""How much each of `flaws` lowers the blend score, fitted to choices by eye: `python3 -m benchmarks.judged fit`."""


def flaws(scores: Scores, core_effect: float = 1.0, found: float = 1.0) -> dict[str, float]:
    """What is wrong with an inpainting, each 0 if nothing is; unknown numbers count as 0.

    Parameters
    ----------
    core_effect
        From `latent_effect`, if known. Hidden content and missing change are logarithms of shares: nothing shown is infinite.
    found
        Share of what the prompt asks for that was recognised, if known.
    """
    numbers = {"jump": scores.jump, "outline": scores.outline, "gradient": scores.gradient_ratio - 1,
               "foreign edges": scores.foreign_edges, "ghost": scores.ghost, "half-eaten": scores.half_eaten,
               "outside": scores.outside_mean, "hidden": _lacking(scores.shown),
               "unchanged": _lacking(core_effect / LEAST_EFFECT), "missing": 1 - found}
    return {name: 0.0 if math.isnan(number) else max(0.0, number) for name, number in numbers.items()}


def _lacking(share: float) -> float:
    return math.inf if share <= 0 else max(0.0, -math.log(share))


def blend_score(scores: Scores, core_effect: float = 1.0, found: float = 1.0) -> float:
    """One number to rank candidates: 100 means no seam, no ghost, nothing else harmed, and everything requested repainted.

    It takes the same arguments as `flaws`.

    Source: own; the weights are fitted to choices by eye, see METHOD 8 in docs/method.md.
    """
    return from_flaws(flaws(scores, core_effect, found))


def from_flaws(sizes: Mapping[str, float]) -> float:
    """The blend score of an inpainting with `flaws` of these sizes."""
    return 100 * math.exp(-sum(WEIGHTS[name] * size for name, size in sizes.items()))


def _reduced(image: np.ndarray, factor: int) -> np.ndarray:
    return image if factor == 1 else np.asarray(Image.fromarray(image).reduce(factor))
