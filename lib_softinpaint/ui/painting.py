"""Images that are painted in another thread: one request at a time, each of which may be stopped."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from PIL import Image

Finished = TypeVar("Finished")
Step = Callable[[float, Image.Image | None], None]
"""Called with the share that is done, 0 to 1, and an image of what becomes of it if one is at hand. Raises Stopped."""

LOOK_SECONDS = 0.05
"""How often a waiting request looks whether it has been stopped."""


class Stopped(Exception):
    """The request is not wanted any more."""


class Line:
    """Requests in the order in which they came. The first one alone may touch the model, until it has left it."""

    def __init__(self):
        self._requests: list[threading.Event] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, stopped: threading.Event) -> Iterator[None]:
        """Waits for the turn, and holds it until the context ends. Raises Stopped if `stopped` is set before."""
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
    """What is painted in another thread once it is its turn, as it comes. Raises what `paint` raises.

    Closing this sets `stopped` and does not wait, since the web server closes it in its event loop. The thread keeps its
    turn until the model's step or loading ends, and the next request waits for it.
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
        except Exception as fault:  # whatever a model raises belongs to who asked
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
