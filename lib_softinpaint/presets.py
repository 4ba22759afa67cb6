"""Named settings: those that come with the extension, and the user's own in a file."""
from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lib_softinpaint.fields import Value, checked, slider
from lib_softinpaint.request import FIELDS
from lib_softinpaint.settings import Settings, saved_fields

BUNDLED_FILE = Path(__file__).with_name("presets.json")
PRESETS_FILE = "softinpaint-presets.json"
"""The user's own."""

LONGEST_NAME = 60

MOST_BATCHES, LARGEST_BATCH = 100, 8
"""The WebUI's own limits."""


@dataclass(frozen=True)
class _Batch:
    """What the WebUI also has."""
    batch_count: int = slider(1, 1, MOST_BATCHES, 1, label="Batch count")
    batch_size: int = slider(1, 1, LARGEST_BATCH, 1, label="Batch size")


REQUEST_FIELDS = MappingProxyType({field.name: field for field in (*FIELDS, *dataclasses.fields(_Batch))
                                   if field.name not in ("prompt", "negative_prompt", "seed", "width", "height", "clip_skip")})
"""Fields of the program around the extension that a preset may set, by name."""


@dataclass(frozen=True)
class Preset:
    """Settings under a name. Raises ValueError on a value that is none of its field's.

    Parameters
    ----------
    about
        One sentence on what it is for.
    settings
        Of soft inpainting; those that are not named have their defaults.
    request
        Fields of REQUEST_FIELDS that it needs besides.
    """

    name: str
    about: str
    settings: Mapping[str, Value]
    request: Mapping[str, Value]

    def __post_init__(self):
        if not 0 < len(self.name.strip()) <= LONGEST_NAME or self.name != self.name.strip():
            raise ValueError(f"A preset's name must have 1 to {LONGEST_NAME} characters, got {self.name!r}.")
        known = {field.name: field for field in saved_fields()}
        for given, fields in ((self.settings, known), (self.request, REQUEST_FIELDS)):
            for key, value in given.items():
                if key not in fields:
                    raise ValueError(f"A preset may set {', '.join(fields)}, got {key!r}.")
                checked(fields[key], value)

    def all_settings(self) -> Settings:
        return Settings(**{**self.settings, "enabled": True})


@cache
def bundled() -> dict[str, Preset]:
    """The presets that come with the extension, by name."""
    told = json.loads(BUNDLED_FILE.read_text(encoding="utf8"))
    return {name: Preset(name, **about) for name, about in told.items()}


class PresetFile:
    """The user's own presets, in a JSON file that need not exist yet.

    Parameters
    ----------
    path

    A file that cannot be read is put aside, and `complaints` holds a sentence on where; a preset that cannot be read stays
    in the file as it is.
    """

    def __init__(self, path: Path):
        self.path = path
        self.complaints: list[str] = []
        self._told: dict[str, Any] = {}
        self._read()

    def _read(self) -> None:
        if not self.path.exists():
            return
        try:
            told = json.loads(self.path.read_text(encoding="utf8"))
            if not isinstance(told, dict):
                raise ValueError("it holds no object")
            self._told = told
        except (OSError, ValueError) as fault:
            aside = next(path for number in range(1, 1000)
                         if not (path := self.path.with_suffix(f".damaged-{number}.json")).exists())
            self.path.rename(aside)
            self.complaints.append(f"The presets could not be read and were put aside as {aside.name}: {fault}.")

    def presets(self) -> dict[str, Preset]:
        """By name, without those that cannot be read."""
        found = (self._preset(name) for name in self._told)
        return {preset.name: preset for preset in found if preset is not None}

    def _preset(self, name: str) -> Preset | None:
        try:
            return Preset(name, **self._told[name])
        except (TypeError, ValueError) as fault:
            sentence = f"The preset {name!r} could not be read: {fault}"
            if sentence not in self.complaints:
                self.complaints.append(sentence)
            return None

    def with_bundled(self) -> dict[str, Preset]:
        """All presets by name, those that come along first."""
        return {**bundled(), **self.presets()}

    def save(self, preset: Preset) -> None:
        """Adds a preset, or replaces the user's of that name. Raises ValueError on the name of a bundled one."""
        if preset.name in bundled():
            raise ValueError(f"A preset of your own must have another name than those that come along, got {preset.name!r}.")
        self._write({**self._told, preset.name: {
            "about": preset.about, "settings": dict(preset.settings), "request": dict(preset.request)}})

    def rename(self, name: str, new_name: str) -> None:
        """Raises ValueError where there is no such preset of the user's, or the new name is taken."""
        preset = self._own(name)
        if new_name != name and new_name in {*self._told, *bundled()}:
            raise ValueError(f"A preset's new name must not be taken, got {new_name!r}.")
        renamed = dataclasses.replace(preset, name=new_name)
        self._write({renamed.name if key == name else key: about for key, about in self._told.items()})

    def delete(self, name: str) -> None:
        """Raises ValueError where there is no such preset of the user's."""
        self._own(name)
        self._write({key: about for key, about in self._told.items() if key != name})

    def _own(self, name: str) -> Preset:
        found = self.presets()
        if not name:
            raise ValueError("A preset of your own must be chosen first.")
        if name not in found:
            raise ValueError(f"Only presets of your own can be renamed and deleted, got {name!r}.")
        return found[name]

    def _write(self, told: dict[str, Any]) -> None:
        """Whole or not at all: a program that stops in between leaves the old file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
        os.replace(unfinished, self.path)
        self._told = told
