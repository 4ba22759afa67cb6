"""Random requests to a running WebUI, repeated and concurrent ones, and one that is killed while it saves.

SOFTINPAINT_FUZZ=500 sends 500 random requests and 200 repeated ones.
"""
import base64
import contextlib
import io
import json
import os
import random
import signal
import threading
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as some
from PIL import Image
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests import random_requests
from tests.webui import host
from tests.webui.host import drawn_disc, drawn_image, encoded, opened

SIDE = 64
IMAGE, MASK = drawn_image(SIDE, SIDE), drawn_disc(SIDE, SIDE, 14)
SAMPLERS = "Euler a", "Euler", "DDIM", "DPM++ 2M", "LCM"
SENT = limits(max_examples=random_requests.COUNT or 12, deadline=None, derandomize=not random_requests.COUNT, database=None,
              suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
REPEATED = 200 if random_requests.COUNT else 30
WARM_UP = 40
LARGEST_GROWTH = 0.01
"""Share by which resident memory may grow."""
CLIENTS = 8
RESIDENT = {"softinpaint_history_mb": 1}
"""Kept images would fill the memory up to their limit."""


@some.composite
def bodies(draw):
    """A request that the host alone accepts, with arguments for our script that need not be valid."""
    size = tuple(8 * draw(some.integers(8, 16)) for _ in range(2))
    image_size = draw(some.sampled_from((size, (size[0] + 5, size[1] * 2))))
    mask_size = draw(some.sampled_from((image_size, image_size, (50, 70))))
    body = {
        "init_images": [encoded(draw(random_requests.images(image_size)))], "seed": 1, "height": size[0], "width": size[1],
        "prompt": draw(some.sampled_from(("a hill", "", "a [SEP] b"))), "steps": draw(some.integers(1, 2)),
        "sampler_name": draw(some.sampled_from(SAMPLERS)), "denoising_strength": draw(some.floats(0, 1)),
        "mask_blur": draw(some.integers(0, 64)), "inpainting_fill": draw(some.integers(0, 3)),
        "inpaint_full_res": draw(some.booleans()), "inpaint_full_res_padding": draw(some.integers(0, 128)),
        "inpainting_mask_invert": draw(some.integers(0, 1)), "resize_mode": draw(some.integers(0, 2)),
        "batch_size": draw(some.integers(1, 2)), "n_iter": draw(some.sampled_from((1, 1, 1, 2))),
        "mask": encoded(draw(random_requests.masks(mask_size))),
        "override_settings": {"return_grid": False}}
    if draw(some.integers(0, 9)) == 0:
        del body["mask"]
    return body, draw(random_requests.arguments(image_size))


def answer(webui, body, args=None):
    """Status and answer of a request, with our script's arguments or without the script."""
    if args is not None:
        body = {**body, "alwayson_scripts": {"Soft Inpainting": {"args": args}}}
    return posted(webui, "/sdapi/v1/img2img", body)


def posted(webui, route, body):
    try:
        return 200, webui.post(route, body)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def reference(webui):
    return webui.inpaint(IMAGE, MASK, [True], width=SIDE, height=SIDE, steps=2, sampler_name="Euler a").images[0]


@pytest.mark.every_host
def test_random_requests_are_answered_and_change_no_later_image(webui):
    before, log = reference(webui), len(webui.log)

    @SENT
    @given(case=bodies())
    def send(case):
        body, args = case
        status, made = answer(webui, body, args)
        if status != 200 and answer(webui, body)[0] == status:
            return  # the host alone refuses it too
        assert status == 200, (status, made)
        images = [opened(image) for image in made["images"]]
        assert len(images) >= body["batch_size"] * body["n_iter"] or "mask" not in body
        assert "Soft inpainting failed" not in json.loads(made["info"])["infotexts"][0]
    send()
    added = webui.log[log:]
    assert "Error running" not in added
    assert "Soft inpainting failed" not in added
    assert webui.get("/companion/runs") == 0
    np.testing.assert_array_equal(reference(webui), before)


@pytest.mark.every_host
def test_our_routes_answer_anything_as_their_schema_says(webui):
    schema = schemathesis.openapi.from_dict(webui.get("/openapi.json"))
    tested = []
    for result in schema.include(path_regex="^/softinpaint/").get_all_operations():
        operation = result.ok()
        tested.append(operation.path)

        @SENT
        @given(case=operation.as_strategy())
        def send(case):
            case.call_and_validate(base_url=webui.url, excluded_checks=[positive_data_acceptance])
        send()
    assert sorted(tested) == ["/softinpaint/export", "/softinpaint/recomposite"]


@pytest.mark.every_host
@pytest.mark.usefixtures("clean_log")
def test_our_routes_survive_any_values_for_a_kept_image(webui):
    identity = kept_id(webui)

    @SENT
    @given(identity=random_requests.WRONG | some.just(identity), file_format=random_requests.WRONG, save=some.integers(),
           settings=random_requests.settings() | some.dictionaries(some.sampled_from(["grain", "feather_source", "bias"]),
                                                                   random_requests.WRONG) | random_requests.WRONG)
    def send(identity, file_format, save, settings):
        for route, body in (("recomposite", {"id": identity, "settings": settings}),
                            ("recomposite", {"id": identity, "format": file_format}),
                            ("recomposite", {"id": identity, "save": save, "settings": {}}),
                            ("export", {"id": identity, "settings": settings})):
            status, made = posted(webui, f"/softinpaint/{route}", body)
            assert status < 500, (route, body, made)
            assert status == 200 or made["detail"]
    send()


@pytest.mark.usefixtures("clean_log")
def test_broken_files_sent_to_the_preview_are_refused(webui):
    @SENT
    @given(image=random_requests.broken_files(), painted=random_requests.broken_files(),
           awareness=some.floats(), reach=some.floats())
    def send(image, painted, awareness, reach):
        boundary = "limit"
        parts = [("awareness", "", str(awareness).encode()), ("reach_px", "", str(reach).encode()),
                 *((name, '; filename="a.png"', decoded_or_text(text)) for name, text in
                   (("image", image), ("painted", painted)))]
        content = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value
                           + b"\r\n" for name, file, value in parts) + f"--{boundary}--\r\n".encode()
        request = urllib.request.Request(f"{webui.url}/softinpaint/detours", content, {
            **webui.headers, "Content-Type": f"multipart/form-data; boundary={boundary}"})
        try:
            urllib.request.urlopen(request, timeout=60).read()
        except urllib.error.HTTPError as refused:
            assert 400 <= refused.code < 500
    send()


