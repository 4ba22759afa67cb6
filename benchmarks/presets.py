"""Scores each bundled preset on the task that it is for, beside the default settings.

The presets are meant for images of 512 pixels, so that size is painted, in scenes on which defaults are decided.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from benchmarks import quality
from benchmarks.options import Options
from benchmarks.peers import FEW_STEPS, PLAIN, variant
from benchmarks.tables import markdown_table
from benchmarks.tasks import MARGIN, TUNING_SCENES, Task, largest_thing, make_task
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.score import blend_score
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.settings import presets
from lib_softinpaint.settings.presets import Preset
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings

RETOUCH = "retouch"
"""The largest thing in the foreground is painted over and named, so that it should stay what it is."""

TASKS = {
    "Squiggle": "thin stroke", "Merge an element": "over an edge", "Replace a subject": "replace",
    "Fix a detail (only masked)": RETOUCH, "New background": "background", "Recolour": "recolour",
    "Outpaint edge": "large area", "Light touch": RETOUCH, "Few steps": "replace"}
"""Task by preset. Not listed: "Built-in defaults", which is for no task."""

FEW_STEPS_REQUEST = {"steps": 4, "cfg_scale": 1.0, "denoising_strength": 1.0}
"""What the preset "Few steps" is used with."""

SIDE = 512
SCENES = tuple(TUNING_SCENES)[::2]
SEEDS = (1,)


@cache
def pipeline_of(model: str) -> SoftInpaintPipeline:
    bundled = models.load(str(models.SCENE_MODEL), "cpu")
    return bundled if model == PLAIN else type(bundled)(**{**bundled.components, **variant(model)},
                                                        requires_safety_checker=False)


def task_of(scene: str, name: str) -> Task:
    task = make_task(scene, "recolour" if name == RETOUCH else name, SIDE)
    if name != RETOUCH:
        return task
    thing = largest_thing(task.scene)
    painted = distance_transform_edt(~task.scene.mask(thing, SIDE)) < MARGIN * SIDE
    return replace(task, name=name, prompt=thing.phrase(), things=(thing,), painted=painted, answer=task.image)


def _judged(task: Task) -> Task:
    """The task as the judge needs it: a thing that stays counts as new, in the scene without it."""
    stays = task.name == RETOUCH
    things = tuple(thing for thing in task.scene.things if not stays or thing not in task.things)
    return replace(task, scene=replace(task.scene, things=things))


def kept_images(request: Request, task: Task, model: str = PLAIN) -> Iterator[KeptImage]:
    """Images painted for a task, one for each of SEEDS."""
    for seed in SEEDS:
        kept: list[KeptImage] = []
        models.inpaint(pipeline_of(model), replace(request, prompt=task.prompt, seed=seed), Image.fromarray(task.image),
                       grey_image(task.painted.astype(np.float32)), keep=kept.append)
        yield from kept


def requests(preset: Preset) -> dict[str, Request]:
    """The preset, the default settings with the preset's request, and what a fresh WebUI is set to."""
    known = {field.name for field in fields(Request)}
    its_own = {name: value for name, value in preset.request.items() if name in known}
    fresh = FEW_STEPS_REQUEST if preset.name == "Few steps" else {}
    return {"preset": Request(settings=Settings(**{**preset.settings, "enabled": True}), **{**fresh, **its_own}),
            "defaults, its request": Request(**{**fresh, **its_own}), "defaults": Request(**fresh)}


def tables(options: Options) -> Iterator[str]:
    """A Markdown table with a row for each preset."""
    rows = []
    for name, task_name in TASKS.items():
        model, cells = FEW_STEPS if name == "Few steps" else PLAIN, []
        for request in requests(presets.bundled()[name]).values():
            measured = [(image.scores(request.settings), quality.found(image.composited(request.settings), _judged(task)))
                        for task in (task_of(scene, task_name) for scene in SCENES)
                        for image in kept_images(request, task, model)]
            cells.append([f"{np.mean([blend_score(scores, 1.0, found) for scores, found in measured]):.1f}",
                          f"{np.mean([found for _, found in measured]):.0%}",
                          f"{np.mean([scores.jump for scores, _ in measured]):.2f}",
                          f"{np.nanmean([scores.half_eaten for scores, _ in measured]):.1%}",
                          f"{np.mean([scores.effect for scores, _ in measured]):.1f}"])
        rows.append([name, task_name, *(" / ".join(each) for each in zip(*cells))])
    header = ["preset", "task", "blend score, preset / defaults with its request / defaults", "found", "jump", "half-eaten",
              "mean change of the painted area, CIELAB"]
    yield f"{len(SCENES)} scenes\n\n" + markdown_table(header, rows)
