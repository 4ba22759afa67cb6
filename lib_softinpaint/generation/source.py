"""The picture that a run starts from: what of it the result's file keeps."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.method.composite import over_white, with_alpha

KEEP_ALPHA = "softinpaint_keep_alpha"
"""Option in the WebUI that keeps the transparency of images that are inpainted softly."""


def with_transparency(made: Image.Image, source: Image.Image) -> Image.Image:
    """A result of unknown opacity, as new content painted over its source, if that is transparent and as large."""
    if "A" in made.getbands() or "A" not in source.getbands() or source.size != made.size:
        return made
    result, flat = np.asarray(made.convert("RGB")), np.asarray(over_white(source))
    changed = (result != flat).any(axis=-1).astype(np.float32)
    return Image.fromarray(with_alpha(result, np.asarray(source.convert("RGBA")), flat, changed))


def completed(kept: KeptImage, infotext: str, source: Image.Image) -> KeptImage:
    """What is kept of a result, with what its file also holds."""
    pixels = np.asarray(source.convert("RGBA")) if "A" in source.getbands() else None
    return replace(kept, infotext=infotext, source=pixels, colours=colours_of(source))
