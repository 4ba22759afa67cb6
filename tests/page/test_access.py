"""Languages, the keyboard, and what screen readers are told."""
import re

import numpy as np
import pytest

from tests.browser import choose, cut_texts, open_advanced, pixels_of, serious_findings, set_number, without_visible_focus
from tests.page.actions import CANVAS, CARDS, GENERATION_MS, PREVIEW
from tests.texts import ROOT, language

STAGE = "#softinpaint_paint .stage"
LOCALES = {"de-DE": "de_DE", "es-MX": "es_ES", "ja-JP": "ja_JP", "zh-CN": "zh_CN"}
OURS = "#softinpaint_header", "#softinpaint_paint", "#softinpaint_candidates", "#soft_inpainting_enabled"
SECTIONS = "#softinpaint_own_presets", "#softinpaint_recomposite"
WHITE = "White: repainted in full. Yellow dashes: by half. Red dots: as far as anything changes, {share} % of the image."
GRADIOS_OWN = ()
"""Findings in Gradio's own markup, which we cannot change: the rule, and a pattern of the element's HTML."""


@pytest.fixture(params=LOCALES)
def translated(request, served, browser):
    """The page in a narrow window of a browser with this language, and the language's texts."""
    context = browser.new_context(locale=request.param, viewport={"width": 420, "height": 900})
    opened, faults = context.new_page(), []
    opened.on("pageerror", lambda fault: faults.append(str(fault)))
    opened.goto(served[0])
    texts = language(ROOT / "localizations" / f"{LOCALES[request.param]}.json")
    opened.wait_for_function("start => document.querySelector('#softinpaint_preview .status')?.innerText.startsWith(start)",
                             arg=re.split(r"[:：]", texts[WHITE])[0])
    opened.locator("#softinpaint_grow").wait_for(state="hidden")
    yield opened, texts
    context.close()
    assert not faults


