"""What each setting of the composite does, over its whole range: finished pictures of the model, composited again."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from benchmarks import peers, quality
from benchmarks.tasks import Task
from lib_softinpaint.generation import score
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.method import drift
from lib_softinpaint.settings.settings import Settings

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
    "Edge taper": tuple({"edge_taper_px": value} for value in (0.0, 6.0, 12.0, 24.0, 64.0)),
    "Drift correction": tuple({"drift_correction": value} for value in (0.0, 0.5, 1.0)),
    "Grain": tuple({"grain": value} for value in (0.0, 0.5, 1.0)),
    "Feather source own, width": tuple(
        {"feather_source": "own", "feather_width": value} for value in (0.0, 4.0, 8.0, 16.0, 32.0))}
"""By name: the values that are compared."""


def finished() -> Iterator[tuple[Task, KeptImage]]:
    """Pictures of the quick set, painted at the defaults."""
    for run in quality.main_runs(False):
        output = peers.painted_softly(peers.pipeline_for(SoftInpaintPipeline, run), run, Settings(enabled=True), keep=True)
        yield from ((run.task, kept) for kept in output.kept)


def figures(task: Task, picture: KeptImage, usual: np.ndarray, changes: dict) -> tuple[float, ...]:
    """Blend score of the composite alone, jump, ghost, share of the painted area's new content that is shown, and mean
    difference from the usual result inside the mask, levels."""
    chosen, original, mask = picture.settings_with(changes), picture.sampled.original, picture.sampled.repaint_px
    result = picture.composited(chosen)
    decoded = drift.corrected(original, picture.decoded, mask, chosen.drift_correction, picture.sampled.box)
    decoded = np.rint(decoded).clip(0, 255).astype(np.uint8)
    scores = score.score(original, result, mask, task.painted, decoded)
    new, shown = (np.abs(each.astype(float) - original)[task.painted].mean() for each in (decoded, result))
    apart = np.abs(result.astype(float) - usual)[mask > 0].mean()
    return score.blend_score(scores, 1.0), scores.jump, scores.ghost, shown / max(new, 1e-3), apart


def tables() -> Iterator[str]:
    """Markdown: a row for each value."""
    pictures = [(task, picture, picture.composited(picture.settings)) for task, picture in finished()]
    floors = [picture.sampled.noise_floor for _, picture, _ in pictures]
    yield f"Noise floor, latent units: median {np.median(floors):.2f}, from {min(floors):.2f} to {max(floors):.2f}"
    usual = {field.name: field.default for field in dataclasses.fields(Settings)}
    lines = []
    for name, values in VALUES.items():
        for changes in values:
            means = np.mean([figures(*each, changes) for each in pictures], axis=0)
            value = next(iter(changes.values())) if "own" not in name else changes["feather_width"]
            mark = "**" if all(usual[key] == each for key, each in changes.items()) else ""
            lines.append([name, f"{mark}{value:g}{mark}" if not isinstance(value, bool) else "on",
                          f"{means[0]:.1f}", f"{means[1]:.2f}", f"{means[2]:.3f}", f"{means[3]:.0%}", f"{means[4]:.2f}"])
    header = ["setting", "value", "blend score", "jump", "ghost", "shown of the painted area's new content",
              "difference from the defaults' result, levels"]
    yield f"{len(pictures)} finished pictures, composited again\n\n" + quality.markdown_table(header, lines)
