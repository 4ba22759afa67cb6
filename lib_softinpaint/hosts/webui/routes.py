"""Routes of the host's page and API."""
from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException
from PIL import Image

from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.turns import Busy, recomposites
from lib_softinpaint.hosts.webui.gallery import kept_image, save_image
from lib_softinpaint.hosts.webui.kept import history, history_mb
from lib_softinpaint.images import export
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.settings.settings import Settings
from lib_softinpaint.ui import detours

ANSWER_FORMATS = {"png": {"compress_level": 1}, "jpeg": {"quality": 90}, "webp": {"quality": 90}}
"""File formats of a re-composite, with options for fast writing."""

EXPORT_ROUTE = "/softinpaint/export"
RECOMPOSITE_ROUTE, ROUTE_OF_THE_HOST = "/softinpaint/recomposite", "/sdapi/v1/options"

REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"description": description, "content": {"application/json": {"schema": {
        "type": "object", "required": ["detail"], "properties": {"detail": {}}}}}}
    for code, description in ((422, "The rule that the body breaks, and what came"), (429, "Too many requests wait"))}
"""Responses to requests that are refused, as OpenAPI describes them."""


def add_routes(app: Any) -> None:
    """Adds the page's route and, if the host has an API, two for kept images, with its authentication."""
    detours.add_route(app)
    host = next((route for route in app.routes if getattr(route, "path", None) == ROUTE_OF_THE_HOST), None)
    if host is not None:
        for route, answer, summary in ((RECOMPOSITE_ROUTE, _recomposite, "Re-composite a finished image"),
                                       (EXPORT_ROUTE, _export, "Export a finished image as layers and masks")):
            app.add_api_route(route, answer, methods=["POST"], dependencies=host.dependencies, summary=summary,
                              responses=REFUSALS)


def _recomposite(body: dict[str, Any]) -> dict[str, str]:
    """Re-composites the image `id`, from the img2img response's `info`: "extra_generation_params", "Soft inpainting kept".

    `settings` are composite, feather, grow and edge awareness settings by API name. Omitted ones stay as in the run.
    `format` is png, jpeg or webp. `save` writes the result where the WebUI saves its own. Requests run one at a time; if too
    many wait, the response is 429.
    """
    with _refusing():
        file_format = body.get("format", "png")
        image, settings = _asked_for(body, "format", "save")
        if file_format not in tuple(ANSWER_FORMATS):  # a list or an object has no hash
            raise ValueError(f"format must be one of {', '.join(ANSWER_FORMATS)}, got {file_format!r}.")
        if not isinstance(body.get("save", False), bool):
            raise ValueError(f"save must be true or false, got {body['save']!r}.")
    with _in_turn():
        result, infotext = Image.fromarray(image.composited(settings)), image.infotext_with(settings)
        shown = result.convert("RGB") if file_format == "jpeg" else result
        answer = {"image": encoded(shown, file_format, **ANSWER_FORMATS[file_format]), "infotext": infotext}
        if body.get("save"):
            answer["saved_as"] = os.path.basename(save_image(result, infotext))
    return answer


def _export(body: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Takes apart the image `id`, as for a re-composite with `settings`. The answer has `files`: base64 by file name.

    They are the change as a transparent PNG, the masks and the difference map as PNGs of 16 bits, and the layers as
    OpenRaster.
    """
    with _refusing():
        image, settings = _asked_for(body)
    with _in_turn():
        return {"files": {name: base64.b64encode(content).decode()
                          for name, content in export.files_of(image, settings).items()}}


def _asked_for(body: dict[str, Any], *others: str) -> tuple[KeptImage, Settings]:
    """The image and settings of a request. Its body may also have the keys `others`. Raises LookupError or ValueError."""
    keys, changes = ("id", "settings", *others), body.get("settings", {})
    if unknown := body.keys() - set(keys):
        raise ValueError(f"the body may only contain {', '.join(keys[:-1])} and {keys[-1]}, got {', '.join(sorted(unknown))}.")
    if not isinstance(changes, dict):
        raise ValueError(f"settings must be an object, got {changes!r}.")
    image = kept_image(body.get("id", ""))
    return image, image.settings_with(changes)


@contextmanager
def _refusing() -> Iterator[None]:
    """Answers an invalid request with 422 and a sentence."""
    try:
        yield
    except (LookupError, ValueError) as refused:
        raise HTTPException(422, str(refused.args[0])) from refused


@contextmanager
def _in_turn() -> Iterator[None]:
    """One request at a time; answers 429 if too many wait."""
    try:
        with recomposites.turn():
            yield
    except Busy as busy:
        raise HTTPException(429, str(busy)) from busy
    finally:
        history.shrink(history_mb())
