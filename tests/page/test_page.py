"""The stand-alone page in a real browser: paint, generate, re-composite, download.

SOFTINPAINT_PAGE_PYTHON names a Python to serve the page with, to test another Gradio version.
"""
import subprocess
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import maximum_filter

from lib_softinpaint.method.mask_tools import from_luminance
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.settings import FIELDS, Settings
from tests.browser import (
    choose,
    choose_preset,
    nameless_controls,
    number_in,
    open_advanced,
    pixels_of,
    set_number,
    squiggle,
    stroke,
)
from tests.page.actions import (
    CANVAS,
    CARDS,
    GENERATION_MS,
    IMAGE,
    MASK,
    PREVIEW,
    STEPS,
    captions,
    generate,
    read,
    saved,
    scores_best_first,
    shown_infotext,
    stop,
    wait_for_status,
)
from tests.page.serving import PYTHON, START


@pytest.mark.parametrize(("words", "sentence"), [
    (["none.png"], "none.png does not exist"), (["--port", "PORT"], "--port PORT is already in use")])
def test_invalid_options_stop_the_start(served, tmp_path, words, sentence):
    port = served[0].rpartition(":")[2]
    done = subprocess.run([PYTHON, "-c", START, "page", "--no-browser", *(word.replace("PORT", port) for word in words)],
                          cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert sentence.replace("PORT", port) in done.stderr
    assert "Traceback" not in done.stderr


def test_generate_works_without_any_change(served, page):
    before = saved(served)
    assert number_in(page, "img2img_batch_count") == 4
    generate(page, 4)
    new = [path for path in saved(served) if path not in before]
    assert len(new) == 4
    status = page.locator("#softinpaint_status").inner_text().strip()
    assert not status or status.startswith("Almost nothing changed with seed")
    shown = captions(page)
    assert len(scores_best_first(page)) == 4
    assert sorted(seed for _, seed in shown) == [1, 2, 3, 4]
    original = np.asarray(Image.open(IMAGE).convert("RGB"))
    painted = np.asarray(Image.open(MASK).convert("L")) > 0
    for path in new:
        pixels, text = read(path)
        changed = (pixels != original).any(axis=-1)
        assert changed[painted].mean() > 0.9
        assert not changed[:120].any()
        assert infotext.parse(text)["Prompt"] == "a red house"
    best = infotext.parse(shown_infotext(page))
    assert int(best["Seed"]) == shown[0][1]
    page.locator(CARDS).nth(3).click()
    assert int(infotext.parse(shown_infotext(page))["Seed"]) == shown[3][1]


def test_the_preview_shows_that_the_feather_stops_at_outlines(page):
    """The painted hill ends at the horizon, so the feather may not reach into the sky."""
    seen = {}
    for awareness in (0.9, 0, 1):
        with page.expect_response("**/softinpaint/detours") if awareness else nullcontext():
            set_number(page, "softinpaint_edge_awareness", awareness)
        page.wait_for_timeout(300)
        seen[awareness] = pixels_of(page, PREVIEW).astype(int)
    differs = np.abs(seen[1] - seen[0]).max(-1) > 40
    assert differs[:200].sum() > 500
    assert not np.abs(seen[1] - seen[0])[240:].any()
    assert number_in(page, "softinpaint_edge_awareness") == 1


def test_paint_can_be_previewed_erased_and_undone(page):
    seen = [pixels_of(page, PREVIEW)]
    first = pixels_of(page, CANVAS)
    page.click("#softinpaint_paint [data-action=clear]")
    page.wait_for_function("document.querySelector('#softinpaint_preview .status').innerText === 'Nothing is painted yet.'")
    assert not pixels_of(page, CANVAS)[..., 3].any()
    page.click("#softinpaint_paint [data-action=undo]")
    assert (pixels_of(page, CANVAS) == first).all()
    page.click("#softinpaint_paint [data-action=clear]")
    squiggle(page, CANVAS)
    page.wait_for_function("document.querySelector('#softinpaint_preview .status').innerText.startsWith('White: ')")
    whole = pixels_of(page, CANVAS)[..., 3]
    assert whole.max() == 255
    assert set(np.nonzero(whole)[0] // 128) <= {2, 3}
    seen.append(pixels_of(page, PREVIEW))
    page.locator("#softinpaint_paint .strength").fill("40")
    squiggle(page, CANVAS)
    weak = pixels_of(page, CANVAS)[..., 3]
    assert (np.abs(weak[whole == 255] - 102) <= 1).mean() > 0.99  # the last stroke decides, without visible joints
    seen.append(pixels_of(page, PREVIEW))
    page.click("#softinpaint_paint [data-action=undo]")
    assert (pixels_of(page, CANVAS)[..., 3] == whole).mean() > 0.999
    page.click("#softinpaint_paint [data-action=eraser]")
    squiggle(page, CANVAS)
    assert pixels_of(page, CANVAS)[..., 3].mean() < 0.1 * whole.mean()
    page.keyboard.press("Control+z")
    page.wait_for_timeout(100)
    open_advanced(page)
    for elem_id, value in (("img2img_mask_blur", 30), ("softinpaint_grow", 12)):
        set_number(page, elem_id, value)
        page.wait_for_timeout(300)
        seen.append(pixels_of(page, PREVIEW))
    assert all((one != other).any() for one, other in zip(seen, seen[1:]))


def test_the_page_opens_with_four_controls(page):
    fields = ["softinpaint_preset", *(field.elem_id for field in FIELDS.values() if field.name != "enabled")]
    assert [elem_id for elem_id in fields if page.locator(f"#{elem_id}").is_visible()] == [
        "softinpaint_preset", "mask_blend_scale", "softinpaint_feather_source", "softinpaint_edge_awareness"]
    assert changed(page) == ""
    choose(page, "softinpaint_feather_source", "own")
    assert page.locator("#softinpaint_feather_width").is_visible() and page.locator("#softinpaint_feather_unit").is_visible()
    choose(page, "softinpaint_feather_source", "host")
    assert not page.locator("#softinpaint_feather_width").is_visible()
    assert not page.locator("#softinpaint_edge_awareness").is_visible()
    choose(page, "softinpaint_feather_source", "Automatic")
    assert page.locator("#softinpaint_edge_awareness").is_visible()


def test_changed_settings_in_the_closed_section_are_listed(page):
    choose_preset(page, "New background")
    wait_for_changed(page, "Changed under Advanced: Mask grow 4.")
    choose_preset(page, "Built-in defaults")
    wait_for_changed(page, "Changed under Advanced: Agreement with the surroundings 0, Edge taper 0, Least opacity 0, "
                          "Drift correction 0, Seam search 0.")
    choose_preset(page, "Light touch")
    wait_for_changed(page, "")
    set_number(page, "img2img_mask_blur", 0)
    page.wait_for_function("document.querySelector('#softinpaint_preview .status').innerText.endsWith("
                           "'Without a feather, Preservation strength has no effect.')")
    open_advanced(page)
    assert page.locator("#softinpaint_without_effect").inner_text().startswith("At Least opacity 1, ")
    assert not page.locator("#softinpaint_automatic_threshold").is_visible()
    set_number(page, "softinpaint_least_opacity", 0.5)
    page.locator("#softinpaint_without_effect").wait_for(state="hidden")
    assert page.locator("#softinpaint_automatic_threshold").is_visible()


def changed(page):
    return page.locator("#softinpaint_preview .changed").inner_text()


def wait_for_changed(page, line):
    page.wait_for_function("line => document.querySelector('#softinpaint_preview .changed').innerText === line", arg=line)


def test_a_preset_sets_sliders_and_fields(page):
    choose_preset(page, "Squiggle")
    page.wait_for_function("document.querySelector('#softinpaint_preset_request').innerText.includes('Batch count 9')")
    page.wait_for_function("document.querySelector('#mask_blend_scale input[type=number]').value === '0.05'")
    page.click("#softinpaint_preset_request")
    page.wait_for_function("document.querySelector('#img2img_mask_blur input[type=number]').value === '64'")
    assert page.locator("#img2img_inpainting_fill input:checked").input_value() == "latent noise"
    assert number_in(page, "img2img_batch_count") == 9


def test_a_stroke_is_inpainted_and_recomposited(served, page):
    page.click("#softinpaint_paint [data-action=clear]")
    squiggle(page, CANVAS)
    generate(page, 1)
    made, text = read(saved(served)[-1])
    original = np.asarray(Image.open(IMAGE).convert("RGB")).astype(int)
    assert (made != original).any(axis=-1)[312:328, 190:300].mean() > 0.5
    assert not (made != original).any(axis=-1)[:170].any()

    page.locator("#softinpaint_recomposite button").first.click()
    page.click("#softinpaint_recomposite_take")
    page.wait_for_selector("#softinpaint_recomposite_preview img")
    for view in ("Opacity", "Difference map", "Seam", "Image"):
        choose(page, "softinpaint_recomposite_view", view)
        page.wait_for_selector(f"#softinpaint_recomposite_preview img[alt='{view}, re-composited']")
    open_advanced(page)
    set_number(page, "softinpaint_least_opacity", 0)
    set_number(page, "composite_difference_threshold", 8)
    page.wait_for_timeout(1000)
    page.click("#softinpaint_recomposite_save")
    page.wait_for_function("document.querySelector('#softinpaint_recomposite_status').innerText.startsWith('Saved as ')")
    again, new_text = read(saved(served)[-1])
    assert np.abs(again - original).sum() < np.abs(made - original).sum() / 2
    assert infotext.parse(new_text)["Soft inpainting difference threshold"] == "8"
    assert infotext.parse(new_text)["Seed"] == infotext.parse(text)["Seed"]


def test_a_download_contains_its_infotext(served, page, tmp_path):
    generate(page, 1)
    with page.expect_download() as download:
        page.click("[data-action=save-image]")
    download.value.save_as(tmp_path / "image.png")
    pixels, text = read(tmp_path / "image.png")
    assert text == shown_infotext(page)
    assert (pixels == read(saved(served)[-1])[0]).all()


def test_pasted_infotext_sets_the_page(served, page):
    set_number(page, "mask_blend_scale", 3)
    choose(page, "softinpaint_feather_source", "own")
    open_advanced(page)
    set_number(page, "softinpaint_grain", 0.5)
    generate(page, 1)
    text = shown_infotext(page)
    assert infotext.parse(text)["Soft inpainting feather source"] == "own"
    page.evaluate("sessionStorage.clear()")
    page.reload()
    page.wait_for_selector(CANVAS)
    page.wait_for_timeout(1000)
    assert number_in(page, "mask_blend_scale") == Settings().preservation_strength
    page.locator("#img2img_prompt textarea").fill(text)
    page.click("#paste")
    page.wait_for_function("document.querySelector('#mask_blend_scale input[type=number]').value === '3'")
    assert page.locator("#softinpaint_feather_source input:checked").input_value() == "own"
    assert not page.locator("#softinpaint_grain").is_visible()
    wait_for_changed(page, "Changed under Advanced: Grain 0.5.")
    assert page.locator("#img2img_prompt textarea").input_value() == "a red house"
    assert page.locator("#softinpaint_status").inner_text() == "Read from the prompt."
    assert number_in(page, "img2img_steps") == STEPS


def test_a_result_is_inpainted_again(served, page):
    generate(page, 1)
    page.click("[data-action=accept]")
    page.wait_for_function("document.querySelector('#softinpaint_preview .status').innerText === 'Nothing is painted yet.'")
    for words in ("", "not infotext"):
        page.locator("#img2img_prompt textarea").fill(words)
        page.click("#paste")
        page.wait_for_function("document.querySelector('#img2img_prompt textarea').value === 'a red house'")
    assert page.locator("#softinpaint_status").inner_text() == "Read from the open image."


def test_missing_input_is_reported(page, tmp_path):
    page.click("#softinpaint_paint [data-action=clear]")
    page.click("#img2img_generate")
    page.wait_for_function("document.querySelector('#softinpaint_status').innerText.startsWith('Nothing is painted')")
    for kind in ("mask", "image"):
        (tmp_path / f"{kind}.png").write_text("none")
        page.set_input_files(f"#softinpaint_paint .{kind}-file", tmp_path / f"{kind}.png")
        wait_for_status(page, f"This browser cannot show {kind}.png as an image.")
    assert page.evaluate("document.querySelector('#softinpaint_paint img').naturalWidth") == 512  # the image is unchanged
    Image.new("RGB", (320, 200), "teal").save(tmp_path / "teal.png")
    page.set_input_files("#softinpaint_paint .image-file", tmp_path / "teal.png")
    page.wait_for_function(f"document.querySelector('{CANVAS}').width === 320")
    page.locator("#softinpaint_model textarea, #softinpaint_model input").first.fill("/nowhere/none.safetensors")
    squiggle(page, CANVAS)
    page.click("#img2img_generate")
    page.wait_for_function("document.querySelector('#softinpaint_status').innerText.startsWith('model must be')",
                           timeout=GENERATION_MS)


@pytest.mark.parametrize("act", [
    lambda page: page.click("#img2img_generate"), lambda page: page.click("#paste"), lambda page: squiggle(page, CANVAS),
    lambda page: page.click("#softinpaint_paint .steps li button")], ids=["generate", "read infotext", "paint", "step"])
def test_an_action_clears_the_message_before_it(page, tmp_path, act):
    (tmp_path / "README.md").write_text("none")
    page.set_input_files("#softinpaint_paint .image-file", tmp_path / "README.md")
    wait_for_status(page, "This browser cannot show README.md as an image.")
    act(page)
    page.wait_for_function("document.querySelector('#softinpaint_paint .status').innerText === ''")


def test_unchanged_candidates_are_marked_and_come_last(page, tmp_path):
    generate(page, 1)
    changed = captions(page)
    choose(page, "img2img_inpainting_fill", "original")
    set_number(page, "img2img_denoising_strength", 0.05)
    set_number(page, "img2img_steps", 20)
    generate(page, 2)
    assert captions(page)[0] == changed[0]
    assert page.locator(f"{CARDS} .mark").all_inner_texts() == ["unchanged"] * 2
    assert "unchanged" in page.locator(CARDS).nth(2).get_attribute("aria-label")
    assert min(score for score, _ in captions(page)[1:]) > changed[0][0]  # no seam
    status = page.locator("#softinpaint_status").inner_text()
    assert status.startswith("Almost nothing changed with seeds ") and "Raise denoising strength (now 0.05)" in status
    page.screenshot(path=tmp_path / "marked.png")


def test_stopping_keeps_finished_images(served, page):
    before = len(saved(served))
    set_number(page, "img2img_steps", 150)
    set_number(page, "img2img_batch_count", 20)
    page.click("#img2img_generate")
    page.wait_for_selector("#softinpaint_live img", timeout=GENERATION_MS)
    stop(page)
    assert page.locator("#img2img_generate").is_enabled()
    made = len(saved(served)) - before
    assert made < 20
    assert page.locator("#softinpaint_status").inner_text() == f"Stopped after {made} of 20 images."


def test_stopping_keeps_finished_regions(served, page, tmp_path):
    page.click("#softinpaint_paint [data-action=clear]")
    for x in (0.2, 0.8):
        stroke(page, CANVAS, [(x, 0.2), (x, 0.3)])
    open_advanced(page)
    page.locator("#softinpaint_regions input").check()
    page.wait_for_function("document.querySelector('#softinpaint_preview .status').innerText.includes('Dashed: 2 regions')")
    page.locator("#softinpaint_preview").screenshot(path=tmp_path / "regions.png")
    set_number(page, "img2img_batch_count", 1)
    set_number(page, "img2img_steps", 60)
    page.click("#img2img_generate")
    page.wait_for_function("document.querySelector('#softinpaint_live progress')?.value > 0.55", timeout=GENERATION_MS)
    stop(page)
    assert page.locator("#softinpaint_status").inner_text() == "Stopped after 1 of 2 regions."
    pixels, text = read(saved(served)[-1])
    assert "Soft inpainting regions: 1 of 2" in text
    with Image.open(IMAGE) as image:
        changed = (pixels != np.asarray(image.convert("RGB"))).any(axis=-1)
    half = changed.shape[1] // 2
    assert changed[:, :half].any()
    assert not changed[:, half:].any()


def test_a_mask_tool_makes_the_mask_if_nothing_is_painted(served, page):
    page.click("#softinpaint_paint [data-action=clear]")
    open_advanced(page)
    tools = page.locator("#softinpaint_mask_tools").locator("input, textarea").first
    tools.fill("colour #ff00ff 1")
    tools.blur()
    page.click("#img2img_generate")
    page.wait_for_function("document.querySelector('#softinpaint_status').innerText === "
                           "\"The mask has nothing to repaint after the mask tools 'colour #ff00ff 1'.\"")
    tools.fill("luminance 80-100")
    tools.blur()
    generate(page, 1)
    pixels, text = read(saved(served)[-1])
    assert "Soft inpainting mask tools: luminance 80-100" in text
    with Image.open(IMAGE) as image:
        original = np.asarray(image.convert("RGB"))
    bright = from_luminance(original, 80, 100) == 1
    changed = (pixels != original).any(axis=-1)
    assert changed[bright].mean() > 0.9
    assert changed[~maximum_filter(bright, 160)].mean() == 0


def test_another_page_waits_its_turn(served, page, browser):
    set_number(page, "img2img_batch_count", 3)
    set_number(page, "img2img_steps", 60)
    second = browser.new_page(viewport={"width": 1400, "height": 1200})
    second.goto(served[0])
    second.wait_for_selector(CANVAS)
    set_number(second, "img2img_steps", STEPS)
    page.click("#img2img_generate")
    page.wait_for_selector("#softinpaint_live progress")
    set_number(second, "img2img_batch_count", 1)
    second.click("#img2img_generate")
    second.wait_for_function("document.querySelector('#softinpaint_live').innerText.includes('Waiting')")
    assert not second.locator("#img2img_generate").is_enabled()
    page.click("#img2img_interrupt")
    second.wait_for_selector(CARDS, timeout=GENERATION_MS)
    second.close()


def test_a_tab_closed_during_a_run_does_not_affect_the_next_one(served, browser):
    def opened(steps, count):
        tab = browser.new_page(viewport={"width": 1400, "height": 1200})
        tab.goto(served[0])
        tab.wait_for_selector(CANVAS)
        tab.wait_for_function("document.querySelector('#softinpaint_preview .status')?.innerText.startsWith('White: ')")
        set_number(tab, "img2img_steps", steps)
        set_number(tab, "img2img_batch_count", count)
        return tab
    alone, closed, following = opened(STEPS, 1), opened(150, 20), opened(STEPS, 1)
    generate(alone, 1)
    wanted = read(saved(served)[-1])
    closed.click("#img2img_generate")
    closed.wait_for_selector("#softinpaint_live img", timeout=GENERATION_MS)
    closed.close()
    before = len(saved(served))
    generate(following, 1)
    made = read(saved(served)[-1])
    assert (made[0] == wanted[0]).all() and made[1] == wanted[1]
    assert len(saved(served)) - before <= 2  # an almost finished image may still be saved
    following.wait_for_timeout(3000)
    assert len(saved(served)) - before <= 2
    alone.close()
    following.close()


def test_stopping_a_waiting_request_is_immediate(served, page, browser):
    set_number(page, "img2img_batch_count", 20)
    set_number(page, "img2img_steps", 150)
    second = browser.new_page(viewport={"width": 1400, "height": 1200})
    second.goto(served[0])
    second.wait_for_selector(CANVAS)
    page.click("#img2img_generate")
    page.wait_for_selector("#softinpaint_live img", timeout=GENERATION_MS)
    second.click("#img2img_generate")
    second.wait_for_function("document.querySelector('#softinpaint_live').innerText.includes('Waiting')")
    second.click("#img2img_interrupt")
    second.wait_for_function("document.querySelector('#softinpaint_status').innerText === 'Stopped after 0 of 4 images.'")
    assert page.locator("#softinpaint_live progress").count() == 1
    second.close()
    stop(page)


def test_after_an_error_of_the_model_the_button_is_enabled(page):
    for elem_id in ("img2img_width", "img2img_height"):
        set_number(page, elem_id, 7)
    page.click("#img2img_generate")
    page.wait_for_function("document.querySelector('#softinpaint_status').innerText.startsWith('height and width must be')")
    page.wait_for_function("!document.querySelector('#img2img_generate').disabled")


def test_fields_and_brush_survive_a_reload(page):
    set_number(page, "img2img_denoising_strength", 0.9)
    choose(page, "softinpaint_feather_source", "own")
    open_advanced(page)
    set_number(page, "softinpaint_grain", 0.5)
    page.locator("#img2img_sampling input").first.click()
    page.locator("#img2img_sampling li", has_text="LMS").first.click()
    page.locator("#softinpaint_header h1").click()
    for key in ("]", "]", "5"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    page.reload()
    page.wait_for_function("document.querySelector('#softinpaint_paint .brush-px')?.innerText === '59 px'")
    page.wait_for_function("document.querySelector('#img2img_denoising_strength input[type=number]').value === '0.9'")
    assert page.locator("#softinpaint_paint .strength-percent").inner_text() == "50 %"
    assert number_in(page, "img2img_steps") == STEPS
    assert page.locator("#softinpaint_feather_source input:checked").input_value() == "own"
    assert page.locator("#img2img_sampling input").first.input_value() == "LMS"
    wait_for_changed(page, "Changed under Advanced: Grain 0.5.")


def test_own_presets_survive_a_reload(page):
    page.locator("#softinpaint_own_presets button").first.click()
    page.locator("#softinpaint_preset_name").locator("input, textarea").first.fill(" <b>mine</b>")
    page.click("#softinpaint_preset_save")
    page.wait_for_function("document.querySelector('#softinpaint_preset_status').innerText === 'Saved as <b>mine</b>.'")
    page.reload()
    page.wait_for_selector("#softinpaint_preset input")
    page.wait_for_timeout(1000)
    choose_preset(page, "<b>mine</b>")
    page.wait_for_function("document.querySelector('#softinpaint_preset_about').innerText.includes('Your own')")


def test_the_switch_hides_the_sliders(page):
    page.locator("#soft_inpainting_enabled_switch input").uncheck()
    page.locator("#mask_blend_scale").wait_for(state="hidden")
    generate(page, 1)
    assert "Soft inpainting" not in shown_infotext(page)
    page.locator("#soft_inpainting_enabled_switch input").check()
    page.locator("#mask_blend_scale").wait_for(state="visible")


def test_every_control_has_a_name(page):
    open_advanced(page)
    for selector in ("#softinpaint_recomposite", "#softinpaint_own_presets"):
        page.locator(f"{selector} button").first.click()
    assert nameless_controls(page, "body") == []


def test_the_page_uses_the_windows_width(page):
    page.set_viewport_size({"width": 1200, "height": 900})
    left, right = (page.locator(selector).bounding_box() for selector in ("#softinpaint_paint", "#softinpaint_candidates"))
    assert left["x"] < 50 and right["x"] + right["width"] > 1150
    assert page.locator("#softinpaint_paint .tools").bounding_box()["height"] < 80, "two rows"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_a_narrow_window(served, browser, theme):
    narrow = browser.new_page(viewport={"width": 420, "height": 900})
    narrow.goto(f"{served[0]}/?__theme={theme}")
    narrow.wait_for_selector(PREVIEW)
    narrow.wait_for_timeout(500)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 420
    assert narrow.evaluate("document.querySelector('#softinpaint_paint canvas').getBoundingClientRect().right") <= 420
    narrow.close()
