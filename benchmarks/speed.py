"""Ratios of speed: ours against the definitions in reference.py, and against the built-in's own functions.

    python3 softinpaint.py bench [--webui CHECKOUT]

Timings are noisy, so each figure is a ratio of medians taken in one run, in turns. Exits with 1 where a goal is missed.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import reference  # noqa: E402
from lib_softinpaint import blend, difference, schedule  # noqa: E402
from lib_softinpaint.hosts import diffusers_models as models  # noqa: E402
from lib_softinpaint.request import Request  # noqa: E402
from lib_softinpaint.settings import Settings  # noqa: E402

LATENT = 128
"""Latent pixels: a picture of 1024x1024."""

PICTURE_SIZES = 256, 512
"""Pixels; for whole runs of the pipeline with the bundled model."""

OURS, DEFINITION, BUILTIN, HARD, DIFFUSERS = "ours", "definition", "built-in", "hard inpainting", "diffusers' own inpainting"
GOALS = {
    ("difference map", DEFINITION): 200,
    ("blend", DEFINITION): 2.5,
    **{(f"pipeline, {size} px", HARD): 1 / 1.05 for size in PICTURE_SIZES}}
"""Times ours that another one must take at least. The definition of the map is pixel by pixel in Python and takes about
as long as the built-in's own function; the definition of the blend is in float64. Soft inpainting may add 5 %."""
LARGEST_DEFINITION = 1.2
"""Times the built-in's that the pixel-by-pixel definition may take at most, so that its ratio may speak for both."""


