"""Serves the stand-alone page for tests and screenshots."""
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("SOFTINPAINT_PAGE_PYTHON", sys.executable)
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lib_softinpaint.cli.main import main; sys.exit(main())"
START_S = 120


@contextmanager
def serving(output: Path, port: int = 0):
    """Address of the page and its output folder, while it is served. Fails if it prints a traceback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        port = probe.getsockname()[1]
    command = [PYTHON, "-c", START, "page", "--no-browser", "--port", str(port), "-o", str(output)]
    log = output / "log.txt"
    with log.open("wb") as written, subprocess.Popen(command, cwd=output, stdout=written, stderr=written) as running:
        try:
            _wait_for(f"http://127.0.0.1:{port}/", running, log)
            yield f"http://127.0.0.1:{port}", output
        finally:
            running.terminate()
    assert "Traceback" not in log.read_text()


def _wait_for(address, running, log):
    end = time.monotonic() + START_S
    while not _answers(address):
        assert running.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(1)


def _answers(address):
    try:
        with urllib.request.urlopen(address):
            return True
    except OSError:
        return False
