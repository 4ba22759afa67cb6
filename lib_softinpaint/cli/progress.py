"""The progress bar over all images of a command."""
from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import click

PROGRESS_STEPS = 100  # per image


class Progress:
    """Progress bar over all images with the time left, updated with each image's share. Silent if stderr is no terminal."""

    def __init__(self, images: int):
        terminal = sys.stderr if sys.stderr.isatty() else io.StringIO()
        self._bar = click.progressbar(length=images * PROGRESS_STEPS, file=terminal, show_pos=False)
        self._done = 0

    def __enter__(self) -> Callable[[float], None]:
        self._bar.__enter__()
        return self._advance

    def _advance(self, share: float) -> None:
        reached = round(share * PROGRESS_STEPS)
        self._bar.update(reached - self._done)
        self._done = reached % PROGRESS_STEPS

    def __exit__(self, *fault: Any) -> None:
        self._bar.__exit__(*fault)
