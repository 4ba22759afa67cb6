import os

import torch

from tests.webui import record

torch.set_num_threads(1)  # tensors here are small: threads would only wait for each other, and long on a busy machine


def pytest_terminal_summary(terminalreporter):
    if not os.environ.get("SOFTINPAINT_WEBUI"):
        terminalreporter.write_line(record.sentence())
