"""Backend of the stand-alone page: generates images on this machine, saves them and keeps them for re-compositing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib_softinpaint.generation.candidates import Candidate, of_kept
from lib_softinpaint.generation.colours import SRGB, Colours, colours_of
from lib_softinpaint.generation.history import USUAL_LIMIT_MB, History
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.source import completed
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.prompts import as_run, notes_on
from lib_softinpaint.hosts.placement import USUAL, Placement
from lib_softinpaint.images import infotext_files
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import LARGEST_SEED, Request
from lib_softinpaint.settings.settings import REGIONS_KEY
from lib_softinpaint.ui import recomposite
from lib_softinpaint.ui.page_host import MASKS, Finished, PageHost
from lib_softinpaint.ui.page_layout import SELECTED, results_html
from lib_softinpaint.ui.painting import Step, Stopped

PREVIEW_COST = 4
"""Wait before the next preview, in multiples of the last one's duration: previews take at most a fifth of the time."""


class _Previews:
    """The last preview of the running image."""

    def __init__(self):
        self.last: Image.Image | None = None
        self._free_at = 0.0

    def look(self, running: Any) -> None:
        """Takes a preview from a running pipeline if the last one was long enough ago."""
        start = time.perf_counter()
        self.last = running.preview() if start >= self._free_at else None
        end = time.perf_counter()
        if self.last is not None:
            self._free_at = end + PREVIEW_COST * (end - start)


class Painter:
    """Generates images and saves them in a folder.

    Parameters
    ----------
    placement
        Arguments of `models.load`.
    """

    def __init__(self, output: Path, placement: Placement = USUAL):
        self.output = output
        self.placement = placement
        self.history = History()

    def host(self) -> PageHost:
        again = recomposite.Results(self._find, self._kept, self._add, SELECTED)
        return PageHost(self.paint, list(models.SAMPLERS), list(models.SCHEDULE_TYPES), again)

    def paint(self, request: Request, image: Image.Image, mask: Image.Image, count: int, model: str,
              on_step: Step) -> Iterator[Finished]:
        """Implements `ui.page_host.PageHost.paint`."""
        pipeline = models.load(model or str(models.SCENE_MODEL), *self.placement)
        unused, request = notes_on(pipeline, request), as_run(pipeline, request)
        previews = _Previews()
        for number in range(count):
            on_step(0, None)  # raises Stopped if a stop was requested while the model loaded or between two images
            numbered = replace(request, seed=(request.seed + number) % (LARGEST_SEED + 1))
            yield from self._painted(pipeline, numbered, image, mask, model, unused, previews, on_step)

    def _painted(self, pipeline: Any, request: Request, image: Image.Image, mask: Image.Image, model: str,
                 unused: Sequence[str], previews: _Previews, on_step: Step) -> Iterator[Finished]:
        """One image. If it is stopped, its finished regions are yielded before Stopped is raised."""
        kept: list[KeptImage] = []
        notes = [*unused]
        measured: dict[str, str] = {}
        so_far: list[Image.Image] = []

        def finished(result: Image.Image) -> Finished:
            text = models.infotext_of(request, Size.of(image), model, measured=measured, step_px=pipeline.step_px)
            return self._finished(result, image, mask, text, request, kept, notes)
        try:
            result = models.inpaint(
                pipeline, request, image, mask, lambda share: on_step(share, previews.last), kept.append,
                on_running=previews.look, on_note=notes.append, on_measured=measured.update,
                on_region=lambda result, done, of: so_far.append(result))
        except Stopped:
            if so_far:
                notes.append(f"Stopped after {measured[REGIONS_KEY]} regions.")
                yield finished(so_far[-1])
            raise
        yield finished(result)

    def _finished(self, result: Image.Image, image: Image.Image, mask: Image.Image, image_infotext: str,
                  request: Request, kept: list[KeptImage], notes: list[str]) -> Finished:
        compared: Candidate | None = None
        path = self._saved(result, image_infotext, str(request.seed), mask, colours_of(image))
        for kept_image in kept:  # empty after hard inpainting
            identity = self.history.put(completed(kept_image, image_infotext, image), np.asarray(result), USUAL_LIMIT_MB)
            self.history.set_file(identity, path)
            compared = of_kept(kept_image, kept_image.settings, np.asarray(result))
        return Finished(path, image_infotext, compared, tuple(notes))

    def _saved(self, image: Image.Image, image_infotext: str, name: str, mask: Image.Image,
               colours: Colours = SRGB) -> Path:
        (self.output / MASKS).mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(path.stem[:5]) for path in self.output.glob("[0-9]" * 5 + "-*.png")), default=0)
        path = self.output / f"{number:05d}-{name}.png"
        infotext_files.save(image, path, image_infotext, colours)
        mask.save(self.output / MASKS / path.name)
        return path

    # For the re-compositing panel. A kept image's id is the file name of its result.

    def _find(self, _: Any, name: str) -> str:
        if not name:
            raise LookupError("No candidate is selected: generate an image first.")
        if self.history.find(self.output / name) is None:
            raise LookupError("This image cannot be re-composited: it was not soft-inpainted, or newer results have "
                              "replaced it.")
        return name

    def _kept(self, name: str) -> KeptImage:
        try:
            return self.history.get(self.history.find(self.output / name) or "")
        except KeyError as missing:
            raise LookupError("This image is no longer kept: newer images have replaced it.") from missing

    def _add(self, result: Image.Image, image_infotext: str, _: Any, name: str) -> tuple[str, Any, str]:
        """Saves a re-composited result, with the mask that was painted for the kept one."""
        seed = infotext.parse(image_infotext).get("Seed")
        with Image.open(self.output / MASKS / name) as mask:
            path = self._saved(result, image_infotext, f"{seed}-again", mask, colours_of(result))
        added = {**Finished(path, image_infotext, None).candidate(), "seed": f"{seed}, re-composited"}
        return path.name, results_html([added], "added"), name
