"""Euclidean distances within a mask, in pixels."""
from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt


def depth(inside: np.ndarray) -> np.ndarray:
    """Distance from each True pixel to the nearest False one, (H, W) float64; 0 where the mask is False.

    Parameters
    ----------
    inside : (H, W) bool
    """
    distance = distance_transform_edt(inside)
    assert isinstance(distance, np.ndarray)
    return distance


def depth_and_nearest(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Like `depth`, with the row and column of that nearest False pixel, (2, H, W) int32."""
    found = distance_transform_edt(inside, return_indices=True)
    assert isinstance(found, tuple)
    distance, nearest = found
    return distance, nearest
