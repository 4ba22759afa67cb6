"""What a result keeps of the image that the run started from."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.method.composite import over_white, with_alpha

KEEP_ALPHA = "softinpaint_keep_alpha"
"""WebUI option that keeps the transparency of softly inpainted images."""


def with_transparency(result: Image.Image, source: Image.Image) -> Image.Image:
    """A result of unknown opacity as new content over its source, if that is transparent and of the same size."""
    if "A" in result.getbands() or "A" not in source.getbands() or source.size != result.size:
        return result
    new, flat = np.asarray(result.convert("RGB")), np.asarray(over_white(source))
    changed = (new != flat).any(axis=-1).astype(np.float32)
    return Image.fromarray(with_alpha(new, np.asarray(source.convert("RGBA")), flat, changed))


def completed(kept: KeptImage, infotext: str, source: Image.Image) -> KeptImage:
    """The kept image with what its file also needs: infotext, transparency and colours."""
    pixels = np.asarray(source.convert("RGBA")) if "A" in source.getbands() else None
    if kept.before is not None:  # its source has the regions before it
        return replace(kept, infotext=infotext, colours=colours_of(source))
    return replace(kept, infotext=infotext, source=pixels, colours=colours_of(source))
