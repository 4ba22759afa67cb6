"""Sizes and boxes, in pixels. Height comes before width, as in an array's shape; Pillow's order has a name of its own."""
from __future__ import annotations

from typing import Any, NamedTuple


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

    def fits(self, size: Size) -> bool:
        """Whether the box has pixels and lies within an image of this size."""
        return (min(self.left, self.top, self.width - 1, self.height - 1) >= 0
                and self.right <= size.width and self.bottom <= size.height)
