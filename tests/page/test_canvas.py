"""The canvas: cursor, tools, keyboard, zoom, and masks as files."""
import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.browser import pixels_of, steady_box
from tests.page.actions import CANVAS, IMAGE, MASK, wait_for_status

STAGE = "#softinpaint_paint .stage"
DIFFERENT = 20
"""Levels of 255. An outline at 0.6 differs by more from any image."""


@pytest.fixture
def blank(page):
    """The page with nothing painted and the pointer's place as a share of the stage."""
    page.keyboard.press("Delete")
    assert not painted(page).any()
    return page


def painted(page):
    """Strengths, (H, W), 0 to 255."""
    return pixels_of(page, CANVAS)[..., 3]


def drag(page, *points, button="left", box=None):
    """Drags the pointer through points of the canvas, 0 to 1."""
    page.locator(STAGE).scroll_into_view_if_needed()
    box = box or steady_box(page, STAGE)
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        if number == 0:
            page.mouse.down(button=button)
    page.mouse.up(button=button)


def set_slider(page, name, value):
    page.locator(f"#softinpaint_paint .{name}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }", value)


def drop(page, selector, path, kind="image/png"):
    """Drops a file on an element."""
    content = base64.b64encode(path.read_bytes()).decode()
    page.evaluate("""async ([selector, content, name, type]) => {
        const bytes = await (await fetch(`data:${type};base64,${content}`)).blob(), data = new DataTransfer();
        data.items.add(new File([bytes], name, {type}));
        for (const event of ["dragover", "drop"]) {
            document.querySelector(selector).dispatchEvent(new DragEvent(event, {dataTransfer: data, bubbles: true}));
        }
    }""", [selector, content, path.name, kind])


@pytest.mark.parametrize("share", [4, 20])
def test_the_cursor_has_the_brushs_size(blank, share):
    set_slider(blank, "brush", share)
    box = steady_box(blank, STAGE)
    drag(blank, (0.3, 0.5), (0.7, 0.5))
    ring = blank.locator("#softinpaint_paint .ring").bounding_box()
    rows = np.flatnonzero(painted(blank)[:, 256])
    thickness = len(rows) * box["width"] / 512
    assert ring["width"] == ring["height"] == pytest.approx(thickness, abs=3)
    assert ring["x"] + ring["width"] / 2 == pytest.approx(box["x"] + 0.7 * box["width"], abs=1)
    assert blank.locator("#softinpaint_paint .brush-px").inner_text() == f"{512 * share / 100:.0f} px"


@pytest.mark.parametrize("zooms", [0, 6])
def test_the_paint_has_an_outline_on_every_side(blank, zooms):
    for _ in range(zooms):
        blank.keyboard.press("+")
    set_slider(blank, "brush", 4)
    drag(blank, (0.45, 0.5), (0.5, 0.45), (0.55, 0.5), (0.5, 0.55), (0.45, 0.5))
    blank.mouse.move(0, 0)
    shown, bare = shown_stage(blank), shown_stage(blank, "opacity: 0.6; filter: brightness(0.5) sepia(1)")
    row, column = np.flatnonzero(bare.any(axis=1)), np.flatnonzero(bare.any(axis=0))
    assert shown[row[0] - 1].any() and shown[row[-1] + 1].any()
    assert shown[:, column[0] - 1].any() and shown[:, column[-1] + 1].any()
    assert not shown[:row[0] - 3].any() and not shown[row[-1] + 4:].any(), "as thin at every zoom"


def shown_stage(page, style=""):
    """Where the stage differs from its image, (H, W) bool, with the mask as it is or in another style."""
    def screenshot(css):
        page.locator(CANVAS).evaluate("(canvas, css) => { canvas.style.cssText = css; }", css)
        return np.asarray(Image.open(io.BytesIO(page.locator(STAGE).screenshot())).convert("RGB")).astype(int)
    return np.abs(screenshot(style) - screenshot("visibility: hidden")).max(axis=2) > DIFFERENT


def test_the_keyboard_chooses_tools_and_undoes(blank):
    drag(blank, (0.3, 0.5), (0.7, 0.5))
    stroke = painted(blank)
    blank.keyboard.press("e")
    drag(blank, (0.5, 0.3), (0.5, 0.7))
    erased = painted(blank)
    assert stroke[256, 256] == 255 and erased[256, 256] == 0 and erased[256, 170] == 255
    blank.keyboard.press("Control+z")
    assert (painted(blank) == stroke).all()
    blank.keyboard.press("Control+Shift+z")
    assert (painted(blank) == erased).all()
    blank.keyboard.press("Control+z")
    blank.keyboard.press("Control+y")
    assert (painted(blank) == erased).all()
    assert blank.locator("[data-action=redo]").is_disabled()
    blank.keyboard.press("b")
    blank.keyboard.press("4")
    before = blank.locator("#softinpaint_paint .brush-px").inner_text()
    blank.keyboard.press("]")
    assert blank.locator("#softinpaint_paint .brush-px").inner_text() != before
    drag(blank, (0.5, 0.8), (0.6, 0.8))
    assert abs(painted(blank)[410, 280] - 102) <= 1
    blank.keyboard.down("Shift")
    drag(blank, (0.5, 0.8), (0.6, 0.8))
    blank.keyboard.up("Shift")
    assert painted(blank)[410, 280] == 0
    blank.locator("#img2img_prompt textarea").click()
    blank.keyboard.type("beech")
    assert blank.locator("[data-action=brush]").get_attribute("aria-pressed") == "true"
    assert "beech" in blank.locator("#img2img_prompt textarea").input_value()


