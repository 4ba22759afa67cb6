"""What belongs to one `process_images` of the host: its state from hook to hook, and what was changed on its object `p`."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.hosts.webui.run_table import RunTable, put_back
from lib_softinpaint.method.mask import PaintedMask
from lib_softinpaint.settings.settings import Settings


class Changes:
    """What is changed on `p` for a while. It does not hold `p`: a run must not keep it alive."""

    def __init__(self):
        self.fields: dict[str, Any] = {}
        """Values before the change."""
        self._masks: tuple[torch.Tensor, torch.Tensor] | None = None

    def set(self, p: Any, name: str, value: Any) -> None:
        """Sets a field of `p`. A field that refuses is not noted: there is nothing to put back."""
        before = getattr(p, name)
        setattr(p, name, value)
        self.fields.setdefault(name, before)

    def put_fields_back(self, p: Any) -> None:
        fields, self.fields = self.fields, {}
        put_back(p, fields)

    def make_masks_neutral(self, p: Any) -> None:
        """Lets the host's own blends change nothing while its hooks are still called: the job blends instead.

        Samplers that mask before denoising lerp noisy latents with the clean original, where greys do harm.
        """
        self._masks = p.mask, p.nmask
        p.mask, p.nmask = torch.zeros_like(p.mask), torch.ones_like(p.nmask)

    def put_masks_back(self, p: Any) -> None:
        masks, self._masks = self._masks, None
        if masks is not None:
            put_back(p, dict(zip(("mask", "nmask"), masks)))

    def put_back(self, p: Any) -> None:
        """All of it. Never raises."""
        self.put_fields_back(p)
        self.put_masks_back(p)


@dataclass(frozen=True)
class ShapedMasks:
    """The masks as we hand them to the host.

    Parameters
    ----------
    shown : (H, W) float32, 0 to 1
        Where the result may change, as large as the mask that came.
    sampled : (H, W) float32, 0 to 1
        Where the latents may change, if another script asks for other places there.
    """

    shown: np.ndarray
    sampled: np.ndarray | None = None


@dataclass
class NoiseLevels:
    """How the sampler of one batch tells its noise level; known from its first model call on."""

    ratio: Callable[[torch.Tensor], torch.Tensor] | None = None
    """From the host's sigma, as the model kind has it; for samplers that ask for the denoised latent."""
    alphas_cumprod: torch.Tensor | None = None
    """As the sampler reads it at its start; for samplers that ask for noise."""
    call: tuple[torch.Tensor, torch.Tensor] | None = None
    """Noisy input (B, C, h, w) and alpha_bar (B,) of the model call in progress, of samplers that ask for noise."""


@dataclass
class Sampling:
    """A run from its first batch on.

    Parameters
    ----------
    job
    painted
        For each image of the batch what was painted over it.
    sources : (H, W, 4) uint8 each
        The images whose result is to have their transparency, None for others.
    """

    job: SoftInpaintJob
    painted: list[PaintedMask]
    sources: list[np.ndarray | None]
    noise_levels: NoiseLevels = field(default_factory=NoiseLevels)


@dataclass
class Sampled:
    """One batch after sampling.

    Parameters
    ----------
    images
    latents : (B, C, h, w)
        What the host decodes, None if that is not known.
    opacity_px : (H, W) float32, 0 to 1
        Of the image that is between the host's overlay and ours.
    """

    images: list[SampledImage]
    latents: torch.Tensor | None = None
    opacity_px: np.ndarray | None = None


@dataclass
class Run:
    """One `process_images` of the host. `shaped`, `sampling` and `sampled` are its states, each None until it is reached.

    Parameters
    ----------
    settings
    painted : (H, W) float32, 0 to 1
        What was painted, before any shaping.
    blur_px, padding_px
        The user's Mask blur and Only masked padding, None where the whole image is inpainted.
    originals
        The images that were sent, in RGB or RGBA if they had a colour profile.
    shaped
        None where the host shapes the mask.
    host_is_ready
        Whether the host's `init` has run.
    finished
        Results of all batches that are kept, and their ids.
    """

    settings: Settings
    painted: np.ndarray
    blur_px: float
    padding_px: int | None
    originals: list[Image.Image] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    shaped: ShapedMasks | None = None
    host_is_ready: bool = False
    sampling: Sampling | None = None
    sampled: Sampled | None = None
    finished: list[tuple[Image.Image, str]] = field(default_factory=list)


runs: RunTable[Run] = RunTable()


def sampling_of(p: Any) -> Sampling | None:
    """The state of the run of `p` if that samples softly."""
    run = runs.get(p)
    return None if run is None else run.sampling
