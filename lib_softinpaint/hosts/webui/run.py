"""State of one `process_images` call, carried from hook to hook, and what was changed on its `p`."""
from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.hosts.webui.run_table import RunTable, put_back
from lib_softinpaint.method.mask import Canvas, PaintedMask
from lib_softinpaint.settings.settings import Settings


class Changes:
    """Temporary changes to `p`. Does not hold `p`, because a run must not keep it alive."""

    def __init__(self):
        self.fields: dict[str, Any] = {}
        """The values before the change, by name."""
        self._methods: list[str] = []
        self._elsewhere: list[tuple[weakref.ref[Any], str, Any]] = []
        self._masks: tuple[torch.Tensor, torch.Tensor] | None = None

    def set(self, p: Any, name: str, value: Any) -> None:
        """Sets a field of `p`. If the setter raises, nothing is recorded, because there is nothing to put back."""
        before = getattr(p, name)
        setattr(p, name, value)
        self.fields.setdefault(name, before)

    def replace_method(self, p: Any, name: str, method: Callable[..., Any]) -> None:
        """Shadows a method of `p`'s class on `p` itself."""
        setattr(p, name, method)
        self._methods.append(name)

    def replace_elsewhere(self, owner: Any, name: str, method: Callable[..., Any]) -> None:
        """Shadows a method on an object of this batch. Undone by `put_back` alone."""
        self._elsewhere.append((weakref.ref(owner), name, vars(owner).get(name)))
        setattr(owner, name, method)

    def put_fields_back(self, p: Any) -> None:
        """Undoes all changes but those to the masks."""
        for name in self._methods:
            vars(p).pop(name, None)
        self._methods = []
        fields, self.fields = self.fields, {}
        put_back(p, fields)

    def make_masks_neutral(self, p: Any) -> None:
        """Makes the host's own blends change nothing. Its hooks are still called, and there the job blends instead.

        The host mixes noisy latents with the clean original for samplers that mask before denoising. With a grey mask
        that spoils the result.
        """
        self._masks = p.mask, p.nmask
        p.mask, p.nmask = torch.zeros_like(p.mask), torch.ones_like(p.nmask)

    def put_masks_back(self, p: Any) -> None:
        masks, self._masks = self._masks, None
        if masks is not None:
            put_back(p, dict(zip(("mask", "nmask"), masks)))

    def put_back(self, p: Any) -> None:
        """Undoes all changes. Never raises."""
        self.put_fields_back(p)
        self.put_masks_back(p)
        elsewhere, self._elsewhere = self._elsewhere, []
        for owner, name, before in reversed(elsewhere):
            if (living := owner()) is not None:
                vars(living).pop(name, None)
                if before is not None:
                    setattr(living, name, before)


@dataclass(frozen=True)
class ShapedMasks:
    """The masks that we give the host.

    Parameters
    ----------
    shown : (H, W) float32, 0 to 1
        Where the result may change, at the size of the mask that we were given.
    sampled : (H, W) float32, 0 to 1
        Where the latents may change, if another script wants a different mask there.
    """

    shown: np.ndarray
    sampled: np.ndarray | None = None


@dataclass
class NoiseLevels:
    """How to read the noise level of one batch's sampler. Set at its first model call."""

    ratio: Callable[[torch.Tensor], torch.Tensor] | None = None
    """Converts the host's sigma, which depends on the kind of model; for samplers that work with the denoised prediction."""
    alphas_cumprod: torch.Tensor | None = None
    """The sampler's `alphas_cumprod`, read once; for samplers that work with predicted noise."""
    call: tuple[torch.Tensor, torch.Tensor] | None = None
    """Noisy input (B, C, h, w) and alpha_bar (B,) of the model call in progress; for samplers that work with predicted
    noise."""
    is_round: bool = False
    """Whether the model call in progress is one of a coherence round, which sees no blend."""
    is_blended: bool = False
    """Whether the denoised prediction of the model call in progress has the original blended in."""


@dataclass
class Sampling:
    """State of a run that has reached its first batch.

    Parameters
    ----------
    job
    painted
        The painted mask of each image in the batch.
    sources : (H, W, 4) uint8 each
        Images whose transparency the result keeps; None for the others.
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
    sampling
        What the run knew before this batch was decoded.
    images
    latents : (B, C, h, w)
        What the host decodes; None if it is unknown.
    fade : (H, W) float32, 0 to 1
        Opacity, without the seam search, of the image whose host overlay was removed and that we have not composited yet.
        None otherwise.
    shown_mask
        The mask of that image that the host may save.
    """

    sampling: Sampling
    images: list[SampledImage]
    latents: torch.Tensor | None = None
    fade: np.ndarray | None = None
    shown_mask: Image.Image | None = None


@dataclass
class Run:
    """One `process_images` of the host. `shaped`, `sampling` and `sampled` are its stages, each None until the run reaches it.

    Parameters
    ----------
    settings
    painted : (H, W) float32, 0 to 1
        The mask as painted, before shaping.
    canvas
        With the user's Mask blur and Only masked padding.
    originals
        The images that were sent. Those with a colour profile are in RGB or RGBA.
    shown
        The images that the result shows where nothing is repainted, if `p` has others: those with masked content of our own.
    shaped
        None if the host shapes the mask.
    host_is_ready
        Whether the host's `init` has run.
    finished
        Kept results of all batches, with their ids.
    """

    settings: Settings
    painted: np.ndarray
    canvas: Canvas
    originals: list[Image.Image] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    shown: list[Image.Image] | None = None
    shaped: ShapedMasks | None = None
    host_is_ready: bool = False
    sampling: Sampling | None = None
    sampled: Sampled | None = None
    finished: list[tuple[Image.Image, str]] = field(default_factory=list)


@dataclass
class Region:
    """The region that one `process_images` of the host inpaints.

    Parameters
    ----------
    masks : (H, W) float32, 0 to 1
        The painted masks of all regions, in their order.
    number
        Which of them; 0 in the host's own run.
    before
        The image with the regions before it; None if there are none or they cannot be re-composited.
    kept
        The image with this region, once it is composited.
    shown_mask
        The mask that the host may save with it.
    """

    masks: list[np.ndarray]
    number: int = 0
    before: KeptImage | None = None
    kept: KeptImage | None = None
    shown_mask: Image.Image | None = None

    @property
    def painted(self) -> np.ndarray:
        """The painted mask of this region, (H, W) float32, 0 to 1."""
        return self.masks[self.number]

    @property
    def whole(self) -> np.ndarray:
        """The painted mask of all regions, (H, W) float32, 0 to 1."""
        return np.maximum.reduce(self.masks)


runs: RunTable[Run] = RunTable()
region_of: RunTable[Region] = RunTable()
"""The region that a run inpaints, if they are inpainted one by one. It is there before the run, and stays after a fault."""


def sampling_of(p: Any) -> Sampling | None:
    """The sampling state of `p`'s run, or None if `p` is not inpainted softly."""
    run = runs.get(p)
    return None if run is None else run.sampling
