"""Requests sent to a running WebUI's API instead of a model here."""
from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
from typing import Any

from PIL import Image

from lib_softinpaint.request import Request, to_api
from lib_softinpaint.settings import Settings

SCRIPT = "soft inpainting"
ANSWER_SECONDS = 10  # for questions; a picture may take as long as it takes
ROUTE = "/sdapi/v1/"


def inpaint(url: str, request: Request, picture: Image.Image, mask: Image.Image,
            model: str | None = None) -> tuple[Image.Image, str]:
    """One picture and its infotext, made by the WebUI at this address.

    Parameters
    ----------
    model
        Checkpoint that the WebUI shall use for it; None leaves the one that it has loaded.

    Raises
    ------
    ConnectionError
        Where no WebUI with an API answers, or it answers with an error.
    ValueError
        Where the WebUI lacks this extension, or masks of another size are sent.
    """
    if picture.size != mask.size:
        raise ValueError(f"mask_image must be as large as image {picture.size}, got {mask.size}")
    if request.settings.enabled:
        _demand_extension(url)
    _demand_sampler(url, request.sampler)
    width, height = (request.width or picture.width) // 8 * 8, (request.height or picture.height) // 8 * 8
    changes = {"sd_model_checkpoint": model} if model else {}
    body = {**to_api(request), "width": width, "height": height, "init_images": [_encoded(picture)], "mask": _encoded(mask),
            "override_settings": {"return_grid": False, "return_mask": False, "return_mask_composite": False, **changes}}
    answer = _ask(url, "img2img", body)
    made = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
    return made.convert("RGB"), json.loads(answer["info"])["infotexts"][0]


def _demand_extension(url: str) -> None:
    """The WebUI's script of this name may be the built-in, which knows fewer settings and would fail silently."""
    scripts = [script for script in _ask(url, "script-info") if script["name"] == SCRIPT and script["is_img2img"]]
    if not scripts or len(scripts[0]["args"]) < len(Settings.__dataclass_fields__):
        raise ValueError(f"the WebUI must have this extension installed, the one at {url} has "
                         f"{'the built-in soft inpainting' if scripts else 'no soft inpainting'}")


def _demand_sampler(url: str, sampler: str) -> None:
    """An unknown sampler's place would silently be taken by the WebUI's first one."""
    names = [each["name"] for each in _ask(url, "samplers")]
    if sampler not in names:
        raise ValueError(f"Sampler must be one of {', '.join(names)}, got {sampler!r}")


def _ask(url: str, route: str, body: dict[str, Any] | None = None) -> Any:
    address = url.rstrip("/") + ROUTE + route
    data = None if body is None else json.dumps(body).encode()
    try:
        question = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(question, timeout=ANSWER_SECONDS if body is None else None) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as fault:
        if fault.code == 404:
            raise ConnectionError(f"the WebUI must be started with --api, {address} is not there") from fault
        raise ConnectionError(f"the WebUI answered {fault.code}: {_detail(fault)}") from fault
    except (OSError, ValueError) as fault:  # unreachable, or an answer that is no JSON, or an address that is none
        raise ConnectionError(f"a WebUI must answer at {url}: {fault}") from fault


def _detail(fault: urllib.error.HTTPError) -> str:
    try:
        about = json.load(fault)
        return str(about.get("detail") or about.get("errors") or about)
    except ValueError:
        return fault.reason


def _encoded(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
