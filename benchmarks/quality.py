"""Image quality: every method on the same tasks, model and seeds, scored and shown side by side.

Defaults are decided on one set of scenes and seeds, and reported on another. Images are saved under outputs/bench/images, so
an interrupted run resumes and scores can be recomputed without painting. A method's images are discarded when it paints the
probes differently. For a run that trusts no saved image, delete the folder.
"""
from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import math
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from skimage.color import rgb2lab

from benchmarks import peers, truth, webui
from benchmarks.machine import ROOT
from benchmarks.options import OUTPUT, Options
from benchmarks.peers import (
    AS_FOUND,
    AT_THEIR_BEST,
    BUILTIN,
    DIFFERENTIAL_PASTED,
    FEW_STEPS,
    FRESH_GUIDANCE,
    GUIDANCE,
    HARD,
    INPAINTING,
    OURS,
    OURS_PLAIN,
    PAINTERS,
    PLAIN,
    Outcome,
    Run,
)
from benchmarks.tables import comparisons, own_table, table_by, truth_table
from benchmarks.tasks import (
    AREAS,
    ONLY_MASKED,
    QUICK_SCENES,
    REPORTED_SCENES,
    SCENES,
    TASKS,
    TUNING_SCENES,
    WHOLE,
    Task,
    as_a_fresh_webui_is_set,
    make_task,
)
from lib_softinpaint.generation import score
from lib_softinpaint.images.sheet import side_by_side, stacked
from lib_softinpaint.method.mask import to_latent
from lib_softinpaint.settings.request import LATENT_PX
from training.judge import recognised
from training.scenes import SIZE

IMAGES = OUTPUT / "images"

SAMPLER, STEPS = "Euler a", 20
TUNING_SEEDS, REPORTED_SEEDS = (1,), (11,)

FRESH_TASKS = 4
"""Tasks in each scene."""
WIDE_BLUR_PX = 16
"""A Mask blur that guides recommend."""

OTHER_SAMPLERS = "Euler", "DPM++ 2M", "DPM++ 2M SDE", "DDIM", "UniPC"
OTHER_STEPS = 10, 40
SAMPLER_TASKS = "sky", "over an edge", "replace"
SAMPLER_METHODS = HARD, BUILTIN, OURS, DIFFERENTIAL_PASTED
"""Methods that run on all samplers and step counts. The results of the others hardly depend on them."""

MODEL_SETTINGS = {PLAIN: (STEPS, GUIDANCE), INPAINTING: (STEPS, GUIDANCE), FEW_STEPS: (4, 1.0)}
"""Steps and guidance with which each model is used."""
MODEL_METHODS = HARD, BUILTIN, OURS

PROBES = [Run(as_a_fresh_webui_is_set(make_task(QUICK_SCENES[0], "ground")), WHOLE, SAMPLER, 2, (1,), FRESH_GUIDANCE),
          Run(make_task(QUICK_SCENES[1], "replace"), ONLY_MASKED, SAMPLER, 2, (1,))]
"""Runs by which a change of a method is noticed."""

NEAR_SHARE = 0.25
"""How far from the painted area an object still counts, in shares of the square root of that area."""
FINGERPRINT_CHARACTERS = 12
SHEET_TILE_PX = 160
LABEL_CHARACTERS = 22


@dataclass(frozen=True)
class Plan:
    """The runs and methods of one part of the benchmark, and the keys by which its second table is split."""

    title: str
    runs: list[Run]
    methods: tuple[str, ...]
    by: tuple[str, ...]


def plans(full: bool, scenes: Sequence[str] = tuple(REPORTED_SCENES), seeds: tuple[int, ...] = REPORTED_SEEDS) -> list[Plan]:
    """All parts. The quick set has few scenes, of those on which defaults are decided, and no large images."""
    if not full:
        scenes, seeds = QUICK_SCENES, TUNING_SEEDS
    sides = (SIZE, 2 * SIZE) if full else (SIZE,)
    steps = [(sampler, steps) for sampler in (SAMPLER, *OTHER_SAMPLERS) for steps in OTHER_STEPS] if full else []
    wide = [Plan(f"At Mask blur {WIDE_BLUR_PX}", fresh_runs(scenes[::4], seeds, sides[-1], WIDE_BLUR_PX),
                 (HARD, BUILTIN, OURS, OURS_PLAIN), ("task",))] if full else []
    return [Plan("As a fresh user finds it", fresh_runs(scenes, seeds, sides[-1]), AS_FOUND, ("task",)), *wide,
            Plan("Each at its best documented use", best_runs(scenes if full else scenes[:1], seeds), AT_THEIR_BEST,
                 ("task", "area")),
            Plan("Samplers and steps", sampler_runs([*((sampler, STEPS) for sampler in OTHER_SAMPLERS), *steps], scenes[::6],
                                                    seeds, SAMPLER_TASKS if full else SAMPLER_TASKS[:1]),
                 SAMPLER_METHODS, ("sampler", "steps")),
            Plan("Models and sizes", model_runs(scenes[::3], seeds, sides), MODEL_METHODS, ("model", "side"))]


