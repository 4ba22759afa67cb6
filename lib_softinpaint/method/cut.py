"""Where old and new content meet unseen: the path through the feather along which both images differ least."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.distance import depth, depth_and_nearest
from lib_softinpaint.method.smootherstep import rise

MOST_CELLS = 5_000
"""Cells of the feather in which the path is searched: a wider feather has larger cells, and takes no longer."""

CELL_SIDE = 2
"""Pixels of a cell's side at the scale at which the softening is computed."""

SMALLEST_STEP = 1 / 510
"""Strengths closer than this are equal in 8 bits."""

GRADIENT_SHARE = 2.0
"""Weight of the gradient of the difference beside the difference itself: an edge that only one image has is seen first."""

LENGTH = 1.0
"""CIELAB units that each step of the path costs, so that it takes no detours."""

PULL = 3.3
"""CIELAB units for each cell: how strongly the mask pulls cells beside the painted area to the new image, and those at the
outer rim to the original."""

LOYALTY = 1.0
"""CIELAB units for each cell: how strongly it keeps the side that it had before the mask was reshaped, so that near ties do
not flip."""

CAPACITY = 30
"""Steps per CIELAB unit: flows are whole numbers."""

SOFTENING_PX, CORE_PX, RIM_PX = 3.0, 5.0, 5.0
"""Pixels: deviations of the Gaussians that soften the path and the painted area's own edge, and width of the fade at the outer
rim."""

SEEN_FROM, SEEN_AT = 12.0, 36.0
"""CIELAB difference of both images along the path: below the first the path is unseen, from the second on the fade is
better."""

ALONG_PX = 24.0
"""Pixels, deviation of a Gaussian along which the difference at the path is averaged."""

LEAST_PATH = 0.02
"""Share of cells on the path under that Gaussian from which it counts as near."""


NEIGHBOURS = (0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.7071), (1, -1, 0.7071)
"""Rows down, columns across and weight of four neighbours; the other four are these, seen from the other cell."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A path through the feather.

    Parameters
    ----------
    box
        Part of the image that holds the mask; the rest is the original's.
    share : (h, w) float32, 0 to 1
        Share of the new image on either side of the path, softened; the box's size.
    seen : (h, w) float32, 0 to 1
        How visible the nearest part of the path would be.
    strength : (h, w) float32 or float, 0 to 1
        The strength in which the nearest pixel of the painted area was painted.
    is_new : (rows, columns) bool
        The side of each cell.
    known : (rows, columns) bool
        Cells of the feather.
    cell_px
        Side of a cell.
    """

    box: Box
    share: np.ndarray
    seen: np.ndarray
    strength: np.ndarray | float
    is_new: np.ndarray
    known: np.ndarray
    cell_px: int

    def opacity(self, fade: np.ndarray, most: np.ndarray | float, core: np.ndarray) -> np.ndarray:
        """Opacity of the new image, (h, w) float32, 0 to 1, the box's size: cut where that is unseen, else the fade.

        Parameters
        ----------
        fade : (h, w) float32, 0 to 1
            Opacity without a cut.
        most : (h, w) float32 or float, 0 to 1
            Opacity of new content where the mask has no say.
        core : (h, w) bool
            The painted area, which keeps the fade's opacity.
        """
        cut = self.share * most
        return np.where(core, fade, cut + self.seen * (fade - cut))

    def sides(self, box: Box, shape: tuple[int, ...]) -> np.ndarray:
        """The side of each cell of another box, to half a cell: (rows, columns) float32, 1 new, -1 old, 0 unknown."""
        sides = np.zeros(shape, np.float32)
        left, top = ((own - other) / self.cell_px for own, other in zip(self.box[:2], box[:2]))
        own, other = Box(round(left), round(top), *self.known.shape[::-1]), Box.whole(Size(*shape))
        common = own.overlap(other)
        here = common.seen_from(own).inside
        sides[common.inside] = np.where(self.known[here], np.where(self.is_new[here], 1, -1), 0)
        return sides

    def arrays(self) -> list[np.ndarray]:
        """All arrays that this path holds in memory."""
        held = self.share, self.seen, self.strength, self.is_new, self.known
        return [each for each in held if isinstance(each, np.ndarray)]


