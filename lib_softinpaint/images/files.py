"""Images and masks from files, checked for a run, and results into files. Each error is one sentence."""
from __future__ import annotations

from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.colours import Colours
from lib_softinpaint.geometry import Size
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.painted import fitted, strengths
from lib_softinpaint.images.read import UNREADABLE, as_original, opened
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.settings.request import INPAINT_NOT_MASKED

WITHOUT_TRANSPARENCY = (".jpg", ".jpeg")
SMALLEST_PX = 8


def read_image(path: Path, notes: list[str] | None = None) -> Image.Image:
    """Image from a file, converted for a run. Appends to `notes` as `as_original` does."""
    with reading(path):
        return as_original(opened(path), notes)


def read_mask(path: Path) -> Image.Image:
    """Image of a file as stored, rotated upright."""
    with reading(path):
        return opened(path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an error of the block, which reads this file, into a sentence."""
    try:
        yield
    except FileNotFoundError as fault:
        raise BadInput(f"{path} does not exist") from fault
    except UNREADABLE as fault:
        raise BadInput(f"{path} cannot be read as an image: {fault}") from fault


def painted_in(mask: Image.Image, path: Path, size: Size, image: Path, mask_mode: str,
               notes: MutableSequence[str]) -> np.ndarray:
    """The mask's strengths, (H, W) float32, 0 to 1, for an image of this size. Appends a sentence for each change to `notes`.

    Parameters
    ----------
    path, image
        Files of the mask and the image, for messages.

    Raises
    ------
    BadInput
        If the image is too small, or the mask cannot be used or has nothing to repaint.
    """
    if min(size) < SMALLEST_PX:
        raise BadInput(f"images must be at least {SMALLEST_PX} pixels wide and high; {image} is {size}")
    with reading(path):
        painted = strengths(mask, notes)
    painted = fitted(painted, size, f"the mask {path}", notes)
    if (painted == (1 if mask_mode == INPAINT_NOT_MASKED else 0)).all():
        raise BadInput(f"the mask {path} has nothing to repaint")
    return painted


def save_result(result: Image.Image, target: Path, text: str, colours: Colours) -> None:
    """Saves a result with its infotext and colours, over white if the format has no transparency."""
    if target.suffix.lower() in WITHOUT_TRANSPARENCY:
        result = over_white(result)
    infotext_files.save(result, target, text, colours)
