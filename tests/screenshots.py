"""Takes the documentation's screenshots anew: docs/page.png, and with SOFTINPAINT_WEBUI also docs/accordion.png.

Run `python -m tests.screenshots`, then look at both.
"""
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser import choose_preset, squiggle
from tests.conftest import CHROMIUM_FLAGS
from tests.webui import host

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
START = "import sys; from lib_softinpaint.cli.main import main; sys.exit(main())"
START_S, GENERATION_MS = 120, 300_000


def page(browser: Browser) -> None:
    """The stand-alone page as the command opens it, after one click on Generate."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with TemporaryDirectory() as output, subprocess.Popen([
            sys.executable, "-c", START, "page", "--no-browser", "--port", address.rpartition(":")[2],
            "-o", output]) as running:
        try:
            end = time.monotonic() + START_S
            while not _answers(address):
                assert time.monotonic() < end, "the page did not start"
                time.sleep(1)
            opened = browser.new_page(viewport={"width": 1400, "height": 1250})
            opened.goto(address)
            opened.wait_for_function("document.querySelector('#softinpaint_preview .status')?.innerText.startsWith('White: ')")
            opened.click("#img2img_generate")
            opened.wait_for_selector("#softinpaint_live progress", timeout=GENERATION_MS)
            opened.wait_for_function("!document.querySelector('#softinpaint_live progress')", timeout=GENERATION_MS)
            opened.wait_for_timeout(2000)  # the gallery fades in
            opened.screenshot(path=DOCS / "page.png")
        finally:
            running.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address):
            return True
    except OSError:
        return False


def accordion(browser: Browser, checkout: Path) -> None:
    """The accordion of the WebUI with a painted squiggle and a preset."""
    with host.WebUI(checkout, "screenshots") as webui:
        opened = browser.new_page(viewport={"width": 1500, "height": 1400})
        opened.goto(webui.url)
        opened.wait_for_function("window.opts && Object.keys(window.opts).length > 0")
        for tabs, name in (("#tabs", "img2img"), ("#mode_img2img", "Inpaint")):
            opened.locator(f"{tabs} > .tab-nav button", has_text=re.compile(f"^ *{name} *$")).click()
        image = webui.data / "image.png"
        Image.open(ROOT / "demo" / "image.png").resize((512, 512)).save(image)
        opened.set_input_files("#img2maskimg input[type=file]", image)
        opened.wait_for_selector("#img2maskimg canvas")
        opened.wait_for_timeout(1000)  # the host's canvas script loads the image
        squiggle(opened, "#img2maskimg canvas")
        opened.locator("#soft_inpainting_enabled .label-wrap").first.click()
        opened.locator("#mask_blend_power").first.wait_for(state="visible")
        opened.locator("#soft_inpainting_enabled input[type=checkbox]").first.check()
        choose_preset(opened, "Merge an element")
        opened.locator("#softinpaint_preset_request").click()
        opened.wait_for_timeout(2000)  # the preview follows the sliders
        opened.locator("#soft_inpainting_enabled").first.screenshot(path=DOCS / "accordion.png")
        with Image.open(DOCS / "accordion.png") as whole:
            whole.crop((0, 0, whole.width, min(whole.height, 900))).save(DOCS / "accordion.png")


def main() -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM_FLAGS))
        page(browser)
        checkout = host.checkout()
        if checkout is None:
            print("docs/accordion.png was left as it is: SOFTINPAINT_WEBUI names no checkout")
        else:
            accordion(browser, checkout)
        browser.close()


if __name__ == "__main__":
    main()
