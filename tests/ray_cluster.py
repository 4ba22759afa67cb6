"""A Ray cluster of two nodes on this machine."""
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

RAY = Path(sys.executable).with_name("ray")
OBJECT_STORE_BYTES = 100_000_000
START_SECONDS = 90


class Cluster:
    """A head and a second node, each with a raylet of its own. Stopped on exit.

    Parameters
    ----------
    folder
        For Ray's files. Its path must be short: Ray puts sockets into it.
    cpus, gpus
        Of each node. Ray only counts the GPUs; there need not be any.
    """

    def __init__(self, folder, cpus=1, gpus=0):
        self.folder, self.cpus, self.gpus, self.nodes = folder, cpus, gpus, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self):
        port = self.address.rpartition(":")[2]
        self._add("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self.folder}")
        self._wait(1)
        self._add(f"--address={self.address}")
        self._wait(2)
        return self

    def __exit__(self, *fault):
        for node in reversed(self.nodes):
            kill_tree(node.pid)
            node.wait()

    def workers(self):
        """The processes that hold a worker, the oldest first."""
        found = [process for node in self.nodes for process in family_of(node.pid) if "_Holder" in name_of(process)]
        return sorted(found, key=lambda process: process.create_time())

    def _add(self, *flags):
        words = [RAY, "start", "--block", f"--num-cpus={self.cpus}", f"--num-gpus={self.gpus}", "--disable-usage-stats",
                 f"--object-store-memory={OBJECT_STORE_BYTES}", *flags]
        with open(self.folder.with_suffix(f".{len(self.nodes)}.log"), "w") as log:
            # Small limits, so that a killed node is noticed soon.
            environment = {**os.environ, "RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "4"}
            self.nodes.append(subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, env=environment))

    def _wait(self, raylets):
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            logs = [self.folder.with_suffix(f".{number}.log").read_text() for number in range(raylets)]
            if all("Ray runtime started" in log for log in logs):
                return
            assert all(node.poll() is None for node in self.nodes), logs
            time.sleep(0.1)
        raise TimeoutError(f"no Ray node within {START_SECONDS} s: {logs}")


def family_of(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def name_of(process):
    try:
        return " ".join(process.cmdline()) if process.is_running() else ""
    except psutil.Error:
        return ""


def kill_tree(pid):
    """Ends a process and all that it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in [*parent.children(recursive=True), parent]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
