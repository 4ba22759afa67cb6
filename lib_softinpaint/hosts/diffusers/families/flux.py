"""Flux.1 dev and schnell."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from diffusers import FluxImg2ImgPipeline

from lib_softinpaint.hosts.diffusers.families.flow import FlowInpainting


class SoftInpaintFluxPipeline(FlowInpainting, FluxImg2ImgPipeline):
    """Soft inpainting with Flux.1.

    `guidance_scale` is the number that Flux.1 dev takes as an input; schnell ignores it. `true_cfg_scale` above 1, with a
    `negative_prompt`, is classifier-free guidance and doubles the time.
    """

    default_guidance = 3.5
