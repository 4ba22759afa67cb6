"""Routes of the host's page and API."""
from __future__ import annotations

import os
from typing import Any

from fastapi import HTTPException
from PIL import Image

from lib_softinpaint.generation.turns import Busy, recomposites
from lib_softinpaint.hosts.webui.gallery import kept_image, save_image
from lib_softinpaint.hosts.webui.kept import history, history_mb
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.ui import detours

ANSWER_FORMATS = {"png": {"compress_level": 1}, "jpeg": {"quality": 90}, "webp": {"quality": 90}}
"""File formats of a re-composite, with options for fast writing."""

RECOMPOSITE_ROUTE, ROUTE_OF_THE_HOST = "/softinpaint/recomposite", "/sdapi/v1/options"


def add_routes(app: Any) -> None:
    """Adds the page's route and, if the host has an API, the one to re-composite a kept image, with its authentication."""
    detours.add_route(app)
    host = next((route for route in app.routes if getattr(route, "path", None) == ROUTE_OF_THE_HOST), None)
    if host is not None:
        app.add_api_route(RECOMPOSITE_ROUTE, _recomposite, methods=["POST"], dependencies=host.dependencies,
                          summary="Re-composite a finished image")


def _recomposite(body: dict[str, Any]) -> dict[str, str]:
    """Re-composites the image `id`, from the img2img response's `info`: "extra_generation_params", "Soft inpainting kept".

    `settings` are composite, feather, grow and edge awareness settings by API name. Omitted ones stay as in the run.
    `format` is png, jpeg or webp. `save` writes the result where the WebUI saves its own. Requests run one at a time; if too
    many wait, the response is 429.
    """
    try:
        unknown = body.keys() - {"id", "settings", "format", "save"}
        file_format, changes = body.get("format", "png"), body.get("settings", {})
        if unknown:
            raise ValueError(f"the body may only contain id, settings, format and save, got {', '.join(sorted(unknown))}.")
        if file_format not in ANSWER_FORMATS:
            raise ValueError(f"format must be one of {', '.join(ANSWER_FORMATS)}, got {file_format!r}.")
        if not isinstance(changes, dict) or not isinstance(body.get("save", False), bool):
            raise ValueError("settings must be an object, and save must be true or false.")
        image = kept_image(body.get("id", ""))
        settings = image.settings_with(changes)
    except (LookupError, ValueError) as refused:
        raise HTTPException(422, str(refused.args[0])) from refused
    try:
        with recomposites.turn():
            result, infotext = Image.fromarray(image.composited(settings)), image.infotext_with(settings)
            shown = result.convert("RGB") if file_format == "jpeg" else result
            answer = {"image": encoded(shown, file_format, **ANSWER_FORMATS[file_format]), "infotext": infotext}
            if body.get("save"):
                answer["saved_as"] = os.path.basename(save_image(result, infotext))
    except Busy as busy:
        raise HTTPException(429, str(busy)) from busy
    finally:
        history.shrink(history_mb())
    return answer
