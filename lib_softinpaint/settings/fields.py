"""Fields of a settings dataclass: how each one is shown and saved, and how its values are checked and read."""
from __future__ import annotations

import dataclasses
import math
import reprlib
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from lib_softinpaint.errors import BadInput

Value = bool | int | float | str

_shown = reprlib.Repr()
"""Cuts long values in messages, such as an image in the place of a number."""
_shown.maxstring = _shown.maxother = _shown.maxlong = 60


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, and the step of their slider."""

    low: float
    high: float
    step: float


@dataclass(frozen=True)
class Field:
    """One setting: part of its type, as in `share: Annotated[float, Field("Share", "Of what.", Range(0, 1, 0.1))] = 0.5`.

    Parameters
    ----------
    label, help
        Shown on the page.
    range
        For a number. It must be whole if the default is.
    choices
        For a text. If empty, any text is allowed.
    key
        Infotext key without the common prefix. If empty, the label in lower case.
    elem_id
        Id of the component.
    group
        Heading under which the accordion shows the field.
    builtin
        Value that gives the built-in extension's results. None for settings that the built-in has itself.
    earlier
        Value that gives the results of our versions from before there was the field. None if the first one had it.
    saved
        Whether the field is saved in infotext.
    unsaid
        Value at which infotext leaves the field out. None if it is always written.
    check
        For a text without choices: raises BadInput if it cannot be read.
    name, default
        Set by `fields_of`.
    """

    label: str
    help: str = ""
    range: Range | None = None
    choices: tuple[str, ...] = ()
    key: str = ""
    elem_id: str = ""
    group: str = ""
    builtin: Value | None = None
    earlier: Value | None = None
    saved: bool = True
    unsaid: Value | None = None
    check: Callable[[str], object] | None = None
    name: str = ""
    default: Value = ""

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value of a number."""
        assert self.range is not None, f"{self.name} is not a number"
        return self.range.low, self.range.high


@cache
def fields_of(record: type) -> Mapping[str, Field]:
    """The fields of a settings dataclass by name, in order. Fields without a `Field` in their type are left out."""
    defaults = {field.name: field.default for field in dataclasses.fields(record)}
    hints = typing.get_type_hints(record, include_extras=True)
    found = {name: next((part for part in getattr(hints[name], "__metadata__", ()) if isinstance(part, Field)), None)
             for name in defaults}
    return MappingProxyType({name: dataclasses.replace(field, name=name, default=defaults[name])
                             for name, field in found.items() if field is not None})


def coerce_all(record: Any) -> None:
    """Coerces and validates every field of a new frozen dataclass. Raises BadInput on the first invalid value."""
    for name, field in fields_of(type(record)).items():
        object.__setattr__(record, name, checked(field, getattr(record, name)))


def checked(field: Field, value: Any) -> Value:
    """The value, coerced to its field's type. Raises BadInput if it is out of range or of the wrong type."""
    if field.choices:
        if value not in field.choices:
            raise BadInput(f"{field.name} must be one of {field.choices}, got {_shown.repr(value)}")
        return value
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise BadInput(f"{field.name} must be True or False, got {_shown.repr(value)}")
        return value
    if isinstance(field.default, str):
        if not isinstance(value, str):
            raise BadInput(f"{field.name} must be text, got {_shown.repr(value)}")
        if field.check is not None:
            field.check(value)
        return value
    low, high = field.limits
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadInput(f"{field.name} must be a number from {low} to {high}, got {_shown.repr(value)}")
    if isinstance(field.default, int) and value != int(value):
        raise BadInput(f"{field.name} must be a whole number, got {_shown.repr(value)}")
    return type(field.default)(value)


def read(field: Field, value: Any, notes: list[str]) -> Value:
    """A value as people and programs write it: numbers may be strings, and are clamped with a note.

    Raises BadInput if it cannot be read.
    """
    label = field.label
    if field.choices:
        by_lower_case = {choice.lower(): choice for choice in field.choices}
        if str(value).strip().lower() not in by_lower_case:
            raise BadInput(f"{label} must be one of {', '.join(by_lower_case.values())}, got {_shown.repr(value)}.")
        return by_lower_case[str(value).strip().lower()]
    if isinstance(field.default, bool):
        words = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}
        if str(value).strip().lower() not in words:
            raise BadInput(f"{label} must be true or false, got {_shown.repr(value)}.")
        return words[str(value).strip().lower()]
    if isinstance(field.default, str):
        return checked(field, str(value))
    low, high = field.limits
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise BadInput(f"{label} must be a number from {low} to {high}, got {_shown.repr(value)}.")
    if not low <= number <= high:
        clamped = min(max(number, low), high)
        notes.append(f"{label} must be from {low} to {high}, got {value}; {clamped} is used instead.")
        number = clamped
    if isinstance(field.default, int) and number != int(number):
        raise BadInput(f"{label} must be a whole number, got {_shown.repr(value)}.")
    return type(field.default)(number)
