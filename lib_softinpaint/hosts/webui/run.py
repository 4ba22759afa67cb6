"""What belongs to one `process_images` of the host, and what was changed on its processing object."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.sampled import SampledPicture
from lib_softinpaint.hosts.webui.run_table import RunTable, put_back
from lib_softinpaint.method.mask import PaintedMask
from lib_softinpaint.settings.settings import Settings


@dataclass
class Run:
    """One `process_images` of the host: what was changed on its processing object, and the job once it is known."""
    settings: Settings
    painted: np.ndarray
    """What was painted (H, W) float32, before any shaping."""
    blur_px: float
    padding_px: int | None
    """The user's Mask blur and Only masked padding, None where the whole picture is inpainted."""
    mask: np.ndarray | None = None
    """Shaped mask (H, W) float32, as large as the one that came; None where the host shapes it."""
    latent_mask: np.ndarray | None = None
    """The same for the latents alone, where another script asks for it."""
    kept_fields: dict[str, Any] = field(default_factory=dict)
    host_is_ready: bool = False
    """Whether the host's `init` has run."""
    host_masks: tuple[torch.Tensor, torch.Tensor] | None = None
    """The processing object's mask and nmask while neutral ones stand there."""
    job: SoftInpaintJob | None = None
    noise_ratio: Callable[[torch.Tensor], torch.Tensor] | None = None
    """From the host's sigma, as the model kind has it; for samplers that ask for the denoised latent."""
    alphas_cumprod: torch.Tensor | None = None
    """As the sampler reads it at its start; for samplers that ask for noise."""
    noisy: torch.Tensor | None = None
    """Input of the model call in progress, of samplers that ask for noise."""
    alpha_bar: torch.Tensor | None = None
    originals: list[Image.Image] = field(default_factory=list)
    """The images that were sent, in RGB or RGBA where they had a colour profile."""
    masks: list[PaintedMask] = field(default_factory=list)
    """For each picture of the batch what was painted over it."""
    sources: list[np.ndarray | None] = field(default_factory=list)
    """For each picture of the batch (H, W, 4) uint8 where the result is to have its transparency."""
    sampled: list[SampledPicture] = field(default_factory=list)
    """The pictures of the batch, once they are sampled."""
    latents: torch.Tensor | None = None
    """What the host decodes (B, C, h, w), until it is decoded."""
    finished: list[tuple[Image.Image, str]] = field(default_factory=list)
    """Results of all batches that are kept, and their ids."""
    opacity_px: np.ndarray | None = None
    """Of the picture that is between the host's overlay and ours."""

runs: RunTable[Run] = RunTable()


def set_field(p: Any, run: Run, name: str, value: Any) -> None:
    """Sets a field of `p` until the run ends. A field that refuses is not noted: there is nothing to put back."""
    before = getattr(p, name)
    setattr(p, name, value)
    run.kept_fields.setdefault(name, before)


def put_fields_back(p: Any, run: Run) -> None:
    kept, run.kept_fields = run.kept_fields, {}
    put_back(p, kept)


def put_masks_back(p: Any, run: Run) -> None:
    masks, run.host_masks = run.host_masks, None
    if masks is not None:
        put_back(p, dict(zip(("mask", "nmask"), masks)))
