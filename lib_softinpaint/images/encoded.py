"""Images to base64 text and back."""
from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Size
from lib_softinpaint.images.read import UNREADABLE, opened, upright_size


def encoded(image: Image.Image, file_format: str = "PNG", **options: Any) -> str:
    """The image's file as base64, in a format that Pillow knows; `options` go to Pillow's `save`."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(text: str, name: str, check: Callable[[Size], None] | None = None) -> Image.Image:
    """The upright image from base64 or a data URL. Raises BadInput with its name if it is not an image.

    Parameters
    ----------
    check
        Called with the size before the pixels are decoded; may raise.
    """
    with _readable(text, name):
        file = io.BytesIO(as_bytes(text))
        size = upright_size(file)
    if check is not None:
        check(size)
    with _readable(text, name):
        return opened(file)


@contextmanager
def _readable(text: str, name: str) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as fault:
        raise BadInput(f"{name} must be an image as base64, got {text[:20]!r}: {fault}") from fault


def as_bytes(text: str) -> bytes:
    """The file from base64 or a data URL."""
    return base64.b64decode(text.partition(";base64,")[2] or text)
