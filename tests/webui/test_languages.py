"""The accordion in a WebUI whose localization is ours, and what screen readers are told."""
import numpy as np
import pytest
from PIL import Image

from tests import browser as driven
from tests.browser import open_advanced, serious_findings, set_number, without_visible_focus
from tests.texts import ROOT, language
from tests.webui.host import WebUI, drawn_image
from tests.webui.test_page import GENERATION_MS, squiggle
from tests.webui.test_requests import soft_keys

pytestmark = pytest.mark.every_host

ACCORDION = ".input-accordion:has(#softinpaint_feather_source)"  # the built-in has the same id
CHINESE = language(ROOT / "localizations" / "zh_CN.json")
GRADIOS_OWN = (("nested-interactive", r"label-wrap.*input-accordion-open"),)  # the WebUI's checkbox in Gradio 4's button
"""Findings in Gradio's own markup, which we cannot change: the rule, and a pattern of the element's HTML."""


@pytest.fixture(scope="module")
def localized(member):
    with WebUI(member, "localized", options={"localization": "zh_CN"}) as running:
        yield running


def opened(browser, running, folder):
    page = browser.new_page(viewport={"width": 1500, "height": 1400})
    drawn_image(512, 512).save(folder / "image.png")
    driven.open_inpaint_tab(page, running.url, folder / "image.png")
    for elem_id, value in (("img2img_steps", 4), ("img2img_width", 512), ("img2img_height", 512), ("img2img_seed", 1)):
        set_number(page, elem_id, value)
    page.locator("#img2img_inpaint_full_res input").first.check(force=True)
    page.locator("#resize_mode input").first.check(force=True)
    squiggle(page)
    page.locator(f"{ACCORDION} .label-wrap").first.click()
    page.locator("#mask_blend_scale").first.wait_for(state="visible")
    return page


def open_every_section(page):
    open_advanced(page)
    for section in ("own_presets", "candidates", "recomposite", "staging"):
        page.locator(f"#softinpaint_{section} .label-wrap").first.click()
    page.wait_for_timeout(500)


def wait_for_text(page, selector, text):
    page.wait_for_function("([selector, text]) => document.querySelector(selector).innerText.includes(text)",
                           arg=[selector, text])


def infotext_of_task(browser, running, folder, texts):
    """The infotext of a result after the same actions, whatever the language."""
    page = opened(browser, running, folder)

    def shown(text):
        return texts.get(text, text)
    wait_for_text(page, "#softinpaint_preview .status", shown("White: ")[:2] if not texts else "白色：")
    set_number(page, "img2img_denoising_strength", 0.05)
    advice = page.locator("#softinpaint_preview .advice")
    advice.get_by_text(shown("Raise denoising"), exact=True).click()
    page.wait_for_function("+document.querySelector('#img2img_denoising_strength input[type=number]').value === 0.75")
    page.locator("#softinpaint_tasks").get_by_text(shown("Remove"), exact=True).click()
    wait_for_text(page, "#softinpaint_preset_about",
                  shown("Paint over the whole object, its shadow too. What was behind it goes on."))
    page.wait_for_function("document.querySelector('#softinpaint_own_masked_content input:checked').value === 'local fill'")
    open_advanced(page)
    page.locator("#softinpaint_conditioning_mask").get_by_text(shown("hard"), exact=True).click()
    page.locator("#softinpaint_feather_source").get_by_text(shown("Mask blur"), exact=True).click()
    wait_for_text(page, "#softinpaint_preview .changed", f"{shown('Conditioning mask')} {shown('hard')}")
    set_number(page, "img2img_steps", 4)
    before = set((running.outputs / "img2img-images").rglob("*.png"))
    page.click("#img2img_generate")
    page.wait_for_selector("#img2img_interrupt", state="visible")
    page.wait_for_selector("#img2img_interrupt", state="hidden", timeout=GENERATION_MS)
    new, = set((running.outputs / "img2img-images").rglob("*.png")) - before
    page.screenshot(path=running.data / "accordion.png", full_page=True)
    page.close()
    with Image.open(new) as image:
        return image.info["parameters"], np.asarray(image.convert("RGB")).astype(int)


def test_a_localized_accordion_works_and_sends_the_same_request(webui, localized, browser, tmp_path):
    english, pixels = infotext_of_task(browser, webui, tmp_path, {})
    chinese, same = infotext_of_task(browser, localized, tmp_path, CHINESE)
    wanted = {"feather source": "Mask blur", "conditioning mask": "hard", "own masked content": "local fill"}
    assert wanted.items() <= soft_keys(english).items()
    assert {**soft_keys(english), "painted mask": ""} == {**soft_keys(chinese), "painted mask": ""}
    assert english.split("\n")[-1].split("Soft inpainting")[0] == chinese.split("\n")[-1].split("Soft inpainting")[0]
    assert pixels.shape == same.shape


def test_every_label_is_translated(localized, browser, tmp_path):
    page = opened(browser, localized, tmp_path)
    open_every_section(page)
    page.screenshot(path=localized.data / "chinese.png", full_page=True)
    left = page.evaluate("""([accordion, texts]) => {
        const walk = document.createTreeWalker(document.querySelector(accordion), NodeFilter.SHOW_TEXT), found = [];
        for (let node; (node = walk.nextNode());) {
            if (texts.includes(node.data.trim()) && node.parentElement.checkVisibility()) found.push(node.data.trim());
        }
        return found;
    }""", [ACCORDION, [text for text, translation in CHINESE.items() if text != translation]])
    assert left == []
    assert page.locator("#softinpaint_preview .mask").get_attribute("aria-label").startswith("蒙版：")
    page.close()


def test_axe_finds_nothing_serious_and_focus_can_be_seen(webui, browser, tmp_path):
    page = opened(browser, webui, tmp_path)
    open_every_section(page)
    assert serious_findings(page, [ACCORDION], GRADIOS_OWN) == []
    assert without_visible_focus(page, ACCORDION) == []
    page.close()
