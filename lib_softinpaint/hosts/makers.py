"""Generates images with a local model or a running WebUI, both called in the same way."""
from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lib_softinpaint.errors import judging_input
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.placement import USUAL, Placement
from lib_softinpaint.images.painted import MASK_ARGUMENT, scaled_note
from lib_softinpaint.settings.prompt import demand_supported
from lib_softinpaint.settings.request import Request

Maker = Callable[..., tuple[Image.Image, str]]
"""Takes a request, an image, its mask, which may be None if mask tools make it, and functions that receive the KeptImage,
notes and, after each region, the image so far with its infotext. Returns the result and its infotext."""


def unheard(*_: Any) -> None:
    """For progress and notes that nobody follows."""


def quieten_libraries() -> None:
    """Keeps diffusers and transformers from printing what does not concern the user. Call it before they are imported."""
    for library in ("TRANSFORMERS", "DIFFUSERS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.simplefilter("ignore")  # diffusers and transformers warn about each other's changes


def local_maker(request: Request, model: str | None, placement: Placement = USUAL,
                advance: Callable[[float], None] = unheard, loras: Sequence[Path] = (),
                on_note: Callable[[str], None] = unheard, on_loading: Callable[[str], None] = unheard) -> Maker:
    """Generates with a local model. Imports diffusers only after the input is checked, because the import takes seconds.

    It does not note that a mask was scaled, because `images.files.painted_in` has noted that with the mask's file.
    Raises BadInput if the model cannot be loaded or cannot run the request.
    """
    demand_supported(request.prompt, request.negative_prompt)
    from lib_softinpaint.hosts.diffusers import models
    from lib_softinpaint.hosts.diffusers.lora import loras_of
    from lib_softinpaint.hosts.diffusers.prompts import as_run, notes_on, prepared

    loras_of(request.prompt, loras)
    with judging_input():
        models.scheduler_class(request.sampler, request.schedule_type)
        if model:
            on_loading(f"Loading {model}")
        pipeline = models.load(str(model or models.SCENE_MODEL), *placement)
    prepared(pipeline, request, loras)
    for note in notes_on(pipeline, request):
        on_note(note)

    def make(request: Request, image: Image.Image, mask: Image.Image | None,
             keep: Callable[[KeptImage], None] | None = None,
             on_note: Callable[[str], None] | None = None,
             on_region: Callable[[Image.Image, str], None] = unheard) -> tuple[Image.Image, str]:
        measured: dict[str, str] = {}
        told = mask and scaled_note(Size.of(mask), Size.of(image), MASK_ARGUMENT)

        def text() -> str:
            return models.infotext_of(as_run(pipeline, request), Size.of(image), model, loras, measured, pipeline.step_px)

        def finished(result: Image.Image, done: int, count: int) -> None:
            on_region(result, text())
        result = models.inpaint(pipeline, request, image, mask, advance, keep, loras,
                                on_note=on_note and (lambda note: None if note == told else on_note(note)),
                                on_measured=measured.update, on_region=finished)
        return result, text()
    return make


def remote_maker(url: str, model: str | None, advance: Callable[[float], None] = unheard) -> Maker:
    """Generates in a running WebUI."""
    from lib_softinpaint.hosts import remote as webui_api

    def make(request: Request, image: Image.Image, mask: Image.Image | None, *others: Any) -> tuple[Image.Image, str]:
        result = webui_api.inpaint(url, request, image, mask, model)
        advance(1)
        return result
    return make
