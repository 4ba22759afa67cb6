"""The guide's request on the page in a real browser: paint, generate, check, paste."""
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.settings.presets import bundled
from tests import browser as driven
from tests.browser import choose, choose_preset, nameless_controls, number_in, open_advanced, pixels_of, set_number
from tests.webui.family import REFORGE
from tests.webui.host import drawn_image
from tests.webui.test_requests import GUIDE, soft_keys

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

SLIDERS = ("mask_blend_power", "mask_blend_scale", "inpaint_detail_preservation", "composite_mask_influence",
           "composite_difference_threshold", "composite_difference_contrast")
GENERATION_MS = 180_000
CLEAR = "aria-label=Clear", "title=Clear", "title=Remove", "aria-label='Remove Image'"
"""Attributes of the button that removes an image, in Gradio 3, on Forge's canvas, and in Gradio 4."""


@pytest.fixture
def page(webui, browser, tmp_path):
    """img2img's inpaint tab with an image loaded, and AUTOMATIC1111's defaults."""
    opened = browser.new_page(viewport={"width": 1500, "height": 1400})
    drawn_image(512, 512).save(tmp_path / "image.png")
    driven.open_inpaint_tab(opened, webui.url, tmp_path / "image.png")
    for elem_id, value in (("img2img_steps", 10), ("img2img_width", 512), ("img2img_height", 512)):
        set_number(opened, elem_id, value)
    for elem_id, usual in (("resize_mode", "Just resize"), ("img2img_inpaint_full_res", "Whole picture")):
        choose(opened, elem_id, usual)  # hosts start differently
    yield opened
    opened.close()


def squiggle(page, elem_id="img2maskimg"):
    page.wait_for_timeout(1000)  # the host's canvas script loads the image
    driven.squiggle(page, f"#{elem_id} canvas")


def open_accordion(page):
    page.locator("#soft_inpainting_enabled .label-wrap").first.click()
    page.locator("#mask_blend_scale").first.wait_for(state="visible")


@pytest.mark.automatic1111  # nine images
def test_the_guides_squiggle(webui, page):
    squiggle(page)
    set_number(page, "img2img_mask_blur", 64)
    choose(page, "img2img_inpainting_fill", "latent noise")
    choose(page, "img2img_inpaint_full_res", "Whole picture")
    set_number(page, "img2img_inpaint_full_res_padding", 0)
    sampler = page.locator("#img2img_sampling input").first
    sampler.fill("Euler a")
    sampler.press("Enter")
    for elem_id, value in (("steps", 20), ("cfg_scale", 7), ("denoising_strength", 1), ("batch_count", 3), ("batch_size", 3)):
        set_number(page, f"img2img_{elem_id}", value)
    open_accordion(page)
    open_advanced(page)
    for elem_id, value in zip(SLIDERS, GUIDE):
        set_number(page, elem_id, value)
    page.click("#img2img_generate")
    page.wait_for_function("document.querySelectorAll('#img2img_gallery .thumbnail-item').length >= 9", timeout=GENERATION_MS)

    saved = sorted((webui.outputs / "img2img-images").rglob("*.png"))[-9:]
    original = np.asarray(drawn_image(512, 512))
    for path in saved:
        with Image.open(path) as image:
            infotext, pixels = image.info["parameters"], np.asarray(image.convert("RGB"))
        changed = (pixels != original).any(axis=-1)
        assert (np.abs(pixels.astype(int) - original).mean(axis=-1)[300:340, 190:300] > 0).mean() > 0.9  # on the squiggle
        assert not changed[:100].any()  # far above it, more than 154 px
        assert soft_keys(infotext)["preservation strength"] == "0.05"
        assert "Mask blur: 64" in infotext

    page.locator("#img2img_prompt textarea").fill(infotext)
    set_number(page, "mask_blend_scale", 7)
    page.click("#img2img_toprow #paste")
    page.wait_for_function("+document.querySelector('#mask_blend_scale input[type=number]').value < 1")
    assert [number_in(page, elem_id) for elem_id in SLIDERS] == GUIDE
    page.screenshot(path=webui.data / "page.png", full_page=True)


def clear(page, elem_id):
    page.locator(", ".join(f"#{elem_id} button[{attribute}]" for attribute in CLEAR)).first.click()


