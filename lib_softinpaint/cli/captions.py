"""Prompts and other settings for single images: from one file for all, or from a caption file beside each image."""
from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from lib_softinpaint.errors import BadInput
from lib_softinpaint.settings.fields import Value, read
from lib_softinpaint.settings.request import FIELDS
from lib_softinpaint.settings.settings import saved_fields

ValuesOf = Callable[[Path], Mapping[str, Value]]
"""An image's own values of the request's fields. Raises BadInput if they cannot be read."""

FILE_NAME, TEXT = "file_name", "text"
"""Columns as in the image folders of the Hugging Face datasets library; "text" is the prompt."""

_FIELDS = {each.name: each for each in (*FIELDS, *saved_fields())}


def none(image: Path) -> Mapping[str, Value]:
    """No image has values of its own."""
    return {}


def from_table(path: Path) -> ValuesOf:
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


def from_captions(suffix: str) -> ValuesOf:
    """The prompt from a text file beside each image, named like it."""
    def values_of(image: Path) -> Mapping[str, Value]:
        caption = image.with_suffix(suffix)
        try:
            return {"prompt": " ".join(caption.read_text(encoding="utf-8-sig").split())}
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as fault:
            raise BadInput(f"the caption {caption} must be a text file in UTF-8: {fault}") from fault
    return values_of


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
    except (OSError, ValueError, csv.Error) as fault:
        raise click.UsageError(f"{path} cannot be read as {path.suffix[1:]}: {fault}") from fault
