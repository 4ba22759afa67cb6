"""The routes by which the stand-alone page's scripts read results and their painted masks."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import HTTPException
from fastapi.responses import FileResponse

from lib_softinpaint.ui.page_host import MASKS

ROUTES = {"results": ".", "masks": MASKS}
"""Folders, relative to the output folder, by the last part of the route."""


def add_routes(app: Any, output: Path) -> None:
    """Adds `/softinpaint/results/NAME` and `/softinpaint/masks/NAME` to Gradio's app. They answer with PNG files."""
    def add(route: str, folder: Path) -> None:
        def answer(name: str) -> FileResponse:
            path = folder / name
            if Path(name).name != name or path.suffix != ".png" or not path.is_file():
                raise HTTPException(404, f"name must be a PNG file in {folder.name}, got {name!r}.")
            return FileResponse(path, media_type="image/png")
        app.add_api_route(f"/softinpaint/{route}/{{name}}", answer, methods=["GET"], include_in_schema=False)
    for route, folder in ROUTES.items():
        add(route, (output / folder).resolve())
