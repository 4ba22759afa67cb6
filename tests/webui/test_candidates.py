"""The images of one request beside each other, through the API: scores, order, what is saved, and the contact sheet."""
import json
import time
import urllib.error

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.settings import infotext
from tests.webui.host import decoded, drawn_disc, drawn_image, encoded
from training.scenes import HELD_OUT, Scene

pytestmark = pytest.mark.every_host

IMAGE, MASK = drawn_image(), drawn_disc()
SCORES, REMARKS, KEPT = "Soft inpainting scores", "Soft inpainting remarks", "Soft inpainting kept"


def asked(webui, soft=None, others=None, options=None, **fields):
    """The images (H, W, 3) of a request for two batches of two, and its info."""
    scripts = {"Soft Inpainting": {"args": [soft or {}]}, **{title: {"args": args} for title, args in (others or {}).items()}}
    answer = webui.post("/sdapi/v1/img2img", {
        "init_images": [encoded(IMAGE)], "mask": encoded(MASK), "prompt": "a house, red", "seed": 5, "steps": 4, "width": 256,
        "height": 256, "denoising_strength": 0.75, "mask_blur": 8, "inpainting_fill": 1, "inpaint_full_res": False,
        "batch_size": 2, "n_iter": 2, "alwayson_scripts": scripts,
        "override_settings": {"return_grid": False, "return_mask": False, "return_mask_composite": False, **(options or {})},
        **fields})
    return [decoded(image) for image in answer["images"]], json.loads(answer["info"])


def seeds_of(info):
    return [int(infotext.parse(text)["Seed"]) for text in info["infotexts"]]


def files(webui, folder="img2img-images"):
    return {path for path in (webui.outputs / folder).rglob("*") if path.is_file()}


def seed_of_file(path):
    with Image.open(path) as image:
        return int(infotext.parse(image.info["parameters"])["Seed"])


@pytest.fixture(scope="module")
def plain(webui):
    """The same request without any wish."""
    return asked(webui)


@pytest.mark.usefixtures("clean_log")
def test_scores_are_in_the_info_and_the_order_stays(plain):
    images, info = plain
    scores = info["extra_generation_params"][SCORES]
    assert len(images) == len(scores) == 4
    assert all(0 <= score <= 100 for score in scores)
    assert seeds_of(info) == info["all_seeds"] == [5, 6, 7, 8]
    assert scores != sorted(scores, reverse=True)  # otherwise the next test shows nothing
    assert "scores" not in "".join(info["infotexts"])


@pytest.mark.usefixtures("clean_log")
@pytest.mark.parametrize("returns_mask", [False, True])
def test_best_first_moves_images_with_all_that_belongs_to_them(webui, plain, returns_mask):
    usual = dict(zip(plain[1]["all_seeds"], plain[0]))
    images, info = asked(webui, {"best_first": True}, options={"return_mask": returns_mask})
    masks = images[1::2] if returns_mask else []
    images = images[::2] if returns_mask else images
    scores = info["extra_generation_params"][SCORES]
    assert scores == sorted(plain[1]["extra_generation_params"][SCORES], reverse=True)
    assert seeds_of(info) == info["all_seeds"] != [5, 6, 7, 8]
    assert sorted(info["all_seeds"]) == [5, 6, 7, 8]
    assert info["seed"] == info["all_seeds"][0]
    for seed, image, identity in zip(info["all_seeds"], images, info["extra_generation_params"][KEPT]):
        assert np.abs(image.astype(int) - usual[seed]).max() <= webui.rounding
        again = webui.post("/softinpaint/recomposite", {"id": identity})
        np.testing.assert_array_equal(decoded(again["image"]), image)
    assert len(masks) == (4 if returns_mask else 0)
    assert all(set(np.unique(mask)) > {0, 255} for mask in masks)


