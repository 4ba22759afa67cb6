"""Ten rounds of accepting a result and painting on: what becomes of fine detail that is repainted in each round."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from benchmarks.options import OUTPUT, Options
from benchmarks.tables import markdown_table
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.images.sheet import side_by_side, stacked
from lib_softinpaint.settings.request import Request
from training.scenes import HELD_OUT, Scene

SIDE, ROUNDS, SCENES, MORE_SCENES = 256, 10, 8, 40
TOP, LEFT, LONG = 88, 68, 80
"""Of the square masks, which move by half their side and back."""
SHIFT = LONG // 2
COMPARED = ("2", (2,)), ("5", (5,)), ("8 to 10", (8, 9, 10))
"""Rounds that are compared with one round of the same mask and seed; several are averaged."""
SHOWN_ROUNDS = 1, 2, 5, 10
SHEET_SCENES = 6

METHODS = {"soft": {"enabled": True}, "hard": {"enabled": False}}
"""Settings by name."""
STRENGTH = 0.75
FINE, COARSE = 0.7, 2.0
"""Standard deviations of Gaussians, pixels."""


def detail(image: np.ndarray, sigma: float) -> float:
    """Root mean square, in levels of 255, of what this Gaussian removes where every round repaints."""
    grey = image.astype(float).mean(-1)
    return float(np.sqrt(np.mean((grey - gaussian_filter(grey, sigma))[TOP:TOP + LONG, LEFT + SHIFT:LEFT + LONG] ** 2)))


MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "fine detail": lambda image: detail(image, FINE), "sharpness": lambda image: detail(image, FINE) / detail(image, COARSE)}
"""Fine detail depends on what is painted. Its share in all detail does so less, and falls if anything is blurred."""


def painted_on(image: np.ndarray, scene: Scene, changed: dict, rounds: Sequence[int]) -> Iterator[np.ndarray]:
    """The result of each of these rounds, one after the other, (H, W, 3) uint8. A round has its own mask and seed."""
    pipeline = models.load(str(models.SCENE_MODEL), "cpu")
    request = Request(prompt=scene.caption(), denoising_strength=STRENGTH)
    request = replace(request, settings=replace(request.settings, **changed))
    for number in rounds:
        mask = np.zeros((SIDE, SIDE), np.float32)
        left = LEFT + SHIFT * (number % 2)
        mask[TOP:TOP + LONG, left:left + LONG] = 1
        image = np.asarray(models.inpaint(pipeline, replace(request, seed=number), Image.fromarray(image), grey_image(mask)))
        yield image


def tables(options: Options) -> Iterator[str]:
    """Detail after some rounds, as a multiple of that after one. Writes a contact sheet."""
    first, count = HELD_OUT + (0 if options.tuning else 500), MORE_SCENES if options.full else SCENES
    rows, strips = [], []
    for name, changed in METHODS.items():
        painted = list(_painted(name, changed, (Scene.from_seed(first + number) for number in range(count)), strips))
        for measure, measured in MEASURES.items():
            logs = [[np.log(measured(original) / measured(made[1])),
                     *(np.mean([np.log(measured(made[place]) / measured(alone[place])) for place in places])
                       for _, places in COMPARED)] for original, made, alone in painted]
            rows.append([name, measure, *map(_mean, np.transpose(logs))])
    stacked(strips).save(OUTPUT / "rounds.jpg", quality=88)
    header = ["inpainting", "where every round repaints", "the original", *(f"after {name} rounds" for name, _ in COMPARED)]
    yield (f"As a multiple of one round with the same mask and seed; {count} scenes, geometric mean and standard error\n\n"
           + markdown_table(header, rows))


Painted: TypeAlias = tuple[np.ndarray, dict[int, np.ndarray], dict[int, np.ndarray]]
"""The original, and results by round: of one round after another, and of the round alone."""


def _painted(name: str, changed: dict, scenes: Iterable[Scene], strips: list[Image.Image]) -> Iterator[Painted]:
    """Adds a strip of the first scenes to the contact sheet."""
    for number, scene in enumerate(scenes):
        original = scene.draw(SIDE)
        made = dict(enumerate(painted_on(original, scene, changed, range(1, ROUNDS + 1)), 1))
        alone = {place: next(painted_on(original, scene, changed, (place,))) for _, places in COMPARED for place in places}
        if number < SHEET_SCENES:
            tiles = {"original": original, **{f"{name}, round {place}": made[place] for place in SHOWN_ROUNDS}}
            strips.append(side_by_side({label: Image.fromarray(tile) for label, tile in tiles.items()}))
        yield original, made, alone


def _mean(logs: Sequence[float]) -> str:
    mean, error = np.exp(np.mean(logs)), np.std(logs, ddof=1) / np.sqrt(len(logs))
    return f"{mean:.3f} ± {mean * error:.3f}"
