"""Image quality: every method on the same tasks, model and seeds, scored and shown side by side.

Defaults are decided on one set of scenes and seeds, and reported on another. Images are saved under outputs/bench/images, so
an interrupted run resumes and scores can be recomputed without painting. A change of a method's code discards its images.
"""
from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from skimage.color import rgb2lab

from benchmarks import peers, truth, webui
from benchmarks.machine import ROOT, imported_files
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
    PAINTERS,
    Outcome,
    Run,
)
from benchmarks.tables import comparisons, table, table_by
from benchmarks.tasks import (
    AREAS,
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
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.images.sheet import side_by_side
from lib_softinpaint.method.mask import to_latent
from lib_softinpaint.settings.request import LATENT_PX
from training.judge import recognised
from training.scenes import SIZE

IMAGES = ROOT / "outputs" / "bench" / "images"

SAMPLER, STEPS = "Euler a", 20
SEEDS, QUICK_SEEDS = (1, 2), (1,)
REPORTED_SEEDS = 11, 12

FRESH_SIDE = 512
FRESH_QUICK_TASKS = "sky", "ground", "replace", "recolour"

OTHER_SAMPLERS = "Euler", "DPM++ 2M", "DPM++ 2M SDE", "DDIM", "UniPC"
OTHER_STEPS = 10, 40
SAMPLER_TASKS = "sky", "over an edge", "replace"
SAMPLER_METHODS = HARD, BUILTIN, OURS, DIFFERENTIAL_PASTED
"""Methods that run on all samplers and step counts. The results of the others hardly depend on them."""

MODEL_SETTINGS = {INPAINTING: (STEPS, GUIDANCE), FEW_STEPS: (4, 1.0)}
"""Steps and guidance with which each variant of the model is used."""
MODEL_METHODS = HARD, BUILTIN, OURS

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
    """All parts. The quick set has few scenes, of those on which defaults are decided."""
    return [Plan("As a fresh user finds it", fresh_runs(full, scenes, seeds), AS_FOUND, ("task",)),
            Plan("Each at its best documented use", best_runs(full, scenes, seeds), AT_THEIR_BEST, ("task", "area")),
            Plan("Samplers and steps", sampler_runs(full, scenes, seeds), SAMPLER_METHODS, ("sampler", "steps")),
            *([Plan("Other models and sizes", runs, MODEL_METHODS, ("model", "side"))]
              if (runs := model_runs(full, scenes, seeds)) else [])]


def fresh_runs(full: bool, scenes: Sequence[str], seeds: tuple[int, ...]) -> list[Run]:
    """Each task in each scene, as a fresh WebUI is set."""
    chosen, names, side = (scenes, TASKS, FRESH_SIDE) if full else (QUICK_SCENES, FRESH_QUICK_TASKS, SIZE)
    return [Run(as_a_fresh_webui_is_set(make_task(scene, name, side)), WHOLE, SAMPLER, STEPS, seeds if full else QUICK_SEEDS,
                FRESH_GUIDANCE) for scene in chosen for name in names]


def best_runs(full: bool, scenes: Sequence[str] = tuple(TUNING_SCENES), seeds: tuple[int, ...] = SEEDS) -> list[Run]:
    """Each task in each scene on both areas, at the task's own settings. In the quick set, the areas alternate."""
    if full:
        return [Run(make_task(scene, name), area, SAMPLER, STEPS, seeds)
                for scene in scenes for name in TASKS for area in AREAS]
    return [Run(make_task(scene, name), AREAS[(row + column) % 2], SAMPLER, STEPS, QUICK_SEEDS)
            for row, scene in enumerate(QUICK_SCENES) for column, name in enumerate(TASKS)]


def sampler_runs(full: bool, scenes: Sequence[str], seeds: tuple[int, ...]) -> list[Run]:
    """Runs of a few tasks on each sampler and number of steps."""
    pairs = [(sampler, STEPS) for sampler in OTHER_SAMPLERS]
    if not full:
        return [Run(make_task(QUICK_SCENES[0], "sky"), WHOLE, *pair, QUICK_SEEDS) for pair in pairs]
    pairs += [(sampler, steps) for sampler in (SAMPLER, *OTHER_SAMPLERS) for steps in OTHER_STEPS]
    return [Run(make_task(scene, name), WHOLE, *pair, seeds)
            for pair in pairs for scene in scenes[::4] for name in SAMPLER_TASKS]


def model_runs(full: bool, scenes: Sequence[str], seeds: tuple[int, ...]) -> list[Run]:
    """Runs of a few tasks on the model's variants, at the model's own size and at twice that."""
    chosen, sides, seeds = (scenes[::2], (SIZE, 2 * SIZE), seeds[:1]) if full else (QUICK_SCENES[:1], (SIZE,), QUICK_SEEDS)
    return [Run(make_task(scene, name, side), WHOLE, SAMPLER, steps, seeds, guidance, model)
            for model, (steps, guidance) in MODEL_SETTINGS.items() for side in sides
            for scene in chosen for name in SAMPLER_TASKS]


def painter(method: str) -> Callable[[Run], dict[str, Outcome]]:
    return next(each for names, each in PAINTERS.items() if method in names)


def run_name(run: Run) -> str:
    """Name of a run, by which its images are saved."""
    task = run.task
    of_task = scene_name(task), task.name, task.side, task.denoising_strength, task.masked_content, task.mask_blur
    return "-".join(map(str, (*of_task, run.area, run.model, run.sampler, run.steps, run.guidance, *run.seeds)))


def cached_outcome(method: str, run: Run) -> Outcome:
    """The method's outcome of the run, read from the disk if it was saved there."""
    name = run_name(run)

    def file(method: str) -> Path:
        return IMAGES / fingerprint(method) / (name.replace(" ", "_") + ".npz")
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
    """Name of a method's folder. It changes when the code, the tasks or the model change."""
    digest = hashlib.sha256(method.encode())
    weights = [path for folder in (models.SCENE_MODEL, peers.VARIANTS) for path in folder.rglob("*.safetensors")]
    sources = [*imported_files(Path(peers.__file__)), *weights]
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return _folder_name(method, digest.hexdigest()[:FINGERPRINT_CHARACTERS])


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


def found(result: np.ndarray, task: Task) -> bool | None:
    """Whether the requested object is recognised in the painted area or near it, or None if the prompt is for several things.

    The area is the same for every method. The judge knows scenes of one size.
    """
    if task.thing is None:
        return None
    distance = distance_transform_edt(~task.painted)
    near = distance < NEAR_SHARE * math.sqrt(task.painted.sum())
    factor = task.side // SIZE
    small = np.asarray(Image.fromarray(result).reduce(factor)) if factor > 1 else result
    return recognised(small, task.thing, task.scene, near[::factor, ::factor])


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
        tiles = {textwrap.shorten(run.task.prompt, LABEL_CHARACTERS, placeholder=" ..."): _tile(_tinted(run.task))}
        tiles |= {method: _tile(cached_outcome(method, run).results[0]) for method in methods}
        grouped.setdefault((run.task.name, run.area), []).append(side_by_side(tiles))
    files = []
    for (name, area), strips in grouped.items():
        sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
        for number, strip in enumerate(strips):
            sheet.paste(strip, (0, number * strip.height))
        files.append(folder / f"{name}, {area}.jpg".replace(", ", "-").replace(" ", "-"))
        sheet.save(files[-1], quality=88)
    return files


def _tile(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image).resize((SHEET_TILE_PX, SHEET_TILE_PX), Image.Resampling.LANCZOS)


def _tinted(task: Task) -> np.ndarray:
    """The task's image with the painted area tinted."""
    tint = np.where(task.painted[..., None], (0.45, 0.45, 0.45), 1)
    return (task.image * tint + (1 - tint) * (255, 0, 255)).astype(np.uint8)


def bench(full: bool, folder: Path, tuning: bool = False, checkout: Path | None = None) -> dict:
    """Prints the tables, writes contact sheets and returns all rows by part.

    With the checkout of a WebUI, the first part also has its built-in.
    """
    parts = plans(full, tuple(TUNING_SCENES), SEEDS) if tuning else plans(full)
    if checkout is None:
        return {plan.title: _bench(plan, folder) for plan in parts}
    with webui.running(checkout) as host:
        real = webui.builtin(host)
        PAINTERS.update(real)
        parts[0] = dataclasses.replace(parts[0], methods=(*parts[0].methods, *(name for names in real for name in names)))
        return {plan.title: _bench(plan, folder) for plan in parts}


def _bench(plan: Plan, folder: Path) -> list[dict]:
    print(f"### {plan.title}\n", flush=True)
    total = len(plan.methods) * sum(len(run.seeds) for run in plan.runs)
    rows = list(_logged(measures(plan.runs, plan.methods), total))
    print(f"{table(rows)}\n\n{comparisons(rows)}\n\nBlend score / jump / core effect:\n")
    for key in plan.by:
        print(f"{table_by(rows, key)}\n")
    for file in sheets(plan.runs, plan.methods, folder / plan.title.replace(" ", "-")):
        print(f"wrote {file.relative_to(ROOT)}")
    return rows


def _logged(rows: Iterable[dict], total: int) -> Iterator[dict]:
    for number, row in enumerate(rows, 1):
        if number % 100 == 0 or number == total:
            print(f"[bench] {number} of {total} images", flush=True)
        yield row
