"""What each setting of the composite does over its whole range, on finished images that are re-composited."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from benchmarks import peers, quality
from benchmarks.options import Options
from benchmarks.tables import markdown_table
from benchmarks.tasks import Task
from lib_softinpaint.generation import score
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.settings.settings import Settings

SEEDS = 1, 2

VALUES: dict[str, tuple[dict[str, object], ...]] = {
    "Difference threshold": tuple({"difference_threshold": value} for value in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
    "Difference threshold, least opacity 0": tuple(
        {"difference_threshold": value, "least_opacity": 0.0} for value in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
    "Difference threshold, automatic, least opacity 0": tuple(
        {"difference_threshold": value, "least_opacity": 0.0, "automatic_threshold": True}
        for value in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
    "Difference contrast, least opacity 0": tuple(
        {"difference_contrast": value, "least_opacity": 0.0} for value in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)),
    "Mask influence, least opacity 0": tuple(
        {"mask_influence": value, "least_opacity": 0.0} for value in (0.0, 0.25, 0.5, 0.75, 1.0)),
    "Automatic threshold": ({"automatic_threshold": True},),
    "Least opacity": tuple({"least_opacity": value} for value in (0.0, 0.25, 0.5, 0.75, 1.0)),
    "Seam search": tuple({"seam_search": value} for value in (0.0, 0.5, 1.0)),
    "Edge awareness": tuple({"edge_awareness": value} for value in (0.0, 0.5, 1.0)),
    "Edge taper": tuple({"edge_taper_px": value} for value in (0.0, 6.0, 12.0, 24.0, 64.0)),
    "Drift correction": tuple({"drift_correction": value} for value in (0.0, 0.5, 1.0)),
    "Grain": tuple({"grain": value} for value in (0.0, 0.5, 1.0)),
    "Feather source own, width": tuple(
        {"feather_source": "own", "feather_width": value} for value in (0.0, 4.0, 8.0, 16.0, 32.0))}
"""Values to compare, by setting."""


def finished_images() -> Iterator[tuple[Task, KeptImage]]:
    """Tasks and images of the quick set, painted at the defaults."""
    for run in quality.best_runs():
        output = peers.run_soft(peers.pipeline_for(SoftInpaintPipeline, run), dataclasses.replace(run, seeds=SEEDS),
                                Settings(enabled=True), run.task.mask_blur, keep=True)
        yield from ((run.task, kept) for kept in output.kept)


def figures(task: Task, image: KeptImage, default_result: np.ndarray, changes: dict) -> tuple[float, ...]:
    """Scores of an image re-composited with changed settings.

    Returns blend score of the composite alone, jump, outline, foreign edges, ghost, half-eaten, share of the painted area's
    new content that is shown, and mean difference from the default result inside the mask in levels.
    """
    chosen, original, mask = image.settings_with(changes), image.sampled.original, image.sampled.repaint_px
    result = image.composited(chosen)
    whole = Box.whole(Size.of(original))
    decoded = image.sampled.drift(image.decoded).removed(image.decoded, chosen.drift_correction, whole)
    decoded = np.rint(decoded).clip(0, 255).astype(np.uint8)
    scores = score.score(original, result, mask, task.painted, decoded)
    new, shown = (np.abs(each.astype(float) - original)[task.painted].mean() for each in (decoded, result))
    difference = np.abs(result.astype(float) - default_result)[mask > 0].mean()
    return (score.blend_score(scores, 1.0), scores.jump, scores.outline, scores.foreign_edges, scores.ghost, scores.half_eaten,
            shown / max(new, 1e-3), difference)


def tables(options: Options) -> Iterator[str]:
    """The noise floors, and a Markdown table with a row for each value."""
    images = [(task, image, image.composited(image.settings)) for task, image in finished_images()]
    floors = [image.sampled.noise_floor for _, image, _ in images]
    yield f"Noise floor, latent units: median {np.median(floors):.2f}, from {min(floors):.2f} to {max(floors):.2f}"
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    lines = []
    for name, values in VALUES.items():
        for changes in values:
            means = np.nanmean([figures(*each, changes) for each in images], axis=0)
            value = next(iter(changes.values())) if "own" not in name else changes["feather_width"]
            mark = "**" if all(defaults[key] == each for key, each in changes.items()) else ""
            lines.append([name, f"{mark}{value:g}{mark}" if not isinstance(value, bool) else "on",
                          f"{means[0]:.1f}", f"{means[1]:.2f}", f"{means[2]:.1%}", f"{means[3]:.2f}", f"{means[4]:.3f}",
                          f"{means[5]:.1%}", f"{means[6]:.0%}", f"{means[7]:.2f}"])
    header = ["setting", "value", "blend score", "jump", "outline seen", "foreign edges", "ghost", "half-eaten",
              "shown of the painted area's new content", "difference from the defaults' result, levels"]
    yield f"{len(images)} finished images, re-composited\n\n" + markdown_table(header, lines)