def fresh_runs(scenes: Sequence[str], seeds: tuple[int, ...], side: int, mask_blur: int = 4) -> list[Run]:
    """FRESH_TASKS tasks in each scene, taking turns, as a fresh WebUI is set but for the Mask blur."""
    names = itertools.cycle(TASKS)
    return [Run(as_a_fresh_webui_is_set(make_task(scene, name, side), mask_blur), WHOLE, SAMPLER, STEPS, seeds, FRESH_GUIDANCE)
            for scene in scenes for name in itertools.islice(names, FRESH_TASKS)]


def best_runs(scenes: Sequence[str] = QUICK_SCENES, seeds: tuple[int, ...] = TUNING_SEEDS) -> list[Run]:
    """Each task in each scene, on alternating areas, at the task's own settings."""
    return [Run(make_task(scene, name), AREAS[(row + column) % len(AREAS)], SAMPLER, STEPS, seeds)
            for row, scene in enumerate(scenes) for column, name in enumerate(TASKS)]


def sampler_runs(samplers: Iterable[tuple[str, int]], scenes: Sequence[str], seeds: tuple[int, ...],
                 names: Sequence[str]) -> list[Run]:
    """Runs of a few tasks with each sampler and number of steps."""
    return [Run(make_task(scene, name), WHOLE, sampler, steps, seeds)
            for sampler, steps in samplers for scene in scenes for name in names]


def model_runs(scenes: Sequence[str], seeds: tuple[int, ...], sides: Sequence[int]) -> list[Run]:
    """Runs of a few tasks with each model, at its own size and at others, on alternating areas."""
    return [Run(make_task(scene, name, side), AREAS[(row + column) % len(AREAS)], SAMPLER, steps, seeds, guidance, model)
            for model, (steps, guidance) in MODEL_SETTINGS.items() for side in sides
            for row, scene in enumerate(scenes) for column, name in enumerate(SAMPLER_TASKS)]


def painter(method: str) -> Callable[[Run], dict[str, Outcome]]:
    return next(each for names, each in PAINTERS.items() if method in names)


def run_name(run: Run) -> str:
    """Name of a run, by which its images are saved."""
    task = run.task
    of_task = scene_name(task), task.name, task.side, task.denoising_strength, task.masked_content, task.mask_blur
    return "-".join(map(str, (*of_task, run.area, run.model, run.sampler, run.steps, run.guidance, *run.seeds)))


def cached_outcome(method: str, run: Run) -> Outcome:
    """The method's outcome of the run, read from the disk if it was saved there."""
    name = f"{run_name(run)}-{_digest(run.task.image, run.task.painted, run.task.prompt.encode())}.npz".replace(" ", "_")

    def file(method: str) -> Path:
        return IMAGES / fingerprint(method) / name
    if not file(method).exists():
        for each, outcome in painter(method)(run).items():
            if not file(each).parent.exists():
                for outdated in IMAGES.glob(_folder_name(each, "?" * FINGERPRINT_CHARACTERS)):
                    shutil.rmtree(outdated)
                file(each).parent.mkdir(parents=True)
            unfinished = file(each).with_suffix(".part")
            with unfinished.open("wb") as stream:
                np.savez_compressed(stream, **vars(outcome))
            unfinished.replace(file(each))
    with np.load(file(method)) as stored:
        return Outcome(**stored)


