"""Methods as a real WebUI runs them, where the benchmark is given a checkout."""
from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.peers import BUILTIN, HARD, OURS, Outcome, Run
from benchmarks.tables import markdown_table
from benchmarks.tasks import ONLY_MASKED, PADDING_PX
from lib_softinpaint.hosts.webui.names import TITLE
from lib_softinpaint.method.mask import host_blur
from lib_softinpaint.settings.request import MASKED_CONTENTS
from lib_softinpaint.settings.settings import as_builtin
from tests.webui import family
from tests.webui.host import WebUI, drawn_disc, drawn_image

BUILTIN_TITLE = "Built-in soft inpainting"
"""Title under which the tests' companion offers the built-in, whose place our script takes."""

TIMED_STEPS = {(512, 1): 20, (512, 4): 8, (1024, 1): 4, (1024, 4): 2}
"""Steps by size and batch. Fewer where a processor takes minutes, so everything but the sampling weighs more there."""
ROUNDS = 3


@contextmanager
def running(checkout: Path) -> Iterator[WebUI]:
    """A WebUI with the bundled model, our script and the built-in. SOFTINPAINT_WEBUI_PYTHON may name its Python."""
    with WebUI(family.host_at(checkout.resolve(), os.environ.get("SOFTINPAINT_WEBUI_PYTHON", "")), "bench") as webui:
        yield webui


def builtin(webui: WebUI) -> dict[tuple[str, ...], Callable[[Run], dict[str, Outcome]]]:
    """The built-in at its defaults, as `peers.PAINTERS` has methods.

    It composites even where the host is told not to, so the decoded image comes from ours, set as the built-in. That is the
    same image if the whole image is inpainted and the masked content is the original.
    """
    name = f"built-in of {webui.host}"
    decoding = {"soft": [asdict(as_builtin())], "title": TITLE, "options": {"overlay_inpaint": False}}

    def method(run: Run) -> dict[str, Outcome]:
        results, decoded = (np.stack([_inpainted(webui, run, seed, **script) for seed in run.seeds])
                            for script in ({"soft": [True], "title": BUILTIN_TITLE}, decoding))
        return {name: Outcome(results, decoded, host_blur(run.task.painted, run.task.mask_blur))}
    return {(name,): method}


def waiting_times(webui: WebUI) -> str:
    """A Markdown table of what a user waits for: whole requests with ours, the built-in, and neither, taking turns."""
    lines = []
    for (side, batch), steps in TIMED_STEPS.items():
        image, mask = drawn_image(side, side), drawn_disc(side, side, side // 8)
        request = {"width": side, "height": side, "batch_size": batch, "steps": steps, "denoising_strength": 1}
        methods = {HARD: ([False], TITLE), OURS: ([True], TITLE), BUILTIN: ([True], BUILTIN_TITLE)}
        rounds = [{name: webui.inpaint(image, mask, *script, **request).seconds for name, script in methods.items()}
                  for _ in range(ROUNDS)]
        times = {name: statistics.median(each[name] for each in rounds) for name in methods}
        lines.append([f"{side}", f"{batch}", f"{steps}", *(f"{times[name]:.2f} s" for name in methods),
                      f"{times[OURS] / times[HARD]:.3f}", f"{times[OURS] / times[BUILTIN]:.3f}"])
    return markdown_table(["pixels", "batch", "steps", *methods, "ours / hard", "ours / built-in"], lines)


def _inpainted(webui: WebUI, run: Run, seed: int, **script: Any) -> np.ndarray:
    task = run.task
    return webui.inpaint(
        Image.fromarray(task.image), Image.fromarray(task.painted).convert("L"), **script, prompt=task.prompt, seed=seed,
        steps=run.steps, width=task.side, height=task.side, cfg_scale=run.guidance, sampler_name=run.sampler,
        denoising_strength=task.denoising_strength, mask_blur=task.mask_blur,
        inpainting_fill=MASKED_CONTENTS.index(task.masked_content), inpaint_full_res=run.area == ONLY_MASKED,
        inpaint_full_res_padding=PADDING_PX).images[0]
