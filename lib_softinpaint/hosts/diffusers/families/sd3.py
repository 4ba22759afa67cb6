"""Stable Diffusion 3 and 3.5."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from diffusers import StableDiffusion3Img2ImgPipeline

from lib_softinpaint.hosts.diffusers.families.flow import FlowInpainting
from lib_softinpaint.hosts.diffusers.latents import Patched


class SoftInpaintSD3Pipeline(FlowInpainting, StableDiffusion3Img2ImgPipeline):
    """Soft inpainting with Stable Diffusion 3. `guidance_scale` is that of classifier-free guidance."""

    latents = Patched()