def seconds(methods: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall time of each method's calls, taken in turns after one that is not counted."""
    times: dict[str, list[float]] = {who: [] for who in methods}
    for number in range(rounds + 1):
        for who, method in methods.items():
            start = time.perf_counter()
            method()
            if number:
                times[who].append(time.perf_counter() - start)
    return times


def difference_maps(builtin: ModuleType | None) -> dict[str, list[float]]:
    torch.manual_seed(0)
    latents = torch.randn(2, 1, 4, LATENT, LATENT)
    distance = (latents[1] - latents[0]).norm(dim=1)[0].numpy()
    methods = {OURS: lambda: [difference.difference_map(*latents) for _ in range(10)],
               DEFINITION: lambda: reference.difference_map(distance)}
    if builtin:
        kernel, centre = builtin.get_gaussian_kernel(stddev_radius=1.5, max_radius=2)

        def builtin_map():
            strongest = builtin.weighted_histogram_filter(distance, kernel, centre, 0.9, 1, 1)
            return builtin.weighted_histogram_filter(strongest, kernel, centre, 0.25, 0.75, 1)
        methods[BUILTIN] = builtin_map
    times = seconds(methods, 3)
    return {**times, OURS: [taken / 10 for taken in times[OURS]]}


def blends(builtin: ModuleType | None) -> dict[str, list[float]]:
    torch.manual_seed(0)
    original, denoised = torch.randn(2, 1, 4, LATENT, LATENT)
    log_repaint = torch.rand(1, 1, LATENT, LATENT).log()
    norm, ratio = blend.channel_norm(original), torch.tensor([3.0])

    def ours():
        return blend.blend(original, norm, denoised, schedule.repaint_share(log_repaint, ratio, 1.0, 0.5), 4.0)

    def definition():
        return reference.blend(original, denoised, log_repaint.exp() ** (0.5 * ratio), 4.0)
    methods = {OURS: ours, DEFINITION: definition}
    if builtin:
        settings = builtin.SoftInpaintingSettings(1, 0.5, 4, 0, 0.5, 2)
        mask = log_repaint.exp()[0].expand(4, -1, -1)
        methods[BUILTIN] = lambda: builtin.latent_blend(
            settings, original, denoised, builtin.get_modified_nmask(settings, mask, ratio[0]))
    return seconds(methods, 100)


def pipelines(size: int) -> dict[str, list[float]]:
    """Twenty steps with the bundled model, picture to picture."""
    pipeline = models.load(str(models.SCENE_MODEL), "cpu")
    neighbour = StableDiffusionInpaintPipeline.from_pipe(pipeline)
    neighbour.set_progress_bar_config(disable=True)
    picture, mask = (Image.open(ROOT / "demo" / name).resize((size, size)) for name in ("picture.png", "mask.png"))
    soft = Request(prompt="a house", denoising_strength=1, mask_blur=8, seed=1, sampler="DDIM")
    hard = replace(soft, settings=Settings(enabled=False))
    return seconds({
        OURS: lambda: models.inpaint(pipeline, soft, picture, mask),
        HARD: lambda: models.inpaint(pipeline, hard, picture, mask),
        DIFFUSERS: lambda: neighbour(soft.prompt, picture, mask, height=size, width=size, strength=1.0,
                                     num_inference_steps=soft.steps, guidance_scale=soft.cfg_scale)}, 5)


def load_builtin(checkout: Path) -> ModuleType:
    """The built-in's functions, without the WebUI around them."""
    path = checkout / "extensions-builtin/soft-inpainting/scripts/soft_inpainting.py"
    host = {name: mock.MagicMock() for name in ("gradio", "modules", "modules.ui_components", "modules.scripts")}
    host["modules.scripts"].Script = host["modules"].scripts.Script = object
    host["modules.torch_utils"] = mock.MagicMock(float64=lambda tensor: torch.float64)
    with mock.patch.dict(sys.modules, host):
        spec = importlib.util.spec_from_file_location("builtin_soft_inpainting", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--webui", type=Path, help="WebUI checkout whose built-in is timed too")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    builtin = load_builtin(options.webui) if options.webui else None
    tasks = {"difference map": difference_maps(builtin), "blend": blends(builtin),
             **{f"pipeline, {size} px": pipelines(size) for size in PICTURE_SIZES}}
    missed, rows = [], []
    print(f"Map and blend: one picture of {LATENT * 8}x{LATENT * 8}, latent {LATENT}x{LATENT}x4.\n")
    print("| what | who | median | spread | times ours | goal |\n|---|---|---|---|---|---|")
    for what, times in tasks.items():
        for who, taken in times.items():
            median = statistics.median(taken)
            ratio, goal = median / statistics.median(times[OURS]), GOALS.get((what, who))
            spread = float(np.subtract(*np.percentile(taken, [75, 25])))
            rows.append({"what": what, "who": who, "median_s": median, "spread_s": spread, "times_ours": ratio, "goal": goal})
            wanted = f"{goal:.3g}" if goal else ""
            print(f"| {what} | {who} | {median * 1e3:.3g} ms | {spread * 1e3:.2g} ms | {ratio:.3g} | {wanted} |")
            if goal and ratio < goal:
                missed.append(f"the {what}'s {who} takes {ratio:.3g} times ours, the goal is {goal}")
    if builtin:
        maps = tasks["difference map"]
        share = statistics.median(maps[DEFINITION]) / statistics.median(maps[BUILTIN])
        print(f"\nThe map's definition takes {share:.3g} times the built-in's own function.")
        if share > LARGEST_DEFINITION:
            missed.append(f"the map's definition takes {share:.3g} times the built-in's, the limit is {LARGEST_DEFINITION}")
    if options.output:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        options.output.write_text(json.dumps({
            "commit": commit.stdout.strip(), "processor": processor(), "threads": torch.get_num_threads(),
            "python": platform.python_version(), "torch": torch.__version__, "rows": rows}, indent=1) + "\n")
    for sentence in missed:
        print(f"Missed: {sentence}.")
    return 1 if missed else 0


def processor() -> str:
    """The processor's name, where the system tells it."""
    information = Path("/proc/cpuinfo")
    names = [line.split(": ", 1)[1] for line in information.read_text().splitlines() if line.startswith("model name")] \
        if information.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
