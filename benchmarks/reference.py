"""Slow definitions of the steps in docs/method.md. Tests compare results with them, benchmarks compare speed."""
from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import binary_erosion


def difference_map(distance: np.ndarray) -> np.ndarray:
    """A latent distance after both percentile filters, computed pixel by pixel (docs/method.md, section 5).

    Parameters
    ----------
    distance : (H, W) float

    Returns
    -------
    (H, W) float
    """
    return percentile_mean(percentile_mean(distance, 0.9, 1.0), 0.25, 0.75)


def kernel() -> np.ndarray:
    """(5, 5) float: exp(-(r / 1.5)^2) minus its value at r = 3, scaled to 1 at the centre and clipped at 0."""
    offset = np.arange(-2, 3)
    gaussian = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / 1.5 ** 2)
    floor = np.exp(-(3 / 1.5) ** 2)
    return np.maximum((gaussian - floor) / (1 - floor), 0)


def percentile_mean(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Weighted mean between two weighted percentiles of each pixel's 5x5 window, cropped at the border.

    It uses index vectors as the built-in does, so that both take about as long and speed ratios hold for both.
    """
    weights = kernel()
    result = np.empty_like(values)
    for place in np.ndindex(values.shape):
        top_left = np.maximum(np.array(place) - 2, 0)
        bottom_right = np.minimum(np.array(place) + 3, values.shape)
        members = []
        for offset in np.ndindex(*(bottom_right - top_left)):
            member = top_left + np.array(offset)
            members.append((float(values[tuple(member)]), float(weights[tuple(member - np.array(place) + 2)])))
        members.sort()
        total = sum(weight for _, weight in members)
        width = max(total * (high - low), 1.0)
        start = max(min(total * (low + high) / 2 - width / 2, total - width), 0.0)
        summed = covered = below = 0.0
        for value, weight in members:
            overlap = min(start + width, below + weight) - max(start, below)
            if overlap > 0:
                summed += value * overlap
                covered += overlap
            below += weight
        result[place] = summed / covered
    return result


def blend(original: torch.Tensor, denoised: torch.Tensor, share: torch.Tensor, contrast_boost: float) -> torch.Tensor:
    """The blend in float64, operation by operation (docs/method.md, section 4).

    Parameters
    ----------
    original, denoised : (B, C, H, W) float
    share : (B or 1, 1, H, W) float

    Returns
    -------
    (B, C, H, W), dtype of `denoised`
    """
    original, denoised_double, share = original.double(), denoised.double(), share.double()
    blended = original * (1 - share) + denoised_double * share
    length = torch.norm(blended, dim=1, keepdim=True) + 1e-5
    original_power = torch.norm(original, dim=1, keepdim=True) ** contrast_boost
    denoised_power = torch.norm(denoised_double, dim=1, keepdim=True) ** contrast_boost
    target = (original_power * (1 - share) + denoised_power * share) ** (1 / contrast_boost)
    return (blended * target / length).to(denoised.dtype)


def feather(painted: np.ndarray, reach_px: float) -> np.ndarray:
    """The feather of a black and white mask, by each pixel's distance from the whole rim (docs/method.md, section 1).

    Parameters
    ----------
    painted : (H, W) bool

    Returns
    -------
    (H, W) float32, 0 to 1
    """
    rows, columns = np.nonzero(painted & ~binary_erosion(painted))
    result = np.ones(painted.shape, np.float32)
    for row, column in zip(*np.nonzero(~painted)):
        distance = np.sqrt(np.min((rows - row) ** 2 + (columns - column) ** 2))
        share = min(distance / reach_px, 1)
        result[row, column] = 1 - share ** 3 * (share * (6 * share - 15) + 10)
    return result


def composite(original: np.ndarray, decoded: np.ndarray, opacity_px: np.ndarray) -> np.ndarray:
    """The composite, pixel by pixel (docs/method.md, section 6).

    Parameters
    ----------
    original, decoded : (H, W, 3) uint8
    opacity_px : (H, W) float, 0 to 1
    """
    result = np.empty_like(original)
    for place in np.ndindex(opacity_px.shape):
        opacity = float(opacity_px[place])
        for channel in range(3):
            old, new = float(original[place][channel]), float(decoded[place][channel])
            result[place][channel] = round(old + opacity * (new - old))
    return result
