"""Prompts and other settings for single images: from one file for all, or from a caption file beside each image."""
from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lib_softinpaint.cli.command import print_note
from lib_softinpaint.cli.jobs import listed
from lib_softinpaint.errors import BadInput
from lib_softinpaint.settings.fields import Value, read
from lib_softinpaint.settings.request import FIELDS
from lib_softinpaint.settings.settings import saved_fields

ValuesOf = Callable[[Path], Mapping[str, Value]]
"""An image's own values of the request's fields. Raises BadInput if they cannot be read."""

FILE_NAME, TEXT = "file_name", "text"
"""Columns as in the image folders of the Hugging Face datasets library; "text" is the prompt."""

_FIELDS = {each.name: each for each in (*FIELDS, *saved_fields())}


def values_of(images: Sequence[Path], table: Path | None, suffix: str | None, prompt: str) -> ValuesOf:
    """What each image's own values are read from: a table, caption files with this suffix, or nothing.

    A note names images without any if they have no common `prompt`, and rows that name no image. Raises UsageError if no
    image has values of its own.
    """
    if table is not None:
        return from_table(table, images, prompt)
    return (lambda image: {}) if suffix is None else from_captions(suffix, images, prompt)


def used(table: Path | None, suffix: str | None) -> Callable[[Path], Iterable[Path]]:
    """The files from which an image's values are read, by image."""
    if table is not None:
        return lambda image: [table]
    return lambda image: [] if suffix is None else [_caption_of(image, suffix)]


def from_table(path: Path, images: Sequence[Path], prompt: str = "") -> ValuesOf:
    """Values from a .csv or .jsonl file with a row for each image, named by `file_name`. Empty cells count as left out."""
    rows: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, row in enumerate(_rows(path), 1):
        values = {("prompt" if name == TEXT else name): value for name, value in row.items() if value not in (None, "")}
        name = values.pop(FILE_NAME, None)
        if name is None:
            raise click.UsageError(f"each row of {path} must have a {FILE_NAME}, row {number} has none")
        if unknown := values.keys() - _FIELDS.keys():
            raise click.UsageError(f"the columns of {path} must be {FILE_NAME}, {TEXT} or options of this command with _ "
                                   f"for -, got {', '.join(sorted(map(str, unknown)))}")
        rows[str(name)] = number, values
    names = {image.name for image in images}
    if names.isdisjoint(rows):
        raise click.UsageError(f"{path} must have a row with the {FILE_NAME} of an image, such as {images[0].name}, got "
                               f"{listed(list(rows)) or 'no row'}")
    if others := [name for name in rows if name not in names]:
        print_note(f"{path} has rows that name no image ({len(others)}): {listed(others)}")
    _note_without(f"no row in {path}", [image for image in images if image.name not in rows], prompt)

    def values_of(image: Path) -> Mapping[str, Value]:
        number, values = rows.get(image.name, (0, {}))
        notes: list[str] = []
        try:
            found = {name: read(_FIELDS[name], value, notes) for name, value in values.items()}
        except BadInput as fault:
            raise BadInput(f"row {number} of {path} cannot be used: {fault}") from fault
        if notes:
            raise BadInput(f"row {number} of {path} cannot be used: {notes[0]}")
        return found
    return values_of


def from_captions(suffix: str, images: Sequence[Path], prompt: str = "") -> ValuesOf:
    """The prompt from a text file beside each image, named like it."""
    without = [image for image in images if not _caption_of(image, suffix).exists()]
    if len(without) == len(images):
        raise click.UsageError(f"--captions needs a text file named like an image, but none of {len(images)} images has one, "
                               f"such as {_caption_of(images[0], suffix)}")
    _note_without(f"no caption file ending in {suffix}", without, prompt)

    def values_of(image: Path) -> Mapping[str, Value]:
        caption = _caption_of(image, suffix)
        try:
            return {"prompt": " ".join(caption.read_text(encoding="utf-8-sig").split())}
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as fault:
            raise BadInput(f"the caption {caption} must be a text file in UTF-8: {fault}") from fault
    return values_of


def _caption_of(image: Path, suffix: str) -> Path:
    try:
        return image.with_suffix(suffix)
    except ValueError as fault:
        raise click.UsageError(f"--captions must be a suffix such as .txt, got {suffix!r}") from fault


def _note_without(lack: str, images: Sequence[Path], prompt: str) -> None:
    """Notes which images get an empty prompt because they lack their own."""
    if images and not prompt:
        print_note(f"images with {lack} get an empty prompt ({len(images)}): {listed([image.name for image in images])}")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise click.UsageError(f"--prompts must be a .csv or .jsonl file, got {path}")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                yield from csv.DictReader(file)
                return
            for line in file:
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("a line is no object")
                    yield row
    except FileNotFoundError as fault:
        raise click.UsageError(f"{path} does not exist") from fault
    except (OSError, ValueError, csv.Error) as fault:
        raise click.UsageError(f"{path} cannot be read as {path.suffix[1:]}: {fault}") from fault
