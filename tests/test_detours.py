"""The route by which the page's preview asks how the feather runs around neighbours."""
import io

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lib_softinpaint.method import surroundings
from lib_softinpaint.ui import detours

PAINTED = np.zeros((96, 128), np.uint8)
PAINTED[40:60, 20:50] = 255
SCENE = np.full((96, 128, 3), 120, np.uint8)
SCENE[30:70, 60:90] = 220, 60, 40


def file_of(pixels, kind="png"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def asked(app=None, image=SCENE, painted=PAINTED, **fields):
    """The answer for an image, as pixels or as a file's bytes."""
    app = app or FastAPI()
    detours.add_route(app)
    image = image if isinstance(image, bytes) else file_of(image)
    return TestClient(app).post(detours.ROUTE, files={"image": image, "painted": file_of(painted)},
                                data={"awareness": 1, "reach_px": 30, **fields})


def test_the_answer_is_one_byte_for_each_pixel():
    answer = asked()
    got = np.frombuffer(answer.content, np.uint8).reshape(PAINTED.shape)
    wanted = surroundings.detours(PAINTED > 0, surroundings.edges(SCENE), 1.0, 30.0)
    assert np.abs(got / 255 * 30 - np.minimum(wanted, 30)).max() < 30 / 255
    assert got[40:60, 65:75].min() > 100
    assert got[PAINTED > 0].max() == 0


@pytest.mark.parametrize("wrong", [
    {"image": np.zeros((96, 129, 3), np.uint8)}, {"awareness": 2}, {"awareness": "much"}, {"reach_px": 0}, {"reach_px": 4096},
    {"image": np.zeros((10, 600, 3), np.uint8), "painted": np.zeros((10, 600), np.uint8)}])
def test_anything_else_is_refused_with_the_rule(wrong):
    answer = asked(**wrong)
    assert (answer.status_code, answer.json()["detail"]) == (422, detours.RULE)
    assert TestClient(FastAPI()).post(detours.ROUTE).status_code == 404


HUGE = file_of(SCENE, "bmp")[:18] + 2 * (60_000).to_bytes(4, "little") + file_of(SCENE, "bmp")[26:]


@pytest.mark.parametrize("image", [HUGE, file_of(SCENE)[:70], file_of(SCENE, "gif")[:40], file_of(SCENE, "bmp")[:30], b""])
def test_a_broken_or_huge_file_is_refused_with_the_rule(image):
    answer = asked(image=image)
    assert (answer.status_code, answer.json()["detail"]) == (422, detours.RULE)


def test_a_page_with_a_login_answers_only_visitors_who_have_logged_in():
    app = FastAPI()

    @app.get("/login_check")
    def check():
        from fastapi import HTTPException
        raise HTTPException(401, "Not authenticated")
    assert asked(app).status_code == 401
