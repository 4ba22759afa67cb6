"""Generates images with a local model or a running WebUI."""
from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from PIL import Image

from lib_softinpaint.cli.command import print_note
from lib_softinpaint.errors import judging_input
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.settings.prompt import demand_supported
from lib_softinpaint.settings.request import Request

PROGRESS_STEPS = 100  # per image

Maker = Callable[..., tuple[Image.Image, str]]
"""Takes a request, an image, its mask, and a function that receives the KeptImage. Returns the result and its infotext."""


def local_maker(request: Request, model: str | None, device: str | None, advance: Callable[[float], None],
                loras: Sequence[Path] = ()) -> Maker:
    """Generates with a local model. Imports diffusers only after the input is checked, because the import takes seconds."""
    demand_supported(request.prompt, request.negative_prompt)
    from lib_softinpaint.hosts.diffusers import models
    from lib_softinpaint.hosts.diffusers.lora import loras_of
    from lib_softinpaint.hosts.diffusers.prompts import as_run, prepared, without_effect

    loras_of(request.prompt, loras)
    with judging_input():
        models.scheduler_class(request.sampler, request.schedule_type)
        if model:
            click.echo(f"Loading {model}", err=True)
        pipeline = models.load(str(model or models.SCENE_MODEL), device)
    prepared(pipeline, request, loras)
    for note in without_effect(pipeline, request):
        print_note(note)

    def make(request: Request, image: Image.Image, mask: Image.Image,
             keep: Callable[[KeptImage], None] | None = None,
             on_note: Callable[[str], None] | None = None) -> tuple[Image.Image, str]:
        measured: dict[str, str] = {}
        result = models.inpaint(pipeline, request, image, mask, advance, keep, loras, on_note=on_note,
                                on_measured=measured.update)
        return result, models.infotext_of(as_run(pipeline, request), Size.of(image), model, loras, measured,
                                          pipeline.step_px)
    return make


def remote_maker(url: str, model: str | None, advance: Callable[[float], None]) -> Maker:
    """Generates in a running WebUI."""
    from lib_softinpaint.hosts import remote as webui_api

    def make(request: Request, image: Image.Image, mask: Image.Image, *others: Any) -> tuple[Image.Image, str]:
        result = webui_api.inpaint(url, request, image, mask, model)
        advance(1)
        return result
    return make


class Progress:
    """Progress bar over all images, updated with each image's share. Silent if stderr is not a terminal."""

    def __init__(self, images: int):
        terminal = sys.stderr if sys.stderr.isatty() else io.StringIO()
        self._bar = click.progressbar(length=images * PROGRESS_STEPS, file=terminal, show_pos=False)
        self._done = 0

    def __enter__(self) -> Callable[[float], None]:
        self._bar.__enter__()
        return self._advance

    def _advance(self, share: float) -> None:
        reached = round(share * PROGRESS_STEPS)
        self._bar.update(reached - self._done)
        self._done = reached % PROGRESS_STEPS

    def __exit__(self, *fault: Any) -> None:
        self._bar.__exit__(*fault)