def core_of(repaint: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Pixels (H, W) bool that were painted and keep their strength: they show the new image.

    Parameters
    ----------
    repaint, strengths : (H, W) float32, 0 to 1
        The repaint mask, and the painted mask that it was made from.
    """
    return (strengths > 0) & (repaint > strengths - SMALLEST_STEP)


def search(original: np.ndarray, new: np.ndarray, repaint: np.ndarray, strengths: np.ndarray, box: Box,
           preservation_strength: float, before: Cut | None = None) -> Cut | None:
    """The path through the feather along which both images differ least; None without a painted area or a feather.

    Parameters
    ----------
    original, new : (h, w, 3) uint8 or float32, 0 to 255
    repaint, strengths : (h, w) float32, 0 to 1
        As in `core_of`.
    box
        The part of the image that all of these hold.
    preservation_strength
        Below 0.5, the path is pulled outward: what grew in the feather stays.
    before
        The path through the feather before it was reshaped.

    Source: Kwatra et al., Graphcut textures (SIGGRAPH 2003); Agarwala et al., Interactive digital photomontage (SIGGRAPH
    2004). Minimum cut by SciPy's maximum flow.
    """
    core = core_of(repaint, strengths)
    count = np.count_nonzero((repaint > 0) & ~core)
    if count == 0 or not core.any():
        return None
    cell_px = before.cell_px if before else math.ceil(math.sqrt(count / MOST_CELLS))
    # Everything but the path's cells is computed at a scale at which a cell has a few pixels: a wide feather is smooth.
    scale, side = -(-cell_px // CELL_SIDE), min(cell_px, CELL_SIDE)
    core_share, inside = _reduced(core, scale) > 0, _reduced(repaint > 0, scale) == 1
    original, new = (_reduced(levels(image), scale) for image in (original, new))
    relative, strength, nearest = _reduced(repaint, scale), 1.0, depth(~core_share)
    if (strengths[core] < 1).any():
        own = core & (repaint < strengths + SMALLEST_STEP)  # not an antialiased rim, which the feather of its area covers
        _, place = depth_and_nearest(~(own if own.any() else core))
        strength = strengths[tuple(place)]
        relative = np.minimum(relative / _reduced(strength, scale), 1)

    core_cells = _reduced(core_share, side) > 0
    free_cells = (_reduced(inside, side) == 1) & ~core_cells
    if min(free_cells.shape) < 2 or not free_cells.any():
        return None
    difference = lab(_reduced(new, side)).numpy() - lab(_reduced(original, side)).numpy()
    apart = np.sqrt(np.square(difference).sum(0))
    cost = apart + GRADIENT_SHARE * np.sqrt(sum(np.square(each).sum(0) for each in np.gradient(difference, axis=(1, 2))))
    pull = PULL * (2 * _reduced(relative, side) ** min(1, 2 * preservation_strength) - 1)
    if before is not None:
        pull += LOYALTY * before.sides(box, pull.shape)
    is_new = _cheapest(cost + LENGTH / 2, free_cells, core_cells, pull)
    share, seen = _softened(is_new, apart, side, scale, Size.of(inside))
    share = np.maximum(share, np.exp(-np.square(scale * nearest / CORE_PX) / 2))
    if not inside.all():
        share *= rise(scale * depth(inside) / RIM_PX)
    share, seen = (_enlarged(values, scale, box.size) for values in (share, seen))
    return Cut(box, np.where(repaint > 0, share, 0), seen, strength, is_new, free_cells, scale * side)


def _reduced(values: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of `factor` pixels: of an image (h, w, 3) uint8 the same type, of a map (h, w) float32."""
    if factor == 1:
        return values if values.ndim == 3 else values.astype(np.float32, copy=False)
    image = Image.fromarray(values if values.ndim == 3 else values.astype(np.float32))
    return np.asarray(image.reduce(factor))


def levels(image: np.ndarray) -> np.ndarray:
    """The image in uint8. NaN and -inf, where a decoder failed, become black, and +inf white."""
    return image if image.dtype == np.uint8 else np.rint(np.nan_to_num(image).clip(0, 255)).astype(np.uint8)


def _cheapest(cost: np.ndarray, free: np.ndarray, core: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """The cells (rows, columns) bool on the core's side of the cheapest path between the core and the outside.

    Parameters
    ----------
    cost : (rows, columns) float32
        A path between two neighbours costs the sum of both.
    free, core : (rows, columns) bool
        Cells between which the path may run, and those that it must enclose.
    pull : (rows, columns) float32
        What it costs to leave a free cell outside, or if negative, inside.
    """
    from scipy.sparse import csr_matrix  # slow to import, and only needed here
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = np.count_nonzero(free)
    numbers = np.full(free.shape, -1)
    numbers[free] = np.arange(count)
    start, end = count, count + 1
    to_core, to_outside = np.maximum(pull[free], 0), np.maximum(-pull[free], 0)
    rows, columns, capacities = [], [], []
    for down, across, weight in NEIGHBOURS:
        height, width = free.shape
        one = slice(0, height - down), slice(max(0, -across), width - max(0, across))
        other = slice(down, height), slice(max(0, across), width + min(0, across))
        capacity = weight * (cost[one] + cost[other])
        inner = free[one] & free[other]
        rows += [numbers[one][inner], numbers[other][inner]]
        columns += [numbers[other][inner], numbers[one][inner]]
        capacities += [capacity[inner]] * 2
        for cells, beside in ((one, other), (other, one)):
            for ends, fixed in ((to_core, core[beside]), (to_outside, ~core[beside] & ~free[beside])):
                at = free[cells] & fixed
                ends += np.bincount(numbers[cells][at], capacity[at], count)
    both = np.minimum(to_core, to_outside)
    every = np.arange(count)
    rows += [np.full(count, start), every]
    columns += [every, np.full(count, end)]
    capacities += [to_core - both, to_outside - both]
    steps = np.rint(CAPACITY * np.concatenate(capacities)).astype(np.int32)
    network = csr_matrix((steps, (np.concatenate(rows), np.concatenate(columns))), shape=(count + 2, count + 2))
    left = network - maximum_flow(network, start, end, method="dinic").flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    inside = np.zeros(count + 2, bool)
    inside[breadth_first_order(left, start, return_predecessors=False)] = True
    is_new = core.copy()
    is_new[free] = inside[:count]
    return is_new


def _softened(is_new: np.ndarray, apart: np.ndarray, side: int, scale: int, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Share of the new image on both sides of the path, and how visible the path is; `size` float32 each, 0 to 1.

    Parameters
    ----------
    is_new : (rows, columns) bool
    apart : (rows, columns) float32
        CIELAB difference of both images.
    side, scale
        Side of a cell in pixels of the maps that are returned, and side of such a pixel in pixels of the image.
    """
    on_path = (maximum_filter(is_new, 3) != minimum_filter(is_new, 3)).astype(np.float32)
    near, weighted = (gaussian_filter(values, ALONG_PX / (side * scale), truncate=2)
                      for values in (on_path, on_path * apart))
    seen = rise((weighted / np.maximum(near, 1e-4) - SEEN_FROM) / (SEEN_AT - SEEN_FROM)) * np.minimum(near / LEAST_PATH, 1)
    share, seen = (_enlarged(values, side, size) for values in (is_new, seen))
    return gaussian_filter(share, max(SOFTENING_PX / scale, side / 2), truncate=3), seen


def _enlarged(values: np.ndarray, factor: int, size: Size) -> np.ndarray:
    """A map of this size from one that is `factor` times smaller, (h, w) float32."""
    if factor == 1:
        return values.astype(np.float32, copy=False)
    rows, columns = values.shape
    enlarged = Image.fromarray(values.astype(np.float32)).resize((columns * factor, rows * factor), Image.Resampling.BILINEAR)
    return np.asarray(enlarged)[:size.height, :size.width]