@functools.cache
def fingerprint(method: str) -> str:
    """Name of a method's folder. It changes when the method paints the probes differently, and with the model's variants.

    A few steps are enough to see a change of the method, and a change of other code does not discard hours of images.
    """
    variants = (path.read_bytes() for path in sorted(peers.VARIANTS.rglob("*.safetensors")))
    outcomes = (painter(method)(run)[method] for run in PROBES)
    return _folder_name(method, _digest(*variants, *(array for outcome in outcomes for array in vars(outcome).values())))


def _digest(*contents: bytes | np.ndarray) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content if isinstance(content, bytes) else np.ascontiguousarray(content))
    return digest.hexdigest()[:FINGERPRINT_CHARACTERS]


def _folder_name(method: str, fingerprint: str) -> str:
    return f"{method.replace(' ', '_').replace(',', '')}-{fingerprint}"


def scene_name(task: Task) -> str:
    return next(name for name, seed in SCENES.items() if seed == task.scene.seed)


def measures(runs: Iterable[Run], methods: Iterable[str],
             paint: Callable[[str, Run], Outcome] = cached_outcome) -> Iterator[dict]:
    """One row for each image: its task and settings, the method, and all scores."""
    for run in runs:
        hard = paint(HARD, run)
        hard_latents = peers.encoded(hard.results)
        task, original = run.task, run.task.image
        area, distance = _latent_area(task.painted), truth.signed_distance(task.painted)
        unchanged = peers.unchanged_latents(original)
        hard_effect = np.mean([score.latent_effect(unchanged, latent, area) for latent in hard_latents])
        for method in methods:
            outcome = hard if method == HARD else paint(method, run)
            latents = hard_latents if method == HARD else peers.encoded(outcome.results)
            similarity, residual = alignment(outcome.repaint, original, outcome.results)
            for number, latent in enumerate(latents):
                result = outcome.results[number]
                scores = score.score(original, result, outcome.repaint, task.painted, outcome.decoded[number])
                core, is_found = score.latent_effect(unchanged, latent, area) / hard_effect, found(result, task)
                flaws = score.flaws(scores, core, is_found)
                yield {
                    "scene": scene_name(task), "task": task.name, "side": task.side, "area": run.area, "model": run.model,
                    "sampler": run.sampler, "steps": run.steps, "seed": run.seeds[number], "method": method,
                    **dataclasses.asdict(scores), "core_effect": core, "found": is_found,
                    "flaws": flaws, "blend_score": score.from_flaws(flaws), "cam": similarity, "dam": residual,
                    "halo": truth.halo(result, original, outcome.decoded[number], distance),
                    "gradient_at_edge": truth.gradient_at_edge(result, np.where(
                        task.painted[..., None], outcome.decoded[number], original), task.painted),
                    "ring_change": truth.ring_change(result, original, distance),
                    "ciede2000": colour_difference(result, task)}


