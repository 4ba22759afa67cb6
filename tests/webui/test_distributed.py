"""One request on two WebUIs through the extension stable-diffusion-webui-distributed, the version that SOFTINPAINT_EXTENSIONS
holds: the soft inpainting of the second one's images, and what happens if it lacks this extension or dies."""
import json
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import ImageChops

from tests.webui import extensions
from tests.webui.host import WebUI, drawn_disc, drawn_image, encoded
from tests.webui.test_requests import soft_keys
from tests.webui.test_runs import assert_inpainted, outside_of

pytestmark = pytest.mark.every_host

IMAGE, MASK = drawn_image(), drawn_disc()
TWO = ImageChops.lighter(drawn_disc(radius=20, x=0.25), drawn_disc(radius=20, x=0.75))
GREYS = MASK.point(lambda value: value // 2)
CONFIG = "distributed-config.json"
SPEED = 60.0
"""Images a minute, the same for both, so that each makes half of them."""


def configured(port):
    """The extension's settings: this WebUI and one worker."""
    worker = {"avg_ipm": SPEED, "eta_percent_error": [], "tls": False, "state": 1, "user": None, "password": None,
              "pixel_cap": -1}
    return json.dumps({"workers": [{"master": {**worker, "master": True, "address": "127.0.0.1", "port": 1}},
                                   {"worker": {**worker, "master": False, "address": "127.0.0.1", "port": port}}],
                       "benchmark_payload": {}, "job_timeout": 60, "enabled": True, "enabled_i2i": True,
                       "complement_production": False, "step_scaling": False})


@contextmanager
def pair(member, has_ours):
    """A WebUI with the extension, and the worker that it knows."""
    extensions.checkout(extensions.DISTRIBUTED)
    if member.has_forge_canvas:
        pytest.skip(f"{extensions.DISTRIBUTED} does not load in {member.name}, because it needs pydantic 1")
    with WebUI(member, "worker", has_ours=has_ours) as worker:
        worker.inpaint(IMAGE, MASK, [True])
        master = WebUI(member, "master", others=(extensions.DISTRIBUTED,), files={CONFIG: configured(worker.port)})
        master._command += ["--distributed-config", str(master.data / CONFIG)]
        with master:
            master.inpaint(IMAGE, MASK, [True])
            yield master, worker


@pytest.fixture(scope="module")
def webuis(member):
    with pair(member, has_ours=True) as running:
        yield running


def of_worker(result):
    return ["Worker Label: worker" in infotext for infotext in result.infotexts]


def assert_clean(webui, before):
    added = webui.log[before:]
    assert "Error running" not in added
    assert "Soft inpainting failed" not in added
    assert webui.get("/companion/runs") == 0


@pytest.mark.parametrize(("settings", "mask", "is_sent"), [
    ({"preservation_strength": 0.1}, GREYS, False), ({"regions_one_by_one": True}, TWO, False),
    ({"mask_image": encoded(GREYS)}, GREYS, True)])
def test_the_workers_images_are_as_from_one_webui(webuis, settings, mask, is_sent):
    """With a painted mask, or with the setting *Mask image* alone."""
    master, worker = webuis
    before = len(master.log)
    on_canvas = None if is_sent else mask
    both = master.inpaint(IMAGE, on_canvas, [settings], batch_size=2, n_iter=2)
    sentences = master.get("/companion/witness")["comments"]
    local, remote = (running.inpaint(IMAGE, on_canvas, [settings], seed=seed, n_iter=2)
                     for running, seed in ((master, 1), (worker, 3)))
    assert of_worker(both) == [False, False, True, True]
    for place, (webui, single) in enumerate(((local, 0), (local, 1), (remote, 0), (remote, 1))):
        assert np.abs(both.images[place].astype(int) - webui.images[single]).max() <= 1
        assert soft_keys(both.infotexts[place]) == soft_keys(webui.infotexts[single])
        assert (both.images[place][outside_of(mask)] == np.asarray(IMAGE)[outside_of(mask)]).all()
    assert "left as they came" in sentences
    assert_clean(master, before)


def test_only_the_workers_images_are_lost_if_it_dies(member):
    with pair(member, has_ours=True) as (master, worker):
        before, results = len(master.log), []
        request = threading.Thread(target=lambda: results.append(
            master.inpaint(IMAGE, MASK, [True], batch_size=2, steps=40, denoising_strength=1)))
        request.start()
        while worker.get("/sdapi/v1/progress?skip_current_image=true")["state"]["sampling_step"] < 3:
            time.sleep(0.05)
        worker._process.kill()
        request.join()
        assert of_worker(results[0]) == [False]
        assert_inpainted(results[0].images[0], IMAGE, MASK)
        assert_clean(master, before)
        after = master.inpaint(IMAGE, MASK, [True], batch_size=1)
        assert_inpainted(after.images[0], IMAGE, MASK)


def test_a_worker_without_this_extension_uses_its_own(member):
    with pair(member, has_ours=False) as (master, _):
        before = len(master.log)
        both = master.inpaint(IMAGE, MASK, [True, 1, 0.1], batch_size=2)
        assert of_worker(both) == [False, True]
        assert "Soft inpainting version" in both.infotexts[0]
        assert "Soft inpainting version" not in both.infotexts[1]
        assert soft_keys(both.infotexts[1])["preservation strength"] == "0.1"
        assert "Their infotext says whether they are soft-inpainted." in master.get("/companion/witness")["comments"]
        assert_inpainted(both.images[0], IMAGE, MASK)
        assert_clean(master, before)
