"""Hands tasks to seats as they become free, and goes on when workers are lost."""
from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from lib_softinpaint.batch.seats import Seat
from lib_softinpaint.batch.task import Failed, Made, Outcome, Task
from lib_softinpaint.errors import BadInput

MOST_FAILED_STARTS = 3
"""Failed starts in a row after which a seat is left out."""

MOST_FAILURES = 3
"""Images in a row that a worker without spares may fail before it is left out."""

SLOW_TIMES, LEAST_SLOW_SECONDS, LEAST_KNOWN = 10, 60, 3
"""A worker without spares is slow if one image takes this many times the median and this long. The median needs so many."""

LAST_DURATIONS = 100
"""Images in the median."""

POLL_SECONDS = 0.5
"""How often the time limit is looked at."""

LONG_START_SECONDS = 120
"""Time without any worker after which the user is told."""


class NoWorkers(BadInput):
    """All workers were lost, and tasks are left."""


@dataclass(eq=False)
class _Place:
    """A seat, and how it has done. `failing` holds the errors of the tasks that failed since the last success."""

    seat: Seat
    failed_starts: int = 0
    failing: dict[Task, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Waiting:
    """A task that waits for its next try. `failed_on` holds the places that have nothing but their own worker for it."""

    task: Task
    tries: int = 0
    failed_on: frozenset[_Place] = frozenset()


@dataclass(frozen=True)
class _Attempt:
    """A task on a worker or, if it is None, the start of the worker."""

    place: _Place
    waited: _Waiting | None
    begun: float


class Dispatch:
    """Runs tasks on seats.

    Parameters
    ----------
    seats
        Started here, and stopped at the end.
    retries
        How often a task is tried again after an unexpected error, or after its worker was lost.
    timeout
        Seconds for one image, after which its worker is given up. None: no limit, except that a worker without spares is
        left out if it is much slower than the others.
    tell
        Receives one sentence for each worker that is lost.
    """

    def __init__(self, seats: Sequence[Seat], retries: int, timeout: float | None, tell: Callable[[str], None]):
        self._places = [_Place(seat) for seat in seats]
        self._retries, self._timeout, self._tell = retries, timeout, tell
        self._new: Iterator[Task] = iter(())
        self._next: Task | None = None
        self._free: deque[_Place] = deque()
        self._again: list[_Waiting] = []
        self._pending: dict[Future[Any], _Attempt] = {}
        self._durations: deque[float] = deque(maxlen=LAST_DURATIONS)
        self._reason = ""

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """What became of each task, in the order in which they end. A task is taken only when a worker is free for it.

        Raises
        ------
        BadInput
            If no worker can use the setup.
        NoWorkers
            If all workers were lost.
        """
        self._new = iter(tasks)
        self._next = next(self._new, None)
        if self._next is None:
            return
        begun, told = time.monotonic(), False
        try:
            for place in list(self._places):
                self._start(place)
            while self._has_work():
                self._hand_out()
                if not self._pending:
                    raise NoWorkers(f"no worker is left: {self._reason}")
                done, _ = wait(self._pending, POLL_SECONDS, FIRST_COMPLETED)
                for future in [each for each in self._pending if each in done]:  # in the order in which they began
                    attempt = self._pending.pop(future)
                    if attempt.waited is None:
                        self._started(attempt.place, future)
                    else:
                        yield from self._ended(attempt, future)
                yield from self._overdue()
                if not told and all(attempt.waited is None for attempt in self._pending.values()) and not self._free and (
                        time.monotonic() - begun > LONG_START_SECONDS):
                    told = True
                    self._tell(f"no worker has started in {LONG_START_SECONDS} s; are the CPUs and GPUs that one needs free?")
            self._tell_unanswered()
        finally:
            for place in self._places:
                place.seat.stop()

    def _has_work(self) -> bool:
        return bool(self._next or self._again) or any(attempt.waited for attempt in self._pending.values())

    def _hand_out(self) -> None:
        """Gives a task to each free worker."""
        for place in list(self._free):
            waiting = self._next_for(place)
            if waiting is not None:
                self._free.remove(place)
                self._pending[place.seat.submit(waiting.task)] = _Attempt(place, waiting, time.monotonic())

    def _next_for(self, place: _Place) -> _Waiting | None:
        """The next task for a worker. One that failed on it waits for another, if there is one."""
        for waiting in self._again:
            if place not in waiting.failed_on or waiting.failed_on.issuperset(self._places):
                self._again.remove(waiting)
                return waiting
        task = self._next
        if task is None:
            return None
        self._next = next(self._new, None)
        return _Waiting(task)

    def _start(self, place: _Place) -> None:
        self._pending[place.seat.start()] = _Attempt(place, None, time.monotonic())

    def _started(self, place: _Place, future: Future[Any]) -> None:
        fault = future.exception()
        rejection = "" if fault is not None else future.result()
        if fault is None and not rejection:
            place.failed_starts = 0
            self._free.append(place)
            return
        if rejection and place.seat.alike:
            raise BadInput(rejection)
        place.failed_starts += 1
        if rejection or not place.seat.has_spares or place.failed_starts >= MOST_FAILED_STARTS:
            self._leave_out(place, rejection or _reason(fault))
        else:
            self._start(place)

    def _ended(self, attempt: _Attempt, future: Future[Any]) -> Iterator[Outcome]:
        assert attempt.waited is not None, "only tasks end here"
        place, task = attempt.place, attempt.waited.task
        fault = future.exception()
        if fault is not None:
            self._tell(f"{place.seat.name} was lost while it generated {task.target.name}")
            yield from self._failed(attempt, Failed(f"{place.seat.name} was lost while it generated this image "
                                                    f"({type(fault).__name__})", True))
            self._replace(place, "it was lost")
            return
        result: Made | Failed = future.result()
        if isinstance(result, Made):
            self._durations.append(time.monotonic() - attempt.begun)
            place.failing.clear()
            self._free.append(place)
            yield Outcome(task, result, attempt.waited.tries + 1, place.seat.name)
            return
        yield from self._failed(attempt, result)
        if not result.doubtful:
            self._free.append(place)
            return
        place.failing[task] = result.error
        if not place.seat.has_spares and len(place.failing) >= MOST_FAILURES:
            self._leave_out(place, f"it failed {MOST_FAILURES} images in a row, the last with {result.error}")
        else:
            self._start(place)

    def _failed(self, attempt: _Attempt, failed: Failed) -> Iterator[Outcome]:
        """Puts the task back, or ends it if it was tried often enough."""
        assert attempt.waited is not None, "only tasks fail here"
        task, tries, failed_on = attempt.waited.task, attempt.waited.tries + 1, attempt.waited.failed_on
        if failed.retry and tries <= self._retries:
            without_spares = () if attempt.place.seat.has_spares else (attempt.place,)
            self._again.append(_Waiting(task, tries, failed_on.union(without_spares)))
        else:
            yield Outcome(task, failed, tries, attempt.place.seat.name)

    def _overdue(self) -> Iterator[Outcome]:
        """Gives up workers that take too long."""
        now = time.monotonic()
        for future, attempt in list(self._pending.items()):
            limit = self._limit(attempt.place)
            if attempt.waited is None or limit is None or now - attempt.begun <= limit:
                continue
            del self._pending[future]
            reason = f"it took longer than {limit:.0f} s for {attempt.waited.task.target.name}"
            if attempt.place.seat.has_spares:
                self._tell(f"{attempt.place.seat.name} was stopped: {reason}")
            yield from self._failed(attempt, Failed(f"{attempt.place.seat.name} was given up: {reason}", True))
            self._replace(attempt.place, reason)

    def _limit(self, place: _Place) -> float | None:
        """Seconds for one image on this seat."""
        if self._timeout is not None or place.seat.has_spares:
            return self._timeout
        if len(self._places) < 2 or len(self._durations) < LEAST_KNOWN:
            return None
        return max(LEAST_SLOW_SECONDS, SLOW_TIMES * statistics.median(self._durations))

    def _replace(self, place: _Place, reason: str) -> None:
        if place.seat.has_spares:
            self._start(place)
        else:
            self._leave_out(place, reason)

    def _tell_unanswered(self) -> None:
        """Tells of the workers without spares that have not come back when the last task ends."""
        for place in {attempt.place for attempt in self._pending.values()}:
            if place.failing and not place.seat.has_spares:
                *_, error = place.failing.values()
                self._leave_out(place, f"it did not come back after this error: {error}")

    def _leave_out(self, place: _Place, reason: str) -> None:
        place.seat.stop()
        self._places.remove(place)
        self._reason = f"{place.seat.name}: {reason}"
        self._tell(f"{place.seat.name} is left out: {reason}")


def _reason(fault: BaseException | None) -> str:
    """The first line of an error: Ray's go on with tracebacks of its processes."""
    return str(fault).strip().partition("\n")[0] or type(fault).__name__
