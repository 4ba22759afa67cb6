"""Ghosts: places where a result shows the original and the new image at once."""
from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

VISIBLE_FROM, VISIBLE_AT = 5.0, 15.0
"""CIELAB distances of original and new image: a mixture is invisible below the first and visible above the second."""

WINDOW_PX, WINDOW_STEP_PX = 7, 2
"""Side and spacing of the windows in which local contrast and mixtures of two images are measured."""

GHOST_FROM, GHOST_AT = 0.1, 0.3
"""Share of the fainter of two images: below the first it is invisible, from the second on both are visible."""

LEAST_CONTRAST = 0.5
"""CIELAB units of lightness: less contrast than this is not there to be lost."""


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
