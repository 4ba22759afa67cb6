"""Fields of a settings dataclass that carry their label, range and help, and the reading of their values."""
from __future__ import annotations

import dataclasses
import math
from typing import Any

from lib_softinpaint.errors import BadInput

Value = bool | int | float | str


def text(default: str, **about: Any) -> Any:
    return dataclasses.field(default=default, metadata=about)


def switch(default: bool, **about: Any) -> Any:
    return dataclasses.field(default=default, metadata=about)


def slider(default: float, low: float, high: float, step: float, **about: Any) -> Any:
    """A number from `low` to `high`; a whole one where the default is."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "step": step, **about})


def choice(default: str, choices: tuple[str, ...], **about: Any) -> Any:
    return dataclasses.field(default=default, metadata={"choices": choices, **about})


def check_all(record: Any) -> None:
    """Puts each field of a new frozen dataclass into its type; ValueError where a value is none of its field's."""
    for field in dataclasses.fields(record):
        if field.metadata:
            object.__setattr__(record, field.name, checked(field, getattr(record, field.name)))


def checked(field: dataclasses.Field, value: Any) -> Value:
    """The value as its field's type; ValueError where it is none of the field's values."""
    if "choices" in field.metadata:
        if value not in field.metadata["choices"]:
            raise BadInput(f"{field.name} must be one of {field.metadata['choices']}, got {value!r}")
        return value
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise BadInput(f"{field.name} must be True or False, got {value!r}")
        return value
    if isinstance(field.default, str):
        if not isinstance(value, str):
            raise BadInput(f"{field.name} must be text, got {value!r}")
        return value
    low, high = field.metadata["low"], field.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadInput(f"{field.name} must be a number from {low} to {high}, got {value!r}")
    if isinstance(field.default, int) and value != int(value):
        raise BadInput(f"{field.name} must be a whole number, got {value!r}")
    return type(field.default)(value)


def read(field: dataclasses.Field, value: Any, notes: list[str]) -> Value:
    """The value from what people and programs write: numbers may be strings, and are clamped with a note.

    Raises ValueError with a sentence on what cannot be read.
    """
    label = field.metadata["label"]
    if "choices" in field.metadata:
        by_lower_case = {choice.lower(): choice for choice in field.metadata["choices"]}
        if str(value).strip().lower() not in by_lower_case:
            raise BadInput(f"{label} must be one of {', '.join(by_lower_case.values())}, got {value!r}.")
        return by_lower_case[str(value).strip().lower()]
    if isinstance(field.default, bool):
        words = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}
        if str(value).strip().lower() not in words:
            raise BadInput(f"{label} must be true or false, got {value!r}.")
        return words[str(value).strip().lower()]
    if isinstance(field.default, str):
        return str(value)
    low, high = field.metadata["low"], field.metadata["high"]
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise BadInput(f"{label} must be a number from {low} to {high}, got {value!r}.")
    if not low <= number <= high:
        clamped = min(max(number, low), high)
        notes.append(f"{label} must be from {low} to {high}: {value} was taken as {clamped}.")
        number = clamped
    if isinstance(field.default, int) and number != int(number):
        raise BadInput(f"{label} must be a whole number, got {value!r}.")
    return type(field.default)(number)
