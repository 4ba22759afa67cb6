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
from lib_softinpaint.method.mask_tools import edited
from lib_softinpaint.settings.request import INPAINT_NOT_MASKED, Request

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


def painted_in(mask: Image.Image | None, path: Path | None, original: Image.Image, image: Path, request: Request,
               notes: MutableSequence[str]) -> np.ndarray:
    """What is painted, (H, W) float32, 0 to 1, after the request's mask tools. Appends a sentence for each change to `notes`.

    Parameters
    ----------
    mask
        None if the mask tools make one from the image.
    path, image
        Files of the mask and the image, for messages.
    original
        The image.

    Raises
    ------
    BadInput
        If the image is too small, or the mask cannot be used or has nothing to repaint.
    """
    size = Size.of(original)
    if min(size) < SMALLEST_PX:
        raise BadInput(f"images must be at least {SMALLEST_PX} pixels wide and high; {image} is {size}")
    painted = np.zeros(size, np.float32)
    if mask is not None and path is not None:
        with reading(path):
            painted = strengths(mask, notes)
        painted = fitted(painted, size, f"the mask {path}", notes)
    painted = edited(painted, request.settings, np.asarray(original))
    if (painted == (1 if request.mask_mode == INPAINT_NOT_MASKED else 0)).all():
        tools = f" after the mask tools {request.settings.mask_tools!r}" if request.settings.mask_tools else ""
        raise BadInput(f"the mask {path or f'of {image}'} has nothing to repaint{tools}")
    return painted


def save_result(result: Image.Image, target: Path, text: str, colours: Colours) -> None:
    """Saves a result with its infotext and colours, over white if the format has no transparency."""
    if target.suffix.lower() in WITHOUT_TRANSPARENCY:
        result = over_white(result)
    infotext_files.save(result, target, text, colours)
