"""Presets: those that come with the extension, and the user's own in a file."""
from __future__ import annotations

import itertools
import json
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from lib_softinpaint.atomic_file import replacing
from lib_softinpaint.settings.fields import Field, Range, Value, checked, fields_of
from lib_softinpaint.settings.request import FIELDS
from lib_softinpaint.settings.settings import Settings, saved_fields

BUNDLED_FILE = Path(__file__).with_name("presets.json")
PRESETS_FILE = "softinpaint-presets.json"
"""File of the user's own presets."""

LONGEST_NAME = 60

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which cannot be sent to a page."""

OWN = " (own)"
"""Added to a user's preset with the name of a bundled one: a later version may bundle any name."""

LARGEST_FILE_BYTES = 4 * 2 ** 20
"""About ten thousand presets."""

LONGEST_WAIT_S = 3
"""Wait for another program that is writing the presets."""

MOST_BATCHES, LARGEST_BATCH = 100, 8
"""The WebUI's own limits."""


@dataclass(frozen=True)
class _Batch:
    """Batch fields, which only the WebUI has."""

    batch_count: Annotated[int, Field(
        "Batch count", range=Range(1, MOST_BATCHES, 1))] = 1
    batch_size: Annotated[int, Field(
        "Batch size", range=Range(1, LARGEST_BATCH, 1))] = 1


REQUEST_FIELDS = MappingProxyType({field.name: field for field in (*FIELDS, *fields_of(_Batch).values())
                                   if field.name not in ("prompt", "negative_prompt", "seed", "width", "height", "clip_skip")})
"""Fields of the host that a preset may set, by name."""


@dataclass(frozen=True)
class Preset:
    """Settings under a name. Raises ValueError if a value is out of range or of the wrong type.

    Parameters
    ----------
    about
        One sentence on what the preset is for.
    settings
        Soft inpainting settings; the others have their defaults.
    request
        Fields of REQUEST_FIELDS that the preset also sets.
    task
        Label of the button that chooses the preset and sets its request; "" if there is none.
    prompt
        One sentence on what the prompt should say.
    """

    name: str
    about: str
    settings: Mapping[str, Value]
    request: Mapping[str, Value]
    task: str = ""
    prompt: str = ""

    def __post_init__(self):
        if not 0 < len(self.name.strip()) <= LONGEST_NAME or self.name != self.name.strip():
            raise ValueError(f"A preset's name must have 1 to {LONGEST_NAME} characters, got {self.name!r}.")
        if not isinstance(self.about, str) or not all(isinstance(given, Mapping) for given in (self.settings, self.request)):
            raise ValueError("A preset must hold a text `about` and objects `settings` and `request`, got "
                             f"{self.about!r}, {self.settings!r} and {self.request!r}.")
        if any(SURROGATE.search(text) for text in (self.name, self.about)):
            raise ValueError("A preset's name and text must hold whole Unicode characters, got "
                             f"{self.name!r} and {self.about!r}.")
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
    entries = json.loads(BUNDLED_FILE.read_text(encoding="utf8"))
    return {name: Preset(name, **entry) for name, entry in entries.items()}


