"""What the settings of the blend do in 4 steps without guidance, on the few-step variant as it is and as a flow model."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import flow_scene, presets, quality
from benchmarks.options import Options
from benchmarks.peers import FEW_STEPS
from benchmarks.tables import markdown_table
from benchmarks.tasks import TUNING_SCENES, Task, make_task
from lib_softinpaint.generation.score import blend_score
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import FIELDS, Settings

TASKS = "replace", "over an edge"
SEEDS = 1, 2
REQUEST = {"steps": 4, "cfg_scale": 1.0, "denoising_strength": 1.0}
"""What a few-step model is used with."""
FORMS = {"as it is": lambda: presets.pipeline_of(FEW_STEPS), "as a flow model": lambda: flow_scene.pipeline(FEW_STEPS)}

VALUES: dict[str, tuple[float, ...]] = {
    "schedule_bias": (1.5, 4.0), "preservation_strength": (0.0, 0.1, 1.0), "threshold_mix": (0.5, 1.0),
    "agreement": (0.0, 0.5)}
"""Values to compare with the default, by setting. The others stay at their defaults."""

HEADER = ("setting", "value", "blend score", "gain (standard error)", "found", "jump", "half-eaten", "ghost")


def figures(pipeline: Any, task: Task, settings: Settings) -> np.ndarray:
    """Blend score, whether the thing asked for is found, jump, half-eaten and ghost: a row for each of SEEDS."""
    rows = []
    for image in presets.kept_images(Request(settings=settings, **REQUEST), task, pipeline, SEEDS):
        scores, found = image.scores(settings), quality.found(image.composited(settings), task)
        rows.append((blend_score(scores, 1.0, found), found, scores.jump, scores.half_eaten, scores.ghost))
    return np.array(rows)


def rows(pipeline: Any, scenes: Sequence[str]) -> Iterator[list[str]]:
    """A row for each value, the defaults first. Gains are over the defaults with the same scenes and seeds."""
    tasks = [[make_task(scene, name, presets.SIDE) for name in TASKS] for scene in scenes]
    changes = [("defaults", {}), *((FIELDS[name].label, {name: value}) for name, values in VALUES.items() for value in values),
               ("Schedule bias 1.5, Preservation strength 0.1", {"schedule_bias": 1.5, "preservation_strength": 0.1})]
    defaults = None
    for label, changed in changes:
        settings = Settings(**{"enabled": True, **changed})
        by_scene = np.array([np.nanmean([figures(pipeline, task, settings) for task in of_scene], axis=(0, 1))
                             for of_scene in tasks])
        defaults = by_scene if defaults is None else defaults
        mean, gains = np.nanmean(by_scene, axis=0), by_scene[:, 0] - defaults[:, 0]
        gain = f"{gains.mean():+.1f} ({gains.std(ddof=1) / np.sqrt(len(gains)):.1f})" if changed else ""
        value = f"{next(iter(changed.values())):g}" if len(changed) == 1 else ""
        yield [label, value, f"{mean[0]:.1f}", gain, f"{mean[1]:.0%}", f"{mean[2]:.2f}", f"{mean[3]:.1%}", f"{mean[4]:.3f}"]


def tables(options: Options) -> Iterator[str]:
    """A Markdown table for each form of the model."""
    scenes = tuple(TUNING_SCENES)[::1 if options.full else 2]
    for name, pipeline in FORMS.items():
        yield (f"The few-step variant {name}, 4 steps, {len(scenes)} scenes, "
               f"{len(scenes) * len(TASKS) * len(SEEDS)} images for each row\n\n"
               + markdown_table(HEADER, list(rows(pipeline(), scenes))))
