"""Chroma."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from diffusers import ChromaImg2ImgPipeline

from lib_softinpaint.hosts.diffusers.families.flow import FlowInpainting


class SoftInpaintChromaPipeline(FlowInpainting, ChromaImg2ImgPipeline):
    """Soft inpainting with Chroma. `guidance_scale` is that of classifier-free guidance."""

    default_guidance = 5.0