@pytest.mark.usefixtures("clean_log")
@pytest.mark.parametrize("best_first", [False, True])
def test_only_the_best_are_saved_and_returned(webui, plain, best_first):
    by_score = [seed for _, seed in sorted(zip(plain[1]["extra_generation_params"][SCORES], [5, 6, 7, 8]), reverse=True)]
    before = files(webui)
    images, info = asked(webui, {"keep_best": "2", "best_first": best_first}, save_images=True)
    wanted = by_score[:2] if best_first else sorted(by_score[:2])
    assert seeds_of(info) == info["all_seeds"] == wanted
    assert len(images) == 2
    saved = {seed_of_file(path): np.asarray(Image.open(path).convert("RGB")) for path in files(webui) - before}
    assert sorted(saved) == sorted(wanted)
    for seed, image in zip(wanted, images):
        np.testing.assert_array_equal(saved[seed], image)
    before = files(webui)
    asked(webui, {"keep_best": 2})
    assert files(webui) == before  # the API saves on request only


@pytest.mark.usefixtures("clean_log")
def test_the_contact_sheet_is_the_grid(webui):
    before, sheets = files(webui), files(webui, "img2img-grids")
    images, info = asked(webui, {"contact_sheet": True, "best_first": True}, save_images=True)
    assert info["index_of_first_image"] == 1
    assert images[0].shape == (2 * (256 + 22), 2 * 256 + 8, 3)
    assert len(images) == len(info["infotexts"]) == 5
    assert seeds_of(info)[1:] == info["all_seeds"]
    assert (images[0][22:278, :256] == images[1]).all()  # the best one is at the top left
    assert len(files(webui) - before) == 4
    sheet, = files(webui, "img2img-grids") - sheets
    saved = np.asarray(Image.open(sheet).convert("RGB")).astype(int)
    assert np.abs(saved - images[0]).mean() <= (0 if sheet.suffix == ".png" else 6)  # Forge Neo saves grids as JPEG
    images, info = asked(webui, {"best_first": True}, options={"return_grid": True}, save_images=True)
    assert info["index_of_first_image"] == 1
    assert (images[0][:256, :256] == images[1]).all()


@pytest.mark.usefixtures("clean_log")
def test_images_in_which_nothing_changed_are_named_with_what_to_do(webui):
    scene = encoded(Image.fromarray(Scene.from_seed(HELD_OUT + 3).draw(256)))
    _, info = asked(webui, {"best_first": True}, init_images=[scene], denoising_strength=0.02, n_iter=1, steps=50)
    remark, = info["extra_generation_params"][REMARKS]
    assert remark == ("Almost nothing changed in images 1 and 2. Raise denoising strength (now 0.02) or set masked content to "
                      '"latent noise" (now "original").')


@pytest.mark.usefixtures("clean_log")
def test_a_single_image_has_no_scores(webui):
    images, info = asked(webui, {"best_first": True, "keep_best": 3, "contact_sheet": True}, n_iter=1, batch_size=1)
    assert len(images) == 1
    assert not info["extra_generation_params"].keys() & {SCORES, REMARKS}


def test_after_a_fault_all_images_are_kept(webui):
    before = files(webui)
    images, _ = asked(webui, {"keep_best": 1}, {"Injected fault": ["opacity_px"]}, save_images=True)
    assert len(images) == 4
    assert sorted(map(seed_of_file, files(webui) - before)) == [5, 6, 7, 8]


def test_if_the_host_fails_the_best_so_far_are_saved(webui, plain):
    best = max(zip(plain[1]["extra_generation_params"][SCORES][:2], (5, 6)))[1]
    before = files(webui)
    with pytest.raises(urllib.error.HTTPError):
        asked(webui, {"keep_best": 1}, {"Broken sampler": [2]}, save_images=True)
    until = time.monotonic() + 20
    while not files(webui) - before and time.monotonic() < until:
        time.sleep(0.2)
        webui.get("/companion/runs")
    saved, = files(webui) - before
    assert seed_of_file(saved) == best
    images, _ = asked(webui, {"keep_best": 1}, save_images=True)
    assert len(images) == 1
