"""How pixel values map to colours, according to the image file."""
from __future__ import annotations

import struct
from dataclasses import dataclass

from PIL import Image

USUAL_GAMMA = 0.45455
"""Gamma of sRGB as PNG files give it."""

USUAL_GAMMA_CHUNK, USUAL_CICP_CHUNK = struct.pack(">I", round(USUAL_GAMMA * 100_000)), bytes([1, 13, 0, 1])
"""Contents of gAMA and cICP for sRGB."""

PNG_COLOURS = b"cICP", b"gAMA", b"cHRM", b"sRGB"
"""PNG chunks, apart from the ICC profile, that define what pixel values mean as colours."""

COLOUR_CHUNKS = "softinpaint_colour_chunks"
"""Key in an image's info for its colour chunks, as pairs of name and content."""


@dataclass(frozen=True)
class Colours:
    """How pixel values map to colours, according to the image file; sRGB by default.

    Parameters
    ----------
    icc_profile
        Profile for RGB.
    png_chunks
        Names and contents of PNG_COLOURS.
    """

    icc_profile: bytes | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def kept_by_png_alone(self) -> list[str]:
        """Names of the chunks without which the colours look different."""
        chunks = dict(self.png_chunks)
        usual = b"sRGB" in chunks or self.icc_profile is not None
        special = []
        if chunks.get(b"cICP", USUAL_CICP_CHUNK) != USUAL_CICP_CHUNK:
            special.append("cICP")
        if not usual and chunks.get(b"gAMA", USUAL_GAMMA_CHUNK) != USUAL_GAMMA_CHUNK:
            special.append("gAMA")
        return special


SRGB = Colours()


def colours_of(original: Image.Image) -> Colours:
    """The colours of an image that comes from `as_original`."""
    return Colours(original.info.get("icc_profile"), original.info.get(COLOUR_CHUNKS, ()))


def with_colours(image: Image.Image, colours: Colours) -> Image.Image:
    """The image with these colours attached, for `colours_of`."""
    image.info |= {"icc_profile": colours.icc_profile, COLOUR_CHUNKS: colours.png_chunks}
    return image
