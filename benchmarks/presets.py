"""Scores each bundled preset on the task that it is for, beside the default settings.

Where a task has one right answer, the colour difference from it decides whether a preset is better; else the blend score,
which counts what was asked for and found.

The presets are meant for images of 512 pixels, so that size is painted, in scenes on which defaults are decided.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import cache

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

from benchmarks import quality, tasks, truth
from benchmarks.options import OUTPUT, Options
from benchmarks.peers import PLAIN, variant
from benchmarks.tables import markdown_table
from benchmarks.tasks import MARGIN, TUNING_SCENES, Task, largest_thing, make_task
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.score import blend_score
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.images.sheet import side_by_side, stacked
from lib_softinpaint.settings import presets
from lib_softinpaint.settings.presets import Preset
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings

RETOUCH = "retouch"
"""The largest thing in the foreground is painted over and named, so that it should stay what it is."""

RESTORE, BLUR_SHARE = "restore a detail", 0.008
"""The same, but its image is blurred, by this share of the image's side. It should become as sharp as it was."""

REMOVE = "remove"
"""The largest thing in the foreground is painted over, and the land is asked for."""

EXTEND, EMPTY_SHARE = "extend", 0.3
"""This share of the image is white on one side, and the whole scene is asked for."""

TASKS = {
    "Squiggle": "thin stroke", "Merge an element": "over an edge", "Replace a subject": "replace",
    "Fix a detail (only masked)": RETOUCH, "New background": "background", "Recolour": "recolour",
    "Outpaint edge": "large area", "Light touch": RETOUCH}
"""Task by preset. Not listed: "Built-in defaults", which is for no task, "Continue what is there", which is "rounds 2" in
`coherence`, and those that only have one in ANSWERED."""

ANSWERED = {"Remove an object": REMOVE, "Fix a detail (only masked)": RESTORE, "Outpaint edge": EXTEND}
"""Task with one right answer, by preset."""

FORMATS = {"blend score": "{:.1f}", "found": "{:.0%}", "CIEDE2000": "{:.1f}", "jump": "{:.2f}", "half-eaten": "{:.1%}",
           "effect": "{:.1f}"}
COLUMNS = {"blend score": "blend score", "found": "found", "CIEDE2000": "CIEDE2000 from the answer", "jump": "jump",
           "half-eaten": "half-eaten", "effect": "mean change of the painted area, CIELAB"}

SIDE = 512
SCENES = tuple(TUNING_SCENES)[::2]
SEEDS = (1,)


@cache
def pipeline_of(model: str) -> SoftInpaintPipeline:
    bundled = models.load(str(models.SCENE_MODEL), "cpu")
    return bundled if model == PLAIN else type(bundled)(**{**bundled.components, **variant(model)},
                                                        requires_safety_checker=False)


def task_of(scene: str, name: str) -> Task:
    if name not in (RETOUCH, *ANSWERED.values()):
        return make_task(scene, name, SIDE)
    task = make_task(scene, "recolour", SIDE)
    whole, thing = task.scene, largest_thing(task.scene)
    over_thing = distance_transform_edt(~whole.mask(thing, SIDE)) < MARGIN * SIDE
    if name == REMOVE:
        rest = replace(whole, things=tuple(each for each in whole.things if each != thing))
        land = replace(whole, things=tuple(each for each in whole.things if each.kind in ("ground", "hill")))
        return replace(task, name=name, prompt=land.caption(), things=(), painted=over_thing, answer=rest.draw(SIDE))
    if name == EXTEND:
        empty = np.zeros((SIDE, SIDE), bool)
        empty[:, :round(EMPTY_SHARE * SIDE)] = True
        empty = empty if tasks.SCENES[scene] % 2 else empty[:, ::-1]
        painted = distance_transform_edt(~empty) < MARGIN * SIDE
        return replace(task, name=name, prompt=whole.caption(), things=(), painted=painted, answer=task.image,
                       shown=np.where(empty[..., None], 255, task.image).astype(np.uint8))
    blurred = gaussian_filter(task.image, (BLUR_SHARE * SIDE, BLUR_SHARE * SIDE, 0))
    shown = np.where(over_thing[..., None], blurred, task.image) if name == RESTORE else None
    return replace(task, name=name, prompt=thing.phrase(), things=(thing,), painted=over_thing, answer=task.image, shown=shown)


