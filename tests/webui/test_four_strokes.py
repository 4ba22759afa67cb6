"""An editor's story on the page: four strokes with a prompt each, two task buttons, and layers that other programs open."""
import numpy as np
import pytest
from PIL import Image

from tests import browser as driven
from tests.browser import number_in, open_advanced
from tests.programs import in_krita
from tests.webui.test_requests import soft_keys
from tests.webui.test_staging import (
    GENERATION_MS,
    generated_files,
    on_canvas,
    prepare,
    press,
    read,
    wait_for_canvas,
    wait_for_preview,
)
from training.scenes import HELD_OUT, Scene

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

SIDE = 512
MIDDLES = (0.15, 0.25), (0.85, 0.25), (0.15, 0.8), (0.85, 0.8)
PROMPTS = "an orange sky", "a grey cloud", "a person in red", "a tree with red leaves"
CANVAS = "#img2maskimg canvas"


def stroke(page, number):
    x, y = MIDDLES[number]
    driven.stroke(page, CANVAS, [(x - 0.04, y), (x, y + 0.05), (x + 0.04, y)])


def quarters(changed):
    """Share of changed pixels in each quarter of the image, in reading order."""
    half = SIDE // 2
    return [changed[top:top + half, left:left + half].mean() for top in (0, half) for left in (0, half)]


def generate(webui, page):
    """The new image, (H, W, 3) int, and its infotext."""
    file, = generated_files(webui, page)
    return read(file)


def exported(page, folder):
    """Files by name, of the image that is selected in the gallery."""
    links, preview = "#softinpaint_recomposite_files a[href]", "#softinpaint_recomposite_preview img"
    for button, selector, name, least in (("take", preview, "src", 1), ("export", links, "href", 6)):
        before = page.eval_on_selector_all(selector, "(found, name) => found.map((element) => element[name])", name)
        page.click(f"#softinpaint_recomposite_{button}")
        page.wait_for_function(
            "([selector, name, before, least]) => { const now = [...document.querySelectorAll(selector)].map("
            "(element) => element[name]); return now.length >= least && now[0] !== before[0]; }",
            arg=[selector, name, before, least], timeout=GENERATION_MS)
    files = {}
    for link in page.locator(links).all():
        address = link.evaluate("link => link.href")
        path = folder / address.rpartition("softinpaint-")[2]
        path.write_bytes(page.request.get(address).body())
        files[path.name] = path
    return files


def use_task(page, name, denoising_strength):
    page.click(f"#softinpaint_task_{name}")
    page.wait_for_function("value => +document.querySelector('#img2img_denoising_strength input').value === value",
                           arg=denoising_strength, timeout=GENERATION_MS)
    page.wait_for_timeout(500)  # the other fields follow


def test_four_strokes_with_prompts_of_their_own_are_retouched_and_exported(webui, browser, tmp_path):
    webui.post("/sdapi/v1/options", {"return_grid": False, "grid_save": False})
    Image.fromarray(Scene.from_seed(HELD_OUT + 11).draw(SIDE)).save(tmp_path / "image.png")
    page = browser.new_page(viewport={"width": 1500, "height": 1600})
    prepare(page, webui, tmp_path / "image.png", SIDE)
    open_advanced(page)
    page.locator("#softinpaint_regions input").check()
    page.locator("#img2img_prompt textarea").fill(" [SEP] ".join(PROMPTS))
    page.wait_for_timeout(1000)  # the host's canvas script loads the image
    for number in range(4):
        stroke(page, number)
    wait_for_preview(page, "White: ")
    original = on_canvas(page)
    painted, text = generate(webui, page)
    page.screenshot(path=webui.data / "four-strokes.png", full_page=True)
    keys = soft_keys(text)
    assert (keys["regions one by one"], keys["regions"]) == ("True", "4")
    changed = (painted != original).any(axis=-1)
    assert min(quarters(changed)) > 0.005
    assert not changed[:, SIDE // 2 - 20:SIDE // 2 + 20].any()

    page.locator("#softinpaint_recomposite .label-wrap").click()
    files = exported(page, tmp_path)
    assert np.abs(in_krita(tmp_path, files["layers.ora"]) - painted).max() <= 2

    page.locator("#softinpaint_regions input").uncheck()
    press(page, "accept", "Accepted image 1 as step 1.")
    wait_for_canvas(page, painted)
    current = painted
    for step, (name, strength, number, prompt) in enumerate((("retouch", 0.45, 2, "a person in red"),
                                                             ("recolour", 0.7, 3, "a tree with blue leaves")), start=2):
        use_task(page, name, strength)
        page.locator("#img2img_prompt textarea").fill(prompt)
        page.wait_for_timeout(1000)
        stroke(page, number)
        wait_for_preview(page, "White: ")
        result, text = generate(webui, page)
        assert f"Denoising strength: {strength}" in text
        assert ("Inpaint area: Only masked" in text) == (name == "retouch")
        shares = quarters((result != current).any(axis=-1))
        assert shares[number] > 0.005
        assert max(share for other, share in enumerate(shares) if other != number) == 0
        press(page, "accept", f"Accepted image 1 as step {step}.")
        wait_for_canvas(page, result)
        current = result
    assert number_in(page, "img2img_width") == SIDE
    page.screenshot(path=webui.data / "retouched.png", full_page=True)
    files = exported(page, tmp_path)
    assert np.abs(in_krita(tmp_path, files["layers.ora"]) - current).max() <= 2
    page.close()
