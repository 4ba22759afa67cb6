"""Images side by side with their names, for visual comparison."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

GAP_PX = 8
LABEL_PX, FONT_PX = 22, 15
TILE_PX = 512
"""Longest side of an image in a contact sheet, so that a hundred of them fit into memory."""
PAPER, INK = (255, 255, 255), (40, 40, 40)


def _font(size_px: float) -> Any:
    return ImageFont.load_default(size_px)


def side_by_side(tiles: Mapping[str, Image.Image], columns: int | None = None,
                 font_of: Callable[[float], Any] = _font) -> Image.Image:
    """The images from left to right, each under its name.

    Parameters
    ----------
    tiles
        Images of the same size by name.
    columns
        Images in a row; None puts all into one.
    font_of
        Returns a font of this size in pixels. Pillow has one of its own since 10.1.
    """
    width, height = next(iter(tiles.values())).size
    columns = min(columns or len(tiles), len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP_PX) - GAP_PX, rows * (height + LABEL_PX)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, (name, tile) in enumerate(tiles.items()):
        left, top = index % columns * (width + GAP_PX), index // columns * (height + LABEL_PX)
        fitting_px = FONT_PX * min(1, width / max(1, pen.textlength(name, font_of(FONT_PX))))
        pen.text((left + width // 2, top + LABEL_PX // 2), name, fill=INK, anchor="mm", font=font_of(max(1, int(fitting_px))))
        sheet.paste(tile.convert("RGB"), (left, top + LABEL_PX))
    return sheet


def stacked(strips: Sequence[Image.Image]) -> Image.Image:
    """The images below one another, from the left edge."""
    sheet = Image.new("RGB", (max(strip.width for strip in strips), sum(strip.height for strip in strips)))
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


def contact_sheet(tiles: Mapping[str, Image.Image], font_of: Callable[[float], Any] = _font) -> Image.Image:
    """The images in about as many rows as columns, reduced to TILE_PX. Parameters as in `side_by_side`."""
    reduced = {name: tile.convert("RGB") for name, tile in tiles.items()}
    for tile in reduced.values():
        tile.thumbnail((TILE_PX, TILE_PX))
    return side_by_side(reduced, math.ceil(math.sqrt(len(reduced))), font_of)
