"""Distances along the image instead of across it: from what was painted to what lies behind a neighbour's outline."""
from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, grey_opening, maximum_filter

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.distance import depth

GRID_SIDE = 512
"""Cells of the grid's longer side: outlines mean the same at every image size."""

SMOOTHING = 1.0
"""Cells, deviation of a Gaussian that removes grain before edges are measured."""

SMOOTH = 1.0
"""CIELAB units per cell: gradients up to this are a surface's own."""

TOLL = 4.0
"""Cells of detour per CIELAB unit of an edge that is crossed, at full awareness."""

OWN_OUTLINE = 2, 4
"""Cells from the painted area. Up to the first, an edge is the outline of what was painted over, and costs nothing. From the
second on, it is a neighbour's."""

THIN = 7
"""Cells: thinner lines do not hold the feather back, or they would stay behind in it."""

LONGEST_WAY = 1.0824
"""By how much a path over the eight neighbours can be longer than a straight line."""


def edges(image: np.ndarray) -> np.ndarray:
    """Gradients of an image beyond those of smooth surfaces, on the grid: (h, w) float32, CIELAB units per cell.

    Parameters
    ----------
    image : (H, W, 3) uint8
    """
    size = grid_size(Size.of(image))
    reduced = Image.fromarray(image).resize(size.width_height, Image.Resampling.BILINEAR)  # averages when it reduces
    colours = gaussian_filter(lab(np.asarray(reduced)).numpy(), (0, SMOOTHING, SMOOTHING))
    down, across = np.gradient(colours, axis=(1, 2))
    return np.maximum(np.sqrt((down ** 2 + across ** 2).sum(0)) - SMOOTH, 0).astype(np.float32)


def detours(painted: np.ndarray, edges: np.ndarray, awareness: float, reach_px: float) -> np.ndarray:
    """By how much each pixel is farther from the painted area along the image than in a straight line.

    Parameters
    ----------
    painted : (H, W) bool
    edges : (h, w) float32
        From `edges`, of the same image.
    awareness
        Share of the full toll for an edge, 0 to 1.
    reach_px
        Distance beyond which nothing needs to be known.

    Returns
    -------
    (H, W) float32, pixels, 0 in the painted area

    Source: geodesic distance, as in Criminisi et al., Geodesic image segmentation (ECCV 2008); minimum-cost paths by
    scikit-image.
    """
    from skimage.graph import MCP_Geometric  # slow to import, and only needed here

    size, scale = Size.of(painted), max(painted.shape) / GRID_SIDE
    start, farthest = _on_grid(painted, Size.of(edges)), reach_px / scale
    box = Box.around(start, farthest + THIN).inside
    start = start[box]
    straight, rim = depth(~start), start & maximum_filter(~start, 3)
    if not rim.any():
        return np.zeros(painted.shape, np.float32)
    near, clear = OWN_OUTLINE
    cost = 1 + TOLL * awareness * edges[box] * np.clip((straight - near) / (clear - near), 0, 1)
    cost[start & ~rim] = -1  # closed: ways begin at the rim
    way, _ = MCP_Geometric(cost).find_costs(np.argwhere(rim))
    detour = np.where(start, 0, np.clip(way - LONGEST_WAY * straight, 0, farthest))
    whole = np.zeros(edges.shape, np.float32)
    whole[box] = grey_opening(detour, footprint=_disc(THIN))
    return np.asarray(Image.fromarray(whole).resize(size.width_height, Image.Resampling.BILINEAR)) * np.float32(scale)


def grid_size(size: Size) -> Size:
    """Size of the grid for an image of this size."""
    longer = max(size)
    return Size(*(max(1, round(side * GRID_SIDE / longer)) for side in size))


def _on_grid(painted: np.ndarray, size: Size) -> np.ndarray:
    """Cells in which anything is painted, (h, w) bool."""
    if max(size) > max(painted.shape):  # every pixel covers a cell or more
        return np.asarray(Image.fromarray(painted).resize(size.width_height, Image.Resampling.NEAREST))
    rows, columns = np.nonzero(painted)
    cells = np.zeros(size, bool)
    cells[rows * size.height // painted.shape[0], columns * size.width // painted.shape[1]] = True
    return cells


def _disc(diameter: int) -> np.ndarray:
    middle = np.arange(diameter) - (diameter - 1) / 2
    return middle[:, None] ** 2 + middle ** 2 <= (diameter / 2) ** 2
