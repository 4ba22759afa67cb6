"""Flux.2 Klein."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from typing import Any, cast

import torch
from diffusers import Flux2KleinInpaintPipeline

from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers.families.flow import FlowInpainting, white
from lib_softinpaint.hosts.diffusers.latents import BatchNormalised


class SoftInpaintKleinPipeline(FlowInpainting, Flux2KleinInpaintPipeline):
    """Soft inpainting with Flux.2 Klein.

    Klein is also an edit model: it sees the image that it starts from, whole and without noise, beside the noisy one.
    `guidance_scale` is that of classifier-free guidance; the distilled models ignore it.
    """

    latents = BatchNormalised()
    default_guidance = 4.0
    has_negative_prompt = False

    @property
    def takes_guidance(self) -> bool:
        return not cast(Any, self.config).is_distilled

    def _parent_arguments(self, start: torch.Tensor, size: Size, guidance_scale: float,
                          others: dict[str, Any]) -> dict[str, Any]:
        given = super()._parent_arguments(start, size, guidance_scale, others)
        return {**given, "mask_image": white(size)}
