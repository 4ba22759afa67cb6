"""The stand-alone page, served once for each test file, in a tab of its own for each test."""
import sys

import pytest

from tests.browser import set_number
from tests.page.actions import CANVAS, STEPS
from tests.page.serving import PYTHON, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of the page and its output folder."""
    if sys.executable == PYTHON:
        pytest.importorskip("gradio", reason="gradio is not installed", exc_type=ImportError)
    with serving(tmp_path_factory.mktemp("page")) as address_and_output:
        yield address_and_output


@pytest.fixture
def page(served, browser):
    address, _ = served
    opened = browser.new_page(viewport={"width": 1400, "height": 1200}, accept_downloads=True)
    faults = []
    opened.on("pageerror", lambda fault: faults.append(str(fault)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error"
              and message.location["url"].startswith(address) else None)
    opened.goto(address)
    opened.wait_for_selector(CANVAS)
    opened.wait_for_function("document.querySelector('#softinpaint_preview .status')?.innerText.startsWith('White: ')")
    opened.locator("#softinpaint_grow").wait_for(state="hidden")
    set_number(opened, "img2img_steps", STEPS)
    yield opened
    opened.close()
    assert not faults
