"""Runs tasks with a model that it loads once, or with a WebUI."""
from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image, ImageChops

from lib_softinpaint.batch.task import Failed, Made, Task
from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.candidates import Candidate, best_first, of_images, of_kept
from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.source import completed
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.makers import Maker, local_maker, quieten_libraries, remote_maker
from lib_softinpaint.hosts.placement import USUAL, Placement
from lib_softinpaint.images import export
from lib_softinpaint.images.files import painted_in, read_image, read_mask, reading, save_result
from lib_softinpaint.settings.mask_tools import source_of
from lib_softinpaint.settings.request import INPAINT_NOT_MASKED, LARGEST_SEED, Request, unstretched, with_seed


@dataclass(frozen=True)
class LocalSetup:
    """What a worker loads.

    request
        Checked once at the start, so that a wrong setting is found before the first image.
    placement
        Arguments of `hosts.diffusers.models.load`.
    threads
        PyTorch's threads on the CPU; None keeps the usual number.
    """

    request: Request
    model: str | None = None
    placement: Placement = USUAL
    loras: tuple[Path, ...] = ()
    threads: int | None = None


class Worker:
    """Runs one task at a time.

    Parameters
    ----------
    make
        From `hosts.makers`.
    wanted
        Asked before a result is saved. If it is not wanted any more, nothing is saved.
    """

    def __init__(self, make: Maker, wanted: Callable[[], bool] = lambda: True):
        self._make = make
        self._wanted = wanted

    def run(self, task: Task) -> Made | Failed:
        """What became of the task. Never raises, because not every exception can be sent to another process."""
        start = time.perf_counter()
        try:
            made = self._made(task)
        except BadInput as fault:
            return Failed(_one_line(fault))
        except Exception as fault:
            broken_storage = isinstance(fault, OSError) and not isinstance(fault, ConnectionError)
            return Failed(_one_line(f"{type(fault).__name__}: {fault}"), True, not broken_storage, traceback.format_exc())
        return replace(made, seconds=time.perf_counter() - start)

    def _made(self, task: Task) -> Made:
        notes: list[str] = []
        original = read_image(task.image, notes)
        size = Size.of(original)
        request = with_seed(unstretched(task.request, size) if task.may_fit else task.request)
        mask = None if task.mask is None else read_mask(task.mask)
        if mask is None and not source_of(request.settings.mask_tools):
            mask = transparent_areas(task.image)
        painted = painted_in(mask, task.mask or task.image, original, task.image, request, notes)
        repainted = 1 - painted if request.mask_mode == INPAINT_NOT_MASKED else painted
        made: list[tuple[Candidate, int, Image.Image, str, list[KeptImage]]] = []
        for number in range(task.candidates):
            numbered = replace(request, seed=(request.seed + number) % (LARGEST_SEED + 1))
            kept: list[KeptImage] = []
            result, text = self._make(numbered, original, mask, kept.append, notes.append)
            candidate = of_kept(kept[0], kept[0].settings) if kept else of_images(original, result, repainted)
            made.append((candidate, numbered.seed, result, text, kept))
            made = [made[best_first([each for each, *_ in made])[0]]]
        (best, seed, result, text, kept), = made
        if not self._wanted():
            raise BadInput("this worker was given up before it had finished")
        save_result(result, task.target, text, colours_of(original))
        if task.export is not None:
            for image in kept:
                export.save(completed(image, text, original), image.settings, task.export, task.target.stem, task.photoshop)
        return Made(seed, best.score, 0, tuple(dict.fromkeys(notes)))


def local_worker(setup: LocalSetup, number: int = 0) -> Worker:
    """A worker with its own model. On a machine with several GPUs, workers take turns by their numbers."""
    quieten_libraries()
    if setup.threads:
        torch.set_num_threads(setup.threads)
    placement = setup.placement
    if placement.device in (None, "cuda") and torch.cuda.device_count() > 1:
        placement = placement._replace(device=f"cuda:{number % torch.cuda.device_count()}")
    return Worker(local_maker(setup.request, setup.model, placement, loras=setup.loras))


def rejected(prepare: Callable[[], object]) -> str:
    """Why the call rejects the setup, in one sentence; empty if it does not. Other exceptions are raised."""
    try:
        prepare()
    except BadInput as fault:
        return _one_line(fault)
    return ""


def remote_worker(url: str, model: str | None, wanted: Callable[[], bool]) -> Worker:
    """A worker that asks the WebUI at this address."""
    return Worker(remote_maker(url, model), wanted)


def transparent_areas(path: Path) -> Image.Image:
    """The mask of an image whose transparent areas are to be repainted. Raises BadInput if it has no transparency."""
    image = read_mask(path)
    if "A" not in image.getbands() and "transparency" not in image.info:
        raise BadInput(f"{path} must have transparent areas to repaint, but it has no transparency")
    with reading(path):
        return ImageChops.invert(image.convert("RGBA").getchannel("A"))


def _one_line(fault: object) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__
