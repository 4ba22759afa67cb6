"""Reads image files for every host: upright, in 8 bits, with colours that the result's file can keep."""
from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.colours import COLOUR_CHUNKS, PNG_COLOURS, USUAL_GAMMA
from lib_softinpaint.geometry import Size

LARGEST_SHORT, LARGEST_BYTE = 65535, 255
"""White in 16-bit and 8-bit images."""

OWN_SCALE_SHARE = 0.01
"""Share of pixels at the largest value from which a dark 16-bit or 32-bit image counts as an 8-bit one in a larger type."""

UNREADABLE = OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError
"""What Pillow raises on files that it cannot read."""

OPAQUE_FROM = 254
"""Least alpha value of an image whose alpha channel hides nothing."""

QUARTER_TURNS = 5, 6, 7, 8
"""Orientations of EXIF that swap width and height."""

LARGEST_TEXT_BYTES = 2 ** 26
"""Limit for one text or profile in a PNG. Pillow's own 1 MiB rejects files from photo editors and node editors."""

GAMMA_TOLERANCE = 0.005
"""An invisible difference from the usual gamma."""

_text_limit = threading.Lock()


def opened(file: Path | BinaryIO) -> Image.Image:
    """The first image of a file, upright and otherwise as stored. Raises one of UNREADABLE."""
    with _roomy_texts(), Image.open(file) as stored:
        stored.load()
        image = ImageOps.exif_transpose(stored)
        if stored.format == "PNG":
            image.info[COLOUR_CHUNKS] = _colour_chunks(file)
    frames = getattr(stored, "n_frames", 1)
    if frames > 1:
        image.info["frames"] = frames
    return image


def upright_size(file: Path | BinaryIO) -> Size:
    """Size of a file's image when upright, without decoding pixels. Raises one of UNREADABLE."""
    with _roomy_texts(), Image.open(file) as stored:
        # Pillow would decode a PNG to look for EXIF after its pixels.
        exif = {} if stored.format == "PNG" and "exif" not in stored.info else stored.getexif()
        turned = exif.get(ExifTags.Base.Orientation) in QUARTER_TURNS
        width, height = stored.size
        return Size(width, height) if turned else Size(height, width)


@contextmanager
def _roomy_texts() -> Iterator[None]:
    """Raises Pillow's limit for one PNG text for a while; its limit for all texts together stays."""
    with _text_limit:
        usual = PngImagePlugin.MAX_TEXT_CHUNK
        PngImagePlugin.MAX_TEXT_CHUNK = LARGEST_TEXT_BYTES
        try:
            yield
        finally:
            PngImagePlugin.MAX_TEXT_CHUNK = usual


def _colour_chunks(file: Path | BinaryIO) -> tuple[tuple[bytes, bytes], ...]:
    """The chunks of PNG_COLOURS, which come before the pixels."""
    if isinstance(file, Path):
        with open(file, "rb") as stream:
            return _colour_chunks(stream)
    found = []
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            break
        if name in PNG_COLOURS:
            found.append((name, file.read(length)))
            file.seek(4, io.SEEK_CUR)
        else:
            file.seek(length + 4, io.SEEK_CUR)
    return tuple(found)


def as_original(image: Image.Image, notes: MutableSequence[str] | None = None) -> Image.Image:
    """The image as a run needs it: 8-bit RGB, or RGBA if any pixel is transparent.

    Parameters
    ----------
    image
        Any mode.
    notes
        Receives one sentence for everything that the result will not keep.

    Returns
    -------
    Image.Image
        Its info has the ICC profile only if that is for RGB. Grey, CMYK and Lab are converted to sRGB.

    Raises
    ------
    BadInput
        If any pixel value is negative, infinite or not a number.
    """
    notes = [] if notes is None else notes
    if image.info.get("frames", 1) > 1:
        notes.append(f"The image has {image.info['frames']} frames; the first one was used.")
    info: dict[Any, Any] = {name: image.info[name] for name in ("icc_profile", COLOUR_CHUNKS) if image.info.get(name)}
    if image.mode == "F" or image.mode.startswith("I"):
        levels = at_own_scale(np.asarray(image), image.mode, "the image", notes)
        image = Image.fromarray(np.rint(levels * LARGEST_BYTE).clip(0, LARGEST_BYTE).astype(np.uint8))
    alpha = None
    has_alpha = not {"A", "a"}.isdisjoint(image.getbands()) and image.mode != "LAB"
    if has_alpha or "transparency" in image.info:
        image = image.convert("RGBA") if image.mode not in ("LA", "La") else image.convert("LA")
        alpha = image.getchannel("A")
        image = image.convert("L" if image.mode == "LA" else "RGB")
    original = _in_rgb(image, info, notes)
    if alpha is not None:
        original.putalpha(alpha)
    original.info = info
    return original


