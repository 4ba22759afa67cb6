"""Whether new content goes on with what its surroundings show: with and without the settings that are for it, and by others.

Each task has a known truth: a thing that is half hidden, the line between sky and land, the land behind a thing to remove. Two
tasks that ask for something new show whether that suffers. Each image is painted on the same seed with every setting.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation

from benchmarks import quality, tasks, truth
from benchmarks.coherence_peers import LanPaintPipeline, RePaintPipeline
from benchmarks.options import OUTPUT, Options
from benchmarks.peers import RecordingPipeline, Run, pipeline_for, run_soft
from benchmarks.tables import markdown_table, over_scenes
from benchmarks.tasks import NEAR, WHOLE, Task, largest_thing, scribbled
from lib_softinpaint.generation import score
from lib_softinpaint.images.sheet import side_by_side, stacked
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.settings.settings import Settings
from training.scenes import HELD_OUT, SIZE, Scene, Thing

TUNING, REPORTED = 5000, 7000
"""First seeds of scenes on which defaults are decided, and of those that are reported."""
SCENES, MORE_SCENES = 12, 40
SEED, MASK_BLUR = 1, 4
LEAST_SHARE = 0.02
"""Of the image that something in the foreground covers."""

LEAST_OVERLAP = 0.5
"""What goes on, and what is beside it, must each agree with the truth on this share of the area (intersection over union)."""
NEAR_PX, COLOUR_STEP = 24, 6
"""How far from the painted area colours are compared, and how finely, CIELAB units."""

WITHOUT = "without"
VARIANTS: dict[str, tuple[type[RecordingPipeline], dict[str, float]]] = {
    WITHOUT: (RecordingPipeline, {"agreement": 0.0}), "agreement 0.5": (RecordingPipeline, {"agreement": 0.5}),
    "agreement 1": (RecordingPipeline, {}), "rounds 2": (RecordingPipeline, {"agreement": 0.0, "coherence_rounds": 2.0}),
    "agreement 1, rounds 2": (RecordingPipeline, {"coherence_rounds": 2.0}),
    "LanPaint, 5 rounds": (LanPaintPipeline, {"agreement": 0.0}), "RePaint, 3 times": (RePaintPipeline, {"agreement": 0.0})}
"""Pipeline and settings."""
SHOWN = WITHOUT, "agreement 1", "rounds 2", "agreement 1, rounds 2"
"""On the contact sheets."""
SHEET_SCENES = 6


def scenes(first: int, count: int) -> Iterator[Scene]:
    """Scenes that the model was not trained on, with something in the foreground."""
    seed = HELD_OUT + first
    while count:
        scene = Scene.from_seed(seed)
        if any(thing.kind in NEAR and scene.mask(thing).mean() > LEAST_SHARE for thing in scene.things):
            yield scene
            count -= 1
        seed += 1


def _half_hidden(scene: Scene, rng: np.random.Generator) -> Task:
    thing = largest_thing(scene)
    left, top, right, bottom = thing.box
    halves = (left, top, thing.x, bottom), (thing.x, top, right, bottom), (left, top, right, (top + bottom) / 2)
    return _task(scene, "half-hidden thing", thing.phrase(), scribbled(halves[rng.integers(3)], rng), scene, (thing,))


def _horizon(scene: Scene, rng: np.random.Generator) -> Task:
    lands = [thing for thing in scene.things if thing.kind in ("ground", "hill")]
    land = min(lands, key=lambda thing: thing.y - thing.height)
    seen = scene.mask(land)
    others = np.logical_or.reduce([scene.mask(thing) for thing in scene.things if thing not in lands])

    def box_at(x: float) -> tuple[float, float, float, float]:
        y = float(np.argmax(seen[:, int(x * SIZE)]) / SIZE) or land.y - land.height
        return x - 0.16, y - 0.12, x + 0.16, y + 0.12

    def covered(box: tuple[float, ...]) -> int:
        left, top, right, bottom = (int(max(0, edge) * SIZE) for edge in box)
        return int(others[top:bottom, left:right].sum())
    box = min((box_at(x) for x in rng.uniform(0.2, 0.8, tasks.PLACES_TRIED)), key=covered)
    return _task(scene, "horizon", scene.caption(), scribbled(box, rng), scene, (land,))


def _removal(scene: Scene, rng: np.random.Generator) -> Task:
    thing = largest_thing(scene)
    empty = replace(scene, things=tuple(each for each in scene.things if each != thing))
    return _task(scene, "removal", empty.caption(), scribbled(thing.box, rng), empty, ())


def _task(scene: Scene, name: str, prompt: str, painted: np.ndarray, answer: Scene, things: tuple[Thing, ...]) -> Task:
    return Task(scene, name, prompt, things, painted, answer.draw(), 1.0, "fill", MASK_BLUR)


def _new(make: Callable[[Scene, np.random.Generator, int], Task]) -> Callable[[Scene, np.random.Generator], Task]:
    return lambda scene, rng: replace(make(scene, rng, SIZE), mask_blur=MASK_BLUR)


TASKS = {"half-hidden thing": _half_hidden, "horizon": _horizon, "removal": _removal, "ground": _new(tasks.TASKS["ground"]),
         "replace": _new(tasks.TASKS["replace"])}


def goes_on(result: np.ndarray, task: Task) -> bool:
    """Whether a thing or the land goes on in the painted area as in the truth.

    Each painted pixel counts as the thing or as what is beside it, by which colours of the truth around there are nearer.
    """
    assert task.answer is not None, "these tasks have a known truth"
    seen, true = (lab(image).movedim(0, -1).numpy() for image in (result, task.answer))
    of_thing, near = task.scene.mask(task.things[0]), binary_dilation(task.painted, iterations=NEAR_PX)

    def distance(where: np.ndarray) -> np.ndarray:
        colours = np.unique(np.round(true[where & near] / COLOUR_STEP), axis=0) * COLOUR_STEP
        return np.linalg.norm(seen[task.painted][:, None] - colours, axis=-1).min(1)
    found, wanted = distance(of_thing) < distance(~of_thing), of_thing[task.painted]
    overlaps = [(one & other).sum() / max((one | other).sum(), 1) for one, other in ((found, wanted), (~found, ~wanted))]
    return min(overlaps) >= LEAST_OVERLAP


def painted(run: Run, kind: type[RecordingPipeline], settings: Settings) -> dict[str, Any]:
    """One image and its figures."""
    pipeline: Any = pipeline_for(kind, run)
    task, start = run.task, time.perf_counter()
    result = np.asarray(run_soft(pipeline, run, settings, task.mask_blur).images[0])
    seconds = time.perf_counter() - start
    scores = score.score(task.image, result, pipeline.job.repaint_px[0], task.painted, pipeline.decoded[0])
    assert task.answer is not None, "these tasks have a known truth"
    is_new = task.name in tasks.TASKS
    may_go_on = bool(task.things) and not is_new
    return {"image": result, "scene": task.scene.seed, "goes on": goes_on(result, task) if may_go_on else np.nan,
            "found": quality.found(result, task) if is_new else np.nan,
            "CIEDE2000": truth.ciede2000(result, task.answer, task.painted), "blend score": score.blend_score(scores),
            "jump": scores.jump, "ghost": scores.ghost, "half-eaten": scores.half_eaten, "seconds": seconds,
            "changed outside": scores.outside_changed}


FORMATS = {"goes on": "{:.0%}", "found": "{:.0%}", "CIEDE2000": "{:.1f}", "blend score": "{:.1f}", "jump": "{:.2f}",
           "ghost": "{:.3f}", "half-eaten": "{:.1%}", "changed outside": "{:.0f}"}


def tables(options: Options) -> Iterator[str]:
    """A Markdown table for each task and one for all, with intervals of the difference from `WITHOUT`."""
    first, count = TUNING if options.tuning else REPORTED, MORE_SCENES if options.full else SCENES
    made: dict[str, dict[str, list[dict]]] = {}
    strips: dict[str, list[Image.Image]] = {}
    for scene in scenes(first, count):
        for number, (name, make) in enumerate(TASKS.items()):
            task = make(scene, np.random.default_rng((scene.seed, number)))
            run = Run(task, WHOLE, quality.SAMPLER, quality.STEPS, (SEED,))
            images = {variant: painted(run, kind, Settings(enabled=True, **changes))
                      for variant, (kind, changes) in VARIANTS.items()}
            for variant, figures in images.items():
                made.setdefault(name, {}).setdefault(variant, []).append(figures)
            tiles = {"painted": task.marked} | {variant: images[variant]["image"] for variant in SHOWN}
            strips.setdefault(name, []).append(side_by_side({label: Image.fromarray(tile) for label, tile in tiles.items()}))
    for name, each in strips.items():
        stacked(each[:SHEET_SCENES]).save(OUTPUT / f"coherence-{name.replace(' ', '-')}.jpg", quality=88)
    everything = {variant: [figures for rows in made.values() for figures in rows[variant]] for variant in VARIANTS}
    for name, rows in {f"All tasks, {count} scenes": everything, **made}.items():
        yield f"{name[0].upper()}{name[1:]}"
        yield _table(rows)


def _table(rows: dict[str, list[dict]]) -> str:
    def cell(variant: str, key: str) -> str:
        pairs = [(figures, before) for figures, before in zip(rows[variant], rows[WITHOUT]) if not np.isnan(figures[key])]
        if not pairs:
            return ""
        mean = FORMATS[key].format(np.mean([figures[key] for figures, _ in pairs]))
        if variant == WITHOUT or key == "changed outside":
            return mean
        differences: dict[str, list[float]] = {}
        for figures, before in pairs:
            differences.setdefault(str(figures["scene"]), []).append(float(figures[key]) - float(before[key]))
        low, high = over_scenes(differences, np.mean)[1]
        return f"{mean} ({FORMATS[key].format(low)} to {FORMATS[key].format(high)})"
    usual = np.median([figures["seconds"] for figures in rows[WITHOUT]])
    return markdown_table(["setting", *FORMATS, "time"], [
        [variant, *(cell(variant, key) for key in FORMATS),
         f"{np.median([figures['seconds'] for figures in rows[variant]]) / usual:.1f} times"] for variant in rows])
