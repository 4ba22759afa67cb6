"""The guide's story on the page: a squiggle, candidates, the best one, the next change; and what becomes of it later."""
import numpy as np
import pytest
from PIL import Image

from tests.browser import BASE64, pixels_from, pixels_of, set_number, squiggle
from tests.page.actions import (
    CANVAS,
    CARDS,
    IMAGE,
    STEPS,
    captions,
    generate,
    read,
    saved,
    scores_best_first,
    shown_infotext,
    wait_for_status,
)
from tests.page.serving import serving
from tests.page.test_canvas import drag

STEP_BUTTONS, DIALOG = "#softinpaint_paint .steps li button", "#softinpaint_candidates dialog.comparison"
INPUT = "#softinpaint_paint .stage img"


def steps(page):
    return page.locator(STEP_BUTTONS).count()


def current(page):
    return int(page.locator("#softinpaint_paint .steps [aria-current]").get_attribute("data-step"))


def pixels_of_input(page):
    return pixels_from(page.evaluate(
        f"""async (selector) => {{
            const image = document.querySelector(selector);
            await image.decode();
            const {{naturalWidth: width, naturalHeight: height}} = image;
            const pen = new OffscreenCanvas(width, height).getContext("2d");
            pen.drawImage(image, 0, 0);
            return {BASE64}(pen.getImageData(0, 0, width, height).data);
        }}""", INPUT), 512, 512)[..., :3]


def accept(page, keep_mask=False):
    before = steps(page)
    if page.locator(".keep-mask").is_checked() != keep_mask:
        page.locator("#softinpaint_candidates .switch").click()
    page.click("[data-action=accept]")
    page.wait_for_function("([steps, count]) => document.querySelectorAll(steps).length === count",
                           arg=[STEP_BUTTONS, before + 1])
    wait_for_status(page, "the accepted candidate is now the input")
    page.wait_for_timeout(200)  # the canvas follows once the image is decoded


def painted(page):
    return pixels_of(page, CANVAS)[..., 3]


def test_the_guides_story(served, page):
    """Nine candidates from a squiggle, the best one accepted, and ten rounds, each over half of the one before."""
    page.keyboard.press("Delete")
    squiggle(page, CANVAS)
    generate(page, 9)
    assert len(scores_best_first(page)) == 9
    best = page.locator(f"{CARDS}[aria-pressed=true]").get_attribute("data-name")
    accept(page)
    result, _ = read(served[1] / best)
    assert (pixels_of_input(page) == result).all()
    assert not painted(page).any() and page.locator(CARDS).count() == 0

    original = np.asarray(Image.open(IMAGE).convert("RGB")).astype(int)
    ever_painted = np.zeros((512, 512), bool)
    for number in range(10):
        left = 0.15 + 0.05 * number
        drag(page, (left, 0.75), (left + 0.1, 0.75))
        ever_painted |= painted(page) > 0
        generate(page, 1)
        mask = Image.open(served[1] / "masks" / saved(served)[-1].name)
        assert mask.size == (512, 512) and mask.getextrema() == (0, 65535)
        accept(page)
        assert (pixels_of_input(page) == read(saved(served)[-1])[0]).all()
    assert steps(page) == 12 and current(page) == 11
    final = pixels_of_input(page)
    outside = np.ones((512, 512), bool)
    outside[120:] = False
    assert (final[outside] == original[outside]).all()
    assert (final != original).any(-1)[ever_painted].mean() > 0.9
    page.locator("#softinpaint_paint .steps button").nth(1).click()
    assert (pixels_of_input(page) == original).all()
    assert page.locator(CARDS).count() == 9


