"""The first guide's story on the page: a squiggle, nine candidates, the best one, the next change, ten rounds."""
import re

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.settings import infotext
from tests import browser as driven
from tests.browser import choose, nameless_controls, number_in, set_number
from training.scenes import HELD_OUT, Scene

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

SIDE, PROMPT = 256, "a person in red"
GENERATION_MS = 180_000
STATUS = "#softinpaint_staging_status"


@pytest.fixture
def faults():
    return []


@pytest.fixture
def page(webui, browser, tmp_path, faults):
    """The inpaint tab with a scene, a prompt, and our panels open."""
    webui.post("/sdapi/v1/options", {"return_grid": False, "grid_save": False})
    Image.fromarray(Scene.from_seed(HELD_OUT + 11).draw(SIDE)).save(tmp_path / "image.png")
    opened = browser.new_page(viewport={"width": 1500, "height": 1400})
    opened.on("pageerror", lambda fault: faults.append(str(fault)))
    prepare(opened, webui, tmp_path / "image.png")
    yield opened
    opened.close()


def prepare(page, webui, image, side=SIDE):
    driven.open_inpaint_tab(page, webui.url, image)
    for elem_id, value in (("width", side), ("height", side), ("steps", 8), ("denoising_strength", 0.9), ("batch_count", 1),
                           ("batch_size", 1), ("mask_blur", 4)):
        set_number(page, f"img2img_{elem_id}", value)
    for elem_id, usual in (("resize_mode", "Just resize"), ("img2img_inpaint_full_res", "Whole picture")):
        choose(page, elem_id, usual)
    page.locator("#img2img_prompt textarea").fill(PROMPT)
    page.locator("#soft_inpainting_enabled .label-wrap").first.click()
    page.locator("#mask_blend_scale").first.wait_for(state="visible")
    for panel in ("softinpaint_candidates", "softinpaint_staging"):
        page.locator(f"#{panel} .label-wrap").first.click()
    page.locator("#softinpaint_staging_accept").wait_for(state="visible")


def paint(page):
    page.wait_for_timeout(1000)  # the host's canvas script loads the image
    driven.squiggle(page, "#img2maskimg canvas")


def generated_files(webui, page):
    """The files that Generate adds."""
    before = set((webui.outputs / "img2img-images").rglob("*.png"))
    page.click("#img2img_generate")
    page.wait_for_selector("#img2img_interrupt", state="visible")
    page.wait_for_selector("#img2img_interrupt", state="hidden", timeout=GENERATION_MS)
    page.wait_for_selector("#img2img_gallery img")
    page.wait_for_timeout(500)  # the gallery shows the new images
    return set((webui.outputs / "img2img-images").rglob("*.png")) - before