def generated(webui, page):
    """The image (H, W, 3) int that the page's button generates, and its infotext."""
    before = set((webui.outputs / "img2img-images").rglob("*.png"))
    page.click("#img2img_generate")
    page.wait_for_selector("#img2img_interrupt", state="visible")
    page.wait_for_selector("#img2img_interrupt", state="hidden", timeout=GENERATION_MS)
    new, = set((webui.outputs / "img2img-images").rglob("*.png")) - before
    with Image.open(new) as image:
        return np.asarray(image.convert("RGB")).astype(int), image.info["parameters"]


@pytest.fixture
def works_without_paint(webui):
    if webui.host.name == REFORGE:
        pytest.skip("reForge's page itself fails if the inpaint tab has an image and no paint")


@pytest.mark.usefixtures("works_without_paint")
def test_a_mask_image_is_loaded_in_the_accordion(webui, page, tmp_path):
    open_accordion(page)
    open_advanced(page)
    ramp = np.zeros((512, 512), np.uint16)
    ramp[128:384, 128:384] = np.linspace(0, 65535, 256).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "mask.png")
    page.set_input_files("#softinpaint_mask_image_file input[type=file]", tmp_path / "mask.png")
    page.wait_for_selector("#softinpaint_mask_image_file .file-preview")
    page.wait_for_timeout(500)  # its text comes after its name
    set_number(page, "img2img_mask_blur", 0)
    set_number(page, "softinpaint_threshold_mix", 1)
    set_number(page, "img2img_denoising_strength", 1)
    pixels, infotext = generated(webui, page)
    change = np.abs(pixels - np.asarray(drawn_image(512, 512))).mean(axis=-1)
    assert not change[:120].any()
    assert change[150:360, 340:380].mean() > 2 * change[150:360, 132:172].mean()
    assert len(soft_keys(infotext)["mask image"]) == 10


@pytest.mark.usefixtures("works_without_paint")
def test_a_sketch_guides_the_result_without_bleeding(webui, page, tmp_path):
    """At Mask blur 0, the host passes the paint on unchanged, and our own feather softens its edge."""
    page.locator("#mode_img2img > .tab-nav button", has_text=re.compile("^ *Inpaint sketch *$")).click()
    page.set_input_files("#inpaint_sketch input[type=file]", tmp_path / "image.png")
    page.wait_for_selector("#inpaint_sketch canvas")
    squiggle(page, "inpaint_sketch")
    open_accordion(page)
    page.locator("#softinpaint_feather_source input[value=own]").click()
    for elem_id, value in (("softinpaint_feather_width", 24), ("img2img_mask_blur", 0), ("img2img_denoising_strength", 0.4)):
        set_number(page, elem_id, value)
    pixels, infotext = generated(webui, page)
    page.screenshot(path=webui.data / "sketch.png", full_page=True)
    original = np.asarray(drawn_image(512, 512)).astype(int)
    changed = (pixels != original).any(axis=-1)
    assert changed[300:340, 190:300].mean() > 0.5
    assert not changed[:200 if webui.host.has_forge_canvas else 240].any()  # Forge's brush is wide
    if webui.host.has_forge_canvas:  # its brush may have any colour
        return
    # The brush is white, so the result is bright there.
    assert pixels[300:340, 190:300].max(axis=(0, 1)).min() > original[300:340, 190:300].max(axis=(0, 1)).min()
    assert "feather width: 24" in infotext


def preview(page):
    return page.locator("#softinpaint_preview").inner_text()


def shown_mask(page):
    return pixels_of(page, "#softinpaint_preview .mask")


