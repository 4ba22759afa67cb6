"""What every command has: options made from fields, and --traceback."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lib_softinpaint.settings.fields import Value

OUTPUTS = Path("outputs")


def print_note(sentence: str) -> None:
    click.echo(f"softinpaint: {sentence}", err=True)


class Command(click.Command):
    """Also takes --traceback."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.params.append(click.Option(
            ["--traceback"], is_flag=True, is_eager=True, expose_value=False, callback=self._remember,
            help="Show where in the program a complaint about the input comes from."))

    @staticmethod
    def _remember(context: click.Context, option: click.Parameter, value: bool) -> None:
        context.obj["traceback"] = value


def options_of(fields: tuple[dataclasses.Field, ...],
                default_of: Callable[[dataclasses.Field], Value | None] = lambda field: field.default) -> Callable:
    """Decorator: one option for each field, named as it is."""
    def decorate(command: Callable) -> Callable:
        for field in reversed(fields):
            command = _option(field, default_of(field))(command)
        return command
    return decorate


def _option(field: dataclasses.Field, default: Value | None) -> Callable:
    name, about = field.name.replace("_", "-"), field.metadata
    if isinstance(field.default, bool):
        return click.option(f"--{name}/--no-{name}", default=default, help=about["help"])
    if "choices" in about:
        kind: Any = click.Choice(about["choices"], case_sensitive=False)
    elif "low" in about:
        kind = (click.IntRange if isinstance(field.default, int) else click.FloatRange)(about["low"], about["high"])
    else:
        kind = str
    return click.option(f"--{name}", type=kind, default=default, help=about["help"])
