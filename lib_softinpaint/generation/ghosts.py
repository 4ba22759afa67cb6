"""What a result shows of the original and of the new image: ghosts of both, edges of neither, and how much is new."""
from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, max_pool2d

from lib_softinpaint.generation.seams import gradient

VISIBLE_FROM, VISIBLE_AT = 5.0, 15.0
"""CIELAB distances of original and new image: a mixture is invisible below the first and visible above the second."""

WINDOW_PX, WINDOW_STEP_PX = 7, 2
"""Side and spacing of the windows in which local contrast and mixtures of two images are measured."""

GHOST_FROM, GHOST_AT = 0.1, 0.3
"""Share of the fainter of two images: below the first it is invisible, from the second on both are visible."""

LEAST_CONTRAST = 0.5
"""CIELAB units of lightness: less contrast than this is not there to be lost."""

VISIBLE_GRADIENT = 2.0
"""CIELAB units per pixel, beyond the gradients of both images, from which an edge is seen."""

MOVED_PX = 1
"""By how much an edge may have moved and still be that of an image."""


def mixture(original: torch.Tensor, result: torch.Tensor, decoded: torch.Tensor) -> tuple[float, float]:
    """Area of ghosts in pixels, and contrast retention in them, of a result that may show two images at once.

    Each window of the result is fitted as a mixture (1 - a) * original + a * decoded. It is a ghost if neither image is
    faint and both differ visibly.

    Parameters
    ----------
    original, result, decoded : (3, H, W) float32, CIELAB
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
    fainter = torch.minimum(share, 1 - share)
    ghosts = ((fainter - GHOST_FROM) / (GHOST_AT - GHOST_FROM)).clamp_(0, 1) * visible
    ghost_px = ghosts.sum().item() * WINDOW_STEP_PX ** 2
    mixed = fainter > GHOST_FROM
    lesser = torch.minimum(deviation(original[0]), deviation(decoded[0]))
    mixed &= lesser > LEAST_CONTRAST
    if not mixed.any():
        return ghost_px, 1.0
    kept = torch.minimum(deviation(result[0]), lesser)
    return ghost_px, (kept[mixed].sum() / lesser[mixed].sum()).item()


def foreign_edges(original: torch.Tensor, result: torch.Tensor, decoded: torch.Tensor) -> float:
    """Sum of all gradient of a result that neither image has there, CIELAB units.

    Divided by the length of a cut, it is the height of the cut's edge. Slow transitions are not seen and do not count.

    Parameters
    ----------
    original, result, decoded : (3, H, W) float32, CIELAB
    """
    own = torch.maximum(gradient(original), gradient(decoded))[None, None]
    own = max_pool2d(own, 2 * MOVED_PX + 1, 1, MOVED_PX)[0, 0]
    return (gradient(result) - own - VISIBLE_GRADIENT).clamp_(min=0).sum().item()


def shown_share(original: torch.Tensor, result: torch.Tensor, decoded: torch.Tensor, painted: np.ndarray) -> float:
    """Share of the new image in the painted area of a result, as a mixture of both images, 0 to 1; 1 if both are alike.

    Parameters
    ----------
    original, result, decoded : (3, H, W) float32, CIELAB
    painted : (H, W) bool
    """
    inside = torch.from_numpy(painted)
    apart, changed = (image[:, inside] - original[:, inside] for image in (decoded, result))
    squared = apart.square().sum().item()
    return min(max((apart * changed).sum().item() / squared, 0.0), 1.0) if squared else 1.0
