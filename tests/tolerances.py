"""What tests allow: differences of results in each dtype from those in float64, and time on a slow machine."""
import timeit

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 5e-3}

BLUR_S = 0.045
"""Seconds that the blur of `slowness` takes on the machine for which goals in seconds were set."""


def default_reach(blur_px, padding_px=None):
    """Pixels that the feather reaches at most at the default settings, around a mask of less than 320 pixels a side."""
    reach = max(2.4 * blur_px, 4 * 8)
    return reach if padding_px is None else min(reach, max(padding_px, 16))


def slowness():
    """How many times as long as there a blur takes here and now, at least 1."""
    image = np.zeros((1024, 1024), np.float32)
    return max(1, timeit.timeit(lambda: gaussian_filter(image, 8), number=1) / BLUR_S)
