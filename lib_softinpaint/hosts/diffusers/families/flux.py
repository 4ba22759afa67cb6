"""Flux.1: dev and schnell, the inpainting model Fill, and the edit model Kontext."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from typing import Any, cast

import torch
from diffusers import FluxFillPipeline, FluxImg2ImgPipeline, FluxKontextInpaintPipeline
from PIL import Image

from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers.families.flow import FlowInpainting, white
from lib_softinpaint.hosts.diffusers.pipeline import masked
from lib_softinpaint.hosts.diffusers.vae import encoded
from lib_softinpaint.hosts.diffusers.views import View
from lib_softinpaint.settings.settings import Settings


class SoftInpaintFluxPipeline(FlowInpainting, FluxImg2ImgPipeline):
    """Soft inpainting with Flux.1.

    `guidance_scale` is the number that Flux.1 dev takes as an input; schnell ignores it. `true_cfg_scale` above 1, with a
    `negative_prompt`, is classifier-free guidance and doubles the time.
    """

    default_guidance = 3.5
    has_negative_prompt = False

    @property
    def takes_guidance(self) -> bool:
        return self.transformer.config.guidance_embeds


class _FromPixels(FlowInpainting):
    """For parents that take the image as pixels only. They get a black one, and the start latent in place of its latent."""

    _start: torch.Tensor
    """Of the run whose own copy of the pipeline this is."""

    def _parent_arguments(self, start: torch.Tensor, size: Size, guidance_scale: float,
                          others: dict[str, Any]) -> dict[str, Any]:
        self._start = start
        given = super()._parent_arguments(start, size, guidance_scale, others)
        return {**given, "image": Image.new("RGB", size.width_height), "mask_image": white(size)}

    def prepare_latents(self, image: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return cast(Any, super()).prepare_latents(self._start, *args, **kwargs)


class SoftInpaintFluxFillPipeline(_FromPixels, FluxFillPipeline):
    """Soft inpainting with Flux.1 Fill, which also sees the mask, soft or hard as *Conditioning mask* says, and the rest."""

    default_guidance = 30.0
    has_negative_prompt = False

    @property
    def takes_mask(self) -> bool:
        return True

    def _conditioning(self, view: View, settings: Settings, reference: torch.Tensor) -> torch.Tensor:
        """The latent of the masked image and the mask's pixels, (1, C + 64, h, w)."""
        hidden, image = masked(view, settings)
        pixels = torch.nn.functional.pixel_unshuffle(torch.from_numpy(hidden)[None, None], self.vae_scale_factor)
        return torch.cat([encoded(self, image), pixels.to(reference)], 1)

    def prepare_mask_latents(self, mask: Any, masked_image: Any, batch_size: int, num_channels_latents: int,
                             num_images_per_prompt: int, height: int, width: int, dtype: torch.dtype, device: Any,
                             generator: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The packed mask and latent of the masked image, (B, N, 4 * 64) and (B, N, 4 C)."""
        known = self.scheduler.conditioning.to(device, dtype).expand(batch_size * num_images_per_prompt, -1, -1, -1)
        image, pixels = (self.latents.packed(each) for each in known.tensor_split([num_channels_latents], dim=1))
        return pixels, image


class SoftInpaintKontextPipeline(_FromPixels, FluxKontextInpaintPipeline):
    """Soft inpainting with Flux.1 Kontext, which sees the image that it starts from beside the noisy one.

    An `image_reference` is shown to it instead. `guidance_scale` and `true_cfg_scale` are as in `SoftInpaintFluxPipeline`.
    """

    default_guidance = 3.5
    has_negative_prompt = False

    @property
    def takes_guidance(self) -> bool:
        return self.transformer.config.guidance_embeds

    def _parent_arguments(self, start: torch.Tensor, size: Size, guidance_scale: float,
                          others: dict[str, Any]) -> dict[str, Any]:
        given = super()._parent_arguments(start, size, guidance_scale, others)
        # Otherwise the parent chooses the working size itself.
        return {**given, "max_area": size.height * size.width, "_auto_resize": False}
