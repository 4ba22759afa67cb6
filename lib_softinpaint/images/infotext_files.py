"""Infotext in image files: reads files of any program, writes them as the WebUI does."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo, iTXt

from lib_softinpaint.atomic_file import replacing
from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.colours import SRGB, Colours
from lib_softinpaint.geometry import Size
from lib_softinpaint.settings.infotext import is_infotext

PNG_KEY = "parameters"
EXIF_IFD, USER_COMMENT, UNICODE = 0x8769, 0x9286, b"UNICODE\0"

ENCODINGS = {UNICODE: ("utf-16-be", "utf-16-le", "utf-8"), b"ASCII\0\0\0": ("utf-8", "cp1252"),
             b"JIS\0\0\0\0\0": ("iso2022_jp", "shift_jis", "utf-8"), bytes(8): ("utf-8", "utf-16-be", "utf-16-le", "cp1252"),
             b"": ("utf-8", "utf-16-be", "utf-16-le", "cp1252")}
"""Possible encodings of a user comment, by its first eight bytes. Programs differ in their byte order for Unicode."""

SAVE_OPTIONS = {
    ".png": {}, ".webp": {"lossless": True}, ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0}}
"""By suffix, in lower case. JPEG cannot keep the outside exact; the other formats can."""

LARGEST_SIDE = {".webp": 16383, ".jpg": 65535, ".jpeg": 65535}
"""Pixels. Source: WebP's container and JPEG's frame header use 14 and 16 bits for a side."""

LARGEST_JPEG_EXIF = 65533
"""Bytes that fit into one segment of a JPEG."""

LARGEST_JPEG_PROFILE = 255 * 65519
"""Bytes that fit into the 255 segments of a JPEG's colour profile; a byte numbers them."""


def read(path: Path | BinaryIO) -> str | None:
    """The infotext in an image file, or None."""
    with Image.open(path) as image:
        return next(filter(is_infotext, _texts(image)), None)


def _texts(image: Image.Image) -> Iterator[str]:
    """All texts of a file that may be infotext, each in every encoding that can read it."""
    exif = image.getexif()
    for comment in (exif.get_ifd(EXIF_IFD).get(USER_COMMENT), exif.get(USER_COMMENT)):
        yield from _readings(comment)
    chunks = getattr(image, "text", {})  # of a PNG, including those after the pixels
    for text in (chunks.get(PNG_KEY), image.info.get(PNG_KEY)):
        # Some programs write UTF-8 although PNG specifies Latin-1.
        yield from _readings(text if text is None or isinstance(text, iTXt) else _as_bytes(text))
    yield from _readings(image.info.get("comment"))  # of a GIF or a JPEG


def _readings(comment: Any) -> Iterator[str]:
    if isinstance(comment, str):
        yield comment
    elif isinstance(comment, bytes):
        start = comment[:8] if comment[:8] in ENCODINGS else b""
        for encoding in ENCODINGS[start]:
            if (text := _decoded(comment[len(start):], encoding)) is not None:
                yield text.strip("\0\ufeff\ufffd ")


def _decoded(comment: bytes, encoding: str) -> str | None:
    try:
        # Only the decoded text shows whether 16-bit text was read right; half a character at its end does no harm.
        return comment.decode(encoding, "replace" if encoding.startswith("utf-16") else "strict")
    except UnicodeDecodeError:
        return None


def _as_bytes(text: str) -> bytes | str:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text


def demand_room(path: Path, size: Size, text: str, colours: Colours = SRGB) -> None:
    """Raises BadInput if the suffix's format cannot hold an image of this size with this infotext and these colours."""
    suffix = path.suffix.lower()
    largest = LARGEST_SIDE.get(suffix)
    if largest and max(size) > largest:
        raise BadInput(f"{path} can have at most {largest} pixels a side, the image has {size}; .png has no such limit")
    if suffix not in (".jpg", ".jpeg"):
        return
    if (length := len(_exif(text).tobytes())) > LARGEST_JPEG_EXIF:
        raise BadInput(f"{path} can hold at most {LARGEST_JPEG_EXIF} bytes of infotext, this has {length}; .png and .webp "
                       "have no such limit")
    profile = colours.icc_profile
    if profile and len(profile) > LARGEST_JPEG_PROFILE:
        raise BadInput(f"{path} can hold a colour profile of at most {LARGEST_JPEG_PROFILE} bytes, this has "
                       f"{len(profile)}; .png and .webp have no such limit")


def save(image: Image.Image, path: Path, text: str, colours: Colours = SRGB) -> None:
    """Writes an image with its infotext, in the format of the suffix, completely or not at all.

    Only a PNG keeps PNG colour chunks.

    Raises
    ------
    OSError
        If the file cannot be written.
    BadInput
        From `demand_room`.
    """
    demand_room(path, Size.of(image), text, colours)
    suffix = path.suffix.lower()
    if suffix == ".png":
        chunks = PngInfo()
        chunks.add_text(PNG_KEY, text) if text.isascii() else chunks.add_itxt(PNG_KEY, text)
        for name, content in colours.png_chunks:
            chunks.add(name, content)
        options = {"pnginfo": chunks}
    else:
        options = {"exif": _exif(text), **SAVE_OPTIONS[suffix]}
    with replacing(path) as file:
        image.save(file, Image.registered_extensions()[suffix], icc_profile=colours.icc_profile, **options)


def _exif(text: str) -> Image.Exif:
    exif = Image.Exif()
    exif[EXIF_IFD] = {USER_COMMENT: UNICODE + text.encode("utf-16-be")}
    return exif