def _judged(task: Task) -> Task:
    """The task as the judge needs it: a thing that stays counts as new, in the scene without it."""
    stays = task.name in (RETOUCH, RESTORE)
    things = tuple(thing for thing in task.scene.things if not stays or thing not in task.things)
    return replace(task, scene=replace(task.scene, things=things))


def kept_images(request: Request, task: Task, pipeline: SoftInpaintPipeline,
                seeds: Sequence[int] = SEEDS) -> Iterator[KeptImage]:
    """Images painted for a task, one for each seed."""
    for seed in seeds:
        kept: list[KeptImage] = []
        models.inpaint(pipeline, replace(request, prompt=task.prompt, seed=seed), Image.fromarray(task.image),
                       grey_image(task.painted.astype(np.float32)), keep=kept.append)
        yield from kept


def requests(preset: Preset) -> dict[str, Request]:
    """The preset, the default settings with the preset's request, and what a fresh WebUI is set to."""
    known = {field.name for field in fields(Request)}
    its_own = {name: value for name, value in preset.request.items() if name in known}
    return {"preset": Request(settings=Settings(**{**preset.settings, "enabled": True}), **its_own),
            "defaults, its request": Request(**its_own), "defaults": Request()}


def measured(request: Request, task: Task, image: KeptImage) -> dict[str, float]:
    """Figures of one image. NaN where the task has no answer, or asks for nothing that can be found."""
    result, scores = image.composited(request.settings), image.scores(request.settings)
    found = quality.found(result, _judged(task)) if task.things or task.light else np.nan
    return {"blend score": blend_score(scores, 1.0, 1.0 if np.isnan(found) else found), "found": found, "jump": scores.jump,
            "CIEDE2000": truth.ciede2000(result, task.answer, task.painted) if task.name in ANSWERED.values() else np.nan,
            "half-eaten": scores.half_eaten, "effect": scores.effect}


def tables(options: Options) -> Iterator[str]:
    """A Markdown table with a row for each preset, and one for tasks with one answer. Writes a contact sheet for each row."""
    names = tuple(tasks.REPORTED_SCENES) if options.full and not options.tuning else SCENES
    for of_tasks, keys in ((TASKS, FORMATS.keys() - {"CIEDE2000"}), (ANSWERED, FORMATS.keys() - {"found"})):
        keys = [key for key in FORMATS if key in keys]
        rows = [[name, task_name, *_row(presets.bundled()[name], task_name, names, keys)]
                for name, task_name in of_tasks.items()]
        header = ["preset", "task", *(COLUMNS[key] for key in keys)]
        header[2] += ", preset / defaults with its request / defaults"
        yield f"{len(names)} scenes\n\n" + markdown_table(header, rows)


def _row(preset: Preset, task_name: str, names: tuple[str, ...], keys: list[str]) -> list[str]:
    wanted = requests(preset)
    figures: dict[str, list[dict[str, float]]] = {kind: [] for kind in wanted}
    strips = []
    for task in (task_of(scene, task_name) for scene in names):
        tiles = {"painted": task.marked}
        for kind, request in wanted.items():
            for image in kept_images(request, task, pipeline_of(PLAIN)):
                figures[kind].append(measured(request, task, image))
                tiles[kind] = image.composited(request.settings)
        if task.answer is not None:
            tiles["answer"] = task.answer
        strips.append(side_by_side({label: Image.fromarray(tile).reduce(2) for label, tile in tiles.items()}))
    name = f"{preset.name.split(' (')[0]} {task_name}".lower().replace(" ", "-")
    stacked(strips).save(OUTPUT / f"presets-{name}.jpg", quality=88)
    return [" / ".join(_mean(figures[kind], key) for kind in wanted) for key in keys]


def _mean(figures: list[dict[str, float]], key: str) -> str:
    values = [each[key] for each in figures if not np.isnan(each[key])]
    return FORMATS[key].format(np.mean(values)) if values else "-"
