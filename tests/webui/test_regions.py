"""Regions one by one, and exported layers, in a real WebUI."""
import base64
import io
import json
import threading
import time
import urllib.error
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw

from tests.webui.host import decoded, drawn_disc, drawn_image, encoded
from tests.webui.test_requests import same, soft_keys
from tests.webui.test_runs import assert_inpainted, outside_of

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE = drawn_image()
LEFT, RIGHT = (drawn_disc(radius=20, x=x, y=y) for x, y in ((0.25, 0.3), (0.75, 0.25)))  # the right one is a little higher
BOTH = ImageChops.lighter(LEFT, RIGHT)
SOFT = {"regions_one_by_one": True}
PROMPT = "a red house [SEP] an orange tree"
OUTSIDE = outside_of(BOTH, padding=32)


def by_hand(webui, seed=1, **fields):
    """Both regions, each by a request of its own."""
    fields = dict(fields, inpaint_full_res=True, inpaint_full_res_padding=32)
    first = webui.inpaint(IMAGE, LEFT, [True], prompt="a red house", seed=seed, **fields)
    return webui.inpaint(Image.fromarray(first.images[0]), RIGHT, [True], prompt="an orange tree", seed=seed + 1, **fields)


@pytest.mark.parametrize("area", [False, True])
@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
def test_each_region_is_inpainted_as_by_a_request_of_its_own(webui, sampler, area):
    result = webui.inpaint(IMAGE, BOTH, [SOFT], prompt=PROMPT, sampler_name=sampler, inpaint_full_res=area)
    assert len(result.images) == 1
    assert same(result, by_hand(webui, sampler_name=sampler))
    assert_inpainted(result.images[0], IMAGE, BOTH, OUTSIDE)
    keys = soft_keys(result.infotexts[0])
    assert (keys["regions one by one"], keys["regions"]) == ("True", "2")
    assert result.infotexts[0].startswith(PROMPT)
    assert "Inpaint area: Only masked, Masked area padding: 32" in result.infotexts[0]


def test_batch_size_and_count(webui):
    result = webui.inpaint(IMAGE, BOTH, [SOFT], prompt=PROMPT, batch_size=2, n_iter=2, steps=4)
    assert len(result.images) == 4
    for number, image in enumerate(result.images):
        assert_inpainted(image, IMAGE, BOTH, OUTSIDE)
        assert f"Seed: {1 + number}," in result.infotexts[number]
    for number in (0, 2):
        alone = by_hand(webui, seed=1 + number, steps=4).images[0]
        assert np.abs(alone.astype(int) - result.images[number]).mean() < 1  # a batch rounds differently


def test_the_infotext_pastes_back(webui):
    first = webui.inpaint(IMAGE, BOTH, [SOFT], prompt=PROMPT, steps=4)
    again = webui.inpaint(IMAGE, BOTH, infotext=first.infotexts[0], prompt=PROMPT, steps=4)
    assert soft_keys(again.infotexts[0]) == soft_keys(first.infotexts[0])
    assert same(first, again)


def test_four_dots_in_the_corners_are_four_crops(webui):
    image, mask = drawn_image(1024, 1024), Image.new("L", (1024, 1024))
    places = (90, 100), (920, 80), (110, 930), (930, 900)
    for x, y in places:
        ImageDraw.Draw(mask).ellipse((x - 40, y - 40, x + 40, y + 40), fill=255)
    result = webui.inpaint(image, mask, [SOFT], steps=2)
    assert result.images[0].shape == (1024, 1024, 3)
    assert soft_keys(result.infotexts[0])["regions"] == "4"
    assert "Size: 256x256" in result.infotexts[0]
    assert_inpainted(result.images[0], image, mask, outside_of(mask, padding=32))
    sampled = webui.inpaint(image, mask, [SOFT], steps=2, options={"return_mask": True})
    shown = sampled.images[1][..., 0]
    assert [bool(shown[y, x]) for x, y in places] == [True] * 4


def test_an_inverted_mask_a_mask_image_and_one_region(webui):
    straight = webui.inpaint(IMAGE, BOTH, [SOFT], prompt=PROMPT, steps=4)
    inverted = webui.inpaint(IMAGE, ImageChops.invert(BOTH), [SOFT], prompt=PROMPT, steps=4, inpainting_mask_invert=1)
    assert same(straight, inverted)
    uploaded = webui.inpaint(IMAGE, None, [{**SOFT, "mask_image": encoded(BOTH)}], prompt=PROMPT, steps=4)
    assert same(straight, uploaded)
    one = webui.inpaint(IMAGE, LEFT, [SOFT], prompt="a red house", steps=4)
    assert same(one, webui.inpaint(IMAGE, LEFT, [True], prompt="a red house", steps=4, inpaint_full_res=True))
    assert soft_keys(one.infotexts[0])["regions"] == "1"


def test_prompts_without_a_region_are_noted_and_too_many_regions_skip(webui):
    result = webui.inpaint(IMAGE, LEFT, [SOFT], prompt=PROMPT, steps=2)
    assert "The prompt has parts for 2 regions, but the mask has 1" in result.infotexts[0]
    dust = np.zeros((256, 256), np.uint8)
    dust[::20, ::20] = 255
    skipped = webui.inpaint(IMAGE, Image.fromarray(dust), [SOFT], steps=2)
    assert "a mask for regions one by one must have at most 64 separate areas, got 169" in skipped.infotexts[0]
    assert list(soft_keys(skipped.infotexts[0])) == ["note"]


def test_without_the_overlay_the_mask_is_inpainted_as_a_whole(webui):
    result = webui.inpaint(IMAGE, BOTH, [SOFT], steps=2, options={"overlay_inpaint": False})
    assert "regions one by one need the WebUI's option" in result.infotexts[0]
    assert "regions" not in soft_keys(result.infotexts[0])


