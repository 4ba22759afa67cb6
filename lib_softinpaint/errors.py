"""The error for mistakes that the user can fix."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BadInput(ValueError):
    """Input that cannot be used. The message is a sentence for the user."""


@contextmanager
def judging_input() -> Iterator[None]:
    """Turns a ValueError into BadInput. Only for calls that check input and do nothing else."""
    try:
        yield
    except BadInput:
        raise
    except ValueError as fault:
        raise BadInput(str(fault)) from fault
