"""Largest difference of a result in each dtype from the same result in float64."""
import torch

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 5e-3}


def default_reach(blur_px, padding_px=None):
    """Pixels that the feather reaches at most at the default settings, around a mask of less than 320 pixels a side."""
    reach = max(2.4 * blur_px, 4 * 8)
    return reach if padding_px is None else min(reach, max(padding_px, 16))
