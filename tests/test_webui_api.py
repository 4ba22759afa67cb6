"""The client's messages, against a server that answers like a WebUI. tests/webui/test_command_line.py uses a real one."""
import base64
import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from PIL import Image

from lib_softinpaint.hosts import remote as webui_api
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings

IMAGE, MASK = Image.new("RGB", (16, 16)), Image.new("L", (16, 16), 255)


@pytest.fixture
def server():
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = self.server.answers.get(self.path, (404, {"detail": "Not Found"}))
            self.server.authorization = self.headers["Authorization"]
            if self.command == "POST":
                self.server.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET

        def log_message(self, *args):
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


GOOD = {"/sdapi/v1/script-info": script(len(dataclasses.fields(Settings))), "/sdapi/v1/samplers": (200, [{"name": "Euler a"}]),
        "/sdapi/v1/schedulers": (200, [{"label": "Automatic"}]), "/sdapi/v1/sd-models": (200, [{"model_name": "scenes"}]),
        "/sdapi/v1/img2img": (200, {"images": [encoded(IMAGE)], "info": '{"infotexts": ["Steps: 1"]}'})}


@pytest.mark.parametrize(("answers", "sentence"), [
    ({}, "start the WebUI with --api"),
    ({"/sdapi/v1/script-info": (200, [])}, "must have this extension installed, .* has no soft inpainting"),
    ({"/sdapi/v1/script-info": script(7)}, "must have this extension installed, .* has the built-in soft inpainting"),
    ({"/sdapi/v1/script-info": script(len(dataclasses.fields(Settings))), "/sdapi/v1/samplers": (200, [{"name": "DDIM"}])},
     "Sampler must be one of DDIM, got 'Euler a'"),
    ({**GOOD, "/sdapi/v1/schedulers": (200, [{"label": "Karras"}])}, "Schedule type must be one of Karras, got 'Automatic'"),
    ({**GOOD, "/sdapi/v1/img2img": (422, {"detail": "No mask"})}, "returned 422: No mask"),
    ({**GOOD, "/sdapi/v1/img2img": (500, ["odd"])}, "returned 500: \\['odd'\\]"),
    ({**GOOD, "/sdapi/v1/img2img": (200, {"images": [], "info": "{}"})}, "returned no image"),
    ({**GOOD, "/sdapi/v1/img2img": (200, {"images": None})}, "not from a WebUI"),
    ({"/sdapi/v1/script-info": (200, {"some": "other"})}, "not from a WebUI")])
def test_each_problem_has_its_own_message(server, answers, sentence):
    server.answers = answers
    with pytest.raises((ConnectionError, ValueError), match=sentence):
        webui_api.inpaint(f"http://127.0.0.1:{server.server_port}/", Request(), IMAGE, MASK)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.0.0.1:x", "127.0.0.1:9", "ftp://127.0.0.1:9",
                                 "http://me:secret@127.0.0.1:9"])
def test_an_address_without_a_webui(url):
    with pytest.raises(ConnectionError, match="no WebUI answers at (http|ftp)://127.0.0.1:") as fault:
        webui_api.inpaint(url, Request(), IMAGE, MASK)
    assert "secret" not in str(fault.value)


def test_the_image_and_its_infotext_are_returned(server):
    server.answers = GOOD
    address = f"me:secret@127.0.0.1:{server.server_port}"
    made, text = webui_api.inpaint(address, Request(), IMAGE, MASK, "scenes")
    assert (made.size, text) == (IMAGE.size, "Steps: 1")
    assert server.authorization == "Basic " + base64.b64encode(b"me:secret").decode()
    with pytest.raises(ValueError, match="model must be one of scenes, got 'other'"):
        webui_api.inpaint(address, Request(), IMAGE, MASK, "other")


def test_a_webui_without_schedule_types_gets_them_in_the_samplers_name(server):
    """AUTOMATIC1111 before 1.9.0."""
    names = [{"name": "DPM++ 2M"}, {"name": "DPM++ 2M Karras"}]
    server.answers = {**GOOD, "/sdapi/v1/schedulers": (404, {}), "/sdapi/v1/samplers": (200, names)}
    address = f"127.0.0.1:{server.server_port}"
    for schedule, sent in (("Automatic", "DPM++ 2M"), ("Karras", "DPM++ 2M Karras")):
        webui_api.inpaint(address, Request(sampler="DPM++ 2M", schedule_type=schedule), IMAGE, MASK)
        assert server.body["sampler_name"] == sent
    with pytest.raises(ValueError, match="Sampler must be one of .*, got 'DPM\\+\\+ 2M Exponential'"):
        webui_api.inpaint(address, Request(sampler="DPM++ 2M", schedule_type="Exponential"), IMAGE, MASK)
