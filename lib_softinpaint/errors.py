"""The one kind of error that is the user's to fix."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BadInput(ValueError):
    """Something that was given cannot be used; the message is a sentence for whoever gave it."""


@contextmanager
def judging_input() -> Iterator[None]:
    """Makes a ValueError of the block a BadInput: for calls that check what was given and do nothing else."""
    try:
        yield
    except BadInput:
        raise
    except ValueError as fault:
        raise BadInput(str(fault)) from fault
