"""Runs in progress, looked up by the identity of the host's processing object."""
from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

State = TypeVar("State")


class RunTable(Generic[State]):
    """State that belongs to one processing object and not to its copies.

    Copies would share an attribute of the object, and some extensions write all attributes as JSON. The objects have no
    hash, so a weak dictionary cannot hold them.
    """

    def __init__(self):
        self._runs: dict[int, tuple[weakref.ref, State]] = {}

    def put(self, owner: Any, run: State) -> None:
        identity = id(owner)
        self._runs[identity] = weakref.ref(owner, lambda _: self._runs.pop(identity, None)), run

    def get(self, owner: Any) -> State | None:
        reference, run = self._runs.get(id(owner), (None, None))
        return run if reference is not None and reference() is owner else None

    def pop(self, owner: Any) -> State | None:
        run = self.get(owner)
        if run is not None:
            del self._runs[id(owner)]
        return run

    def __len__(self) -> int:
        return len(self._runs)


def put_back(owner: Any, fields: Mapping[str, Any]) -> None:
    """Restores attributes. A setter that raises is logged, and the other attributes are still restored."""
    for name, value in fields.items():
        try:
            setattr(owner, name, value)
        except Exception:  # noqa: PERF203 - a setter may raise anything, and the clean-up must go on
            logging.getLogger(__name__).exception("%s could not be restored", name)
