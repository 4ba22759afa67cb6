"""How masks affect latents, core effect and seams, and how well results follow greys."""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from benchmarks import quality
from benchmarks.options import Options
from benchmarks.peers import BUILTIN, DIFFERENTIAL, DIFFERENTIAL_PASTED, HARD, OURS, Outcome, RecordingPipeline, Run, soft
from benchmarks.tables import markdown_table
from benchmarks.tasks import QUICK_SCENES, TASKS, WHOLE, Task, make_task
from lib_softinpaint.method.mask import Canvas, blur_reach, host_blur, repaint_mask, to_latent
from lib_softinpaint.method.smootherstep import smootherstep
from lib_softinpaint.settings.request import LATENT_PX
from lib_softinpaint.settings.settings import FEATHER_OWN, Settings
from training.scenes import SIZE

BLURS_PX, LATENT_SIDE_PX = (4, 8, 16, 32, 64), 768
RADII_PX, EFFECT_RADII_PX, EFFECT_BLURS_PX = (16, 32, 64, 128), (8, 16, 32, 64, 128), (4, 16, 64)
EFFECT_STRENGTH = 0.75
"""The WebUI's default."""

MIXES = 0.0, 0.5, 0.75, 1.0
SEEDS, PROFILE_SEEDS = (1, 2, 3, 4), (1, 2)
AS_PAINTED = {"feather_source": FEATHER_OWN, "feather_width": 0}
"""Settings that leave the painted mask unchanged."""

GAUSSIAN_DEVIATIONS = 2.4
"""Standard deviations in a feather's reach, as in the WebUI's blur."""

PROFILES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "raised cosine": lambda way: 0.5 + 0.5 * np.cos(np.pi * way),
    "linear": lambda way: 1 - way,
    "smootherstep": lambda way: 1 - smootherstep(way),
    "square": lambda way: (1 - way) ** 2,
    "Gaussian": lambda way: np.exp(-(GAUSSIAN_DEVIATIONS * way) ** 2 / 2) * (way < 1)}
"""Mask value as a function of the distance, in shares of the feather's reach: 0 at the painted area, 1 at the outer end."""


def latent_table() -> str:
    """Peak and mean over the latent pixels that a disc touches, ours / plain blur, for each radius and blur."""
    rows = {}
    for radius in RADII_PX:
        disc = _disc(radius, LATENT_SIDE_PX).astype(np.float32)
        side = LATENT_SIDE_PX // LATENT_PX
        touched = to_latent(disc, side, side) > 0
        rows[f"{radius} px"] = [
            " / ".join(f"{latent.max():.2f}, {latent.mean():.2f}" for latent in (
                to_latent(mask, side, side)[touched]
                for mask in (repaint_mask(disc, Settings(enabled=True), Canvas(blur)), host_blur(disc, blur))))
            for blur in BLURS_PX]
    return _table("disc radius", [f"blur {blur}" for blur in BLURS_PX], rows)


def effect_table() -> str:
    """Core effect of painted discs: minimum and median of ours over the scenes, and the built-in's median."""
    rows = {}
    for radius in EFFECT_RADII_PX:
        cells = []
        for blur in EFFECT_BLURS_PX:
            runs = [Run(_repainting_task(scene, _disc(radius, SIZE), mask_blur=blur), WHOLE, quality.SAMPLER, quality.STEPS,
                        SEEDS) for scene in QUICK_SCENES]
            measured = list(quality.measures(runs, (OURS, BUILTIN), _uncached_outcome))
            ours, builtin = ([np.mean([row["core_effect"] for row in measured if row["method"] == method
                                       and row["scene"] == scene]) for scene in QUICK_SCENES] for method in (OURS, BUILTIN))
            cells.append(f"{min(ours):.2f}, {np.median(ours):.2f} / {np.median(builtin):.2f}")
        rows[f"{radius} px"] = cells
    return _table("disc radius", [f"blur {blur}" for blur in EFFECT_BLURS_PX], rows)


