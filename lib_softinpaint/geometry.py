"""Sizes and boxes, in pixels. Height comes before width, as in an array's shape; Pillow's order has a name of its own."""
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class Size(NamedTuple):
    """Height and width."""

    height: int
    width: int

    @classmethod
    def of(cls, image: Any) -> Size:
        """Size of a Pillow image or of an array (H, W, ...)."""
        if hasattr(image, "shape"):
            return cls(*image.shape[:2])
        width, height = image.size
        return cls(height, width)

    @property
    def width_height(self) -> tuple[int, int]:
        """Width and height, in Pillow's order."""
        return self.width, self.height

    def multiple_of(self, step: int) -> Size:
        """Both sides rounded down to a multiple of `step`."""
        return Size(self.height // step * step, self.width // step * step)

    def __str__(self) -> str:
        """As users write it: WxH."""
        return f"{self.width}x{self.height}"


class Box(NamedTuple):
    """Part of an image, such as the crop that *Only masked* inpaints, from the image's upper left corner."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def whole(cls, size: Size) -> Box:
        """The whole of an image of this size."""
        return cls(0, 0, size.width, size.height)

    @classmethod
    def around(cls, area: np.ndarray, margin_px: float = 0) -> Box:
        """Smallest box that holds the True pixels of an area (H, W) bool and a margin; the whole image if none is True."""
        rows, columns = np.flatnonzero(area.any(1)), np.flatnonzero(area.any(0))
        if not rows.size:
            return cls.whole(Size.of(area))
        box = cls(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)
        return box.grown(math.ceil(margin_px), Size.of(area))

    @property
    def size(self) -> Size:
        return Size(self.height, self.width)

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.top + self.height

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom, as Pillow's `crop` takes them."""
        return self.left, self.top, self.right, self.bottom

    @property
    def inside(self) -> tuple[slice, slice]:
        """Index of the box in an array (H, W, ...) of the image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def scaled(self, old: Size, new: Size) -> Box:
        """The same part of the image after it was resized from `old` to `new`."""
        down, across = new.height / old.height, new.width / old.width
        return Box(round(self.left * across), round(self.top * down), round(self.width * across), round(self.height * down))

    def overlap(self, other: Box) -> Box:
        """The part that both boxes share; without width or height if there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, max(0, min(self.right, other.right) - left), max(0, min(self.bottom, other.bottom) - top))

    def seen_from(self, outer: Box) -> Box:
        """The same part of the image, from the upper left corner of another box."""
        return self._replace(left=self.left - outer.left, top=self.top - outer.top)

    def grown(self, margin: int, size: Size) -> Box:
        """The box with a margin, cut at the borders of an image of this size."""
        left, top = max(0, self.left - margin), max(0, self.top - margin)
        return Box(left, top, min(self.right + margin, size.width) - left, min(self.bottom + margin, size.height) - top)

    def aligned_to(self, step: int) -> Box:
        """The box with left and top moved out to a multiple of `step`."""
        left, top = self.left // step * step, self.top // step * step
        return Box(left, top, self.right - left, self.bottom - top)

    def fits(self, size: Size) -> bool:
        """Whether the box has pixels and lies within an image of this size."""
        return (min(self.left, self.top, self.width - 1, self.height - 1) >= 0
                and self.right <= size.width and self.bottom <= size.height)
