"""Scores each bundled preset on the task that it is for, and the default settings with the same request."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
from PIL import Image

from benchmarks.options import Options
from benchmarks.tables import markdown_table
from benchmarks.tasks import QUICK_SCENES, SIZE, Task, make_task
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.score import blend_score
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.settings import presets
from lib_softinpaint.settings.presets import Preset
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings

TASKS = {
    "Squiggle": "thin stroke", "Merge an element": "over an edge", "Replace a subject": "replace",
    "Fix a detail (only masked)": "recolour", "New background": "background", "Recolour": "recolour",
    "Outpaint edge": "large area", "Light touch": "recolour"}
"""Task by preset. Not listed: "Built-in defaults", which is for no task, and "Few steps", because no few-step
model is bundled."""

MEANT_FOR_PX = 512
"""Side of the images that presets are meant for. The model's are smaller, so settings in pixels are scaled down."""

SEEDS = 1, 2

IN_PIXELS = "feather_width", "grow_px", "edge_taper_px", "mask_blur", "masked_area_padding"


def kept_images(preset: Preset, settings: Settings, task: Task) -> Iterator[KeptImage]:
    """Images painted for a task with the preset's request and these settings."""
    known = {field.name for field in fields(Request)}
    request = Request(prompt=task.prompt, settings=settings, **_scaled_down(
        {name: value for name, value in preset.request.items() if name in known}))
    pipeline = models.load(str(models.SCENE_MODEL), "cpu")
    for seed in SEEDS:
        kept: list[KeptImage] = []
        models.inpaint(pipeline, replace(request, seed=seed), Image.fromarray(task.image),
                       grey_image(task.painted.astype(np.float32)), keep=kept.append)
        yield from kept


def _scaled_down(values: dict) -> dict:
    return {name: type(value)(value * SIZE / MEANT_FOR_PX) if name in IN_PIXELS else value for name, value in values.items()}


def tables(options: Options) -> Iterator[str]:
    """A Markdown table with a row for each preset."""
    rows = []
    for name, task_name in TASKS.items():
        preset = presets.bundled()[name]
        own, usual = _scaled_down(dict(preset.settings)), _scaled_down({"edge_taper_px": Settings().edge_taper_px})
        cells = []
        for settings in (Settings(**{**usual, **own, "enabled": True}), Settings(**usual, enabled=True)):
            measured = [image.scores(settings) for scene in QUICK_SCENES
                        for image in kept_images(preset, settings, make_task(scene, task_name))]
            cells.append([f"{np.mean([blend_score(each) for each in measured]):.1f}",
                          f"{np.mean([each.jump for each in measured]):.2f}",
                          f"{np.mean([each.effect for each in measured]):.1f}"])
        rows.append([name, task_name, *(" / ".join(pair) for pair in zip(*cells))])
    header = ["preset", "task", "blend score, preset / defaults", "jump", "mean change of the painted area, CIELAB"]
    yield markdown_table(header, rows)
