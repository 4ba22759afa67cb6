"""Masked contents of our own where the truth is known, what recolour changes, and what extra noise does in greys."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image
from skimage.color import rgb2lab

from benchmarks import coherence, quality, truth
from benchmarks.options import OUTPUT, Options
from benchmarks.peers import Run, pipeline_for, run_soft
from benchmarks.tables import markdown_table, over_scenes
from benchmarks.tasks import REPORTED_SCENES, TUNING_SCENES, WHOLE, Task, make_task
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.images.sheet import side_by_side, stacked
from lib_softinpaint.method.fill import fill_from_outside, fill_from_rim
from lib_softinpaint.settings.settings import LOCAL_FILL, RECOLOUR, Settings

TASKS = "removal", "ground"
STRENGTHS = 0.75, 1.0
RECOLOURED_AT, NOISY_AT = 0.6, 0.5
"""Denoising strengths at which recolour and extra noise are measured."""
TELEA_PX = 5
NOISES, GREYS = (0.0, 0.2, 0.5), (0.25, 0.5, 1.0)
SHEET_SCENES = 6

ORIGINAL = "original"
CONTENTS = {ORIGINAL: (ORIGINAL, {}), "fill": ("fill", {}), "local fill": (ORIGINAL, {"own_masked_content": LOCAL_FILL})}
"""The host's masked content, and settings."""


def telea(image: np.ndarray, repaint: np.ndarray) -> np.ndarray:
    """What OpenCV's Telea makes of the masked area, as in `fill_from_rim`."""
    filled = cv2.inpaint(np.ascontiguousarray(image), (repaint > 0).astype(np.uint8), TELEA_PX, cv2.INPAINT_TELEA)
    return np.rint(image + repaint[..., None] * (filled.astype(np.float32) - image)).astype(np.uint8)


FILLS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "fill": fill_from_outside, "local fill": fill_from_rim, "local fill by Telea": telea}


def painted(task: Task, settings: Settings) -> np.ndarray:
    run = Run(task, WHOLE, quality.SAMPLER, quality.STEPS, (coherence.SEED,))
    return np.asarray(run_soft(pipeline_for(SoftInpaintPipeline, run), run, settings, task.mask_blur).images[0])


def tables(options: Options) -> Iterator[str]:
    first, count = coherence.TUNING if options.tuning else coherence.REPORTED, coherence.SCENES
    numbered = [(scene, number, name) for scene in coherence.scenes(first, count)
                for number, name in enumerate(coherence.TASKS) if name in TASKS]
    made = [coherence.TASKS[name](scene, np.random.default_rng((scene.seed, number))) for scene, number, name in numbered]
    yield "The fill itself, without a model\n\n" + _of_fills([task for task in made if task.name == TASKS[0]])
    for name in TASKS:
        yield f"{name[0].upper()}{name[1:]}, {count} scenes\n\n" + _of_contents([task for task in made if task.name == name])
    scenes = TUNING_SCENES if options.tuning else REPORTED_SCENES
    yield f"Recolour, {len(scenes)} scenes, denoising strength {RECOLOURED_AT}\n\n" + _of_recolour(
        [make_task(scene, "recolour") for scene in scenes])
    yield f"Extra noise, denoising strength {NOISY_AT}\n\n" + _of_noise([task for task in made if task.name == TASKS[0]])


def _of_fills(made: list[Task]) -> str:
    rows = []
    for name, filled in FILLS.items():
        start = time.perf_counter()
        errors = [truth.ciede2000(filled(task.image, task.painted.astype(np.float32)), task.answer, task.painted)
                  for task in made]
        seconds = (time.perf_counter() - start) / len(made)
        rows.append([name, f"{np.mean(errors):.1f}", f"{1000 * seconds:.0f} ms"])
    return markdown_table(["masked content", "CIEDE2000 from the truth", "time at 256 px, with the score"], rows)