def read(path):
    """Pixels, (H, W, 3) int, and infotext."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int), image.info["parameters"]


def generate(webui, page):
    """Pixels (H, W, 3) int of the new files by their seed."""
    made = [read(path) for path in generated_files(webui, page)]
    return {int(infotext.parse(text)["Seed"]): pixels for pixels, text in made}


def press(page, name, expected):
    """Clicks a button of the panel and waits for its sentence."""
    page.click(f"#softinpaint_staging_{name}")
    page.wait_for_function("([selector, text]) => document.querySelector(selector).innerText.includes(text)",
                           arg=[STATUS, expected])


def on_canvas(page):
    """The image to inpaint, (H, W, 3) int; None while there is none."""
    width, height, values = page.evaluate("""() => {
        const image = document.querySelector('#img2maskimg img');
        if (!image?.naturalWidth || !image.complete) return [0, 0, []];
        const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
        const pen = canvas.getContext('2d');
        pen.drawImage(image, 0, 0);
        const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
        return [canvas.width, canvas.height, Array.from(data)];
    }""")
    return np.array(values).reshape(height, width, 4)[..., :3] if width else None


def wait_for_canvas(page, *images):
    """Which of the images is the one to inpaint, once one of them is."""
    for _ in range(60):
        shown = on_canvas(page)
        for image in images:
            if shown is not None and np.array_equal(shown, image):
                return image
        page.wait_for_timeout(500)
    apart = [np.abs(shown - image).max() if np.shape(shown) == image.shape else image.shape for image in images]
    raise AssertionError(f"the image to inpaint, {np.shape(shown)}, is none of those accepted: {apart}")


def wait_for_preview(page, text):
    page.wait_for_function("text => document.querySelector('#softinpaint_preview').innerText.includes(text)", arg=text)


def unchanged_fields(page):
    return (page.locator("#img2img_prompt textarea").input_value(), number_in(page, "img2img_width"),
            number_in(page, "img2img_height"), number_in(page, "img2img_steps"))


FIELDS = PROMPT, SIDE, SIDE, 8


def test_from_nine_candidates_to_the_finished_image(webui, page, faults):
    paint(page)
    page.locator("#softinpaint_best_first input").check()
    for elem_id in ("batch_count", "batch_size"):
        set_number(page, f"img2img_{elem_id}", 3)
    made = generate(webui, page)
    assert len(made) == 9
    page.wait_for_function("document.querySelectorAll('#img2img_gallery .thumbnail-item.thumbnail-small').length === 9")
    line = page.locator("#html_log_img2img").first.inner_text()
    scores = [float(score) for score in re.findall(r"\d+: (\d+)", line.partition("Blend scores: ")[2])]
    assert len(scores) == 9
    page.screenshot(path=webui.data / "nine-candidates.png", full_page=True)
    page.locator("#img2img_gallery .thumbnail-small").first.click()
    page.wait_for_timeout(500)
    press(page, "accept", "Accepted image 1 as step 1.")
    current = wait_for_canvas(page, *made.values())
    assert unchanged_fields(page) == FIELDS
    wait_for_preview(page, "Nothing is painted yet.")

    for elem_id in ("batch_count", "batch_size"):
        set_number(page, f"img2img_{elem_id}", 1)
    for number in range(2, 11):
        paint(page)
        wait_for_preview(page, "White: ")
        result, = generate(webui, page).values()
        changed = (result != current).any(axis=-1)
        assert changed.any()
        assert not changed[:60].any()
        press(page, "accept", f"Accepted image 1 as step {number}.")
        current = wait_for_canvas(page, result)
    assert unchanged_fields(page) == FIELDS
    assert page.locator("#softinpaint_staging_strip li").count() == 11
    page.screenshot(path=webui.data / "ten-rounds.png", full_page=True)
    assert not faults


def test_accepted_images_can_be_undone_after_a_reload_and_masks_come_back(webui, page, faults, tmp_path):
    press(page, "clear", "The history is empty.")
    press(page, "undo", "No image has been accepted yet.")
    original = on_canvas(page)
    paint(page)
    first, = generate(webui, page).values()
    choose(page, "softinpaint_staging_mask", "kept")
    press(page, "accept", "Its mask is loaded as Mask image")
    wait_for_canvas(page, first)
    page.wait_for_selector("#softinpaint_mask_image_file .file-preview", state="attached")
    wait_for_preview(page, "White: ")
    second, = generate(webui, page).values()
    changed = (second != first).any(axis=-1)
    assert changed.any()
    assert not changed[(first == original).all(axis=-1)].mean() > 0.02  # the same mask
    press(page, "accept", "as step 2.")
    press(page, "undo", "Step 1 is the image to inpaint.")
    wait_for_canvas(page, first)

    page.reload()
    prepare(page, webui, tmp_path / "image.png")
    assert page.locator("#softinpaint_staging_strip li").count() == 3
    assert page.locator("#softinpaint_staging_strip [aria-current]").inner_text().startswith("1: ")
    press(page, "undo", "Step 0 is the image to inpaint. Nothing is painted on it.")
    wait_for_canvas(page, original)
    wait_for_preview(page, "Nothing is painted yet.")
    press(page, "undo", "There is nothing to undo.")
    choose(page, "softinpaint_staging_mask", "kept")
    press(page, "redo", "Step 1 is the image to inpaint.")
    wait_for_canvas(page, first)
    wait_for_preview(page, "White: ")
    saved = sorted((webui.outputs / "img2img-images").rglob("*.png"))[-1]
    page.set_input_files("#softinpaint_staging_mask_of input[type=file]", saved)
    page.wait_for_function("([selector, text]) => document.querySelector(selector).innerText.includes(text)",
                           arg=[STATUS, f"The mask of {saved.name} is now Mask image."])
    assert unchanged_fields(page) == FIELDS
    assert not faults


def test_candidates_are_compared_and_discarded(webui, page, faults):
    for button in ("accept", "compare", "hold", "discard", "load_mask", "save_mask"):
        press(page, button, "The gallery is empty: generate an image first.")
    paint(page)
    set_number(page, "img2img_batch_size", 2)
    generate(webui, page)
    page.wait_for_function("document.querySelectorAll('#img2img_gallery .thumbnail-item.thumbnail-small').length === 2")
    page.locator("#img2img_gallery .thumbnail-small").nth(1).click()
    page.wait_for_timeout(500)
    page.click("#softinpaint_staging_compare")
    page.wait_for_selector("#softinpaint_staging_compared img.right")
    assert [image.get_attribute("alt") for image in page.locator("#softinpaint_staging_compared img").all()] == [
        "the original", "image 2"]
    slider = page.locator("#softinpaint_staging_compared input")
    slider.evaluate("(input) => { input.value = 20; input.dispatchEvent(new Event('input', {bubbles: true})); }")
    clip = "(image) => getComputedStyle(image).clipPath"
    assert "20%" in page.locator("#softinpaint_staging_compared .right").evaluate(clip)
    page.locator("#softinpaint_staging_compared").first.scroll_into_view_if_needed()
    page.screenshot(path=webui.data / "compared.png")
    press(page, "hold", "Image 2 is held.")
    page.locator("#img2img_gallery .thumbnail-small").first.click()
    page.wait_for_timeout(500)
    choose(page, "softinpaint_staging_view", "Difference")
    page.wait_for_selector("#softinpaint_staging_compared img[alt='Difference of image 2 and image 1, amplified']")
    press(page, "hold", "Images are compared with their original.")
    before = set(webui.outputs.rglob("*.png"))
    press(page, "save_mask", "-mask.png")
    mask, = set(webui.outputs.rglob("*.png")) - before
    with Image.open(mask) as image:
        painted = np.asarray(image.convert("L")) == 255
    assert 0.005 < painted.mean() < (0.4 if webui.host.has_forge_canvas else 0.2)  # Forge's brush is wide
    press(page, "discard", "Image 1 was removed from the gallery. Its file stays.")
    page.wait_for_function("document.querySelectorAll('#img2img_gallery .thumbnail-item.thumbnail-small').length < 2")
    assert mask.exists()
    assert nameless_controls(page, "#softinpaint_staging") == []
    assert not faults


def test_a_contact_sheet_does_not_count(webui, page, faults):
    paint(page)
    set_number(page, "img2img_batch_size", 2)
    page.locator("#softinpaint_contact_sheet input").check()
    generate(webui, page)
    page.wait_for_function("document.querySelectorAll('#img2img_gallery .thumbnail-item.thumbnail-small').length === 3")
    for place, button, told in ((0, "load_mask", "Select a single image, not the grid or contact sheet."),
                                (1, "load_mask", "The mask of image 1 is now Mask image."),
                                (2, "accept", "Accepted image 2 as step")):
        page.locator("#img2img_gallery .thumbnail-small").nth(place).click()
        page.wait_for_timeout(500)
        press(page, button, told)
    assert not faults
