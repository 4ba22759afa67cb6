"""The routes by which the page reads results and masks."""
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lib_softinpaint.ui import page_files
from lib_softinpaint.ui.page_host import MASKS


@pytest.fixture
def client(tmp_path):
    output = tmp_path / "output"
    (output / MASKS).mkdir(parents=True)
    for path in (output / "00001-1.png", output / MASKS / "00001-1.png", tmp_path / "own.png"):
        Image.new("L", (4, 4), len(path.parts)).save(path)
    (output / "softinpaint-presets.json").write_text("{}")
    app = FastAPI()
    page_files.add_routes(app, output)
    return TestClient(app), output


def test_results_and_masks_are_read(client):
    asked, output = client
    for route, path in (("results", output / "00001-1.png"), ("masks", output / MASKS / "00001-1.png")):
        answer = asked.get(f"/softinpaint/{route}/00001-1.png")
        assert answer.content == path.read_bytes() and answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("name", ["none.png", "softinpaint-presets.json", "..%2Fown.png", "..%5Cown.png", "%2Fetc%2Fpasswd",
                                  MASKS])
def test_nothing_else_is_read(client, name):
    answer = client[0].get(f"/softinpaint/results/{name}")
    assert answer.status_code == 404
