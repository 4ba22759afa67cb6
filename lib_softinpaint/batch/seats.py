"""Places where a worker runs tasks, one at a time: a process of this machine, or a running WebUI."""
from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, Protocol

from lib_softinpaint.batch.task import Failed, Made, Task
from lib_softinpaint.batch.worker import LocalSetup, Worker, local_worker, rejected, remote_worker
from lib_softinpaint.hosts import remote
from lib_softinpaint.settings.request import Request


class Seat(Protocol):
    """A place for one worker.

    Attributes
    ----------
    name
        Told to the user.
    has_spares
        Whether another worker can take the place of a lost one. If not, a lost worker is left out.
    alike
        Whether all seats of the run would reject the same setup.
    """

    name: str
    has_spares: bool
    alike: bool

    def start(self) -> Future[str]:
        """Stops the seat's worker, if any, and starts a new one.

        The future holds why the setup cannot be used, or nothing. It raises only if the worker was lost.
        """
        ...

    def submit(self, task: Task) -> Future[Made | Failed]:
        """Runs a task. The future raises only if the worker was lost."""
        ...

    def stop(self) -> None:
        """Ends the worker at once."""
        ...


class ProcessSeat:
    """A worker in a process of its own. If it dies, only its own task is lost."""

    has_spares = True
    alike = True

    def __init__(self, setup: LocalSetup, number: int):
        self.name = f"process {number + 1}"
        self._setup = setup
        self._number = number
        self._pool: ProcessPoolExecutor | None = None
        self._children: list[Any] = []

    def start(self) -> Future[str]:
        self.stop()
        others = set(multiprocessing.active_children())
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _live_with_parent)
        started = self._pool.submit(_start, self._setup, self._number)
        self._children = [child for child in multiprocessing.active_children() if child not in others]
        return started

    def submit(self, task: Task) -> Future[Made | Failed]:
        assert self._pool is not None, "a seat is started before it gets tasks"
        try:
            return self._pool.submit(_run, task)
        except BrokenProcessPool as fault:  # the process died between two tasks
            lost: Future[Made | Failed] = Future()
            lost.set_exception(fault)
            return lost

    def stop(self) -> None:
        if self._pool is None:
            return
        for child in self._children:
            child.kill()  # a stopped process would not notice a request to end
        self._pool.shutdown(cancel_futures=True)
        self._pool = None


_worker: Worker | None = None
"""The worker of this process."""


def _start(setup: LocalSetup, number: int) -> str:
    from tqdm import tqdm  # huggingface_hub needs it

    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed process would leave behind
    return rejected(lambda: _hold(local_worker(setup, number)))


def _hold(worker: Worker) -> None:
    global _worker
    _worker = worker


def _run(task: Task) -> Made | Failed:
    assert _worker is not None, "a process is started before it gets tasks"
    return _worker.run(task)


def _live_with_parent() -> None:
    """Ends this process when its parent ends, however that happens. Ctrl+C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a child process"

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


class WebUISeat:
    """A running WebUI. The request is checked against what it offers."""

    has_spares = False
    alike = False

    def __init__(self, url: str, request: Request, model: str | None):
        self.name = f"the WebUI at {remote.without_password(url)}"
        self._url, self._request, self._model = url, request, model
        self._stopped = threading.Event()
        self._worker = remote_worker(url, model, lambda: not self._stopped.is_set())

    def start(self) -> Future[str]:
        return in_thread(lambda: rejected(lambda: remote.check(self._url, self._request, self._model)))

    def submit(self, task: Task) -> Future[Made | Failed]:
        return in_thread(lambda: self._worker.run(task))

    def stop(self) -> None:
        self._stopped.set()


def in_thread(call: Callable[[], Any]) -> Future[Any]:
    """The call's result. The thread is a daemon, so that a WebUI that never answers cannot keep the program from ending."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as fault:
            future.set_exception(fault)
    threading.Thread(target=run, daemon=True).start()
    return future
