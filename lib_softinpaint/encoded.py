"""Pictures as text."""
from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image


def encoded(picture: Image.Image, kind: str = "PNG", **how: Any) -> str:
    """The picture's file of a kind that Pillow knows, as base64; `how` it is written as Pillow's `save` takes it."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return base64.b64encode(buffer.getvalue()).decode()