def test_only_the_finished_image_is_saved(webui):
    before = set(webui.outputs.rglob("*.png"))
    result = webui.inpaint(IMAGE, BOTH, [SOFT], prompt=PROMPT, steps=2, save_images=True)
    saved, = set(webui.outputs.rglob("*.png")) - before
    with Image.open(saved) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), result.images[0])
        assert image.info["parameters"] == result.infotexts[0]


def four_strokes():
    mask = Image.new("L", IMAGE.size)
    for x in (20, 80, 140, 200):
        ImageDraw.Draw(mask).rectangle((x, 100, x + 30, 150), fill=255)
    return mask


def followed(webui, **fields):
    """A request in another thread, and its result once it is there."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(webui.inpaint(IMAGE, four_strokes(), [SOFT], **fields)))
    thread.start()
    return thread, answers


def test_progress_goes_over_all_regions(webui):
    thread, _ = followed(webui, steps=20)
    shares, counts, texts = [], set(), []
    while thread.is_alive():
        progress = webui.get("/sdapi/v1/progress?skip_current_image=true")
        if progress["state"]["job_count"] > 0:
            shares.append(progress["progress"])
            counts.add(progress["state"]["job_count"])
            texts.append(progress["textinfo"])
        time.sleep(0.05)
    thread.join()
    assert max(counts) == 4
    # The share rises over all regions; before the host's first batch, its own count is 1.
    from_first = [share for share in shares if share > 0]
    assert from_first[-1] > 0.75
    assert "Soft inpainting: region 4 of 4" in texts


def test_after_an_interruption_the_finished_regions_stay(webui):
    thread, answers = followed(webui, steps=60)
    until = time.monotonic() + 100
    while time.monotonic() < until:
        if webui.get("/sdapi/v1/progress?skip_current_image=true")["textinfo"] == "Soft inpainting: region 3 of 4":
            break
        time.sleep(0.02)
    webui.post("/sdapi/v1/interrupt", {})
    thread.join()
    result, = answers
    keys = soft_keys(result.infotexts[0])
    assert keys["regions"] == "2 of 4"
    change = np.abs(result.images[0].astype(int) - np.asarray(IMAGE)).mean(-1)
    assert [change[110:140, x + 5:x + 25].mean() > 8 for x in (20, 80, 140, 200)] == [True, True, False, False]
    assert (change[:, 200:] == 0).all()
    assert webui.get("/sdapi/v1/progress?skip_current_image=true")["textinfo"] is None


def made(webui, mask=BOTH, **fields):
    """A result, its infotext and its id."""
    answer = webui.post("/sdapi/v1/img2img", {
        "init_images": [encoded(IMAGE)], "mask": encoded(mask), "prompt": PROMPT, "seed": 1, "steps": 4, "width": 256,
        "height": 256, "denoising_strength": 0.75, "mask_blur": 4, "inpainting_fill": 1, "inpaint_full_res": False,
        "alwayson_scripts": {"Soft Inpainting": {"args": [SOFT]}}, "override_settings": {"return_grid": False}, **fields})
    info = json.loads(answer["info"])
    identity, = info["extra_generation_params"]["Soft inpainting kept"]
    return decoded(answer["images"][0]), info["infotexts"][0], identity


def test_regions_are_re_composited_together(webui):
    result, text, identity = made(webui)
    again = webui.post("/softinpaint/recomposite", {"id": identity})
    np.testing.assert_array_equal(decoded(again["image"]), result)
    assert again["infotext"] == text
    less = decoded(webui.post("/softinpaint/recomposite", {"id": identity, "settings": {
        "least_opacity": 0, "difference_threshold": 8}})["image"])
    for mask in (LEFT, RIGHT):
        painted = np.asarray(mask) == 255
        change, before = (np.abs(image.astype(int) - np.asarray(IMAGE))[painted].mean() for image in (less, result))
        assert change < before


def test_a_result_is_exported_as_layers_and_masks(webui):
    result, _, identity = made(webui)
    answer = webui.post("/softinpaint/export", {"id": identity})["files"]
    files = {name: base64.b64decode(content) for name, content in answer.items()}
    assert set(files) == {"change.png", "painted.png", "repaint.png", "opacity.png", "difference.png", "layers.ora"}
    with zipfile.ZipFile(io.BytesIO(files["layers.ora"])) as archive:
        stack = ElementTree.fromstring(archive.read("stack.xml")).findall("./stack/layer")
        assert [layer.attrib["name"] for layer in stack] == ["Region 2", "Region 1", "Original"]
        shown = Image.new("RGBA", IMAGE.size)
        for layer in reversed(stack):
            placed = Image.new("RGBA", IMAGE.size)
            placed.paste(Image.open(io.BytesIO(archive.read(layer.attrib["src"]))).convert("RGBA"),
                         (int(layer.attrib["x"]), int(layer.attrib["y"])))
            shown = Image.alpha_composite(shown, placed)
    assert np.abs(np.asarray(shown.convert("RGB")).astype(int) - result).max() <= 2
    change = Image.open(io.BytesIO(files["change.png"]))
    over = np.asarray(Image.alpha_composite(IMAGE.convert("RGBA"), change).convert("RGB")).astype(int)
    assert np.abs(over - result).max() <= 1
    painted = np.asarray(Image.open(io.BytesIO(files["painted.png"])))
    np.testing.assert_array_equal(painted > 0, np.asarray(BOTH) > 8)
    with pytest.raises(urllib.error.HTTPError) as refused:
        webui.post("/softinpaint/export", {"id": identity, "format": "png"})
    assert (refused.value.code, json.load(refused.value)["detail"]) == (
        422, "the body may only contain id and settings, got format.")
