"""Speed of each stage of soft inpainting at four sizes and in batches, and of whole generations, soft against hard.

Timings are noisy, so ours and each peer run in turns, and the result is the ratio of medians. Peers are the definitions in
reference.py and the built-in's functions from the user's own checkout. Stages that run beside the sampler are also timed on
a GPU if there is one.
"""
from __future__ import annotations

import ctypes
import gc
import importlib.util
import inspect
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

from benchmarks import reference, webui
from benchmarks.machine import ROOT
from benchmarks.options import OUTPUT, Options
from benchmarks.tables import MISSED, markdown_table
from lib_softinpaint.generation import score
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.method import blend, composite, difference, mask, schedule
from lib_softinpaint.settings.request import LATENT_PX, Request
from lib_softinpaint.settings.settings import Settings

SCRIPT = ROOT / "scripts" / "soft_inpainting.py"

CASES = ((512, 1), (1024, 1), (2048, 1), (4096, 1), (1024, 4), (1024, 9))
"""Side in pixels, and batch size."""
DEFINED_AT = 512, 1
"""Side and batch at which the pixel-by-pixel definitions run. They take seconds."""
MAP_DEFINED_AT = 1024, 1
PIPELINE_CASES = (256, 1), (512, 1), (256, 4)
REACH_PX = 38.4
"""Reach of the feather at Mask blur 16."""

OURS, DEFINITION, BUILTIN, HARD, DIFFUSERS = "ours", "definition", "built-in", "hard inpainting", "diffusers' own inpainting"
HEADER = "device", "pixels", "batch", "method", "median", "spread", "times ours", "goal", "peak memory"
GOALS = {
    ("difference map", MAP_DEFINED_AT, DEFINITION): 200,
    ("difference map", MAP_DEFINED_AT, BUILTIN): 200,
    ("blend", MAP_DEFINED_AT, DEFINITION): 4,
    ("blend", MAP_DEFINED_AT, BUILTIN): 4,
    ("generation", (256, 1), HARD): 1 / 1.05,
    ("generation", (512, 1), HARD): 1 / 1.05}
"""How many times as long as ours the others must take at least. The map's definition takes about as long as the built-in's own
function. The blend's definition is in float64. Soft inpainting may add 5 %."""
LARGEST_DEFINITION = 1.2
"""How many times as long as the built-in the map's definition may take. Up to here, its ratio holds for both."""

VERDICT_PX = 256
"""Side of the image whose difference map by the built-in is compared with its definition."""
SAME_MAP = 1e-4
"""Latent units. Two difference maps that differ by less are the same up to rounding."""

COPIED_BYTES = 2 ** 28

LEAST_SECONDS, MOST_ROUNDS = 0.6, 60
"""Total time for which a method is called, at least three times, and the most rounds."""


@dataclass(frozen=True)
class Row:
    """One method's measurements at one stage.

    size_px, batch
        Side of the images and their number.
    median_s, spread_s
        Median and interquartile range of the wall time, seconds.
    times_ours
        Ratio to our median.
    memory_mib
        Peak minus what was held before the call, MiB. NaN if the system does not report it.
    memory_speed_share
        Time for the least possible memory traffic at a copy's speed, divided by the median. NaN if not counted. It may be
        above 1 if everything fits in the processor's cache.
    """

    stage: str
    device: str
    size_px: int
    batch: int
    method: str
    median_s: float
    spread_s: float
    times_ours: float
    memory_mib: float
    memory_speed_share: float

    @property
    def goal(self) -> float | None:
        return GOALS.get((self.stage, (self.size_px, self.batch), self.method)) if self.device == "cpu" else None


Methods = dict[str, Callable[[], object]]


