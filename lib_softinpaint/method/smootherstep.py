"""The falloff of feathers and of opacity."""
from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

Values = TypeVar("Values", np.ndarray, torch.Tensor)


def rise(way: np.ndarray) -> np.ndarray:
    """Rises from 0 at 0 to 1 at 1, with slope 0 at both ends. Stays there beyond."""
    way = np.clip(way, 0, 1)
    return way * way * (3 - 2 * way)


def smootherstep(way: Values) -> Values:
    """Rises from 0 at 0 to 1 at 1, with slope and curvature 0 at both ends.

    Source: Perlin, Improving Noise, SIGGRAPH 2002.
    """
    return way ** 3 * (way * (6 * way - 15) + 10)