def decoded_or_text(text):
    try:
        return base64.b64decode(text)
    except ValueError:
        return text.encode("utf8", "replace")


def kept_id(webui):
    made = answer(webui, {"init_images": [encoded(IMAGE)], "mask": encoded(MASK), "steps": 1, "width": SIDE, "height": SIDE},
                  [True])[1]
    identity, = json.loads(made["info"])["extra_generation_params"]["Soft inpainting kept"]
    return identity


@pytest.mark.usefixtures("clean_log")
def test_repeated_requests_take_no_more_memory(webui):
    process = psutil.Process(webui._process.pid)

    def resident(requests):
        for number in range(requests):
            webui.inpaint(IMAGE, MASK, [{"agreement": number % 2 / 2, "threshold_mix": number % 3 / 2}], width=SIDE,
                          height=SIDE, steps=1, seed=number, inpaint_full_res=bool(number % 2), options=RESIDENT)
        webui.get("/companion/runs")  # collects garbage
        return process.memory_info().rss
    warm = resident(WARM_UP)
    assert resident(REPEATED) <= (1 + LARGEST_GROWTH) * warm


@pytest.mark.every_host
@pytest.mark.usefixtures("clean_log")
def test_eight_clients_at_once_get_the_images_of_single_requests(webui):
    def made(client):
        image, mask = drawn_image(SIDE, SIDE, seed=client), drawn_disc(SIDE, SIDE, 8 + client)
        result = webui.inpaint(image, mask, [{"feather_source": "own", "feather_width": 2.0 * client, "grain": client / 8}],
                               width=SIDE, height=SIDE, steps=2, seed=client, inpaint_full_res=bool(client % 2))
        return result.images[0], result.infotexts[0]
    single = [made(client) for client in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        together = list(clients.map(made, range(CLIENTS)))
    for (image, infotext), (expected, its_infotext) in zip(together, single):
        assert np.abs(image.astype(int) - expected).max() <= webui.rounding
        assert infotext == its_infotext


def test_a_host_killed_while_it_saves_leaves_whole_images(member):
    dice = random.Random(1)
    with host.WebUI(member, "killed") as webui:
        made = answer(webui, {"init_images": [encoded(drawn_image(512, 512))], "mask": encoded(drawn_disc(512, 512, 200)),
                              "steps": 1, "width": 512, "height": 512}, [True])[1]
        identity, = json.loads(made["info"])["extra_generation_params"]["Soft inpainting kept"]
        saved = []

        def save():
            with contextlib.suppress(OSError, ValueError):
                while True:
                    saved.append(webui.post("/softinpaint/recomposite", {"id": identity, "save": True})["saved_as"])
        clients = [threading.Thread(target=save) for _ in range(3)]
        for client in clients:
            client.start()
        until = time.monotonic() + 60
        while len(saved) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.5))
        os.kill(webui._process.pid, signal.SIGKILL)
        for client in clients:
            client.join()
    files = {path.name: path for path in Path(webui.outputs).rglob("*.png")}
    assert set(saved) <= set(files)
    for path in files.values():
        Image.open(io.BytesIO(path.read_bytes())).load()
