"""Which files are inpainted, and where their results go."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from PIL import Image, ImageFile

from lib_softinpaint.batch import manifest
from lib_softinpaint.cli.command import print_note
from lib_softinpaint.cli.files import JOB_SUFFIX
from lib_softinpaint.images import infotext_files

SYSTEM_FILES = ("thumbs.db", "desktop.ini")
FILE_ATTRIBUTE_HIDDEN = 2  # on Windows
MOST_NAMES = 5  # of files in one sentence


@dataclass(frozen=True)
class Job:
    """One result to generate. `number` counts the results of one image from 0."""

    image: Path
    target: Path
    number: int

    @property
    def kept(self) -> Path:
        return self.target.with_suffix(JOB_SUFFIX)


def images_in(paths: Iterable[Path], used: Callable[[Path], Iterable[Path]] = lambda image: ()) -> list[Path]:
    """The image files: the named ones, and those in the named folders.

    `used` returns the other files that are read for an image. They are not listed as skipped.
    """
    return [file for path in paths for file in (sorted(_in_folder(path, used)) if path.is_dir() else [path])]


def plan_jobs(images: Iterable[Path], output: Path, count: int) -> list[Job]:
    numbered = [(path, number) for path in images for number in range(count)]
    names = [f"{path.stem}-{number + 1}" if count > 1 else path.stem for path, number in numbered]
    return [Job(path, target, number) for (path, number), target in zip(numbered, targets_for(names, output))]


def targets_for(names: list[str], output: Path) -> list[Path]:
    """Files for results with these names: the named file, or one PNG each in a folder."""
    if not output.suffix or os.path.isdir(output):  # unlike Path.is_dir, never raises for a long name
        return [output / f"{name}.png" for name in names]
    if output.suffix.lower() not in infotext_files.SAVE_OPTIONS:
        raise click.UsageError(f"--output must be a folder or end in {', '.join(infotext_files.SAVE_OPTIONS)}, got {output}")
    if len(names) > 1:
        raise click.UsageError(f"--output must be a folder if there is more than one result, got {output}")
    return [output]


def demand_distinct(targets: Iterable[Path]) -> None:
    for target, times in Counter(str(target).casefold() for target in targets).items():
        if times > 1:
            raise click.UsageError(f"each result needs its own name, but {times} of them would be named {target}")


def demand_other_folder(folder: Path, sources: Iterable[Path], option: str) -> None:
    """Raises UsageError if a folder for results is one of the folders of images and masks."""
    if folder.exists() and any(folder.samefile(source) for source in sources if source.exists()):
        raise click.UsageError(f"{option} must be a folder without input images or masks, got {folder}")


def check_targets(targets: Sequence[Path], force: bool, inputs: Iterable[Path] = ()) -> None:
    """Raises UsageError if results share a name, cannot be written, or would overwrite an input file.

    Without `force`, they may not overwrite any file.
    """
    demand_distinct(targets)
    originals = {_identity(path) for path in inputs if os.path.exists(path)}
    for target in targets:
        try:
            target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as fault:  # a name that is too long, for example
            raise click.UsageError(f"cannot write {target}: {fault.strerror}") from fault
        if target.is_dir():
            raise click.UsageError(f"cannot write {target}: it is a folder")
        if target.exists() and _identity(target) in originals:
            raise click.UsageError(f"a result must not overwrite an input image or mask, got {target}")
        if not force:
            raise click.UsageError(f"{target} already exists; use --force to overwrite it")


def listed(names: Sequence[str]) -> str:
    """The names for a sentence: the first few, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _identity(path: Path) -> tuple[int, int]:
    """The same for two paths of one file."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _in_folder(folder: Path, used: Callable[[Path], Iterable[Path]]) -> list[Path]:
    """The images in a folder. A note lists other files that are neither hidden, used nor our own."""
    visible = [path for path in sorted(folder.iterdir()) if not is_hidden(path)]
    found = [path for path in visible if is_image(path)]
    if not found:
        raise click.UsageError(f"the folder {folder} has no images")
    images = set(found)
    if others := [path for path in visible if path not in images and path.name != manifest.NAME]:
        known = {file.absolute() for image in found for file in used(image)}
        if skipped := [path.name for path in others if path.absolute() not in known]:
            print_note(f"{folder} also contains files that are not images; skipped: {listed(skipped)}.")
    return found


def is_hidden(path: Path) -> bool:
    return (path.name.startswith(".") or path.name.lower() in SYSTEM_FILES
            or bool(getattr(path.lstat(), "st_file_attributes", 0) & FILE_ATTRIBUTE_HIDDEN))


def is_image(path: Path) -> bool:
    """Whether Pillow reads this file's format. An image that is too large passes here and is reported later."""
    try:
        with Image.open(path) as image:
            return not isinstance(image, ImageFile.StubImageFile)
    except Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError):
        return False
