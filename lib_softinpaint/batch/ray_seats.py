"""Workers on a Ray cluster. The only file that imports Ray."""
from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import ray
from ray.job_config import JobConfig

from lib_softinpaint.batch.task import Failed, Made, Task
from lib_softinpaint.batch.worker import LocalSetup, Worker, local_worker, rejected
from lib_softinpaint.bundled import PACKAGE
from lib_softinpaint.errors import BadInput

CONNECT_SECONDS = 5


class _Holder:
    """Holds a worker in a process of the cluster."""

    def __init__(self, setup: LocalSetup):
        self._setup = setup
        self._worker: Worker | None = None

    def start(self) -> str:
        return rejected(self._load)

    def _load(self) -> None:
        self._worker = local_worker(self._setup)

    def run(self, task: Task) -> Made | Failed:
        assert self._worker is not None, "a worker is started before it gets tasks"
        return self._worker.run(task)


class RaySeat:
    """A worker anywhere in the cluster. If it or its machine dies, Ray starts the next one where there is room."""

    has_spares = True
    alike = True

    def __init__(self, setup: LocalSetup, number: int, cpus: float, gpus: float):
        self.name = f"Ray worker {number + 1}"
        self._setup = setup
        self._holder_class = ray.remote(_Holder).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0)
        self._holder: Any = None

    def start(self) -> Future[str]:
        self.stop()
        self._holder = self._holder_class.remote(self._setup)
        return self._holder.start.remote().future()

    def submit(self, task: Task) -> Future[Made | Failed]:
        return self._holder.run.remote(task).future()

    def stop(self) -> None:
        if self._holder is not None:
            ray.kill(self._holder)
            self._holder = None


def _demand_listener(address: str) -> None:
    """Raises OSError if nothing listens at a host:port. Ray itself would wait for many minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


@contextmanager
def ray_seats(address: str, setup: LocalSetup, workers: int | None, cpus: float,
              gpus: float | None) -> Iterator[list[RaySeat]]:
    """Seats on the cluster at this address.

    Parameters
    ----------
    workers
        None: as many as the cluster has room for now.
    cpus, gpus
        Reserved for one worker; they may be fractions. None: one GPU if the cluster has any.

    Raises
    ------
    BadInput
        If there is no cluster at the address, or no room for a worker.
    """
    try:
        _demand_listener(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR,
                 job_config=JobConfig(code_search_path=[os.fspath(PACKAGE.parent)]))  # the workers' Pythons may lack ours
    except (OSError, RuntimeError, ValueError) as fault:
        reason = " ".join(str(fault).split())
        raise BadInput(f"--ray must be the address of a running Ray cluster, got {address}: {reason}") from fault
    try:
        has = ray.cluster_resources()
        gpus = min(1.0, has.get("GPU", 0)) if gpus is None else gpus
        room = min(math.floor(has.get(kind, 0) / share) for kind, share in (("CPU", cpus), ("GPU", gpus)) if share)
        if room < 1:
            raise BadInput(f"the Ray cluster must have {cpus:g} CPUs and {gpus:g} GPUs for a worker, "
                           f"got {has.get('CPU', 0):g} and {has.get('GPU', 0):g}")
        yield [RaySeat(setup, number, cpus, gpus) for number in range(workers or room)]
    finally:
        ray.shutdown()
