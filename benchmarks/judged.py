"""Pairs of images that were chosen between by eye: what the blend score's weights are fitted to, and what they are checked on.

    python3 -m benchmarks.judged sheets FOLDER    # pages of pairs, each pair twice with its sides swapped, and their key
    python3 -m benchmarks.judged enter FOLDER     # the answers in FOLDER/answers*.json, into judged.json
    python3 -m benchmarks.judged measure          # the flaws of all images, into judged.json: after a change of the score
    python3 -m benchmarks.judged fit              # weights from the pairs of the tuning scenes
    python3 softinpaint.py bench judged           # how often the score agrees, on both halves of the scenes

The methods are not named on the pages. An answer is "L", "R" or "=", by page and row: {"12": ["L", "=", "R"], ...}.
judged.json holds the flaws of the images as they were judged. A later version of the method or the model paints others, so
sheets, enter and measure are meant for the same code and model, except that of the score.
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation
from scipy.optimize import minimize

from benchmarks import quality
from benchmarks.machine import ROOT
from benchmarks.options import Options
from benchmarks.peers import AS_FOUND, AT_THEIR_BEST, FRESH_GUIDANCE, GUIDANCE, Run
from benchmarks.tables import markdown_table
from benchmarks.tasks import AREAS, REPORTED_SCENES, TASKS, TUNING_SCENES, WHOLE, as_a_fresh_webui_is_set, make_task
from lib_softinpaint.generation import score
from lib_softinpaint.images.sheet import side_by_side, stacked
from training.scenes import SIZE

LIST = ROOT / "benchmarks" / "judged.json"

PAIRS_PER_SCENE = 12
SIDES = SIZE, SIZE, SIZE, 2 * SIZE
SEED = 21
"""Neither among the seeds of tuning nor among those of reporting."""

ROWS, TILE_PX = 3, 448
OUTLINE_PX = 2
OUTLINE = 255, 0, 255

FEWEST = 5
"""Choices in a row of a table, at least."""

FLAW_DIGITS = 4
LARGEST_FLAW = 5.0
"""Of the logarithms among the flaws, which may be infinite."""
RIDGE = 0.003
"""Penalty on squared weights, in units of the flaws' deviations."""
LEAST_WEIGHTS = {"jump": 0.01, "outline": 0.1, "gradient": 0.05, "foreign edges": 0.003, "ghost": 0.2, "half-eaten": 0.1,
                 "outside": 0.16, "hidden": 0.1, "unchanged": 0.1, "missing": 0.07}
"""What is worse must score less, even where the choices cannot tell, because it comes with something else."""


@dataclass(frozen=True)
class Pair:
    """Two methods on one run."""

    run: Run
    methods: tuple[str, str]

    @property
    def scene(self) -> str:
        return quality.scene_name(self.run.task)

    @property
    def name(self) -> str:
        return f"{quality.run_name(self.run)}: {self.methods[0]} | {self.methods[1]}"

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 of each method."""
        first, second = (quality.cached_outcome(method, self.run).results[0] for method in self.methods)
        return first, second


@cache
def pairs() -> tuple[Pair, ...]:
    """All pairs, always the same: tasks, sizes, areas, settings and methods are drawn at random in each scene."""
    drawn: dict[str, Pair] = {}
    for number, scene in enumerate((*TUNING_SCENES, *REPORTED_SCENES)):
        rng = np.random.default_rng(number)
        for count in range(number * PAIRS_PER_SCENE, (number + 1) * PAIRS_PER_SCENE):
            while len(drawn) == count:  # until the pair is a new one
                pair = _drawn(scene, count % 2 == 0, rng)
                drawn[pair.name] = pair
    return tuple(drawn.values())


def _drawn(scene: str, fresh: bool, rng: np.random.Generator) -> Pair:
    task = make_task(scene, str(rng.choice(list(TASKS))), int(rng.choice(SIDES)))
    area, guidance, methods = str(rng.choice(AREAS)), GUIDANCE, AT_THEIR_BEST
    if fresh:
        task, area, guidance, methods = as_a_fresh_webui_is_set(task), WHOLE, FRESH_GUIDANCE, AS_FOUND
    first, second = rng.choice(methods, 2, replace=False)
    return Pair(Run(task, area, quality.SAMPLER, quality.STEPS, (SEED,), guidance), (str(first), str(second)))


def write_sheets(folder: Path) -> None:
    """Writes the pages, and key.json: for each page and row the pair's name, and the methods on the left and on the right."""
    folder.mkdir(parents=True, exist_ok=True)
    once, rng = pairs(), np.random.default_rng(0)
    first_right = rng.random(len(once)) < 0.5
    shown = [(once[number], bool(first_right[number]) != second_time)
             for second_time in (False, True) for number in rng.permutation(len(once))]
    key = {}
    for page, first in enumerate(range(0, len(shown), ROWS)):
        strips = [_strip(pair, swap) for pair, swap in shown[first:first + ROWS]]
        stacked(strips).save(folder / f"{page}.png")
        key[str(page)] = [(pair.name, *(reversed(pair.methods) if swap else pair.methods))
                          for pair, swap in shown[first:first + ROWS]]
        print(f"page {page + 1} of {-(-len(shown) // ROWS)}", flush=True)
    (folder / "key.json").write_text(json.dumps(key, indent=1))