class PresetFile:
    """The user's own presets, in a JSON file that may not exist yet and that other programs may also write.

    Every call reads the file again. Only `save`, `rename` and `delete` write it, under a lock. They raise ValueError if the
    change is impossible and OSError if the file cannot be written, and then change nothing.

    If a user's preset has the name of a bundled one, it is shown with OWN after its name.

    Parameters
    ----------
    path
    """

    def __init__(self, path: Path):
        self.path = path
        self.complaints: list[str] = []
        """One sentence for each problem of the last read."""
        self._entries: dict[str, Any] = {}

    def presets(self) -> dict[str, Preset]:
        """The user's presets that can be read, by the names under which they are shown. Never raises.

        While the file cannot be opened, returns the presets from the last read.
        """
        complaints: list[str] = []
        try:
            self._entries = _read(self.path)
        except OSError as fault:
            complaints.append(f"Your presets cannot be read right now and will be tried again: {_reason(fault)}.")
        except ValueError as fault:
            self._entries = {}
            complaints.append(f"Your presets in {self.path.name} cannot be read: {fault}. When you save one, "
                              f"the damaged file is kept as {_free_name(self.path).name}.")
        entries = self._entries
        read = {shown: _preset(name, entries[name], complaints) for shown, name in _shown(entries).items()}
        self.complaints = complaints
        return {shown: preset for shown, preset in read.items() if preset is not None}

    def with_bundled(self) -> dict[str, Preset]:
        """All presets by the names under which they are shown, bundled ones first. Never raises."""
        return {**bundled(), **self.presets()}

    def save(self, preset: Preset) -> str:
        """Adds a preset or replaces the user's one of that name. Returns the name under which it is shown."""
        def saved(entries: dict[str, Any]) -> tuple[dict[str, Any], str]:
            name = _shown(entries).get(preset.name, preset.name)
            if name in bundled() and name not in entries:
                raise ValueError(f"Your preset must not have the name of a bundled one, got {name!r}.")
            entry = {"about": preset.about, "settings": dict(preset.settings), "request": dict(preset.request)}
            return {**entries, name: entry}, name
        return self._change(saved)

    def rename(self, shown: str, new_name: str) -> str:
        """Returns the name under which the preset is then shown."""
        def renamed(entries: dict[str, Any]) -> tuple[dict[str, Any], str]:
            name = _own(entries, shown)
            if new_name != shown and new_name in {*_shown(entries), *entries, *bundled()}:
                raise ValueError(f"A preset's new name must not be taken, got {new_name!r}.")
            Preset(new_name, **entries[name])
            return {new_name if key == name else key: entry for key, entry in entries.items()}, new_name
        return self._change(renamed)

    def delete(self, shown: str) -> None:
        def deleted(entries: dict[str, Any]) -> tuple[dict[str, Any], str]:
            name = _own(entries, shown)
            return {key: entry for key, entry in entries.items() if key != name}, name
        self._change(deleted)

    def _change(self, change: Callable[[dict[str, Any]], tuple[dict[str, Any], str]]) -> str:
        """Writes the entries that `change` returns. Returns the name under which its preset is shown."""
        from filelock import FileLock  # slow to import; comes with PyTorch

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=LONGEST_WAIT_S):
                try:
                    entries, damaged = _read(self.path), False
                except ValueError:
                    entries, damaged = {}, True
                entries, name = change(entries)
                if damaged:
                    self.path.rename(_free_name(self.path))
                with replacing(self.path) as file:  # a lone surrogate is written as its JSON escape
                    file.write((json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode("utf8", "backslashreplace"))
        except OSError as fault:
            raise OSError(f"Your presets cannot be written right now and are unchanged: {_reason(fault)}.") from fault
        return next((shown for shown, key in _shown(entries).items() if key == name), name)


def _read(path: Path) -> dict[str, Any]:
    """The file's entries by name; empty if there is no file. Raises ValueError if it is not a file of presets."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_FILE_BYTES:
            raise OSError(f"{path} must be a file of at most {LARGEST_FILE_BYTES} bytes")
        entries = json.loads(path.read_bytes())  # UTF-8, 16 or 32, with or without a byte order mark
    except FileNotFoundError:
        return {}
    except RecursionError as fault:
        raise ValueError("its JSON is nested too deeply") from fault
    if not isinstance(entries, dict):
        raise ValueError(f"its JSON must be an object, got {type(entries).__name__}")
    return entries


def _preset(name: str, entry: Any, complaints: list[str]) -> Preset | None:
    try:
        return Preset(name, **entry)
    except (TypeError, ValueError) as fault:
        complaints.append(f"The preset {name!r} could not be read: {fault}")
        return None


def _shown(entries: Iterable[str]) -> dict[str, str]:
    """Names in the file, by the names under which they are shown."""
    taken, shown = {*bundled(), *entries}, {}
    for name in entries:
        free = name
        while name in bundled() and free in taken:
            free += OWN
        taken.add(free)
        shown[free] = name
    return shown


def _own(entries: dict[str, Any], shown: str) -> str:
    if not shown:
        raise ValueError("Choose one of your own presets first.")
    if shown not in _shown(entries):
        raise ValueError(f"Only your own presets can be renamed or deleted, got {shown!r}.")
    return _shown(entries)[shown]


def _free_name(path: Path) -> Path:
    """A free path under which a damaged file is kept."""
    numbered = (path.with_suffix(f".damaged-{number}.json") for number in itertools.count(1))
    return next(each for each in numbered if not each.exists())


def _reason(fault: OSError) -> str:
    return f"{fault.strerror}: {fault.filename}" if fault.strerror and fault.filename else str(fault).rstrip(".")