def _latent_area(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(to_latent(mask.astype(np.float32), mask.shape[0] // LATENT_PX, mask.shape[1] // LATENT_PX)) >= 0.5


def found(result: np.ndarray, task: Task) -> float:
    """Share of what is requested that is recognised in the painted area or near it: objects and, if asked for, a time of day.

    The area is the same for every method. The judge knows scenes of one size.
    """
    distance = distance_transform_edt(~task.painted)
    near = distance < NEAR_SHARE * math.sqrt(task.painted.sum())
    factor = task.side // SIZE
    small = np.asarray(Image.fromarray(result).reduce(factor)) if factor > 1 else result
    scenes = [task.scene]
    if task.light is not None:
        scenes.append(dataclasses.replace(task.scene, light=task.light))
    met = [any(recognised(small, thing, scene, near[::factor, ::factor]) for scene in scenes) for thing in task.things]
    if task.light is not None:
        now, wanted = (np.linalg.norm(rgb2lab(small) - rgb2lab(scene.draw()), axis=-1)[task.painted[::factor, ::factor]].mean()
                       for scene in scenes)
        met.append(bool(wanted < now))
    return sum(met) / len(met)


def colour_difference(result: np.ndarray, task: Task) -> float | None:
    """Mean CIEDE2000 to the drawn answer in the painted area, or None if there is no single answer."""
    if task.answer is None:
        return None
    return truth.ciede2000(result, task.answer, task.painted)


def alignment(repaint: np.ndarray, original: np.ndarray, results: np.ndarray) -> tuple[float, float]:
    """How well the change follows the mask, over seeds: CAM (correlation) and DAM (residual norm of the best fit).

    Parameters
    ----------
    repaint : (H, W) float, 0 to 1
    original : (H, W, 3) uint8
    results : (B, H, W, 3) uint8

    Source: Levin and Fried, arXiv 2306.00950, section 5. The change is a CIELAB distance, scaled to 1 at its largest.
    """
    before = rgb2lab(original)
    change = np.mean([np.linalg.norm(rgb2lab(result) - before, axis=-1) for result in results], axis=0)
    if not change.any() or repaint.std() == 0:
        return math.nan, math.nan
    design = np.stack([change.ravel() / change.max(), np.ones(change.size)], axis=1)
    target = repaint.ravel().astype(float)
    fit = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float(np.corrcoef(change.ravel(), target)[0, 1]), float(np.linalg.norm(target - fit))


# Sheets

def sheets(runs: Iterable[Run], methods: Iterable[str], folder: Path) -> list[Path]:
    """Writes a contact sheet for each task and area: one scene per row, one method per column, the first seed."""
    folder.mkdir(parents=True, exist_ok=True)
    grouped: dict[tuple[str, str], list[Image.Image]] = {}
    for run in runs:
        tiles = {_label(run.task.prompt): _tile(_tinted(run.task))}
        tiles |= {_label(method): _tile(cached_outcome(method, run).results[0]) for method in methods}
        grouped.setdefault((run.task.name, run.area), []).append(side_by_side(tiles))
    files = []
    for (name, area), strips in grouped.items():
        files.append(folder / f"{name}, {area}.jpg".replace(", ", "-").replace(" ", "-"))
        stacked(strips).save(files[-1], quality=88)
    return files


def _label(text: str) -> str:
    return textwrap.shorten(text, LABEL_CHARACTERS, placeholder=" ...")


def _tile(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image).resize((SHEET_TILE_PX, SHEET_TILE_PX), Image.Resampling.LANCZOS)


def _tinted(task: Task) -> np.ndarray:
    """The task's image with the painted area tinted."""
    tint = np.where(task.painted[..., None], (0.45, 0.45, 0.45), 1)
    return (task.image * tint + (1 - tint) * (255, 0, 255)).astype(np.uint8)


def tables(options: Options) -> Iterator[str]:
    """Markdown tables of each part. Writes its contact sheets and, at the end, the figures of all images as JSON.

    With the checkout of a WebUI, the parts at a fresh user's settings also have its built-in.
    """
    name = "tuning" if options.tuning else "full" if options.full else "quick"
    parts = plans(options.full, tuple(TUNING_SCENES), TUNING_SEEDS) if options.tuning else plans(options.full)
    rows: dict[str, list[dict]] = {}
    with ExitStack() as stack:
        if options.webui is not None:
            real = webui.builtin(stack.enter_context(webui.running(options.webui)))
            PAINTERS.update(real)
            theirs = tuple(name for names in real for name in names)
            parts = [dataclasses.replace(part, methods=(*part.methods, *theirs)) if OURS_PLAIN in part.methods else part
                     for part in parts]
        for plan in parts:
            rows[plan.title] = list(_logged(measures(plan.runs, plan.methods),
                                            len(plan.methods) * sum(len(run.seeds) for run in plan.runs)))
            yield f"### {plan.title}"
            yield from _tables_of(plan, rows[plan.title])
            written = sheets(plan.runs, plan.methods, OUTPUT / name / plan.title.replace(" ", "-"))
            print(f"[bench] contact sheets: {written[0].parent.relative_to(ROOT)}\n", flush=True)
    (OUTPUT / f"quality-{name}.json").write_text(json.dumps(rows, indent=1, default=float) + "\n")


def _tables_of(plan: Plan, rows: list[dict]) -> Iterator[str]:
    scenes, seeds = {row["scene"] for row in rows}, {row["seed"] for row in rows}
    yield f"{len(plan.runs)} runs in {len(scenes)} scenes, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
    yield truth_table(rows)
    yield own_table(rows)
    yield comparisons(rows)
    yield "Blend score / jump / core effect:"
    yield from (table_by(rows, key) for key in plan.by)


def _logged(rows: Iterable[dict], total: int) -> Iterator[dict]:
    for number, row in enumerate(rows, 1):
        if number % 100 == 0 or number == total:
            print(f"[bench] {number} of {total} images", flush=True)
        yield row
