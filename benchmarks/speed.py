"""Ratios of speed: ours against the definitions in reference.py, and against the built-in's own functions.

    python softinpaint.py bench [--webui CHECKOUT]

Timings are noisy, so each figure is a ratio of medians taken in one run, in turns.
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
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import reference  # noqa: E402
from lib_softinpaint import blend, difference, schedule  # noqa: E402

LATENT = 128
"""Latent pixels: a picture of 1024x1024."""


def seconds(function: Callable[[], object], repeats: int) -> list[float]:
    """Wall time of each call, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def difference_maps(builtin: ModuleType | None) -> list[dict]:
    torch.manual_seed(0)
    latents = torch.randn(2, 1, 4, LATENT, LATENT)
    distance = (latents[1] - latents[0]).norm(dim=1)[0].numpy()
    rows = [{"what": "difference map 128x128", "who": "pixel by pixel",
             "times": seconds(lambda: reference.difference_map(distance), 3)}]
    if builtin:
        kernel, centre = builtin.get_gaussian_kernel(stddev_radius=1.5, max_radius=2)

        def builtin_map():
            strongest = builtin.weighted_histogram_filter(distance, kernel, centre, 0.9, 1, 1)
            return builtin.weighted_histogram_filter(strongest, kernel, centre, 0.25, 0.75, 1)
        rows.append({"what": "difference map 128x128", "who": "built-in", "times": seconds(builtin_map, 3)})
    rows.append({"what": "difference map 128x128", "who": "ours",
                 "times": seconds(lambda: difference.difference_map(*latents), 50)})
    return rows


def blends(builtin: ModuleType | None) -> list[dict]:
    torch.manual_seed(0)
    original, denoised = torch.randn(2, 1, 4, LATENT, LATENT)
    log_repaint = torch.rand(1, 1, LATENT, LATENT).log()
    norm, ratio = blend.channel_norm(original), torch.tensor([3.0])

    def ours():
        return blend.blend(original, norm, denoised, schedule.repaint_share(log_repaint, ratio, 1.0, 0.5), 4.0)

    def definition():
        return reference.blend(original, denoised, log_repaint.exp() ** (0.5 * ratio), 4.0)
    methods = {"float64 definition": definition, "ours": ours}
    if builtin:
        settings = builtin.SoftInpaintingSettings(1, 0.5, 4, 0, 0.5, 2)
        mask = log_repaint.exp()[0].expand(4, -1, -1)
        methods["built-in"] = lambda: builtin.latent_blend(
            settings, original, denoised, builtin.get_modified_nmask(settings, mask, ratio[0]))
    return [{"what": "blend 128x128x4", "who": who, "times": seconds(method, 100)} for who, method in methods.items()]


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
    rows = [*difference_maps(builtin), *blends(builtin)]
    for row in rows:
        times = row.pop("times")
        row["median_ms"] = statistics.median(times) * 1e3
        row["spread_ms"] = float(np.subtract(*np.percentile(times, [75, 25]))) * 1e3
    own = {row["what"]: row["median_ms"] for row in rows if row["who"] == "ours"}
    print("| what | who | median | spread | times ours |\n|---|---|---|---|---|")
    for row in rows:
        row["ratio"] = row["median_ms"] / own[row["what"]]
        print(f"| {row['what']} | {row['who']} | {row['median_ms']:.3g} ms | {row['spread_ms']:.2g} ms | {row['ratio']:.3g} |")
    if options.output:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        options.output.write_text(json.dumps({
            "commit": commit.stdout.strip(), "machine": platform.machine(), "processor_threads": torch.get_num_threads(),
            "python": platform.python_version(), "torch": torch.__version__, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
