"""Ten rounds of accepting a result and painting on: what becomes of fine detail that is repainted in each round."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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

SIDE, ROUNDS, SCENES, MORE_SCENES = 256, 10, 8, 24
TOP, LEFT, LONG = 88, 68, 80
"""Of the square masks, which move by half their side and back."""
SHIFT = LONG // 2
SHOWN_ROUNDS = 1, 2, 5, 10
SHEET_SCENES = 6

METHODS = {"soft": {"enabled": True}, "hard": {"enabled": False}}
"""Settings by name."""
STRENGTH, ALL_STRENGTHS = 0.75, (0.75, 1.0)


def fine_detail(image: np.ndarray) -> float:
    """Root mean square, in levels of 255, of what a Gaussian of one pixel removes where every round repaints."""
    grey = image.astype(float).mean(-1)
    return float(np.sqrt(np.mean((grey - gaussian_filter(grey, 1))[TOP:TOP + LONG, LEFT + SHIFT:LEFT + LONG] ** 2)))


def painted_on(scene: Scene, strength: float, changed: dict) -> Iterator[np.ndarray]:
    """The original and the result of each round, (H, W, 3) uint8."""
    pipeline, image = models.load(str(models.SCENE_MODEL), "cpu"), Image.fromarray(scene.draw(SIDE))
    request = Request(prompt=scene.caption(), denoising_strength=strength)
    request = replace(request, settings=replace(request.settings, **changed))
    yield np.asarray(image)
    for number in range(ROUNDS):
        mask = np.zeros((SIDE, SIDE), np.float32)
        left = LEFT + SHIFT * (number % 2)
        mask[TOP:TOP + LONG, left:left + LONG] = 1
        image = models.inpaint(pipeline, replace(request, seed=number), image, grey_image(mask))
        yield np.asarray(image)


def tables(options: Options) -> Iterator[str]:
    """Fine detail after some rounds, as a multiple of that after one. Writes a contact sheet."""
    first = HELD_OUT + (0 if options.tuning else 500)
    scenes = [Scene.from_seed(first + number) for number in range(MORE_SCENES if options.full else SCENES)]
    rows, strips = [], []
    for strength in ALL_STRENGTHS if options.full else (STRENGTH,):
        for name, changed in METHODS.items():
            made = [[fine_detail(image) for image in images] for images in _shown(scenes, strength, name, changed, strips)]
            of_first = np.log(np.array(made) / np.array(made)[:, 1:2])
            rows.append([f"{strength:g}", name, *(_mean(of_first[:, number]) for number in (0, *SHOWN_ROUNDS[1:]))])
    stacked(strips).save(OUTPUT / "rounds.jpg", quality=88)
    header = ["denoising strength", "inpainting", "the original", *(f"after {number} rounds" for number in SHOWN_ROUNDS[1:])]
    yield (f"Fine detail where every round repaints, as a multiple of that after one round; {len(scenes)} scenes, mean and "
           f"standard error\n\n" + markdown_table(header, rows))


def _shown(scenes: list[Scene], strength: float, name: str, changed: dict, strips: list[Image.Image]) -> Iterator[list]:
    for number, scene in enumerate(scenes):
        images = list(painted_on(scene, strength, changed))
        if number < SHEET_SCENES:
            strips.append(side_by_side({f"{name}, {strength:g}: {place}": Image.fromarray(images[place])
                                        for place in (0, *SHOWN_ROUNDS)}))
        yield images


def _mean(logs: np.ndarray) -> str:
    mean, error = np.exp(logs.mean()), logs.std(ddof=1) / np.sqrt(len(logs))
    return f"{mean:.2f} ± {mean * error:.2f}"