def _strip(pair: Pair, swap: bool) -> Image.Image:
    task, images = pair.run.task, pair.images()
    edge = binary_dilation(task.painted, iterations=OUTLINE_PX * task.side // SIZE) & ~task.painted
    marked = np.where(edge[..., None], OUTLINE, task.image).astype(np.uint8)
    left, right = reversed(images) if swap else images
    return side_by_side({name: Image.fromarray(image).resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
                         for name, image in ((task.prompt, marked), ("L", left), ("R", right))})


def enter(folder: Path) -> None:
    """Puts the answers to the pages in a folder into LIST: for each pair, the method that was chosen each time, or "="."""
    key, answers = json.loads((folder / "key.json").read_text()), {}
    for file in sorted(folder.glob("answers*.json")):
        answers |= json.loads(file.read_text())
    chosen: dict[str, list[str]] = {}
    for page, rows in answers.items():
        for (name, left, right), answer in zip(key[page], rows, strict=True):
            chosen.setdefault(name, []).append({"L": left, "R": right, "=": "="}[answer])
    _write({name: {"chosen": chosen[name]} for name in sorted(chosen)})


def measure() -> None:
    """Puts the flaws of both images of each pair into LIST."""
    judged = _read()
    for number, pair in enumerate(pairs()):
        if pair.name in judged:
            judged[pair.name]["flaws"] = {
                row["method"]: {flaw: round(min(size, LARGEST_FLAW), FLAW_DIGITS) for flaw, size in row["flaws"].items()}
                for row in quality.measures([pair.run], pair.methods)}
        print(f"pair {number + 1} of {len(pairs())}", flush=True)
    _write(judged)


def _read() -> dict[str, dict]:
    return json.loads(LIST.read_text())


def _write(judged: dict[str, dict]) -> None:
    """Writes LIST with one pair per line."""
    lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in judged.items())
    LIST.write_text("{\n" + ",\n".join(lines) + "\n}\n")


@dataclass(frozen=True)
class Choice:
    """A pair of which the same image was chosen both times: flaws of the better and of the worse image."""

    pair: Pair
    better: dict[str, float]
    worse: dict[str, float]

    @property
    def difference(self) -> np.ndarray:
        """(flaws,): by how much the worse image has more of each."""
        return np.array([self.worse[name] - self.better[name] for name in score.WEIGHTS])

    @property
    def agrees(self) -> bool:
        """Whether the blend score prefers the image that was chosen."""
        return score.from_flaws(self.better) > score.from_flaws(self.worse)


def choices() -> list[Choice]:
    """The pairs of LIST of which the same image was chosen both times."""
    judged, found = _read(), []
    for pair in pairs():
        entry = judged.get(pair.name, {"chosen": ["="]})
        first, *others = entry["chosen"]
        if first == "=" or others != [first]:
            continue
        worse, = set(pair.methods) - {first}
        found.append(Choice(pair, entry["flaws"][first], entry["flaws"][worse]))
    return found


def fitted(chosen: list[Choice]) -> dict[str, float]:
    """Weights that make the choices most likely (Bradley and Terry's model, with a logistic error)."""
    differences = np.stack([choice.difference for choice in chosen])
    scale = np.maximum(differences.std(0), 1e-6)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = (differences / scale) @ weights
        slope = -1 / (1 + np.exp(margins)) / len(margins)
        penalty = RIDGE * weights @ weights
        return np.logaddexp(0, -margins).mean() + penalty, slope @ (differences / scale) + 2 * RIDGE * weights
    bounds = [(LEAST_WEIGHTS[name] * size, None) for name, size in zip(score.WEIGHTS, scale)]
    found = minimize(loss, np.full(len(scale), 0.5), jac=True, bounds=bounds)
    return dict(zip(score.WEIGHTS, (found.x / scale).round(3).tolist()))


def tables(options: Options) -> Iterator[str]:
    """How often the score prefers the image that was chosen, by half of the scenes, by task and by pair of methods."""
    judged = [entry["chosen"] for entry in _read().values()]
    contradictions, even = sum(len(set(each) - {"="}) > 1 for each in judged), sum("=" in each for each in judged)
    yield (f"{len(judged)} pairs, each judged twice with swapped sides: {contradictions} were judged both ways, {even} were "
           "even at least once; the others count.")
    chosen = choices()
    yield _table("scenes", chosen, lambda choice: "tuning" if choice.pair.scene in TUNING_SCENES else "reported")
    yield _table("task", chosen, lambda choice: choice.pair.run.task.name)
    yield _table("methods", chosen, lambda choice: " against ".join(sorted(choice.pair.methods)))


def _table(heading: str, chosen: list[Choice], group: Callable[[Choice], str]) -> str:
    """How often the score agrees in each group that has at least FEWEST choices."""
    groups: dict[str, list[bool]] = {}
    for choice in chosen:
        groups.setdefault(group(choice), []).append(choice.agrees)
    return markdown_table([heading, "pairs", "the score agrees"], (
        [name, str(len(agree)), f"{np.mean(agree):.0%}"]
        for name, agree in sorted(groups.items(), key=lambda item: -len(item[1])) if len(agree) >= FEWEST))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("sheets", "enter", "measure", "fit"))
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "outputs" / "judged")
    options = parser.parse_args()
    if options.step == "sheets":
        write_sheets(options.folder)
    elif options.step == "enter":
        enter(options.folder)
    elif options.step == "measure":
        measure()
    else:
        print(fitted([choice for choice in choices() if choice.pair.scene in TUNING_SCENES]))


if __name__ == "__main__":
    main()
