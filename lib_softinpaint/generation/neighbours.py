"""What an inpainting did to things beside the painted area, which nobody asked to change."""
from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

NEIGHBOURS_PX = 8, 80
"""Distances from the painted area, on a side of 512 pixels, between which the original's edges are looked at."""

STRONG_EDGE = 1.5
"""CIELAB lightness per pixel of such a side, from which a gradient is a strong edge."""

EATEN = 0.25, 0.75
"""Shares of an edge's gradient between which it is neither kept nor gone."""


def half_eaten(original: torch.Tensor, result: torch.Tensor, distance: np.ndarray, scale: float) -> float:
    """Share of the original's strong edges near the painted area that are neither kept nor gone. NaN without edges.

    Parameters
    ----------
    original, result : (3, H, W) float32, CIELAB
    distance : (H, W) float
        From the painted area, in pixels of a side of 512.
    scale
        Pixels of the image per pixel of such a side.

    Source: METHOD 8 in docs/method.md.
    """
    before, after = (_edge_strength(image[0]) for image in (original, result))
    near = torch.from_numpy((distance >= NEIGHBOURS_PX[0]) & (distance < NEIGHBOURS_PX[1]))
    strong = near & (before * scale > STRONG_EDGE)
    if not strong.any():
        return math.nan
    kept = after[strong] / before[strong]
    return ((kept > EATEN[0]) & (kept < EATEN[1])).float().mean().item()


def _edge_strength(lightness: torch.Tensor) -> torch.Tensor:
    """(H, W): length of Sobel's gradient, CIELAB units per pixel."""
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    kernels = torch.stack([across, across.T])[:, None]
    return conv2d(pad(lightness[None, None], (1, 1, 1, 1), "replicate"), kernels).square().sum(1).sqrt()[0]
