"""One re-composite at a time, so that memory stays limited beside the sampler."""
from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

MOST_WAITING = 8
"""Callers that may wait. Each holds its request and a thread of the web server."""

MOST_CALLERS = 256
"""Callers whose newest request is remembered, i.e. open pages."""

WAIT_SECONDS = 30.0
"""A 4096 x 4096 re-composite takes 1 to 4 s, depending on the machine, and about 1 GiB."""


class Busy(RuntimeError):
    """Too many callers are waiting, or the wait took too long. Try again later."""


class Overtaken(RuntimeError):
    """The same caller asked again. Only its newest request counts."""


class Turns:
    """Lets one caller at a time through, first come, first served.

    Safe to use from several threads. A thread that has the turn must not ask for another one.

    Parameters
    ----------
    most_waiting
        Callers that may wait beside the one that has the turn.
    seconds
        How long each of them may wait.
    """

    def __init__(self, most_waiting: int = MOST_WAITING, seconds: float = WAIT_SECONDS):
        self.most_waiting, self.seconds = most_waiting, seconds
        self._queue: dict[object, Hashable | None] = {}
        """Caller by ticket, oldest first. The first one has the turn."""
        self._newest: OrderedDict[Hashable, float] = OrderedDict()
        """Highest request number by caller, for the latest callers."""
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, caller: Hashable | None = None, number: float | None = None) -> Iterator[None]:
        """Waits for the turn, and holds it until the context ends.

        Parameters
        ----------
        caller
            The panel that asks, such as a browser session's id. A new request drops those of the same caller that
            still wait. None never drops another one.
        number
            Number of the request, higher for later ones: a web server may run them in any order. If None, the order of
            arrival counts.

        Raises
        ------
        Busy
            If too many are waiting already, or the wait takes too long.
        Overtaken
            If the same caller has made a newer request before this one gets its turn.
        """
        ticket = object()
        with self._changed:
            if caller is not None:
                number = next(self._numbers) if number is None else number
                self._newest[caller] = max(number, self._newest.pop(caller, number))
                if len(self._newest) > MOST_CALLERS:
                    self._newest.popitem(last=False)
                if number < self._newest[caller]:
                    raise Overtaken("A newer request from this panel replaced this one.")
                for older in [each for each in list(self._queue)[1:] if self._queue[each] == caller]:
                    del self._queue[older]
                self._changed.notify_all()
            if len(self._queue) > self.most_waiting:
                raise Busy(f"{len(self._queue)} re-composites are running or waiting; try again in a moment.")
            self._queue[ticket] = caller
            in_time = self._changed.wait_for(lambda: ticket not in self._queue or next(iter(self._queue)) is ticket,
                                             self.seconds)
            if ticket not in self._queue:
                raise Overtaken("A newer request from this panel replaced this one.")
            if not in_time:
                del self._queue[ticket]
                raise Busy(f"Other re-composites took more than {self.seconds:.0f} s; try again in a moment.")
        try:
            yield
        finally:
            with self._changed:
                del self._queue[ticket]
                self._changed.notify_all()

    def is_newest(self, caller: Hashable, number: float) -> bool:
        """Whether the caller has made no newer request than that of this number."""
        with self._changed:
            return number >= self._newest.get(caller, number)


recomposites = Turns()
"""Shared by the API route and the panels of this process."""
