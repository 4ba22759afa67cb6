"""Z-Image."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from diffusers import ZImageImg2ImgPipeline

from lib_softinpaint.hosts.diffusers.families.flow import FlowInpainting
from lib_softinpaint.hosts.diffusers.latents import Patched


class SoftInpaintZImagePipeline(FlowInpainting, ZImageImg2ImgPipeline):
    """Soft inpainting with Z-Image.

    `guidance_scale` is diffusers' own: that of classifier-free guidance minus 1, so 0 is none. The Turbo model needs 0.
    """

    latents = Patched()
    default_guidance = 5.0

    def guidance_for(self, cfg_scale: float) -> float:
        return cfg_scale - 1
