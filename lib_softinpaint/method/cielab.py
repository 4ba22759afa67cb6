"""Perceptual colours: CIELAB."""
from __future__ import annotations

import numpy as np
import torch

SRGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
WHITE_D65 = (0.95047, 1.0, 1.08883)

CUBE_ROOT_FROM = (6 / 29) ** 3
"""Share of white below which CIELAB is linear."""

_LEVELS = torch.arange(256, dtype=torch.float64) / 255
_LINEAR = torch.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).float()


def lab(image: np.ndarray) -> torch.Tensor:
    """CIELAB of an sRGB image, white D65. A distance of 2.3 is just noticeable.

    Parameters
    ----------
    image : (H, W, 3) uint8

    Returns
    -------
    (3, H, W) float32: L 0 to 100, a and b about -110 to 110

    Source: IEC 61966-2-1 (sRGB) and CIE 15 (CIELAB).
    """
    linear = _LINEAR[torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).int()]
    to_xyz = torch.tensor(SRGB_TO_XYZ) / torch.tensor(WHITE_D65)[:, None]
    xyz = (to_xyz @ linear.flatten(1)).view_as(linear)
    root = torch.where(xyz > CUBE_ROOT_FROM, xyz.pow(1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])
