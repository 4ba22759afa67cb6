"""Soft inpainting with transformer models: one file for each family. A family is imported when its model is loaded."""
from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import diffusers


@dataclass(frozen=True)
class Family:
    """Models that one pipeline class runs.

    Parameters
    ----------
    label
        The family's name, as users know it.
    module
        File in this folder that holds the pipeline class.
    pipeline
        Name of the pipeline class.
    parent
        Name of the diffusers pipeline that it extends.
    names
        Names of the diffusers pipelines whose models it runs.
    """

    label: str
    module: str
    pipeline: str
    parent: str
    names: tuple[str, ...]

    def pipeline_class(self) -> Any:
        """The pipeline class. Raises ImportError if the installed diffusers is too old for it."""
        if not hasattr(diffusers, self.parent):
            raise ImportError(f"{self.label} needs a diffusers that has {self.parent}, got diffusers {diffusers.__version__}")
        return getattr(importlib.import_module(f"{__name__}.{self.module}"), self.pipeline)


FAMILIES = (
    Family("Stable Diffusion 3", "sd3", "SoftInpaintSD3Pipeline", "StableDiffusion3Img2ImgPipeline",
           ("StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline")),
    Family("Flux.1", "flux", "SoftInpaintFluxPipeline", "FluxImg2ImgPipeline",
           ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline")),
    Family("Flux.1 Fill", "flux", "SoftInpaintFluxFillPipeline", "FluxFillPipeline", ("FluxFillPipeline",)),
    Family("Flux.1 Kontext", "flux", "SoftInpaintKontextPipeline", "FluxKontextInpaintPipeline",
           ("FluxKontextPipeline", "FluxKontextInpaintPipeline")),
    Family("Flux.2 Klein", "klein", "SoftInpaintKleinPipeline", "Flux2KleinInpaintPipeline",
           ("Flux2KleinPipeline", "Flux2KleinInpaintPipeline")),
    Family("Qwen-Image", "qwen_image", "SoftInpaintQwenImagePipeline", "QwenImageImg2ImgPipeline",
           ("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline")),
    Family("Z-Image", "z_image", "SoftInpaintZImagePipeline", "ZImageImg2ImgPipeline",
           ("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline")),
    Family("Chroma", "chroma", "SoftInpaintChromaPipeline", "ChromaImg2ImgPipeline",
           ("ChromaPipeline", "ChromaImg2ImgPipeline", "ChromaInpaintPipeline")))

REASONS = {
    "Flux2Pipeline": "diffusers has no image-to-image pipeline for Flux.2 dev",
    **dict.fromkeys(("QwenImageEditPipeline", "QwenImageEditInpaintPipeline", "QwenImageEditPlusPipeline"),
                    "diffusers chooses the working size of Qwen-Image-Edit itself, so the mask would not fit")}
"""Why a related model is not supported, by the name of its pipeline class."""


def family_named(name: str) -> Family | None:
    """The family of a model, by the name of its pipeline class. None if there is none, as for Stable Diffusion 1, 2 and XL."""
    return next((each for each in FAMILIES if name in (*each.names, each.pipeline)), None)


def family_of(pipeline: Any) -> Family | None:
    """The family of a pipeline's model, by its class or one that it derives from. None if there is none."""
    return next(filter(None, (family_named(kind.__name__) for kind in type(pipeline).__mro__)), None)
