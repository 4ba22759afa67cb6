"""Results beside each other, as HTML: a strip of steps, a slider between two images, and their difference."""
from __future__ import annotations

import html
from collections.abc import Iterable

import numpy as np
from PIL import Image

from lib_softinpaint.generation.views import amplified_difference
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.method.composite import over_white

THUMBNAIL_PX, COMPARED_PX, QUALITY = 96, 1024, 90
"""Longest sides of images in the panel, and their JPEG quality."""


def strip(tiles: Iterable[tuple[str, Image.Image | None]], current: int) -> str:
    """Thumbnails with their names. The current one is marked; None is an image that cannot be read."""
    items = [f'<li{CURRENT if place == current else ""}>{_img("", image, THUMBNAIL_PX) if image else ""}'
             f'<span>{html.escape(name)}</span></li>' for place, (name, image) in enumerate(tiles)]
    return f"<ol>{''.join(items)}</ol>" if items else ""


CURRENT = ' aria-current="step"'


def slider(left: Image.Image, right: Image.Image, left_name: str, right_name: str) -> str:
    """Two images of the same size on top of each other, and a slider that sets where one ends and the other begins."""
    return (f'<div class="pair"><div>{_img(left_name, left, COMPARED_PX)}{_img(right_name, right, COMPARED_PX, "right")}</div>'
            f'<label>Left: {left_name}. Right: {right_name}.<input type="range" min="0" max="100" value="50" '
            """oninput="this.closest('.pair').style.setProperty('--left', this.value + '%')"></label></div>""")


def difference(one: Image.Image, other: Image.Image, one_name: str, other_name: str) -> str:
    """The amplified difference of two images of the same size."""
    shown = amplified_difference(np.asarray(over_white(one)), np.asarray(over_white(other)))
    return _img(f"Difference of {one_name} and {other_name}, amplified", Image.fromarray(shown), COMPARED_PX)


def _img(name: str, image: Image.Image, longest_px: int, css_class: str = "") -> str:
    small = over_white(image)
    small.thumbnail((longest_px, longest_px))
    source = encoded(small, "JPEG", quality=QUALITY)
    return f'<img class="{css_class}" alt="{html.escape(name)}" src="data:image/jpeg;base64,{source}">'
