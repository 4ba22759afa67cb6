"""Painted masks in a folder, so that the mask of any result can be painted with again, even after a restart."""
from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from lib_softinpaint.atomic_file import replacing
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.images.read import LARGEST_BYTE

FOLDER = "softinpaint-masks"
"""Name of the folder."""

NAME_DIGITS = 16

SAME_LEVEL = 1e-3
"""Of 255: rounding of float32. Masks with finer levels are saved with 16 bits."""


class PaintedMasks:
    """Masks by the hash of their pixels: equal masks are one file. The files may be deleted at any time."""

    def __init__(self, folder: Path):
        self._folder = folder

    def put(self, strengths: np.ndarray) -> str:
        """Saves a mask, (H, W) float, 0 to 1, if it is new. Returns its name. Raises OSError if it cannot be written."""
        levels = strengths * LARGEST_BYTE
        image = grey_image(strengths, 8 if np.abs(levels - np.rint(levels)).max() < SAME_LEVEL else 16)
        name = hashlib.sha256(repr((image.mode, image.size)).encode() + image.tobytes()).hexdigest()[:NAME_DIGITS]
        path = self._path(name)
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                image.save(file, "PNG")
        return name

    def path_of(self, name: str) -> Path:
        """The file of the mask with this name. Raises LookupError with a sentence if there is none."""
        if not re.fullmatch(r"[0-9a-f]+", name) or not self._path(name).exists():
            raise LookupError(f"The painted mask {name or 'of this image'} is not in the folder {FOLDER}.")
        return self._path(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.png"
