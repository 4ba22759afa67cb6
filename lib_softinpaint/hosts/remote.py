"""Requests sent to a running WebUI's API instead of a model here."""
from __future__ import annotations

import base64
import http.client
import io
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit

from PIL import Image

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.source import KEEP_ALPHA, with_transparency
from lib_softinpaint.geometry import Size
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.images.painted import fitted, grey_image, strengths
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.settings.request import Request, to_api
from lib_softinpaint.settings.settings import FIELDS

SCRIPT = "soft inpainting"
ANSWER_SECONDS = 10  # for questions; a picture may take as long as it takes
ROUTE = "/sdapi/v1/"


def inpaint(url: str, request: Request, picture: Image.Image, mask: Image.Image,
            model: str | None = None) -> tuple[Image.Image, str]:
    """One picture and its infotext, made by the WebUI at this address.

    Parameters
    ----------
    url
        Of the WebUI's page; with `user:password@` where it was started with --api-auth.
    model
        Checkpoint that the WebUI shall use for it; None leaves the one that it has loaded.

    Raises
    ------
    ConnectionError
        Where no WebUI with an API answers, or it answers with an error.
    BadInput
        Where the WebUI lacks this extension or what the request names, which it would silently replace.
    """
    webui = _WebUI(url)
    if request.settings.enabled:
        _demand_extension(webui)
    _demand("Sampler", request.sampler, webui.ask("samplers"), "name")
    _demand("Schedule type", request.schedule_type, webui.ask("schedulers"), "label")
    changes = {}
    if model:
        _demand("model", model, webui.ask("sd-models"), "model_name", "title", "hash")
        changes = {"sd_model_checkpoint": model}
    if request.settings.enabled and "A" in picture.getbands():
        changes |= {KEEP_ALPHA: True, "img2img_background_color": "#ffffff"}
        sent = picture
    else:
        sent = over_white(picture)
    sent_mask = _mask_to_send(mask, request, Size.of(picture))
    body = {**to_api(request, Size.of(picture)), "init_images": [encoded(sent)], "mask": encoded(sent_mask)}
    body["override_settings"] |= {"return_grid": False, "return_mask": False, "return_mask_composite": False, **changes}
    answer = webui.ask("img2img", body)
    if not answer["images"]:
        raise ConnectionError(f"the WebUI at {webui.address} returned no image; was it interrupted?")
    made = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
    return with_transparency(made, picture), json.loads(answer["info"])["infotexts"][0]


def _demand_extension(webui: _WebUI) -> None:
    """The WebUI's script of this name may be the built-in, which knows fewer settings and would fail silently."""
    scripts = [script for script in webui.ask("script-info") if script["name"] == SCRIPT and script["is_img2img"]]
    if not scripts or len(scripts[0]["args"]) < len(FIELDS):
        raise BadInput(f"the WebUI must have this extension installed, the one at {webui.address} has "
                         f"{'the built-in soft inpainting' if scripts else 'no soft inpainting'}")


def _demand(what: str, name: str, offered: list[dict[str, Any]], *keys: str) -> None:
    """The WebUI would silently take its first one instead of one that it does not have."""
    if not any(name == each.get(key) for each in offered for key in keys):
        raise BadInput(f"{what} must be one of {', '.join(str(each.get(keys[0])) for each in offered)}, got {name!r}")


class _WebUI:
    """Asks a WebUI's API; whatever goes wrong becomes a ConnectionError of one sentence, without the password."""

    def __init__(self, url: str):
        parts = urlsplit(url if "//" in url else f"http://{url}")
        self.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if parts.username:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()

    def ask(self, route: str, body: dict[str, Any] | None = None) -> Any:
        address = self.address + ROUTE + route
        data = None if body is None else json.dumps(body).encode()
        try:
            question = urllib.request.Request(address, data, self._headers)
            with urllib.request.urlopen(question, timeout=ANSWER_SECONDS if body is None else None) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as fault:
            if fault.code == 404:
                raise ConnectionError(f"the WebUI must be started with --api, {address} is not there") from fault
            raise ConnectionError(f"the WebUI answered {fault.code}: {_detail(fault)}") from fault
        except urllib.error.URLError as fault:
            raise ConnectionError(f"a WebUI must answer at {self.address}: {fault.reason}") from fault
        except (OSError, ValueError, http.client.HTTPException) as fault:  # cut short, no JSON, no address
            raise ConnectionError(f"a WebUI must answer at {self.address}: {fault or type(fault).__name__}") from fault
        if not _is_webuis(told, asked_for_picture=body is not None):
            raise ConnectionError(f"a WebUI must answer at {self.address}, but the answer is not a WebUI's")
        return told


def _is_webuis(told: Any, asked_for_picture: bool) -> bool:
    if asked_for_picture:
        return isinstance(told, dict) and isinstance(told.get("images"), list) and isinstance(told.get("info"), str)
    return isinstance(told, list) and all(isinstance(each, dict) for each in told)


def _detail(fault: urllib.error.HTTPError) -> str:
    try:
        about = json.load(fault)
    except ValueError:
        return fault.reason
    return str(about.get("detail") or about.get("errors") or about) if isinstance(about, dict) else str(about)


def _mask_to_send(mask: Image.Image, request: Request, size: Size) -> Image.Image:
    """The mask as a grey image of the image's size.

    It has 16 bits only if this extension reads it: the WebUI itself clips them at 255.
    """
    painted = fitted(strengths(mask), size, "The mask")
    return grey_image(painted, 16 if mask.mode.startswith("I") and request.settings.enabled else 8)