def mask_shaping(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    painted = _painted(size)
    latent = size // LATENT_PX

    def ours():
        return mask.to_latent(mask.feather_outward(painted.astype(np.float32), REACH_PX), latent, latent)
    return {OURS: ours, **_defined(size, batch, lambda: reference.feather(painted, REACH_PX))}


def difference_map(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    latents = _latents(size, 2 * batch, device).unflatten(0, (2, batch))
    methods: Methods = {OURS: lambda: difference.difference_map(*latents)}
    if (size, batch, device) != (*MAP_DEFINED_AT, "cpu"):
        return methods
    distance = (latents[1] - latents[0]).norm(dim=1)[0].numpy()
    methods[DEFINITION] = lambda: reference.difference_map(distance)
    if builtin:
        methods[BUILTIN] = lambda: builtin_map(builtin, distance)
    return methods


def builtin_map(builtin: ModuleType, distance: np.ndarray) -> np.ndarray:
    kernel, centre = builtin.get_gaussian_kernel(stddev_radius=1.5, max_radius=2)
    strongest = builtin.weighted_histogram_filter(distance, kernel, centre, 0.9, 1, 1)
    return builtin.weighted_histogram_filter(strongest, kernel, centre, 0.25, 0.75, 1)


EQUAL = "equals its definition"


def verdict_on_map(builtin: ModuleType) -> str:
    """Whether the built-in's difference map is what it should be. A WebUI's own version may return an empty map, and then
    looks fast."""
    latents = _latents(VERDICT_PX, 2, "cpu")
    distance = (latents[1] - latents[0]).norm(dim=0).numpy()
    found, wanted = builtin_map(builtin, distance), reference.difference_map(distance)
    if not found.any():
        return "is empty: 0 everywhere"
    difference = np.abs(found - wanted).max()
    return EQUAL if difference < SAME_MAP else f"differs from its definition by up to {difference:.3g}"


def one_blend(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    original, denoised = _latents(size, 2 * batch, device).chunk(2)
    log_repaint = torch.rand(1, 1, *original.shape[-2:], device=device).log()
    norm, ratio = blend.channel_norm(original), torch.tensor([3.0], device=device)

    def ours():
        return blend.blend(original, norm, denoised, schedule.repaint_share(log_repaint, ratio, 1.0, 0.5), 4.0)

    def definition():
        return reference.blend(original, denoised, log_repaint.exp() ** (0.5 * ratio), 4.0)
    methods = {OURS: ours, DEFINITION: definition}
    if builtin:
        settings = builtin.SoftInpaintingSettings(1, 0.5, 4, 0, 0.5, 2)
        nmask = log_repaint.exp()[0].expand(4, -1, -1)
        methods[BUILTIN] = lambda: builtin.latent_blend(
            settings, original, denoised, builtin.get_modified_nmask(settings, nmask, ratio[0]))
    return methods


def compositing(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    original, decoded = _image(size, 0), _image(size, 1)
    opacity = mask.feather_outward(_painted(size).astype(np.float32), REACH_PX)
    return {OURS: lambda: [composite.composite(original, decoded, opacity) for _ in range(batch)],
            **_defined(size, batch, lambda: reference.composite(original, decoded, opacity))}


def post_processing(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    """Everything from the last latent and the decoded images to the results."""
    painted_px = _painted(size).astype(np.float32)
    repaint_px = mask.feather_outward(painted_px, REACH_PX)
    repaint = torch.from_numpy(mask.to_latent(repaint_px, size // LATENT_PX, size // LATENT_PX))[None]
    reference_latent, samples = _latents(size, 2 * batch, device).chunk(2)
    original, decoded = _image(size, 0), _image(size, 1)

    def ours():
        job = SoftInpaintJob(Settings(enabled=True), repaint, reference_latent, [original] * batch, [repaint_px] * batch,
                             painted_px=[painted_px] * batch)
        finished = job.finish(samples)
        return [image.composited(job.settings, decoded) for image in job.measure(finished, Size(size, size), range(batch))]
    methods = {OURS: ours}
    if builtin and (size, batch, device) == (*MAP_DEFINED_AT, "cpu"):
        settings = builtin.SoftInpaintingSettings(1, 0.5, 4, 0, 0.5, 2)
        image = Image.fromarray(original).convert("RGBA")
        nmask = repaint.expand(4, -1, -1)
        if "nmask.ndim == 4" in inspect.getsource(builtin.apply_adaptive_masks):  # Forge Neo's takes no mask without a batch
            nmask = nmask[None]

        def builtins():
            overlays = [image] * batch
            builtin.apply_adaptive_masks(settings, nmask, reference_latent, samples, overlays, size, size, None)
            return [Image.alpha_composite(Image.fromarray(decoded).convert("RGBA"), overlay) for overlay in overlays]
        methods[BUILTIN] = builtins
    return methods


def recompositing(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    """Re-composites finished images with another threshold, and also with another feather."""
    painted = mask.PaintedMask(
        _painted(size).astype(np.float32), mask.Canvas(REACH_PX / mask.REACH_PER_BLUR), Size(size, size))
    run = Settings(enabled=True)
    repaint_px = painted.repaint_px(run)
    repaint = torch.from_numpy(mask.to_latent(repaint_px, size // LATENT_PX, size // LATENT_PX))[None]
    reference_latent, samples = _latents(size, 2 * batch, device).chunk(2)
    job = SoftInpaintJob(run, repaint, reference_latent, [_image(size, 0)] * batch, [repaint_px] * batch,
                         painted_px=[painted.strengths] * batch)
    kept = [KeptImage(run, sampled, _image(size, 1), painted)
            for sampled in job.measure(job.finish(samples), Size(size, size), range(batch))]

    def recomposite_with(*names: str) -> Callable[[], object]:
        values = itertools.cycle((1.0, 2.0))

        def composites():
            value = next(values)
            return [image.composited(image.settings_with(dict.fromkeys(names, value))) for image in kept]
        return composites
    return {OURS: recomposite_with("difference_threshold"),
            "ours, another feather": recomposite_with("difference_threshold", "grow_px")}


def scoring(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    painted = _painted(size)
    repaint = mask.feather_outward(painted.astype(np.float32), REACH_PX)
    original, decoded = _image(size, 0), _image(size, 1)
    result = composite.composite(original, decoded, repaint)
    return {OURS: lambda: score.score(original, result, repaint, painted, decoded)}


def generation(size: int, batch: int, device: str, builtin: ModuleType | None) -> Methods:
    """A whole run of twenty steps with the bundled model."""
    pipeline = models.load(str(models.SCENE_MODEL), device)
    inpainting = StableDiffusionInpaintPipeline.from_pipe(pipeline)
    inpainting.set_progress_bar_config(disable=True)
    image, painted = (Image.open(ROOT / "demo" / name).resize((size, size)) for name in ("image.png", "mask.png"))
    request = Request(prompt="a house", denoising_strength=1, mask_blur=8, seed=1, sampler="DDIM")
    kind, changes = models.scheduler_class(request.sampler, request.schedule_type)
    scheduler = kind.from_config(pipeline.scheduler.config, **changes)

    def painting(settings: Settings) -> Callable[[], object]:
        def paint():
            pipeline.scheduler = scheduler
            return pipeline(request.prompt, image, painted, strength=1.0, num_inference_steps=request.steps,
                            guidance_scale=request.cfg_scale, num_images_per_prompt=batch, mask_blur=request.mask_blur,
                            settings=settings, generator=torch.Generator().manual_seed(1))
        return paint
    return {OURS: painting(request.settings), HARD: painting(replace(request.settings, enabled=False)),
            DIFFUSERS: lambda: inpainting(request.prompt, image, painted, height=size, width=size, strength=1.0,
                                          num_inference_steps=request.steps, guidance_scale=request.cfg_scale,
                                          num_images_per_prompt=batch)}


STAGES: dict[str, tuple[Callable[[int, int, str, ModuleType | None], Methods], tuple[tuple[int, int], ...], bool]] = {
    "mask shaping": (mask_shaping, tuple(case for case in CASES if case[1] == 1), False),
    "difference map": (difference_map, CASES, True), "blend": (one_blend, CASES, True),
    "composite": (compositing, CASES, False), "post-processing": (post_processing, CASES, True),
    "re-composite": (recompositing, CASES, False),
    "score": (scoring, tuple(case for case in CASES if case[1] == 1), False),
    "generation": (generation, PIPELINE_CASES, True)}
"""By stage: the function that returns its methods, its sizes and batches, and whether it also runs on a GPU."""

LEAST_BYTES = {"difference map": 4 * (4 + 4 + 1), "blend": 4 * (4 + 4 + 1 + 1 + 4)}
"""Least bytes to read and write per latent pixel. Map: two latents and the map. Blend: also a norm and a mask."""


def rows(builtin: ModuleType | None = None) -> Iterator[Row]:
    """Measurements of every stage, also of the built-in if its module is given."""
    rates = {device: copy_rate(device) for device in devices()}
    for stage, (methods_for, cases, runs_on_gpu) in STAGES.items():
        for device in devices() if runs_on_gpu else ["cpu"]:
            for size, batch in cases:
                torch.manual_seed(0)
                methods = methods_for(size, batch, device, builtin)
                memory = {method: peak_memory(call, device) for method, call in methods.items()}
                times_by_method = seconds(methods)
                ours = statistics.median(times_by_method[OURS])
                least = LEAST_BYTES.get(stage, math.nan) * batch * (size // LATENT_PX) ** 2 / rates[device]
                for method, times in times_by_method.items():
                    spread = float(np.subtract(*np.percentile(times, [75, 25])))
                    median = statistics.median(times)
                    yield Row(stage, device, size, batch, method, median, spread, median / ours, memory[method],
                              least / median)


def devices() -> list[str]:
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def copy_rate(device: str) -> float:
    """Bytes per second that a large copy reads and writes."""
    source = torch.ones(COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / min(_seconds(lambda: target.copy_(source)) for _ in range(5))


def host_device_syncs() -> int | None:
    """How often one step's blend makes the processor wait for the GPU, or None if there is no GPU."""
    if not torch.cuda.is_available():
        return None
    latents = _latents(512, 2, "cuda")
    job = SoftInpaintJob(Settings(enabled=True), torch.rand_like(latents[:1, :1]), latents[:1], [], [])
    ratio = torch.tensor([3.0], device="cuda")
    job.blend(latents[1:], ratio)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            job.blend(latents[1:], ratio)
        return len(caught)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def seconds(methods: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Wall times of each method's calls. Methods take turns, and those much faster than the slowest are called more often."""
    times: dict[str, list[float]] = {method: [] for method in methods}
    first = {method: _seconds(call) for method, call in methods.items()}
    rounds = min(MOST_ROUNDS, max(3, math.ceil(LEAST_SECONDS / max(first.values()))))
    for _ in range(rounds):
        for method, call in methods.items():
            repeats = min(10, max(1, int(max(first.values()) / first[method] / 10)))
            times[method] += [_seconds(call) for _ in range(repeats)]
    return times


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_memory(call: Callable[[], object], device: str) -> float:
    """Peak memory of a call minus what was held before, MiB. NaN on the processor unless on Linux."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2 ** 20
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not os.access(reset, os.W_OK):
        return math.nan

    def kibibytes(key: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(key + ":"))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # memory freed by earlier calls must not be reused by this one
    reset.write_text("5")  # resets the peak to the current value
    before = kibibytes("VmRSS")
    call()
    return (kibibytes("VmHWM") - before) / 1024


def exponents(figures: list[Row]) -> dict[str, float]:
    """Power of the pixel count with which each stage's time grows, by stage. 1 is linear."""
    found = {}
    for stage in dict.fromkeys(row.stage for row in figures):
        own = [row for row in figures if row.stage == stage and row.method == OURS and row.batch == 1 and row.device == "cpu"]
        pixels, times = (np.log([value(row) for row in own]) for value in (lambda row: row.size_px ** 2,
                                                                           lambda row: row.median_s))
        found[stage] = float(np.polyfit(pixels, times, 1)[0])
    return found


def import_seconds(builtin_script: Path | None) -> dict[str, float]:
    """Time that loading a script adds to the WebUI's start. Modules that the WebUI loads anyway are not counted."""
    scripts = {OURS: SCRIPT} | ({BUILTIN: builtin_script} if builtin_script else {})
    return {method: statistics.median(loaded(script)[0] for _ in range(3)) for method, script in scripts.items()}


def loaded(script: Path) -> tuple[float, list[str]]:
    """Seconds that loading a script takes in a new process, and the modules that it adds to those of the WebUI."""
    code = """
import json, runpy, sys, time
from unittest import mock
import numpy, torch, PIL.Image, PIL.ImageFilter, scipy.ndimage
for name in ("gradio", "fastapi", "modules", *("modules." + part for part in sys.argv[2].split())):
    sys.modules[name] = mock.MagicMock()
sys.modules["modules.scripts"].Script = sys.modules["modules"].scripts.Script = object
from lib_softinpaint.hosts.webui import detect
detect.missing = list  # the mocks have every attribute
before = set(sys.modules)
start = time.perf_counter()
runpy.run_path(sys.argv[1])
print(json.dumps([time.perf_counter() - start, sorted(set(sys.modules) - before)]))
"""
    parts = ("devices errors images infotext_utils processing script_callbacks scripts sd_models sd_samplers_common shared "
             "torch_utils ui_components sd_samplers sd_vae_approx masking rng call_queue paths")
    run = subprocess.run([sys.executable, "-c", code, str(script), parts], capture_output=True, text=True, check=True,
                         env={**os.environ, "PYTHONPATH": str(ROOT)})
    seconds, modules = json.loads(run.stdout)
    return seconds, modules


def load_builtin(script: Path) -> ModuleType:
    """The built-in's functions, with the WebUI mocked except for the two functions that they call."""
    host = {name: mock.MagicMock() for name in (
        "gradio", "modules", "modules.images", "modules.processing", "modules.scripts", "modules.ui_components")}
    host["modules.scripts"].Script = host["modules"].scripts.Script = object
    host["modules.torch_utils"] = mock.MagicMock(float64=lambda tensor: torch.float64)
    host["modules"].images = host["modules.images"]
    host["modules"].processing = host["modules.processing"]
    host["modules.images"].resize_image = lambda mode, image, width, height: image.resize(
        (width, height), Image.Resampling.LANCZOS)
    host["modules.processing"].create_binary_mask = lambda image, **kwargs: image.convert("L")
    gradio = sys.modules.get("gradio")
    sys.modules.update(host)  # for good, because functions import them, too
    try:
        spec = importlib.util.spec_from_file_location("builtin_soft_inpainting", script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.modules.pop("gradio")
        sys.modules.update({"gradio": gradio} if gradio else {})
    return module


def tables(options: Options) -> Iterator[str]:
    """What a user waits for, if a WebUI is given; then a Markdown table of each stage, and a sentence for each missed goal."""
    script = options.webui and options.webui / "extensions-builtin/soft-inpainting/scripts/soft_inpainting.py"
    builtin = load_builtin(script) if script else None
    if options.webui:
        with webui.running(options.webui) as host:
            yield f"What a user of {host.host} waits for:\n\n{webui.waiting_times(host)}"
    imports = import_seconds(script)
    figures = []
    for stage, measured in itertools.groupby(rows(builtin), lambda row: row.stage):
        own = list(measured)
        figures += own
        yield f"**{stage.capitalize()}**\n\n" + markdown_table(HEADER, map(_cells, own))
    yield ("Time grows with the pixel count to the power of: "
           + ", ".join(f"{stage} {power:.2f}" for stage, power in exponents(figures).items()) + ".")
    yield f"Loading at the WebUI's start: {', '.join(f'{by} {_milliseconds(took_s)}' for by, took_s in imports.items())}."
    if (syncs := host_device_syncs()) is not None:
        yield f"Waits for the GPU in one step's blend: {syncs}."
    verdict = verdict_on_map(builtin) if builtin else ""
    if builtin:
        yield f"The built-in's difference map {verdict}."
    yield from _missed(figures, verdict)
    (OUTPUT / "speed.json").write_text(json.dumps([vars(row) for row in figures], indent=1) + "\n")


def _cells(row: Row) -> list[str]:
    goal = f"{row.goal:.3g}" if row.goal else ""
    if row.device != "cpu" and not math.isnan(row.memory_speed_share):
        goal = f"{row.memory_speed_share:.0%} of memory bandwidth"
    return [row.device, f"{row.size_px}", f"{row.batch}", row.method, _milliseconds(row.median_s), _milliseconds(row.spread_s),
            f"{row.times_ours:.3g}", goal, f"{row.memory_mib:.0f} MiB"]


def _missed(figures: list[Row], verdict: str) -> Iterator[str]:
    # A built-in whose map is wrong may be fast because of that.
    for row in figures:
        if row.goal and row.times_ours < row.goal and (row.method != BUILTIN or verdict == EQUAL):
            yield (f"{MISSED}the {row.stage} of {row.size_px} px: {row.method} takes {row.times_ours:.3g} times as long as "
                   f"ours, the goal is {row.goal:.3g}.")
    maps = {row.method: row.median_s for row in figures
            if (row.stage, row.device, row.size_px, row.batch) == ("difference map", "cpu", *MAP_DEFINED_AT)}
    if BUILTIN in maps:
        share = maps[DEFINITION] / maps[BUILTIN]
        yield f"The map's definition takes {share:.3g} times as long as the built-in's own function."
        if share > LARGEST_DEFINITION and verdict == EQUAL:
            yield (f"{MISSED}the map's definition takes {share:.3g} times as long as the built-in's, "
                   f"the limit is {LARGEST_DEFINITION}.")


def _milliseconds(duration_s: float) -> str:
    return f"{duration_s * 1e3:.3g} ms"


def _defined(size: int, batch: int, call: Callable[[], object]) -> dict[str, Callable[[], object]]:
    return {DEFINITION: call} if (size, batch) == DEFINED_AT else {}


def _painted(size: int) -> np.ndarray:
    """(size, size) bool: a disc that covers a twelfth of the image."""
    rows_px, columns_px = np.ogrid[:size, :size]
    return (rows_px - 0.45 * size) ** 2 + (columns_px - 0.55 * size) ** 2 < (0.16 * size) ** 2


def _image(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def _latents(size: int, count: int, device: str) -> torch.Tensor:
    return torch.randn(count, 4, size // LATENT_PX, size // LATENT_PX, device=device)
