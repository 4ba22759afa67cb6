"""What the pipelines of all flow models have in common."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import noise_levels
from lib_softinpaint.hosts.diffusers.families import family_of
from lib_softinpaint.hosts.diffusers.latents import Latents, Packed
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpainting


class FlowInpainting(SoftInpainting):
    """What each flow family's pipeline adds to its image-to-image parent."""

    latents: ClassVar[Latents] = Packed()
    single_step: ClassVar[float] = 1 - 1e-6
    has_negative_prompt: ClassVar[bool] = True
    """Whether a negative prompt has an effect if nothing but `guidance_scale` is set."""
    schedulers: ClassVar[Mapping[str, Any]] = noise_levels.FLOW_ADAPTERS

    @property
    def denoiser(self) -> Any:
        return self.transformer

    @property
    def takes_mask(self) -> bool:
        return False

    @property
    def latent_dtype(self) -> torch.dtype:
        """Always float32: quantised weights have no floating precision of their own, and the parents convert."""
        return torch.float32

    def with_scheduler(self, scheduler: Any) -> SoftInpainting:
        other = super().with_scheduler(scheduler)
        processor, channels = self.image_processor.config, self.vae.config.get("latent_channels")
        if channels not in (None, processor.vae_latent_channels):
            # The processors of Chroma and Z-Image assume 4 channels, and would resize a latent as an image.
            other.image_processor = VaeImageProcessor(
                vae_scale_factor=processor.vae_scale_factor, vae_latent_channels=channels)
        return other

    def _unfit_for_changes(self, scheduler: Any) -> str | None:
        family = family_of(self)
        assert family is not None, "each pipeline of a flow model has a family"
        return family.label

    def _check_models(self, others: Mapping[str, Any]) -> None:
        """Nothing to check: the model's pipeline class says what it needs."""

    def _parent_arguments(self, start: torch.Tensor, size: Size, guidance_scale: float,
                          others: dict[str, Any]) -> dict[str, Any]:
        prompt = copy.copy(others.get("prompt"))  # Z-Image's parent changes the list
        return {**others, "prompt": prompt, "image": self.latents.start(self.vae, start), "height": size.height,
                "width": size.width, "guidance_scale": guidance_scale}


def white(size: Size) -> Image.Image:
    """A mask that switches off a parent's own blend: after each step, it would keep what is not white."""
    return Image.new("L", size.width_height, 255)
