"""Images as text, and back."""
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


def encoded(picture: Image.Image, kind: str = "PNG", **how: Any) -> str:
    """The picture's file of a kind that Pillow knows, as base64; `how` it is written as Pillow's `save` takes it."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(text: str, name: str, check: Callable[[Size], None] | None = None) -> Image.Image:
    """The image that was sent as base64, or as a data URL; upright. Raises BadInput with its name if it is none.

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
    """The file that was sent as base64, or as a data URL."""
    return base64.b64decode(text.partition(";base64,")[2] or text)
