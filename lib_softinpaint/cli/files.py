"""Where results go, and what happens if they cannot be written. Each error becomes one sentence."""
from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from lib_softinpaint.bundled import bundled
from lib_softinpaint.cli.command import print_note
from lib_softinpaint.errors import BadInput

DEMO = bundled("demo")
JOB_SUFFIX = ".npz"
LONGEST_RESCUED = 40  # characters of a file name


def unused_paths(*paths: Path) -> list[Path]:
    """The paths. If any of them exists, all get the same unused number."""
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
            with tempfile.TemporaryFile(dir=folder):  # only a test write shows whether we may write
                continue
    except OSError as fault:
        raise click.UsageError(f"cannot write to the folder {folder}: {fault.strerror}") from fault


@contextmanager
def folder_for(target: Path) -> Iterator[None]:
    """Makes the folder of a target as `make_folders` does. Removes what it made if that is empty after the block."""
    made = [folder for folder in target.parents if not folder.exists()]
    make_folders([target])
    try:
        yield
    finally:
        with suppress(OSError):  # the first that is not empty
            for folder in made:
                folder.rmdir()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns an OSError of the block, which writes this file, into a sentence."""
    try:
        yield
    except OSError as fault:
        raise click.UsageError(f"could not write {target}: {fault.strerror or fault}") from fault


@contextmanager
def rescuing(target: Path, save: Callable[[Path], None]) -> Iterator[None]:
    """If the block fails to write a result to `target`, calls `save` to write it elsewhere.

    The file is a PNG or job file in the system's temporary folder or, failing that, the current folder. Raises BadInput
    with its path. For other errors a note says so, and the error is raised again.
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
            print_note(f"the result was saved to {place.resolve()}")
            raise
        reason = getattr(fault, "strerror", None) or fault
        raise BadInput(f"could not write {target}: {reason}; the result was saved to {place.resolve()}") from fault
