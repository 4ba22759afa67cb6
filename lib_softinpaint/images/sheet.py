"""Images side by side with their names, for visual comparison."""
from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

GAP_PX = 8
LABEL_PX = 22
PAPER, INK = (255, 255, 255), (40, 40, 40)


def side_by_side(tiles: Mapping[str, Image.Image]) -> Image.Image:
    """The images from left to right, each under its name.

    Parameters
    ----------
    tiles
        Images of the same size by name.
    """
    width, height = next(iter(tiles.values())).size
    sheet = Image.new("RGB", (len(tiles) * (width + GAP_PX) - GAP_PX, height + LABEL_PX), PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, (name, tile) in enumerate(tiles.items()):
        left = index * (width + GAP_PX)
        pen.text((left + width // 2, LABEL_PX // 2), name, fill=INK, anchor="mm", font=_font())
        sheet.paste(tile.convert("RGB"), (left, LABEL_PX))
    return sheet


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(15)