def test_steps_survive_a_reload_and_masks_a_restart(browser, tmp_path):
    context = browser.new_context(viewport={"width": 1400, "height": 1200}, accept_downloads=True)
    tab = context.new_page()
    with serving(tmp_path) as (address, output):
        port = int(address.rpartition(":")[2])
        tab.goto(address)
        tab.wait_for_selector(CANVAS)
        tab.wait_for_timeout(500)
        set_number(tab, "img2img_steps", STEPS)
        tab.locator("#img2img_prompt textarea").fill("a blue lake")
        tab.keyboard.press("Tab")
        tab.click("#softinpaint_paint [data-action=clear]")
        squiggle(tab, CANVAS)
        squiggled = painted(tab)
        generate(tab, 2)
        shown = captions(tab)
        accept(tab)
        drag(tab, (0.3, 0.8), (0.4, 0.8))
        stroke = painted(tab)
        accepted = pixels_of_input(tab)
        tab.reload()
        tab.wait_for_selector(f"{STEP_BUTTONS} >> nth=1")
        tab.wait_for_timeout(500)
        assert current(tab) == 1 and (pixels_of_input(tab) == accepted).all() and (painted(tab) == stroke).all()
        assert tab.locator("#img2img_prompt textarea").input_value() == "a blue lake"
        tab.keyboard.press("u")
        tab.wait_for_selector(CARDS)
        assert captions(tab) == shown and "a blue lake" in shown_infotext(tab)
        tab.wait_for_timeout(300)
        assert (painted(tab) == squiggled).all()
    with serving(tmp_path, port) as (address, _):
        tab.reload()
        tab.wait_for_selector(CARDS)
        tab.wait_for_timeout(500)
        assert current(tab) == 0
        tab.click("#softinpaint_paint [data-action=clear]")
        tab.click("[data-action=use-mask]")
        tab.wait_for_timeout(500)
        assert np.abs(painted(tab) - squiggled).max() <= 8
        with tab.expect_download() as download:
            tab.click("[data-action=save-its-mask]")
        download.value.save_as(tmp_path / "downloaded.png")
        other = context.new_page()  # another tab starts anew, and can go on where this one is
        other.goto(address)
        other.locator("[data-action=resume]").click()
        other.wait_for_selector(f"{STEP_BUTTONS} >> nth=1")
        assert captions(other) == shown
        other.close()
        for mask in (output / "masks").glob("*.png"):
            mask.unlink()
        tab.click("[data-action=use-mask]")
        wait_for_status(tab, "The mask of ")
        wait_for_status(tab, "is no longer in the output folder.")
        for result in output.glob("0*.png"):
            result.unlink()
        tab.click("[data-action=accept]")
        wait_for_status(tab, ".png is no longer in the output folder.")
        assert steps(tab) == 2
        tab.click("#softinpaint_paint [data-action=clear]")
        tab.set_input_files("#softinpaint_paint .mask-file", tmp_path / "downloaded.png")
        tab.wait_for_timeout(500)
        assert np.abs(painted(tab) - squiggled).max() <= 8
    context.close()


def test_going_back_loses_nothing(page):
    generate(page, 2)
    mask = painted(page)
    accept(page, keep_mask=True)
    assert (painted(page) == mask).all()
    page.keyboard.press("u")
    assert current(page) == 0 and page.locator("[data-action=step-back]").is_disabled()
    page.wait_for_timeout(300)
    page.locator(CARDS).nth(1).click()
    accept(page)
    assert steps(page) == 3 and current(page) == 2
    assert "from 1" in page.locator(STEP_BUTTONS).nth(2).inner_text()
    page.keyboard.press("u")
    assert current(page) == 0
    page.keyboard.press("Shift+U")
    assert current(page) == 2
    page.locator(STEP_BUTTONS).nth(1).click()
    page.wait_for_timeout(300)
    assert (painted(page) == mask).all()


