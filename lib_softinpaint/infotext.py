"""Infotext, the line of settings that the WebUI's pictures carry: as text, and in PNG, JPEG and WebP files."""
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

PNG_KEY = "parameters"
EXIF_IFD, USER_COMMENT, UNICODE = 0x8769, 0x9286, b"UNICODE\0"
SAVE_OPTIONS = {
    ".png": {}, ".webp": {"lossless": True}, ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0}}
"""By suffix, in lower case. JPEG cannot keep the outside exact; the others do."""

_PAIR = re.compile(r'\s*([^:,"]+):\s*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')
_FEWEST_PAIRS = 3  # as in the WebUI: a last line with fewer belongs to the prompt


def dump(params: Mapping[str, Any]) -> str:
    """The WebUI's form: the prompts, then one line of keys and values."""
    pairs = [f"{key}: {_quoted(str(value))}" for key, value in params.items() if key not in ("Prompt", "Negative prompt")]
    negative = params.get("Negative prompt")
    lines = [params.get("Prompt", ""), *([f"Negative prompt: {negative}"] if negative else []), ", ".join(pairs)]
    return "\n".join(lines).strip()


def parse(text: str) -> dict[str, str]:
    """Keys and values of an infotext, "Prompt" and "Negative prompt" among them."""
    *lines, last = text.strip().split("\n")
    pairs = _PAIR.findall(last)
    if len(pairs) < _FEWEST_PAIRS:
        lines, pairs = [*lines, last], []
    prompt, _, negative = "\n".join(line.strip() for line in lines).partition("Negative prompt:")
    return {"Prompt": prompt.strip(), "Negative prompt": negative.strip(),
            **{key.strip(): _unquoted(value.strip()) for key, value in pairs}}


def replaced(text: str, values: Mapping[str, Any]) -> str:
    """An infotext with other values under some of its keys, all else as it stands; keys that it lacks come last."""
    before, newline, last = text.strip().rpartition("\n")
    left = dict(values)
    pieces, reached = [before + newline], 0
    for pair in _PAIR.finditer(last):
        key = pair.group(1).strip()
        if key in left:
            pieces += [last[reached:pair.start(2)], _quoted(str(left.pop(key)))]
            reached = pair.end(2)
    added = [f"{key}: {_quoted(str(value))}" for key, value in left.items()]
    return "".join(pieces) + ", ".join([*([last[reached:]] if last[reached:] else []), *added])


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(sign in value for sign in ",:\n") else value


def _unquoted(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value
    except json.JSONDecodeError:
        return value


def of_picture(path: Path | BinaryIO) -> str | None:
    """The infotext in a picture file; None where it has none."""
    with Image.open(path) as picture:
        comment = picture.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT)
        if isinstance(comment, bytes):
            start, rest = comment[:len(UNICODE)], comment[len(UNICODE):]
            comment = rest.decode("utf-16-be" if start == UNICODE else "ascii", errors="replace").strip("\0 ")
        return comment or picture.info.get(PNG_KEY)


def save(picture: Image.Image, path: Path, text: str, colour_profile: bytes | None = None) -> None:
    """Writes a picture with its infotext, in the format that the suffix names.

    Parameters
    ----------
    colour_profile
        ICC profile of its colours; sRGB if None.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        about = PngInfo()
        about.add_text(PNG_KEY, text) if text.isascii() else about.add_itxt(PNG_KEY, text)
        picture.save(path, pnginfo=about, icc_profile=colour_profile)
        return
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + text.encode("utf-16-be")
    picture.save(path, exif=exif, icc_profile=colour_profile, **SAVE_OPTIONS[suffix])
