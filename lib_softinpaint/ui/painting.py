"""Generates images in another thread, one request at a time. Each request can be stopped."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from PIL import Image

Finished = TypeVar("Finished")
Step = Callable[[float, Image.Image | None], None]
"""Called with the share done, 0 to 1, and a preview image if there is one. Raises Stopped."""

LOOK_SECONDS = 0.05
"""Interval at which a waiting request checks whether it was stopped."""


class Stopped(Exception):
    """The request was stopped."""


class Line:
    """Requests in order of arrival. Only the first may use the model, until it leaves the line."""

    def __init__(self):
        self._requests: list[threading.Event] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, stopped: threading.Event) -> Iterator[None]:
        """Waits for its turn and holds it until the context ends. Raises Stopped if `stopped` is set before that."""
        with self._changed:
            self._requests.append(stopped)
        try:
            with self._changed:
                while self._requests[0] is not stopped and not stopped.is_set():
                    self._changed.wait(LOOK_SECONDS)
            if stopped.is_set():
                raise Stopped
            yield
        finally:
            with self._changed:
                self._requests.remove(stopped)
                self._changed.notify_all()


def streamed(paint: Callable[[Step], Iterator[Finished]], line: Line,
             stopped: threading.Event) -> Iterator[Finished | tuple[float, Image.Image | None]]:
    """Yields progress and results of `paint`, which runs in another thread once its turn comes. Raises what `paint` raises.

    Closing the generator sets `stopped` and does not wait, because the web server closes it in its event loop. The thread
    keeps its turn until the model's step or loading ends, and the next request waits for it.
    """
    events: SimpleQueue = SimpleQueue()

    def step(share: float, preview: Image.Image | None) -> None:
        if stopped.is_set():
            raise Stopped
        events.put((share, preview))

    def work() -> None:
        try:
            with line.turn(stopped):
                step(0, None)
                for finished in paint(step):
                    events.put(finished)
        except Stopped:
            events.put(None)
        except Exception as fault:  # any error of a model goes to the caller
            events.put(fault)
        else:
            events.put(None)
    threading.Thread(target=work, daemon=True).start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        stopped.set()
