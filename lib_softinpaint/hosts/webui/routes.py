"""Routes of the host's API."""
from __future__ import annotations

import os
from typing import Any

from fastapi import HTTPException
from PIL import Image

from lib_softinpaint.generation.turns import Busy, recomposites
from lib_softinpaint.hosts.webui.gallery import kept_image, save_image
from lib_softinpaint.hosts.webui.kept import history, history_mb
from lib_softinpaint.images.encoded import encoded

ANSWER_FORMATS = {"png": {"compress_level": 1}, "jpeg": {"quality": 90}, "webp": {"quality": 90}}
"""Of a composite that is made again, and how they are written: fast."""

RECOMPOSITE_ROUTE, ROUTE_OF_THE_HOST = "/softinpaint/recomposite", "/sdapi/v1/options"


def add_route(app: Any) -> None:
    """POST a kept picture's id and settings, beside the host's own routes and behind the same lock."""
    host = next((route for route in app.routes if getattr(route, "path", None) == ROUTE_OF_THE_HOST), None)
    if host is not None:
        app.add_api_route(RECOMPOSITE_ROUTE, _recomposite, methods=["POST"], dependencies=host.dependencies,
                          summary="Composite a finished picture again")


def _recomposite(body: dict[str, Any]) -> dict[str, str]:
    """A composite made again, of `id` (from `info` of the img2img answer, "extra_generation_params", "Soft inpainting kept").

    `settings` are the composite's, by API name; those that are left out stay the run's. `format` is png, jpeg or webp;
    `save` writes the result where the WebUI writes its own. One is made at a time, and few may wait: others get a 429.
    """
    try:
        unknown = body.keys() - {"id", "settings", "format", "save"}
        kind, changes = body.get("format", "png"), body.get("settings", {})
        if unknown:
            raise ValueError(f"the body takes id, settings, format and save, got {', '.join(sorted(unknown))}.")
        if kind not in ANSWER_FORMATS:
            raise ValueError(f"format must be one of {', '.join(ANSWER_FORMATS)}, got {kind!r}.")
        if not isinstance(changes, dict) or not isinstance(body.get("save", False), bool):
            raise ValueError("settings must be an object and save true or false.")
        picture = kept_image(body.get("id", ""))
        settings = picture.settings_with(changes)
    except (LookupError, ValueError) as refused:
        raise HTTPException(422, str(refused.args[0])) from refused
    try:
        with recomposites.turn():
            result, about = Image.fromarray(picture.composited(settings)), picture.infotext_with(settings)
            shown = result.convert("RGB") if kind == "jpeg" else result
            answer = {"image": encoded(shown, kind, **ANSWER_FORMATS[kind]), "infotext": about}
            if body.get("save"):
                answer["saved_as"] = os.path.basename(save_image(result, about))
    except Busy as busy:
        raise HTTPException(429, str(busy)) from busy
    finally:
        history.shrink(history_mb())
    return answer
