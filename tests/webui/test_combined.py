"""Soft inpainting with the host's own options and tabs that change how it samples or what it is given."""
import re

import numpy as np
import pytest
from PIL import Image

from tests.browser import set_number
from tests.webui.family import AUTOMATIC1111, REFORGE
from tests.webui.host import drawn_disc, drawn_image
from tests.webui.test_models import options
from tests.webui.test_page import GENERATION_MS, page, squiggle  # noqa: F401 - the fixture
from tests.webui.test_requests import same, soft_keys
from tests.webui.test_runs import assert_inpainted, outside_of

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

SIDE = 512
IMAGE, MASK = drawn_image(SIDE, SIDE), drawn_disc(SIDE, SIDE, 64)


def inpaint(webui, **fields):
    result = webui.inpaint(IMAGE, MASK, [True], width=SIDE, height=SIDE, steps=4, **fields)
    assert_inpainted(result.images[0], IMAGE, MASK)
    return result


HYPERTILE = {"hypertile_enable_unet": True, "hypertile_max_tile_unet": 128, "hypertile_swap_size_unet": 1}


@pytest.mark.parametrize(("fields", "settings", "infotext"), [
    ({}, {"token_merging_ratio": 0.5}, "Token merging ratio: 0.5"), ({"tiling": True}, {}, "Tiling: True"),
    ({}, HYPERTILE, "Hypertile U-Net")], ids=["token merging", "tiling", "hypertile"])
def test_options_that_change_the_model(webui, fields, settings, infotext):
    """The bundled model lacks the attention layers that token merging and hypertile change, so its image stays the same."""
    if settings is HYPERTILE and webui.host.name != AUTOMATIC1111 or "tiling" in fields and webui.host.has_forge_canvas:
        pytest.skip(f"{webui.host.name} has no such option")
    plain = inpaint(webui)
    with options(webui, **settings):
        changed = inpaint(webui, **fields)
    assert infotext in changed.infotexts[0]
    assert same(plain, changed) is bool(settings)
    assert same(plain, inpaint(webui))


@pytest.mark.parametrize("has_masks_of_their_own", [True, False])
def test_a_batch_of_files_with_a_folder_of_masks(webui, page, tmp_path, has_masks_of_their_own):  # noqa: F811 - the fixture
    folders = {name: tmp_path / name for name in ("images", "masks", "made")}
    for folder in folders.values():
        folder.mkdir()
    places = {"a": 0.3, "b": 0.5, "c": 0.7} if has_masks_of_their_own else dict.fromkeys("abc", 0.5)
    images = {name: drawn_image(seed=number) for number, name in enumerate(places)}
    masks = {name: drawn_disc(x=place) for name, place in places.items()}
    for name, image in images.items():
        image.save(folders["images"] / f"{name}.png")
    for name, mask in masks.items() if has_masks_of_their_own else [("one", masks["a"])]:
        mask.save(folders["masks"] / f"{name}.png")
    for elem_id, value in (("steps", 4), ("width", 256), ("height", 256), ("mask_blur", 4), ("denoising_strength", 0.75)):
        set_number(page, f"img2img_{elem_id}", value)
    if webui.host.name == REFORGE:
        squiggle(page)  # without a mask in its inpaint tab, Generate fails there, even without this extension
    # The host hides the settings of inpainting in its tab Batch, but uses them.
    page.locator("#soft_inpainting_enabled input[type=checkbox]").first.check(force=True)
    page.locator("#mode_img2img > .tab-nav button", has_text=re.compile("^ *Batch *$")).click()
    for tab in page.locator("#img2img_batch_source .tab-nav button", has_text="From directory").all():  # some hosts lack it
        tab.click()
    for elem_id, name in (("input", "images"), ("output", "made"), ("inpaint_mask", "masks")):
        page.locator(f"#img2img_batch_{elem_id}_dir textarea").fill(str(folders[name]))
    page.click("#img2img_generate")
    page.wait_for_selector("#img2img_interrupt", state="visible")
    page.wait_for_selector("#img2img_interrupt", state="hidden", timeout=GENERATION_MS)
    saved = sorted(folders["made"].iterdir())  # numbered; Forge Neo leaves their names out
    assert len(saved) == len(places)
    for name, path in zip(places, saved):
        with Image.open(path) as made:
            assert soft_keys(made.info["parameters"])["enabled"] == "True"
            assert_inpainted(np.asarray(made.convert("RGB")), images[name], masks[name], outside_of(masks[name]))