def test_a_language_fits_a_narrow_window(translated, tmp_path_factory, request):
    page, texts = translated
    open_advanced(page)
    for section in SECTIONS:
        page.locator(f"{section} button").first.click()
    page.wait_for_timeout(500)
    page.screenshot(path=tmp_path_factory.getbasetemp() / f"{request.node.callspec.id}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert cut_texts(page, "body") == []
    shown = page.locator("body").inner_text()
    left = [text for text in ("Mask blur", "Feather source", "Accept", "Paint what should change", "Re-composite", "Theme")
            if text in shown and texts.get(text, "") != text]
    assert left == []
    assert page.locator(STAGE).get_attribute("aria-label") == texts["Canvas"]
    assert page.title() == texts["Soft inpainting"]
    page.keyboard.press("?")
    assert texts["Lasso: fill what you draw around"] in page.locator("#softinpaint_shortcuts").inner_text()
    assert page.locator("#softinpaint_shortcuts").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth + 1")
    assert page.locator("#softinpaint_shortcuts").evaluate("dialog => dialog.scrollTop === 0 && dialog.clientHeight > 0")


@pytest.mark.parametrize("translated", ["zh-CN"], indirect=True)
def test_the_translated_page_sends_the_same_request(translated, served):
    page, texts = translated
    page.set_viewport_size({"width": 1400, "height": 1200})
    set_number(page, "img2img_denoising_strength", 0.05)
    advice = page.locator("#softinpaint_preview .advice")
    advice.get_by_text("重绘幅度 0.05").wait_for()
    advice.get_by_text(texts["Raise denoising"], exact=True).click()
    page.wait_for_function("+document.querySelector('#img2img_denoising_strength input[type=number]').value === 0.75")
    page.get_by_role("button", name=texts["Remove"], exact=True).click()
    page.wait_for_function(
        "text => document.querySelector('#softinpaint_preset_about').innerText.includes(text)",
        arg=texts["Paint over the whole object, its shadow too. What was behind it goes on."])
    assert page.locator("#softinpaint_own_masked_content input:checked").input_value() == "local fill"
    open_advanced(page)
    choose(page, "softinpaint_conditioning_mask", texts["hard"])
    choose(page, "softinpaint_feather_source", texts["Mask blur"])
    page.wait_for_function("text => document.querySelector('#softinpaint_preview .changed').innerText.includes(text)",
                           arg=f"{texts['Conditioning mask']} {texts['hard']}")
    set_number(page, "img2img_steps", 4)
    set_number(page, "img2img_batch_count", 2)
    page.click("#img2img_generate")
    page.locator(CARDS).nth(1).wait_for(timeout=GENERATION_MS)
    page.wait_for_function("!document.querySelector('#softinpaint_live progress')", timeout=GENERATION_MS)
    infotext = page.locator("#softinpaint_infotext").text_content()
    for part in ("Soft inpainting feather source: Mask blur", "Soft inpainting conditioning mask: hard",
                 "Soft inpainting own masked content: local fill", "Mask blur: 8"):
        assert part in infotext
    assert page.locator(CARDS).first.get_attribute("aria-label").startswith("候选图：")
    page.locator("#softinpaint_recomposite button").first.click()
    page.get_by_text(texts["Use selected image"], exact=True).click()
    page.wait_for_function("text => document.querySelector('#softinpaint_recomposite_status').innerText.includes(text)",
                           arg=texts["Not saved yet."])
    page.locator("#softinpaint_recomposite_view").get_by_text(texts["Opacity"], exact=True).click()
    page.wait_for_function("text => document.querySelector('#softinpaint_recomposite_status').innerText.includes(text)",
                           arg=texts["White shows the new pixels, black the original."])


def tab_to(page, selector):
    page.locator("#softinpaint_header h1").click()  # Tab goes on from here
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def painted(page):
    return pixels_of(page, CANVAS)[..., 3]


def test_the_keyboard_paints(page):
    page.keyboard.press("Delete")
    tab_to(page, STAGE)
    assert page.locator("#softinpaint_paint .ring").is_visible()
    assert "Arrow keys" in page.locator(f"#{page.locator(STAGE).get_attribute('aria-describedby')}").text_content()
    page.keyboard.press("Space")
    dab = painted(page)
    rows, columns = np.nonzero(dab)
    assert (abs(rows.mean() - 256), abs(columns.mean() - 256)) < (2, 2)
    width = int(page.locator("#softinpaint_paint .brush-px").inner_text().removesuffix(" px"))
    assert np.ptp(rows) == pytest.approx(width, abs=2)
    page.keyboard.press("+")
    assert int(page.locator("#softinpaint_paint .brush-px").inner_text().removesuffix(" px")) > width
    page.keyboard.press("-")
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert "Painting." in page.locator("#softinpaint_paint .place").text_content()
    page.keyboard.press("Enter")
    stroke = painted(page)
    moved = 6 * width / 2
    assert np.nonzero(stroke)[1].max() == pytest.approx(columns.max() + moved, abs=3)
    assert "Painting." not in page.locator("#softinpaint_paint .place").text_content()
    place = re.search(r"Brush at (\d+) % from the left and 50 %", page.locator("#softinpaint_paint .place").text_content())
    assert int(place[1]) == pytest.approx(100 * (256 + moved) / 512, abs=1)
    share = re.search(r"([\d.]+) % of the image is painted", page.locator(CANVAS).get_attribute("aria-label"))
    assert float(share[1]) == pytest.approx(100 * (stroke > 0).mean(), abs=0.1)
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert (painted(page) == stroke).all()
    page.keyboard.press("Control+z")
    assert (painted(page) == dab).all()
    page.keyboard.press("e")
    page.keyboard.press("ArrowUp")
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.down("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.up("Space")
    assert 0 < np.count_nonzero(painted(page)) < np.count_nonzero(dab)


def test_the_view_follows_the_keyboards_brush(page):
    tab_to(page, STAGE)
    for _ in range(8):
        page.locator("[data-action=zoom-in]").click()
    tab_to(page, STAGE)
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    ring, stage = page.locator("#softinpaint_paint .ring").bounding_box(), page.locator(STAGE).bounding_box()
    assert stage["x"] < ring["x"] + ring["width"] / 2 <= stage["x"] + stage["width"] + 1
    page.keyboard.press("h")
    before = page.locator("#softinpaint_paint .sheet").bounding_box()["x"]
    page.keyboard.press("ArrowLeft")
    assert page.locator("#softinpaint_paint .sheet").bounding_box()["x"] == pytest.approx(before + 40, abs=1)


def test_the_preview_is_told_in_words_and_differs_in_lightness(page):
    choose(page, "softinpaint_feather_source", "own")
    set_number(page, "softinpaint_feather_width", 40)
    set_number(page, "softinpaint_edge_awareness", 0)
    page.wait_for_function("document.querySelector('#softinpaint_preview .mask').ariaLabel.includes('40 pixels wide')")
    told = page.locator(PREVIEW).get_attribute("aria-label")
    full, part, most = map(float, re.search(r"mask: ([\d.]+) % .* in full, ([\d.]+) % in part.* by (\d+) %", told).groups())
    share = int(re.search(r"(\d+) % of the image", page.locator("#softinpaint_preview .status").inner_text())[1])
    assert full + part == pytest.approx(share, abs=1) and full > 1 and part > 1 and most == 100
    curve = page.locator("#softinpaint_preview .curves").get_attribute("aria-label")
    shares = re.search(r"repaints (\d+) %, the middle one (\d+) % and the last one (\d+) %", curve)
    first, middle, last = map(int, shares.groups())
    assert first < middle < last <= 100
    pixels = pixels_of(page, PREVIEW)[..., :3]
    counts = [np.count_nonzero((pixels == colour).all(axis=-1))
              for colour in ((255, 255, 255), (255, 190, 60), (220, 30, 50), (0, 0, 0))]
    assert min(counts) > 20, counts


def test_focus_can_be_seen_on_every_control(page):
    open_advanced(page)
    for section in SECTIONS:
        page.locator(f"{section} button").first.click()
    assert without_visible_focus(page, "body") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, served, theme):
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
    open_advanced(page)
    for section in SECTIONS:
        page.locator(f"{section} button").first.click()
    assert serious_findings(page, ["body"], GRADIOS_OWN) == []
    page.keyboard.press("?")
    assert serious_findings(page, ["#softinpaint_shortcuts"], GRADIOS_OWN) == []
