"""The client's sentences, before a server that answers as a WebUI would; a real one: tests/webui/test_command_line.py."""
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from PIL import Image

from lib_softinpaint.hosts import webui_api
from lib_softinpaint.request import Request

PICTURE, MASK = Image.new("RGB", (16, 16)), Image.new("L", (16, 16), 255)


@pytest.fixture
def server():
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = self.server.answers.get(self.path, (404, {"detail": "Not Found"}))
            if self.command == "POST":
                self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET

        def log_message(self, *about):
            pass

    running = HTTPServer(("127.0.0.1", 0), Answers)
    running.answers = {}
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def script(arguments):
    return 200, [{"name": "soft inpainting", "is_img2img": True, "args": [{}] * arguments}]


@pytest.mark.parametrize(("answers", "sentence"), [
    ({}, "must be started with --api"),
    ({"/sdapi/v1/script-info": (200, [])}, "must have this extension installed, .* has no soft inpainting"),
    ({"/sdapi/v1/script-info": script(7)}, "must have this extension installed, .* has the built-in soft inpainting"),
    ({"/sdapi/v1/script-info": script(9), "/sdapi/v1/samplers": (200, [{"name": "DDIM"}])},
     "Sampler must be one of DDIM, got 'Euler a'"),
    ({"/sdapi/v1/script-info": script(9), "/sdapi/v1/samplers": (200, [{"name": "Euler a"}]),
      "/sdapi/v1/img2img": (422, {"detail": "No mask"})}, "answered 422: No mask")])
def test_each_thing_that_is_wrong_gets_its_sentence(server, answers, sentence):
    server.answers = answers
    with pytest.raises((ConnectionError, ValueError), match=sentence):
        webui_api.inpaint(f"http://127.0.0.1:{server.server_port}/", Request(), PICTURE, MASK)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense", "ftp://127.0.0.1:9"])
def test_an_address_where_nothing_answers(url):
    with pytest.raises(ConnectionError, match=f"a WebUI must answer at {url}"):
        webui_api.inpaint(url, Request(), PICTURE, MASK)


def test_a_mask_of_another_size():
    with pytest.raises(ValueError, match=r"must be as large as image \(16, 16\), got \(8, 8\)"):
        webui_api.inpaint("http://127.0.0.1:9", Request(), PICTURE, MASK.resize((8, 8)))