def test_the_preview_follows_the_paint_and_every_slider(webui, page):
    faults = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    open_accordion(page)
    page.wait_for_function("document.querySelector('#softinpaint_preview .status').innerText === 'Nothing is painted yet.'")
    squiggle(page)
    page.wait_for_function("document.querySelector('#softinpaint_preview .status').innerText.startsWith('White: ')")
    page.wait_for_timeout(500)  # the brush follows the pointer
    open_advanced(page)
    seen = [shown_mask(page)]
    white = (seen[0][..., :3] == 255).all(axis=-1)
    assert white.sum() > 50  # the paint's outline ...
    assert set(np.nonzero(white)[0] // 96) == ({2, 3} if webui.host.has_forge_canvas else {2})  # ... where it is
    for elem_id, value in (("img2img_mask_blur", 30), ("softinpaint_grow", 20)):
        set_number(page, elem_id, value)
        page.wait_for_timeout(200)
        seen.append(shown_mask(page))
    choose(page, "img2img_inpaint_full_res", "Only masked")
    page.wait_for_timeout(200)
    assert "Dashed: the crop of " in preview(page)
    page.locator("#softinpaint_feather_source input[value=own]").click()
    page.wait_for_timeout(200)
    seen.append(shown_mask(page))
    assert all((one != other).any() for one, other in zip(seen, seen[1:]))
    curves = page.evaluate("document.querySelector('#softinpaint_preview .curves').toDataURL()")
    set_number(page, "mask_blend_scale", 4)
    page.wait_for_timeout(200)
    assert page.evaluate("document.querySelector('#softinpaint_preview .curves').toDataURL()") != curves
    assert not faults


def test_the_preview_is_fast(page):
    """Time from an event to the paint, including two frames of 17 ms. Goal 50 ms at 1024 pixels, measured 33."""
    open_accordion(page)
    squiggle(page)
    taken = page.evaluate("""() => new Promise((done) => {
        const taken = [];
        function again() {
            const start = performance.now();
            document.dispatchEvent(new Event('softinpaint-changed'));
            requestAnimationFrame(() => requestAnimationFrame(() => {
                taken.push(performance.now() - start);
                taken.length < 9 ? again() : done(taken);
            }));
        }
        again();
    })""")
    assert min(taken) < 200  # several times the measurement, because machines differ


def test_advice_comes_before_generating_with_a_one_click_fix(page, tmp_path):
    drawn_image(640, 448).save(tmp_path / "wide.png")
    open_accordion(page)
    clear(page, "img2maskimg")
    page.set_input_files("#img2maskimg input[type=file]", tmp_path / "wide.png")
    page.wait_for_function("document.querySelector('#softinpaint_preview').innerText.includes('stretch the image')")
    page.locator("#softinpaint_preview button", has_text="Set size from image").click()
    page.wait_for_function("document.querySelector('#img2img_width input[type=number]').value === '640'")
    assert number_in(page, "img2img_height") == 448
    page.wait_for_function("!document.querySelector('#softinpaint_preview').innerText.includes('stretch the image')")
    choose(page, "img2img_inpainting_fill", "latent noise")
    set_number(page, "img2img_denoising_strength", 0.4)
    page.locator("#softinpaint_preview button", has_text="Raise denoising").click()
    page.wait_for_function("!document.querySelector('#softinpaint_preview').innerText.includes('Raise denoising')")
    assert number_in(page, "img2img_denoising_strength") == 0.75


def test_presets_set_the_sliders_and_on_a_second_click_the_pages_fields(webui, page):
    open_accordion(page)
    open_advanced(page)
    set_number(page, "softinpaint_grain", 1)
    choose_preset(page, "Squiggle")
    page.wait_for_function("document.querySelector('#softinpaint_preset_request').innerText.includes('Batch count 9')")
    assert [number_in(page, elem_id) for elem_id in SLIDERS] == GUIDE
    assert number_in(page, "softinpaint_grain") == 0
    assert number_in(page, "img2img_mask_blur") == 4  # not yet
    page.click("#softinpaint_preset_request")
    page.wait_for_function("document.querySelector('#img2img_batch_count input[type=number]').value === '9'")
    assert [number_in(page, f"img2img_{name}") for name in ("mask_blur", "steps", "cfg_scale", "denoising_strength")] == [
        64, 20, 7, 1]
    assert page.locator("#img2img_sampling input").first.input_value() == "Euler a"
    assert page.locator("#img2img_inpainting_fill input:checked").input_value() == "latent noise"

    page.locator("#softinpaint_own_presets .label-wrap").click()

    def press(button, name, text):
        page.locator("#softinpaint_preset_name").locator("input, textarea").first.fill(name)
        page.click(f"#softinpaint_preset_{button}")
        page.wait_for_function(
            "text => document.querySelector('#softinpaint_preset_status').innerText.includes(text)", arg=text)
    set_number(page, "softinpaint_grain", 0.5)
    page.locator("#softinpaint_preset_with_request input").click()
    press("save", "Mine", "Saved as Mine.")
    press("save", "Squiggle", "must not have the name of a bundled one")
    press("rename", "Ours", "Renamed Mine to Ours.")
    kept = json.loads((webui.data / "softinpaint-presets.json").read_text())["Ours"]
    assert kept["settings"]["grain"] == 0.5
    assert kept["settings"]["preservation_strength"] == 0.05
    assert (kept["request"]["masked_content"], kept["request"]["batch_count"]) == ("latent noise", 9)
    choose_preset(page, "Built-in defaults")
    page.wait_for_function("document.querySelector('#softinpaint_feather_source input:checked').value === 'host'")
    choose_preset(page, "Ours")
    page.wait_for_function("document.querySelector('#softinpaint_grain input[type=number]').value === '0.5'")
    press("delete", "", "Deleted Ours.")
    assert json.loads((webui.data / "softinpaint-presets.json").read_text()) == {}


def test_the_accordion_starts_with_the_default_preset(webui, page):
    webui.post("/sdapi/v1/options", {"softinpaint_default_preset": "Squiggle"})
    try:
        page.reload()
        page.wait_for_selector("#softinpaint_preset input", state="attached")
        page.wait_for_function("document.querySelector('#softinpaint_preset input')?.value === 'Squiggle'")
        wanted = bundled()["Squiggle"].all_settings()
        page.wait_for_function("wanted => +document.querySelector('#mask_blend_scale input[type=number]').value === wanted",
                               arg=wanted.preservation_strength)
    finally:
        webui.post("/sdapi/v1/options", {"softinpaint_default_preset": ""})


def test_keep_size_sets_the_hosts_option(webui, page):
    try:
        open_accordion(page)
        open_advanced(page)
        assert not page.locator("#softinpaint_keep_size input").is_checked()
        page.locator("#softinpaint_keep_size input").click()
        page.wait_for_timeout(500)
        assert webui.get("/sdapi/v1/options")["send_size"] is False
    finally:
        webui.post("/sdapi/v1/options", {"send_size": True})


def test_an_image_is_recomposited_in_the_accordion(webui, page):
    def message():
        return page.locator("#softinpaint_recomposite_status").first.inner_text()

    def shown_again():
        return page.locator("#softinpaint_recomposite_preview img").get_attribute("src")
    faults = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    squiggle(page)
    set_number(page, "img2img_steps", 4)
    open_accordion(page)
    page.locator("#softinpaint_recomposite .label-wrap").click()
    page.click("#softinpaint_recomposite_save")
    page.wait_for_timeout(300)
    assert message() == "No image selected."
    pixels, infotext = generated(webui, page)
    page.wait_for_selector("#img2img_gallery img")
    page.click("#softinpaint_recomposite_take")
    page.wait_for_selector("#softinpaint_recomposite_preview img")
    assert "Not saved" in message()
    for view in ("Opacity", "Difference map", "Seam", "Image"):
        choose(page, "softinpaint_recomposite_view", view)
        page.wait_for_selector(f"#softinpaint_recomposite_preview img[alt='{view}, re-composited']")
    shown = shown_again()
    open_advanced(page)
    set_number(page, "composite_difference_threshold", 8)
    set_number(page, "softinpaint_least_opacity", 0)
    page.wait_for_function("shown => document.querySelector('#softinpaint_recomposite_preview img').src !== shown", arg=shown)
    page.wait_for_timeout(1000)
    before = set(webui.outputs.rglob("*.png"))
    page.click("#softinpaint_recomposite_save")
    page.wait_for_function("document.querySelectorAll('#img2img_gallery .thumbnail-small').length === 2")
    saved, = set(webui.outputs.rglob("*.png")) - before
    assert saved.name in message()
    original = np.asarray(drawn_image(512, 512)).astype(int)
    with Image.open(saved) as image:
        again, text = np.asarray(image.convert("RGB")).astype(int), image.info["parameters"]
    assert np.abs(again - original).sum() < np.abs(pixels - original).sum() / 2
    assert {**soft_keys(infotext), "difference threshold": "8", "least opacity": "0"} == soft_keys(text)
    page.locator("#img2img_gallery .thumbnail-small").last.click()
    page.wait_for_function("document.querySelector('#html_info_img2img').innerText.includes('difference threshold: 8')")
    assert not faults


def test_layers_and_masks_are_exported_in_the_accordion(webui, page, tmp_path):
    squiggle(page)
    set_number(page, "img2img_steps", 2)
    open_accordion(page)
    generated(webui, page)
    page.wait_for_selector("#img2img_gallery img")
    page.locator("#softinpaint_recomposite .label-wrap").click()
    page.click("#softinpaint_recomposite_take")
    page.wait_for_selector("#softinpaint_recomposite_preview img")
    page.click("#softinpaint_recomposite_export")
    links = page.locator("#softinpaint_recomposite_files a[href]")
    page.wait_for_function("document.querySelectorAll('#softinpaint_recomposite_files a[href]').length === 6")
    contents = {}
    for link in links.all():
        address = link.evaluate("link => link.href")
        contents[address.rpartition("softinpaint-")[2]] = page.request.get(address).body()
    assert set(contents) == {"change.png", "painted.png", "repaint.png", "opacity.png", "difference.png", "layers.ora"}
    assert contents["layers.ora"][30:54] == b"mimetypeimage/openraster"
    assert Image.open(io.BytesIO(contents["change.png"])).mode == "RGBA"
    page.locator("#softinpaint_recomposite").screenshot(path=tmp_path / "export.png")


def test_an_infotext_of_the_builtin_pastes_its_equivalents(page):
    page.locator("#img2img_prompt textarea").fill(
        "a hill\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Denoising strength: 1, "
        "Soft inpainting enabled: True, Soft inpainting schedule bias: 0.2, Soft inpainting preservation strength: 0.05, "
        "Soft inpainting transition contrast boost: 1, Soft inpainting mask influence: 0, "
        "Soft inpainting difference threshold: 1.25, Soft inpainting difference contrast: 1.25, Version: v1.10.1")
    page.click("#img2img_toprow #paste")
    page.locator("#mask_blend_scale").first.wait_for(state="visible")  # the accordion has opened
    assert not page.locator("#mask_blend_power").first.is_visible()
    page.wait_for_function("document.querySelector('#softinpaint_preview .changed').innerText === 'Changed under Advanced: "
                           "Schedule bias 0.2, Transition contrast boost 1, Agreement with the surroundings 0, Difference "
                           "threshold 1.25, Difference contrast 1.25, Edge taper 0, Least opacity 0, Drift correction 0, "
                           "Seam search 0.'")
    page.wait_for_function("+document.querySelector('#softinpaint_edge_taper input[type=number]').value == 0")
    assert [number_in(page, elem_id) for elem_id in SLIDERS] == GUIDE
    assert page.locator("#softinpaint_feather_source input:checked").first.input_value() == "host"


def test_every_control_of_the_accordion_has_a_name(webui, page):
    open_accordion(page)
    open_advanced(page)
    for elem_id in ("softinpaint_own_presets", "softinpaint_recomposite"):
        page.locator(f"#{elem_id} .label-wrap").click()
    assert nameless_controls(page, "#soft_inpainting_enabled") == []
    for role, name in (("spinbutton", "Grain"), ("spinbutton", "Mask grow, pixels"), ("checkbox", "Soft inpainting")):
        in_gradio_4 = "number input for " if role == "spinbutton" and webui.host.has_forge_canvas else ""
        assert page.get_by_role(role, name=in_gradio_4 + name, exact=True).count() == 1


def test_there_is_one_accordion_below_the_inpaint_area(page):
    labels = page.locator(".input-accordion").filter(has=page.locator("#softinpaint_feather_source"))
    assert labels.count() == 1
    box, area = labels.first.bounding_box(), page.locator("#img2img_inpaint_full_res").first.bounding_box()
    assert 0 < box["y"] - area["y"] < 200


def choose_tab(page, name):
    page.locator("#mode_img2img > .tab-nav button", has_text=re.compile(f"^ *{name} *$")).click()


def wait_for_preview(page, text):
    page.wait_for_function("text => document.querySelector('#softinpaint_preview').innerText.includes(text)", arg=text)


def outlined(page):
    """Left, top, right and bottom of the preview's fully repainted area, as shares of the image. None if there is none."""
    page.wait_for_timeout(500)  # the brush follows the pointer
    shown = shown_mask(page)
    rows, columns = np.nonzero((shown[..., :3] == 255).all(axis=-1))
    if len(rows) == 0:
        return None
    height, width = shown.shape[:2]
    return [columns.min() / width, rows.min() / height, columns.max() / width, rows.max() / height]


def saved_mask(path, strongest=255, size=(512, 512)):
    """Two greys side by side. `strongest` is the level of the right one."""
    mask = Image.new("L", size)
    mask.paste(100, (64, 128, 192, 384))
    mask.paste(strongest, (192, 128, 320, 384))
    mask.save(path)
    return path


HALF = 255, 190, 60
"""Colour of the preview's outline at half strength."""
RIGHT_GREY = pytest.approx([0.375, 0.25, 0.625, 0.75], abs=0.01)


def sketch(page, folder):
    """Paints a squiggle on a plain image in Inpaint sketch, and waits for its preview."""
    choose_tab(page, "Inpaint sketch")
    open_accordion(page)
    Image.new("RGB", (512, 512), (90, 120, 60)).save(folder / "plain.png")
    page.set_input_files("#inpaint_sketch input[type=file]", folder / "plain.png")
    wait_for_preview(page, "Nothing is painted yet.")
    squiggle(page, "inpaint_sketch")
    wait_for_preview(page, "White: ")


@pytest.mark.forge_canvas
def test_the_preview_grows_a_sketch_as_forge_does(page, tmp_path):
    sketch(page, tmp_path)
    painted = page.evaluate("""() => {
        const canvas = document.querySelector('#inpaint_sketch canvas'), {width, height} = canvas;
        const {data} = canvas.getContext('2d').getImageData(0, 0, width, height), columns = [];
        for (let at = 3; at < data.length; at += 4) if (data[at] > 128) columns.push((at - 3) / 4 % width);
        return [columns.reduce((a, b) => Math.min(a, b)) / width, columns.reduce((a, b) => Math.max(a, b)) / width];
    }""")
    left, _, right, _ = outlined(page)
    assert painted[0] - left == pytest.approx(7 / 512, abs=0.006)
    assert right - painted[1] == pytest.approx(7 / 512, abs=0.006)


@pytest.mark.forge_canvas
def test_the_page_says_that_masks_become_black_and_white(webui, page, tmp_path):
    open_accordion(page)
    assert "For greys, use Mask image under Advanced." in page.locator("#softinpaint_limits").inner_text()
    choose_tab(page, "Inpaint upload")
    page.set_input_files("#img_inpaint_base input[type=file]", tmp_path / "image.png")
    page.set_input_files("#img_inpaint_mask input[type=file]", saved_mask(tmp_path / "mask.png", strongest=150))
    wait_for_preview(page, "White: ")
    assert outlined(page) == RIGHT_GREY  # 150 became white, 100 black
    for elem_id, value in (("img2img_mask_blur", 0), ("img2img_denoising_strength", 1), ("img2img_steps", 4)):
        set_number(page, elem_id, value)
    pixels, infotext = generated(webui, page)
    changed = (pixels != np.asarray(drawn_image(512, 512))).any(axis=-1)
    assert not changed[:, :190].any()
    assert changed[140:370, 200:310].mean() > 0.9
    assert soft_keys(infotext)["enabled"] == "True"


def test_the_preview_shows_an_uploaded_mask_and_its_greys(webui, page, tmp_path):
    choose_tab(page, "Inpaint upload")
    open_accordion(page)
    wait_for_preview(page, "Load an image")
    page.set_input_files("#img_inpaint_base input[type=file]", tmp_path / "image.png")
    wait_for_preview(page, "Nothing is painted yet.")
    page.set_input_files("#img_inpaint_mask input[type=file]", saved_mask(tmp_path / "mask.png"))
    wait_for_preview(page, "White: ")
    assert outlined(page) == RIGHT_GREY
    half = (shown_mask(page)[..., :3] == HALF).all(axis=-1)
    assert np.nonzero(half)[1].min() > 0.33 * 384  # half of the feather reaches to 0.34; the weak one is below half strength
    choose(page, "img2img_mask_mode", "Inpaint not masked")
    weak_one_is_black = webui.host.has_forge_canvas
    assert outlined(page) == pytest.approx([0.375 if weak_one_is_black else 0.125, 0.25, 0.625, 0.75], abs=0.01)
    choose(page, "img2img_mask_mode", "Inpaint masked")

    transparent = Image.new("RGBA", (512, 512), (255, 255, 255, 0))
    transparent.paste((0, 0, 0, 255), (192, 128, 320, 384))
    transparent.save(tmp_path / "transparent.png")
    clear(page, "img_inpaint_mask")
    wait_for_preview(page, "Nothing is painted yet.")
    page.set_input_files("#img_inpaint_mask input[type=file]", tmp_path / "transparent.png")
    wait_for_preview(page, "White: ")
    assert outlined(page) == RIGHT_GREY


@pytest.mark.gradio_canvas
def test_the_preview_shows_a_sketchs_opacity_as_strength(page, tmp_path):
    sketch(page, tmp_path)
    left, top, right, bottom = outlined(page)
    assert 0.3 < left < 0.36 < 0.59 < right < 0.65
    assert 0.55 < top < 0.6 < 0.67 < bottom < 0.72
    assert (shown_mask(page)[..., :3] == HALF).all(axis=-1).any()
    set_number(page, "img2img_mask_alpha", 60)
    page.wait_for_timeout(500)
    assert not (shown_mask(page)[..., :3] == HALF).all(axis=-1).any()
    page.locator("#inpaint_sketch button[aria-label=Undo], #inpaint_sketch button[title=Undo]").first.click()
    wait_for_preview(page, "Nothing is painted yet.")


@pytest.mark.gradio_canvas
@pytest.mark.usefixtures("works_without_paint")
def test_the_preview_knows_the_original_of_a_sketch_from_another_tab(page):
    open_accordion(page)
    page.locator("#img2img_inpaint_tab").get_by_role("button", name="inpaint sketch", exact=True).click()
    page.wait_for_selector("#inpaint_sketch canvas")
    wait_for_preview(page, "Nothing is painted yet.")
    squiggle(page, "inpaint_sketch")
    wait_for_preview(page, "White: ")
    share = int(re.search(r"(\d+) % of the image", preview(page))[1])
    assert share < 20
    page.wait_for_timeout(3000)  # the host fails on Reload UI if the page closes while it copies the sketch


def test_the_preview_shows_the_mask_image_until_something_is_painted(webui, page, tmp_path):
    top = 0.4 if webui.host.has_forge_canvas else 0.5  # Forge's brush is wide
    open_accordion(page)
    open_advanced(page)
    wait_for_preview(page, "Nothing is painted yet.")
    page.set_input_files("#softinpaint_mask_image_file input[type=file]",
                         saved_mask(tmp_path / "small.png", size=(448, 512)))
    wait_for_preview(page, "Mask image must have the aspect ratio of its image, 512x512, got 448x512.")
    clear(page, "softinpaint_mask_image_file")
    wait_for_preview(page, "Nothing is painted yet.")
    page.set_input_files("#softinpaint_mask_image_file input[type=file]", saved_mask(tmp_path / "mask.png"))
    wait_for_preview(page, "White: ")
    assert outlined(page) == RIGHT_GREY
    before = preview(page)
    squiggle(page)
    page.wait_for_function("before => document.querySelector('#softinpaint_preview').innerText !== before", arg=before)
    assert outlined(page)[1] > top
    clear(page, "softinpaint_mask_image_file")
    page.wait_for_timeout(500)
    assert outlined(page)[1] > top


@pytest.mark.usefixtures("works_without_paint")
def test_mask_tools_are_added_by_buttons_seen_in_the_preview_and_used(webui, page, tmp_path):
    image = np.asarray(drawn_image(512, 512)).copy()
    image[128:384, 192:320] = 250, 0, 250
    Image.fromarray(image).save(tmp_path / "pink.png")
    clear(page, "img2maskimg")
    page.set_input_files("#img2maskimg input[type=file]", tmp_path / "pink.png")
    open_accordion(page)
    open_advanced(page)
    wait_for_preview(page, "Nothing is painted yet.")
    tools = page.locator("#softinpaint_mask_tools").locator("input, textarea").first

    def text_becomes(text):
        page.wait_for_function("text => document.querySelector('#softinpaint_mask_tools').querySelector('input, textarea')"
                               ".value === text", arg=text)
    page.click("#softinpaint_tool_grow")
    text_becomes("grow 10 %")
    page.click("#softinpaint_tool_colour")
    text_becomes("colour #ff0000 20, grow 10 %")
    tools.fill("smoth 4")
    wait_for_preview(page, "Mask tools has a step that cannot be read.")
    tools.fill("colour #fa00fa 5")
    wait_for_preview(page, "White: ")
    assert outlined(page) == RIGHT_GREY
    assert "Mask tools colour #fa00fa 5" in preview(page)
    for elem_id, value in (("img2img_mask_blur", 0), ("img2img_denoising_strength", 1), ("img2img_steps", 4)):
        set_number(page, elem_id, value)
    pixels, infotext = generated(webui, page)
    page.screenshot(path=webui.data / "tools.png", full_page=True)
    changed = (pixels != image).any(axis=-1)
    assert changed[130:382, 194:318].mean() > 0.95
    assert not changed[:, :190].any()
    assert "Soft inpainting mask tools: colour #fa00fa 5" in infotext
    page.click("#softinpaint_mask_tools_clear")
    text_becomes("")
    page.locator("#img2img_prompt textarea").fill(infotext)
    page.click("#img2img_toprow #paste")
    text_becomes("colour #fa00fa 5")


def test_a_task_button_sets_the_hosts_fields_the_sliders_and_names_the_prompt(webui, page):
    open_accordion(page)
    for preset in (each for each in bundled().values() if each.task):
        page.click(f"#softinpaint_task_{preset.task.lower()}")
        about = "text => document.querySelector('#softinpaint_preset_about').innerText.includes(text)"
        page.wait_for_function(about, arg=preset.prompt)
        page.wait_for_timeout(500)
        assert page.locator("#softinpaint_preset input").first.input_value() == preset.name
        for name, value in preset.request.items():
            if isinstance(value, str) and name != "sampler":
                elem_id = {"masked_content": "img2img_inpainting_fill", "inpaint_area": "img2img_inpaint_full_res"}[name]
                assert page.locator(f"#{elem_id} input:checked").first.input_value() == value
            elif not isinstance(value, str):
                elem_id = {"masked_area_padding": "inpaint_full_res_padding"}.get(name, name)
                assert number_in(page, f"img2img_{elem_id}") == value
        settings = preset.all_settings()
        assert page.locator("#softinpaint_feather_source input:checked").first.input_value() == settings.feather_source
        assert number_in(page, "softinpaint_grain") == settings.grain
    page.screenshot(path=webui.data / "tasks.png", full_page=True)


def test_the_preview_shows_what_only_masked_sees(webui, page):
    squiggle(page)
    open_accordion(page)
    wait_for_preview(page, "White: ")
    whole = shown_mask(page)
    choose(page, "img2img_inpaint_full_res", "Only masked")
    wait_for_preview(page, "The model sees nothing else.")
    told = re.search(r"crop of (\d+)x(\d+), generated at [\d.]+ times its size, 512x512", preview(page))
    width, height = map(int, told.groups())
    shown = shown_mask(page)
    brightness = shown[..., :3].sum(-1) / np.maximum(whole[..., :3].sum(-1), 1)
    dark = (brightness > 0.5) & (brightness < 0.6)
    assert dark.mean() == pytest.approx(1 - width * height / 512 ** 2, abs=0.06)
    page.locator("#softinpaint_preview").screenshot(path=webui.data / "context.png")


def test_the_preview_uses_the_size_set_by_resize_by(page, tmp_path):
    open_accordion(page)
    set_number(page, "img2img_width", 640)
    wait_for_preview(page, "stretch the image")
    page.locator("#tab_img2img .tab-nav button", has_text="Resize by").first.click()
    page.wait_for_function("!document.querySelector('#softinpaint_preview').innerText.includes('stretch the image')")
    squiggle(page)
    choose(page, "img2img_inpaint_full_res", "Only masked")
    wait_for_preview(page, "Dashed: the crop of ")

    def times():
        crop, factor = re.search(r"crop of (\d+)x\d+, generated at ([\d.]+) times", preview(page)).groups()
        return int(crop) * float(factor)
    assert times() == pytest.approx(512, rel=0.01)
    set_number(page, "img2img_scale", 2)
    page.wait_for_timeout(200)
    assert times() == pytest.approx(1024, rel=0.01)
