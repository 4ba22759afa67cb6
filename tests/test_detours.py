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


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def asked(app=None, image=SCENE, painted=PAINTED, **fields):
    app = app or FastAPI()
    detours.add_route(app)
    return TestClient(app).post(detours.ROUTE, files={"image": png(image), "painted": png(painted)},
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


def test_a_page_with_a_login_answers_only_visitors_who_have_logged_in():
    app = FastAPI()

    @app.get("/login_check")
    def check():
        from fastapi import HTTPException
        raise HTTPException(401, "Not authenticated")
    assert asked(app).status_code == 401
