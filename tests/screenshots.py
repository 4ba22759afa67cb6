"""Takes the documentation's screenshots anew: docs/page.png, and with an AUTOMATIC1111 in SOFTINPAINT_WEBUI also
docs/accordion.png. Takes one of the accordion in each other WebUI, in its folder of tests/webui/work.

Run `python -m tests.screenshots`, then look at all.
"""
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser

from tests.browser import choose_preset, open_inpaint_tab, squiggle
from tests.conftest import chromium
from tests.page.actions import CANVAS, generate
from tests.page.serving import ROOT, serving
from tests.webui import family, host

DOCS = ROOT / "docs"


def page(browser: Browser) -> None:
    """The stand-alone page as the command opens it, with candidates of a squiggle."""
    with TemporaryDirectory() as output, serving(Path(output)) as (address, _):
        opened = browser.new_page(viewport={"width": 1400, "height": 1000})
        opened.goto(address)
        opened.wait_for_function("document.querySelector('#softinpaint_preview .status')?.innerText.startsWith('White: ')")
        opened.click("#softinpaint_paint [data-action=clear]")
        squiggle(opened, CANVAS)
        generate(opened, 6)
        opened.mouse.move(0, 0)
        opened.evaluate("window.scrollTo(0, 0)")
        opened.wait_for_function("[...document.querySelectorAll('.card img')].every((image) => image.complete)")
        opened.screenshot(path=DOCS / "page.png")


def accordion(browser: Browser, member: family.Host) -> None:
    """The accordion of a WebUI with a painted squiggle and a preset."""
    with host.WebUI(member, "screenshots") as webui:
        opened = browser.new_page(viewport={"width": 1500, "height": 1400})
        image = webui.data / "image.png"
        Image.open(ROOT / "demo" / "image.png").resize((512, 512)).save(image)
        open_inpaint_tab(opened, webui.url, image)
        opened.wait_for_timeout(1000)  # the host's canvas script loads the image
        squiggle(opened, "#img2maskimg canvas")
        opened.locator("#soft_inpainting_enabled .label-wrap").first.click()
        opened.locator("#mask_blend_scale").first.wait_for(state="visible")
        opened.locator("#soft_inpainting_enabled input[type=checkbox]").first.check()
        choose_preset(opened, "Merge an element")
        opened.locator("#softinpaint_preset_request").click()
        opened.wait_for_timeout(2000)  # the preview follows the sliders
        target = (DOCS if member == family.a1111() else webui.data) / "accordion.png"
        opened.locator("#soft_inpainting_enabled").first.screenshot(path=target)
        print(target)


def main() -> None:
    with chromium() as browser:
        page(browser)
        for member in family.hosts():
            accordion(browser, member)
        if family.a1111() is None:
            print("docs/accordion.png was left as it is: SOFTINPAINT_WEBUI names no AUTOMATIC1111")


if __name__ == "__main__":
    main()
