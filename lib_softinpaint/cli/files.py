"""Files that are read and written, each fault as one sentence."""
from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from PIL import Image

from lib_softinpaint.bundled import bundled
from lib_softinpaint.cli.command import print_note
from lib_softinpaint.errors import BadInput
from lib_softinpaint.images.read import UNREADABLE, as_original, opened

DEMO = bundled("demo")
JOB_SUFFIX = ".npz"
LONGEST_RESCUED = 40  # letters of a file's name
WITH_TRANSPARENCY = (".png", ".webp")


def read_image(path: Path, notes: list[str] | None = None) -> Image.Image:
    """Image of a file as a run takes it; takes notes as `image_files.as_original`."""
    with reading(path):
        return as_original(opened(path), notes)


def read_mask(path: Path) -> Image.Image:
    """Image of a file as it is stored, turned upright."""
    with reading(path):
        return opened(path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as fault:
        raise click.UsageError(f"an image must exist, {path} does not") from fault
    except UNREADABLE as fault:
        raise click.UsageError(f"an image must be readable, {path} is not: {fault}") from fault


def unused_paths(*paths: Path) -> list[Path]:
    """The paths, with one number for all if any of them exists."""
    number, free = 1, list(paths)
    while any(path.exists() for path in free):
        number += 1
        free = [path.with_stem(f"{path.stem}-{number}") for path in paths]
    return free


def make_folders(targets: Iterable[Path]) -> None:
    folder = Path()
    try:
        for folder in {target.parent for target in targets}:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # only writing tells whether one may
                continue
    except OSError as fault:
        raise click.UsageError(f"{folder} must be a folder that can be written to: {fault.strerror}") from fault


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Makes an OSError of the block, which writes this file, a sentence."""
    try:
        yield
    except OSError as fault:
        raise click.UsageError(f"{target} could not be written: {fault.strerror or fault}") from fault


@contextmanager
def rescuing(target: Path, save: Callable[[Path], None]) -> Iterator[None]:
    """Keeps what was computed if the block, which writes it to `target`, fails in any way: `save` then writes it elsewhere.

    That is a PNG or job file in the system's folder for temporary files, or else in the current folder. Raises BadInput with
    where it is, or after a note on that a fault of our own.
    """
    try:
        yield
    except Exception as fault:
        for folder in (Path(tempfile.gettempdir()), Path()):
            suffix = JOB_SUFFIX if target.suffix == JOB_SUFFIX else ".png"
            place, = unused_paths(folder / f"softinpaint-{target.stem[:LONGEST_RESCUED]}{suffix}")
            with suppress(OSError):
                save(place)
                break
        else:
            raise
        if not isinstance(fault, (OSError, BadInput)):
            print_note(f"the result is in {place.resolve()}")
            raise
        reason = getattr(fault, "strerror", None) or fault
        raise BadInput(f"{target} could not be written: {reason}; the result is in {place.resolve()}") from fault
