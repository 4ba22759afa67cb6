"""How much the image changed, filtered so that opacity follows regions instead of single latent pixels."""
from __future__ import annotations

import math

import torch
from torch.nn.functional import pad

from lib_softinpaint.method.blend import channel_norm

KERNEL_RADIUS = 2
"""Latent pixels: windows are 5x5."""
KERNEL_SIGMA = 1.5
"""Latent pixels: deviation of the window's Gaussian weight, written exp(-(r / sigma)^2)."""
KERNEL_ZERO = 3.0
"""Latent pixels: the radius at which the weight is shifted to zero."""
STRONGEST_TENTH = (0.9, 1.0)
MIDDLE_HALF = (0.25, 0.75)
SMALLEST_RANGE = 1.0
"""Sum of weights, where the centre weighs 1: with less, single pixels would decide."""

PIXELS_AT_ONCE = 16384
"""Pixels whose windows are processed together. With 25 floats each they fit the processor's cache, and memory stays limited
for images of any size."""


def difference_map(original: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """Filtered distance of two latents: the strongest changes in each window, then without outliers.

    Parameters
    ----------
    original, result : (B, C, H, W) float

    Returns
    -------
    (B, H, W) float32, latent units

    Source: observed in AUTOMATIC1111 1.10.1, see METHOD 5 in docs/method.md.
    """
    distance = channel_norm(result.float() - original.float()).squeeze(1)
    return percentile_mean(percentile_mean(distance, *STRONGEST_TENTH), *MIDDLE_HALF)


def window_weights() -> list[tuple[int, int, float]]:
    """Row offset, column offset and weight of each pixel of a window; the centre weighs 1."""
    floor = math.exp(-(KERNEL_ZERO / KERNEL_SIGMA) ** 2)
    span = range(-KERNEL_RADIUS, KERNEL_RADIUS + 1)
    weights = [(row, column, (math.exp(-(row * row + column * column) / KERNEL_SIGMA ** 2) - floor) / (1 - floor))
               for row in span for column in span]
    return [(row, column, weight) for row, column, weight in weights if weight > 0]


def percentile_mean(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Weighted mean of the values between two weighted percentiles of each pixel's window, cut at the border.

    Parameters
    ----------
    values : (B, H, W) float32
    low, high
        Percentiles, 0 to 1. The range is widened about its middle to SMALLEST_RANGE, and stays inside the window.

    Returns
    -------
    (B, H, W) float32
    """
    batch, height, width = values.shape
    rows = max(1, PIXELS_AT_ONCE // (batch * width))
    padded = pad(values, [KERNEL_RADIUS] * 4, value=torch.inf)
    # Padding has weight 0, which cuts the windows at the border.
    inside = pad(values.new_ones(1, height, width), [KERNEL_RADIUS] * 4)
    filtered = [_percentile_mean_of_rows(padded[:, top:top + rows + 2 * KERNEL_RADIUS],
                                         inside[:, top:top + rows + 2 * KERNEL_RADIUS], low, high)
                for top in range(0, height, rows)]
    return torch.cat(filtered, dim=1)


def _percentile_mean_of_rows(padded: torch.Tensor, inside: torch.Tensor, low: float, high: float) -> torch.Tensor:
    height, width = padded.shape[1] - 2 * KERNEL_RADIUS, padded.shape[2] - 2 * KERNEL_RADIUS
    corners = [(KERNEL_RADIUS + row, KERNEL_RADIUS + column, weight) for row, column, weight in window_weights()]
    value = torch.stack([padded[:, top:top + height, left:left + width] for top, left, _ in corners])
    weight = torch.stack([inside[:, top:top + height, left:left + width] * weight for top, left, weight in corners])
    # Each value's rank in its window, as the total weight of the smaller values. For 25 values, comparing all pairs takes
    # half the time of a sort. Equal values are ordered by their place in the window.
    below = torch.zeros_like(value)
    above_other = torch.empty_like(value)
    for other in range(len(corners)):
        torch.gt(value, value[other], out=above_other)
        torch.ge(value[other + 1:], value[other], out=above_other[other + 1:])
        below.addcmul_(above_other, weight[other].expand_as(value[other]))
    total = weight.sum(0)
    start, end = _range_in_weights(total, low, high)
    overlap = (torch.minimum(end, below + weight) - torch.maximum(start, below)).clamp_(min=0)
    return (value.masked_fill_(overlap == 0, 0) * overlap).sum(0) / overlap.sum(0)


def _range_in_weights(total: torch.Tensor, low: float, high: float) -> tuple[torch.Tensor, torch.Tensor]:
    width = (total * (high - low)).clamp(min=SMALLEST_RANGE)
    start = (total * (low + high) - width) / 2
    start = torch.minimum(start, total - width).clamp(min=0)
    return start, start + width