def needs_conversion(image: Image.Image) -> bool:
    """Whether the image has a colour profile that a plain conversion to RGB would ignore."""
    return bool(image.info.get("icc_profile")) or image.mode == "LAB"


def without_idle_alpha(image: Image.Image) -> Image.Image:
    """The image in RGB if its alpha channel hides nothing.

    Forge and reForge save infotext in the lowest bit of the alpha channel. Flattening it, or showing it on a canvas, would
    move pixels by a level in each round of inpainting.
    """
    if image.mode != "RGBA" or cast(tuple[int, int], image.getchannel("A").getextrema())[0] < OPAQUE_FROM:
        return image
    return image.convert("RGB")


def gamma_note(image: Image.Image) -> str | None:
    """A note if a PNG's gamma is not that of sRGB, for hosts whose files cannot keep it."""
    gamma = image.info.get("gamma", USUAL_GAMMA)
    if "srgb" in image.info or "icc_profile" in image.info or abs(gamma - USUAL_GAMMA) < GAMMA_TOLERANCE:
        return None
    return f"The image's gamma of {gamma:g} was ignored: the result may look lighter or darker in some viewers."


def _in_rgb(image: Image.Image, info: dict[Any, Any], notes: MutableSequence[str]) -> Image.Image:
    """The image in RGB. Removes the profile from `info` if it no longer applies."""
    profile, space = _profile(info.get("icc_profile"), notes)
    if profile is None:
        info.pop("icc_profile", None)
    if profile is None and image.mode == "LAB":
        profile, space = ImageCms.createProfile("LAB"), "LAB"
    wanted = {"L": "GRAY", "1": "GRAY", "CMYK": "CMYK", "LAB": "LAB"}.get(image.mode, "RGB")
    if profile is None:
        if image.mode == "CMYK":
            notes.append("The image is CMYK without a colour profile, so its colours were converted approximately.")
        return image.convert("RGB")
    if space == "RGB" and wanted in ("RGB", "GRAY"):
        return image.convert("RGB")
    info.clear()
    if space != wanted:
        notes.append(f"The image's colour profile is for {space} and was not used.")
        return image.convert("RGB")
    image = image.convert("L") if image.mode == "1" else image
    try:
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB",
                                              renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC)
        assert converted is not None, "Pillow returns None only for inPlace"
        return converted
    except ImageCms.PyCMSError as fault:
        notes.append(f"The image's colour profile could not be used: {fault}.")
        return image.convert("RGB")


def _profile(profile: bytes | None, notes: MutableSequence[str]) -> tuple[Any, str]:
    """An ICC profile and its colour space, "RGB", "GRAY", "CMYK" or "LAB"; None if it cannot be read."""
    if not profile:
        return None, ""
    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return read, cast(Any, read.profile).xcolor_space.strip().upper()
    except (OSError, ImageCms.PyCMSError) as fault:
        notes.append(f"The image's colour profile cannot be read and was dropped: {fault}.")
        return None, ""


def at_own_scale(values: np.ndarray, mode: str, name: str, notes: MutableSequence[str]) -> np.ndarray:
    """Values (H, W) of a 16-bit, 32-bit or float image, as float32 from 0 to 1.

    Parameters
    ----------
    mode
        Pillow's: "F" or one that starts with "I".
    name
        Name of the image in messages.
    """
    if not np.isfinite(values).all() or values.min() < 0:
        found = "negative ones" if np.isfinite(values).all() else "infinity or NaN"
        raise BadInput(f"{name}'s values must be numbers from 0 up, got {found}")
    peak = values.max()
    if mode == "F":
        white = next((white for white in (1, LARGEST_BYTE, LARGEST_SHORT) if peak <= white), float(peak))
        own = white != 1
    else:
        own = 0 < peak <= LARGEST_BYTE and np.count_nonzero(values == peak) >= OWN_SCALE_SHARE * values.size
        white = max(LARGEST_SHORT, float(peak)) if not own else 1 if peak == 1 else LARGEST_BYTE
    if own:
        notes.append(f"{name[0].upper() + name[1:]}'s largest value is {peak:g}, so {white:g} was read as white.")
    return values.astype(np.float32) / np.float32(white)