def test_each_step_keeps_its_strokes_for_undo(page):
    page.keyboard.press("Delete")
    drawn = [painted(page)]
    for top in (0.3, 0.6):
        drag(page, (0.3, top), (0.6, top))
        drawn.append(painted(page))
    page.keyboard.press("Control+z")
    generate(page, 1)
    accept(page, keep_mask=True)
    assert page.locator("[data-action=undo]").is_disabled(), "a kept mask is where this step begins"
    drag(page, (0.3, 0.9), (0.6, 0.9))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert (painted(page) == drawn[1]).all()
    page.keyboard.press("u")
    page.wait_for_timeout(300)
    page.keyboard.press("Control+Shift+z")
    assert (painted(page) == drawn[2]).all()
    for mask in (drawn[1], drawn[0]):
        page.keyboard.press("Control+z")
        assert (painted(page) == mask).all()
    page.keyboard.press("Control+z")  # the mask from the start, which Delete cleared
    start = painted(page)
    assert start.any() and page.locator("[data-action=undo]").is_disabled()
    page.reload()
    page.wait_for_selector(f"{STEP_BUTTONS} >> nth=1")
    page.wait_for_timeout(500)
    page.keyboard.press("Control+z")
    assert (painted(page) == start).all()


def test_candidates_are_discarded_and_brought_back(page):
    generate(page, 3)
    before = captions(page)
    page.locator(CARDS).nth(1).click()
    page.keyboard.press("d")
    assert captions(page) == [before[0], before[2]]
    assert page.locator(CARDS).nth(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("ArrowLeft")
    assert page.locator(CARDS).nth(0).get_attribute("aria-pressed") == "true"
    page.click("[data-action=bring-back]")
    assert captions(page) == before
    generate(page, 1)  # more of them are added, and sorted among the others
    assert len(scores_best_first(page)) == 4


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_candidates_are_compared(served, page, theme):
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
    generate(page, 2)
    for card in (1, 0):
        page.locator(CARDS).nth(card).dblclick()
        page.locator(DIALOG).wait_for()
        page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.wait_for_function("[...document.querySelectorAll('.comparison img')].every((image) => image.complete && image.width)")
    frame = page.locator(f"{DIALOG} .frame")
    assert frame.locator(".name.left").inner_text() == "Input"
    box = frame.bounding_box()
    shown = {}
    for share in (0.1, 0.9):
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.up()
        handle = frame.locator(".handle").bounding_box()
        assert handle["x"] + handle["width"] / 2 == pytest.approx(box["x"] + share * box["width"], abs=2)
        shown[share] = frame.locator("img.right").evaluate("image => getComputedStyle(image).clipPath")
    assert shown[0.1] != shown[0.9]
    frame.locator(".handle").focus()
    page.keyboard.press("ArrowLeft")
    assert frame.locator(".handle").get_attribute("aria-valuenow") == "88"

    page.click(f"{DIALOG} [data-view-of=difference]")
    page.wait_for_function("document.querySelector('.comparison .reading').innerText.includes('of the pixels differ')")
    original = np.asarray(Image.open(IMAGE).convert("RGB")).astype(int)
    name = frame.locator("img.right").get_attribute("src").rpartition("/")[2]
    result, _ = read(served[1] / name)
    difference = pixels_of(page, f"{DIALOG} canvas")[..., :3]
    assert (difference == np.minimum(255, 8 * np.abs(result - original))).all()
    page.locator(f"{DIALOG} .factor input").press("ArrowRight")
    page.wait_for_function("document.querySelector('.comparison .factor output').innerText.includes('16')")

    page.click(f"{DIALOG} [data-view-of=beside]")
    page.click(f"{DIALOG} [data-side=left] >> nth=1")
    page.click(f"{DIALOG} [data-side=right] >> nth=2")
    left, right = (frame.locator(f"img.{side}").bounding_box() for side in ("left", "right"))
    assert left["x"] + left["width"] <= right["x"] + 1 and left["y"] == right["y"]
    page.click(f"{DIALOG} [data-action=swap]")
    assert frame.locator("img.right").get_attribute("src").rpartition("/")[2] == name
    page.keyboard.press("Escape")
    assert not page.locator(DIALOG).is_visible()
