"""The route by which the page's preview asks how the feather runs around neighbours."""
from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import Depends, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from lib_softinpaint.images.read import UNREADABLE
from lib_softinpaint.method import surroundings

ROUTE, LOGIN_CHECKS = "/softinpaint/detours", ("/login_check", "/login_check/")
"""Our route, and Gradio's own that refuses a visitor who should log in first."""

LONGEST_SIDE = 512
"""Pixels: larger images are refused, so that nobody can make the server work for long."""

RULE = (f"image and painted must be images of the same size, at most {LONGEST_SIDE} pixels a side, awareness from 0 to 1, and "
        f"reach_px above 0 and at most {LONGEST_SIDE}.")

FAR = 255
"""Byte for a place beyond the reach."""


def add_route(app: Any) -> None:
    """Adds the route to Gradio's app, for visitors who may use its page."""
    checks = [Depends(route.endpoint) for route in app.routes if getattr(route, "path", None) in LOGIN_CHECKS]
    app.add_api_route(ROUTE, _answer, methods=["POST"], dependencies=checks[:1], include_in_schema=False)


async def _answer(request: Request) -> Response:
    """One byte for each pixel of the image: its detour, in 255ths of the reach.

    The form has `image`; `painted`, as large as the image and black where nothing is painted; `awareness`; and `reach_px`.
    """
    async with request.form() as form:
        try:
            image, painted, awareness, reach_px = _read(dict(form))
        except (KeyError, AttributeError, TypeError, *UNREADABLE) as fault:
            raise HTTPException(422, RULE) from fault
    detour = await run_in_threadpool(lambda: surroundings.detours(painted > 0, surroundings.edges(image), awareness, reach_px))
    in_bytes = np.rint(FAR * np.clip(detour / reach_px, 0, 1)).astype(np.uint8)
    return Response(in_bytes.tobytes(), media_type="application/octet-stream")


def _read(form: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Image, painted mask, awareness and reach. Raises one of the usual errors if the form breaks RULE."""
    image, painted = (np.asarray(_opened(form[name]).convert(mode)) for name, mode in (("image", "RGB"), ("painted", "L")))
    awareness, reach_px = float(form["awareness"]), float(form["reach_px"])
    if image.shape[:2] != painted.shape or not 0 <= awareness <= 1 or not 0 < reach_px <= LONGEST_SIDE:
        raise ValueError
    return image, painted, awareness, reach_px


def _opened(upload: Any) -> Image.Image:
    image = Image.open(upload.file)
    if max(image.size) > LONGEST_SIDE:
        raise ValueError
    return image
