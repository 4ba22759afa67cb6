import os
import shutil
from contextlib import contextmanager

import pytest
import torch

from tests.webui import record

torch.set_num_threads(1)  # tensors here are small, so threads would mostly wait for each other

CHROMIUM_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync")


@pytest.fixture(scope="session")
def browser():
    with chromium() as running:
        yield running


@contextmanager
def chromium():
    """A running Chromium. Skips if there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("SOFTINPAINT_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on the PATH and SOFTINPAINT_CHROMIUM names none")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield running
        running.close()


def pytest_terminal_summary(terminalreporter):
    if not os.environ.get("SOFTINPAINT_WEBUI"):
        terminalreporter.write_line(record.sentence())
