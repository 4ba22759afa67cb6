"""Pictures as text, and back."""
from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image, ImageOps


def encoded(picture: Image.Image, kind: str = "PNG", **how: Any) -> str:
    """The picture's file of a kind that Pillow knows, as base64; `how` it is written as Pillow's `save` takes it."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(text: str, name: str) -> Image.Image:
    """The picture that was sent as base64, or as a data URL; upright. Raises ValueError with its name where it is none."""
    try:
        with Image.open(io.BytesIO(as_bytes(text))) as picture:
            picture.load()
            return ImageOps.exif_transpose(picture)
    except (OSError, ValueError, SyntaxError) as fault:
        raise ValueError(f"{name} must be a picture as base64, got {text[:20]!r}: {fault}") from fault


def as_bytes(text: str) -> bytes:
    """The file that was sent as base64, or as a data URL."""
    return base64.b64decode(text.partition(";base64,")[2] or text)