def test_a_lasso_fills_what_it_encloses(blank):
    blank.keyboard.press("l")
    drag(blank, (0.3, 0.3), (0.6, 0.3), (0.6, 0.6), (0.3, 0.6))
    inside = painted(blank)
    assert inside[170:300, 170:300].min() == 255
    assert not inside[:140].any() and not inside[320:].any()
    assert np.count_nonzero(inside) == pytest.approx((0.3 * 512) ** 2, rel=0.05)


def test_zoom_and_pan_paint_where_the_pointer_is(blank):
    blank.locator(STAGE).scroll_into_view_if_needed()
    box = steady_box(blank, STAGE)
    at = box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"]
    blank.mouse.move(*at)
    blank.keyboard.down("Control")
    for _ in range(4):
        blank.mouse.wheel(0, -200)
    blank.keyboard.up("Control")
    blank.wait_for_function("parseInt(document.querySelector('#softinpaint_paint .zoom').innerText) > 300")
    set_slider(blank, "brush", 1)
    drag(blank, (0.25, 0.75), (0.26, 0.75), box=box)
    ys, xs = np.nonzero(painted(blank))
    assert abs(xs.mean() - 128) < 3 and abs(ys.mean() - 384) < 3
    blank.keyboard.down(" ")
    drag(blank, (0.25, 0.75), (0.5, 0.5), box=box)
    blank.keyboard.up(" ")
    drag(blank, (0.5, 0.5), (0.51, 0.5), box=box)  # the same place of the image is now here
    ys, xs = np.nonzero(painted(blank))
    assert abs(xs.mean() - 128) < 3 and abs(ys.mean() - 384) < 3 and len(xs) < 100
    blank.keyboard.press("f")
    inner = blank.locator("#softinpaint_paint .sheet").bounding_box()
    assert inner["height"] == pytest.approx(box["height"], abs=1)
    blank.mouse.wheel(0, 300)  # without Ctrl the page scrolls
    blank.wait_for_function("window.scrollY > 0")


def test_every_shortcut_is_listed(page):
    page.locator(STAGE).focus()
    page.keyboard.press("?")
    rows = page.locator("#softinpaint_shortcuts tr").all_inner_texts()
    assert len(rows) > 20 and any("Lasso" in row and "L" in row for row in rows)
    page.keyboard.press("Escape")
    assert not page.locator("#softinpaint_shortcuts").is_visible()
    for key in ("e", "l", "h", "b"):
        page.keyboard.press(key)
        assert page.locator(".tools [aria-pressed=true]").get_attribute("title").endswith(f"({key.upper()})") or key == "h"


def test_an_image_is_dropped_and_a_mask_loaded(page, tmp_path):
    photo = tmp_path / "photo.png"
    Image.open(IMAGE).convert("RGB").resize((600, 400)).save(photo)
    drop(page, STAGE, photo)
    page.wait_for_function(f"document.querySelector('{CANVAS}').width === 600")
    assert not painted(page).any()
    assert page.locator("#softinpaint_paint .steps li").count() == 2
    page.keyboard.press("u")  # nothing is lost by dropping an image
    page.wait_for_function(f"document.querySelector('{CANVAS}').width === 512")
    mask = np.asarray(Image.open(MASK).convert("L"))
    assert np.abs(painted(page) - mask).max() <= 8
    page.keyboard.press("Delete")
    with page.expect_download() as download:
        page.click("[data-action=save-mask]")
    download.value.save_as(tmp_path / "empty.png")
    assert not np.asarray(Image.open(tmp_path / "empty.png").convert("L")).any()
    page.set_input_files("#softinpaint_paint .mask-file", MASK)
    page.wait_for_function(f"document.querySelector('{CANVAS}').getContext('2d').getImageData(0, 0, 512, 512)"
                           ".data.some((value) => value)")
    assert np.abs(painted(page) - mask).max() <= 8
    page.set_input_files("#softinpaint_paint .mask-file", photo)
    wait_for_status(page, "photo.png must have the aspect ratio of its image, 512x512, got 600x400.")
    assert np.abs(painted(page) - mask).max() <= 8
    page.set_input_files("#softinpaint_paint .mask-file", tmp_path / "empty.png")
    wait_for_status(page, "empty.png has nothing to repaint.")
    assert np.abs(painted(page) - mask).max() <= 8
    grey = np.linspace(0, 255, 512 * 512).reshape(512, 512).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    page.set_input_files("#softinpaint_paint .mask-file", tmp_path / "grey.png")
    page.wait_for_timeout(500)
    with page.expect_download() as download:
        page.click("[data-action=save-mask]")
    download.value.save_as(tmp_path / "again.png")
    again = np.asarray(Image.open(tmp_path / "again.png").convert("L")).astype(int)
    assert np.abs(again - grey)[20:-12].max() <= 1