def _of_contents(made: list[Task]) -> str:
    """CIEDE2000 from the truth, with a 95 % interval of the difference from "original"."""
    rows, strips = [], []
    errors = {(name, strength): [] for name in CONTENTS for strength in STRENGTHS}
    found = {key: [] for key in errors}
    for task in made:
        tiles = {"painted": task.marked}
        for (name, strength), values in errors.items():
            masked_content, changes = CONTENTS[name]
            asked = replace(task, masked_content=masked_content, denoising_strength=strength)
            result = painted(asked, Settings(enabled=True, **changes))
            values.append(truth.ciede2000(result, task.answer, task.painted))
            found[name, strength].append(quality.found(result, task) if task.things else np.nan)
            tiles[f"{name}, {strength:g}"] = result
        strips.append(side_by_side({label: Image.fromarray(tile) for label, tile in (tiles | {"truth": task.answer}).items()}))
    stacked(strips[:SHEET_SCENES]).save(OUTPUT / f"content-{made[0].name}.jpg", quality=88)
    for name in CONTENTS:
        row = [name]
        for strength in STRENGTHS:
            pairs = zip(made, errors[name, strength], errors[ORIGINAL, strength])
            mean, (low, high) = over_scenes({str(task.scene.seed): [one - other] for task, one, other in pairs}, np.mean)
            change = "" if name == ORIGINAL else f" ({mean:+.1f}, {low:+.1f} to {high:+.1f})"
            row.append(f"{np.mean(errors[name, strength]):.1f}{change}")
            row.append("-" if not made[0].things else f"{np.mean(found[name, strength]):.0%}")
        rows.append(row)
    header = [text for strength in STRENGTHS for text in (f"CIEDE2000 at {strength:g} (difference from original)", "found")]
    return markdown_table(["masked content", *header], rows)


def _of_recolour(made: list[Task]) -> str:
    """How far colours and lightness move, in CIELAB units."""
    rows = []
    for name, changes in (("original", {}), ("recolour", {"own_masked_content": RECOLOUR})):
        figures = []
        for task in made:
            result = painted(replace(task, masked_content="original", denoising_strength=RECOLOURED_AT),
                             Settings(enabled=True, **changes))
            changes_colour = (task.answer != task.image).any(-1) & task.painted
            old, new, wanted = (rgb2lab(image)[changes_colour] for image in (task.image, result, task.answer))
            figures.append([np.linalg.norm((new - old)[:, 1:], axis=1).mean(), _hue_change(old, new), _hue_change(wanted, new),
                            np.abs(new - old)[:, 0].mean(), quality.found(result, task)])
        means = np.mean(figures, axis=0)
        rows.append([name, f"{means[0]:.1f}", f"{means[1]:.0f} deg", f"{means[2]:.0f} deg", f"{means[3]:.1f}",
                     f"{means[4]:.0%}"])
    return markdown_table(["masked content", "change of a* and b*", "change of hue", "hue's distance from the wanted colour",
                           "change of lightness", "found"], rows)


def _hue_change(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between the hues of two mean colours, degrees, 0 to 180."""
    angles = [np.degrees(np.arctan2(*each.mean(0)[:0:-1])) for each in (one, other)]
    return float(abs((angles[0] - angles[1] + 180) % 360 - 180))


def _of_noise(made: list[Task]) -> str:
    """Mean change of the painted area, CIELAB, by the mask's value."""
    rows = []
    for noise in NOISES:
        row = [f"{noise:g}"]
        for grey in GREYS:
            changes = []
            for task in made[:SHEET_SCENES]:
                asked = replace(task, painted=task.painted * np.float32(grey), denoising_strength=NOISY_AT,
                                masked_content="original", prompt=task.scene.caption())
                result = painted(asked, Settings(enabled=True, extra_noise=noise))
                changes.append(np.linalg.norm(rgb2lab(result) - rgb2lab(task.image), axis=-1)[task.painted].mean())
            row.append(f"{np.mean(changes):.1f}")
        rows.append(row)
    return markdown_table(["extra noise", *(f"grey {grey:g}" for grey in GREYS)], rows)
