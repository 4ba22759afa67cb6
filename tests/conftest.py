import os

from tests.webui import record


def pytest_terminal_summary(terminalreporter):
    if not os.environ.get("SOFTINPAINT_WEBUI"):
        terminalreporter.write_line(record.sentence())
