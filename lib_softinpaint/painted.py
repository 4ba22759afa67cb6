"""Picture of a painted mask -> strengths, and back. 1 = repaint."""
from __future__ import annotations

import numpy as np
from PIL import Image

from lib_softinpaint.encoded import decoded

LARGEST_SHORT, LARGEST_BYTE = 65535, 255
"""White in pictures of 16 and of 8 bits."""

LEAST_VALUE = 0.5 / LARGEST_BYTE
"""What is less is black in a mask of 8 bits, by which the WebUI crops."""


def strengths(picture: Image.Image) -> np.ndarray:
    """Painted mask in a picture: its alpha channel where it is transparent anywhere, else its lightness.

    Returns
    -------
    (H, W) float32, 0 to 1
        Pictures of 16 bits keep their precision.

    Source: which channel counts was observed in AUTOMATIC1111 1.10.1.
    """
    if picture.mode == "F":
        raise ValueError("a mask must have whole numbers for pixels, got floats")
    if picture.mode.startswith("I"):
        return np.asarray(picture, np.float32).clip(0, LARGEST_SHORT) / np.float32(LARGEST_SHORT)
    if "A" in picture.getbands() or "transparency" in picture.info:
        alpha = picture.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (LARGEST_BYTE, LARGEST_BYTE):
            return np.asarray(alpha, np.float32) / np.float32(LARGEST_BYTE)
    return np.asarray(picture.convert("L"), np.float32) / np.float32(LARGEST_BYTE)


def as_picture(mask: np.ndarray, bits: int = 8) -> Image.Image:
    """Grey picture of a mask (H, W) float, 0 to 1, of 8 or 16 bits."""
    white, kind = {8: (LARGEST_BYTE, np.uint8), 16: (LARGEST_SHORT, np.uint16)}[bits]
    return Image.fromarray(np.rint(mask * white).astype(kind))


def painted_or_sent(painted: np.ndarray | None, mask_image: str, size: tuple[int, int]) -> np.ndarray | None:
    """What was painted; where that is nothing, the setting "Mask image", for a picture of this width and height.

    What is painted comes first: detailers and outpainting set masks of their own and hand our settings on.

    Parameters
    ----------
    painted : (H, W) float32, 0 to 1
    mask_image
        Base64.

    Raises
    ------
    ValueError
        Where the latter is no picture, or of another size.
    """
    if not mask_image or painted is not None and painted.max() >= LEAST_VALUE:
        return painted
    sent = strengths(decoded(mask_image, "Mask image"))
    if sent.shape != size[::-1]:
        raise ValueError("Mask image must be as large as the picture, {}x{}, got {}x{}.".format(*size, *sent.shape[::-1]))
    return sent


def of_8_bits(picture: Image.Image) -> Image.Image:
    """A picture to inpaint, its greys of 16 bits as 8, which Pillow would clip, and its transparency as a channel."""
    if picture.mode.startswith("I"):
        return as_picture(strengths(picture))
    return picture.convert("RGBA") if "transparency" in picture.info else picture