def profile_table() -> str:
    """Scores of ours with each falloff of the feather."""
    def paint(method: str, run: Run) -> Outcome:
        if method == HARD:
            return _uncached_outcome(method, run)
        distance = distance_transform_edt(~run.task.painted)
        shaped = PROFILES[method](np.minimum(distance / blur_reach(run.task.mask_blur), 1)).astype(np.float32)
        return soft_as_painted()(replace(run, task=replace(run.task, painted=shaped)))
    runs = [Run(make_task(scene, name), WHOLE, quality.SAMPLER, quality.STEPS, PROFILE_SEEDS)
            for scene in QUICK_SCENES for name in TASKS]
    measured = list(quality.measures(runs, PROFILES, paint))
    columns = {"blend score": "blend_score", "jump": "jump", "gradient ratio": "gradient_ratio", "ghost": "ghost",
               "contrast kept": "contrast_retention", "core effect": "core_effect"}
    return _table("profile", columns, {
        profile: [f"{np.median(values) if name == 'core_effect' else np.nanmean(values):.3g}" for name in columns.values()
                  for values in [[row[name] for row in measured if row["method"] == profile]]]
        for profile in PROFILES})


def grey_table() -> str:
    """CAM / DAM of grey maps, averaged over the scenes."""
    methods = {f"ours, threshold mix {mix:g}": soft_as_painted(threshold_mix=mix) for mix in MIXES} | {
        "ours, threshold mix 1, influence 1": soft_as_painted(threshold_mix=1.0, mask_influence=1.0),
        HARD: soft_as_painted(enabled=False),
        **{name: functools.partial(_uncached_outcome, name) for name in (BUILTIN, DIFFERENTIAL, DIFFERENTIAL_PASTED)}}
    rows = {}
    for name, paint in methods.items():
        cells = []
        for grey in grey_maps().values():
            aligned = []
            for scene in QUICK_SCENES:
                task = _repainting_task(scene, grey, mask_blur=0, denoising_strength=1.0)
                results = paint(Run(task, WHOLE, quality.SAMPLER, quality.STEPS, SEEDS)).results
                aligned.append(quality.alignment(grey, task.image, results))
            cells.append(" / ".join(f"{value:.2f}" if value < 1 else f"{value:.1f}" for value in np.mean(aligned, axis=0)))
        rows[name] = cells
    return _table("method", grey_maps(), rows)


def soft_as_painted(**settings: float) -> Callable[[Run], Outcome]:
    """Soft inpainting with the painted mask unchanged."""
    return lambda run: soft(OURS, RecordingPipeline, Settings(**{"enabled": True, **AS_PAINTED, **settings}))(run)[OURS]


def grey_maps() -> dict[str, np.ndarray]:
    """Maps (H, W) float32, 0 to 1, by name: a ramp over the whole image, steps, and a shape with an edge."""
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32) / (SIZE - 1)
    inside = np.abs(columns - 0.5) < 0.45 * rows
    return {"ramp": columns, "stripes": np.floor(columns * 4.999) / 4, "triangle": np.where(inside, rows, 0)}


def _repainting_task(scene: str, painted: np.ndarray, **fields: float) -> Task:
    """A task that repaints this area, starting from the image."""
    return replace(make_task(scene, "large area"), painted=painted, masked_content="original",
                   **{"denoising_strength": EFFECT_STRENGTH, **fields})


def _uncached_outcome(method: str, run: Run) -> Outcome:
    return quality.painter(method)(run)[method]


def _disc(radius: int, side: int) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return (rows - side // 2) ** 2 + (columns - side // 2) ** 2 < radius ** 2


def _table(corner: str, columns: Iterable[str], rows: dict[str, list[str]]) -> str:
    return markdown_table([corner, *columns], ([name, *cells] for name, cells in rows.items()))


def tables(options: Options) -> Iterator[str]:
    """Each table of docs/masks.md under its function's name."""
    for table in (latent_table, effect_table, profile_table, grey_table):
        yield f"{table.__name__}\n\n{table()}"
