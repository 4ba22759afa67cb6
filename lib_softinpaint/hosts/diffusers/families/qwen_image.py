"""Qwen-Image."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from typing import Any

import torch
from diffusers import QwenImageImg2ImgPipeline

from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers.families.flow import FlowInpainting
from lib_softinpaint.hosts.diffusers.latents import OneFrame

NO_PROMPT = " "
"""Negative prompt if none is given. Without one, diffusers leaves classifier-free guidance out."""


class SoftInpaintQwenImagePipeline(FlowInpainting, QwenImageImg2ImgPipeline):
    """Soft inpainting with Qwen-Image. `guidance_scale` is that of classifier-free guidance, diffusers' `true_cfg_scale`."""

    latents = OneFrame()
    default_guidance = 4.0

    def _parent_arguments(self, start: torch.Tensor, size: Size, guidance_scale: float,
                          others: dict[str, Any]) -> dict[str, Any]:
        given = super()._parent_arguments(start, size, guidance_scale, others)
        if not self.transformer.config.guidance_embeds:
            del given["guidance_scale"]  # an input of distilled models only
        given.setdefault("true_cfg_scale", guidance_scale)
        is_negative_given = any(given.get(name) is not None for name in ("negative_prompt", "negative_prompt_embeds"))
        if given["true_cfg_scale"] > 1 and not is_negative_given:
            given["negative_prompt"] = NO_PROMPT
        return given
