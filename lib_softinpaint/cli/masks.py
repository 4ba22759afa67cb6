"""Which mask belongs to which image."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from lib_softinpaint.cli.jobs import is_hidden, is_image
from lib_softinpaint.errors import BadInput

MaskOf = Callable[[Path], Path]
"""The mask file of an image. Raises BadInput if there is none or more than one."""


def by_name(mask: Path) -> MaskOf:
    """One mask for all images, or a folder with a mask named like each image."""
    if not mask.is_dir():
        return lambda image: mask
    by_stem = _by_stem(mask)
    return lambda image: _only_one(by_stem, image.stem, f"the mask folder {mask}")


def by_suffix(suffix: str) -> MaskOf:
    """Beside each image, a mask whose name is the image's with this suffix: a-mask.png for a.jpg."""
    read_once = cache(_by_stem)
    return lambda image: _only_one(read_once(image.parent), image.stem + suffix, f"the folder {image.parent}")


def _only_one(by_stem: Mapping[str, list[Path]], stem: str, name: str) -> Path:
    found = [path for path in by_stem.get(stem, ()) if is_image(path)]
    if len(found) != 1:
        raise BadInput(f"{name} must contain exactly one mask named {stem}, found {len(found)}")
    return found[0]


def _by_stem(folder: Path) -> Mapping[str, list[Path]]:
    """The files of a folder that are not hidden, by stem."""
    files: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if not is_hidden(path):
            files[path.stem].append(path)
    return files
