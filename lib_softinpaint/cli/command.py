"""Shared by all commands: options made from fields, and --traceback."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from lib_softinpaint.settings.fields import Field, Value
from lib_softinpaint.settings.mask_tools import EXAMPLES, MEANINGS, SOURCES

OUTPUTS = Path("outputs")

MASK_TOOLS_HELP = ("Steps that edit the mask, from left to right, separated by commas. " + " ".join(
    f'"{example}" {MEANINGS[tool]}.' for tool, example in EXAMPLES.items()) + f" {', '.join(SOURCES[:-1])} and {SOURCES[-1]} "
    "make a mask from the image if nothing is painted, and must come first.")
HELP = {"mask_tools": MASK_TOOLS_HELP}
"""Help of options by field, where the field's own help speaks of the accordion."""


def print_note(sentence: str) -> None:
    click.echo(f"softinpaint: {sentence}", err=True)


class Command(click.Command):
    """A command with the option --traceback."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.params.append(click.Option(
            ["--traceback"], is_flag=True, is_eager=True, expose_value=False, callback=self._remember,
            help="Show a full traceback for input errors."))

    @staticmethod
    def _remember(context: click.Context, option: click.Parameter, value: bool) -> None:
        context.obj["traceback"] = value


def options_of(fields: Sequence[Field],
                default_of: Callable[[Field], Value | None] = lambda field: field.default) -> Callable:
    """Decorator that adds one option for each field, of the same name."""
    def decorate(command: Callable) -> Callable:
        for field in reversed(fields):
            command = _option(field, default_of(field))(command)
        return command
    return decorate


def _option(field: Field, default: Value | None) -> Callable:
    name = field.name.replace("_", "-")
    text = HELP.get(field.name, field.help)
    if isinstance(field.default, bool):
        return click.option(f"--{name}/--no-{name}", default=default, help=text)
    if field.choices:
        option_type: Any = click.Choice(field.choices, case_sensitive=False)
    elif field.range:
        low, high = field.limits
        option_type = click.IntRange(int(low), int(high)) if isinstance(field.default, int) else click.FloatRange(low, high)
    else:
        option_type = str
    return click.option(f"--{name}", type=option_type, default=default, help=text)
