"""A result taken apart: its layers, and the masks that it was composited with."""
from __future__ import annotations

from contextlib import suppress

import numpy as np
from PIL import Image

from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.views import relative_difference, shown_mask_px
from lib_softinpaint.geometry import Size
from lib_softinpaint.method.layer import layer_between
from lib_softinpaint.settings.settings import Settings


def background(kept: KeptImage) -> np.ndarray:
    """The original, (H, W, 3 or 4) uint8, of the result's size."""
    first, size = kept.regions[0], Size.of(kept.decoded)
    original = first.sampled.original if first.source is None else first.source
    if Size.of(original) == size:
        return original
    return np.asarray(Image.fromarray(original).resize(size.width_height, Image.Resampling.LANCZOS))


def layers(kept: KeptImage, settings: Settings) -> list[np.ndarray]:
    """The new content of each region with its opacity, (H, W, 4) uint8 each.

    Laid over the original in this order, they give the result within one level for each.
    """
    made, below = [], background(kept)
    for region in kept.regions:
        result = region.composited(settings)
        made.append(layer_between(below, result, _fitting(region.opacity_px(settings), Size.of(result))))
        below = result
    return made


def change(kept: KeptImage, settings: Settings) -> np.ndarray:
    """All new content as one layer, (H, W, 4) uint8. Over the original it gives the result within one level."""
    result = kept.composited(settings)
    return layer_between(background(kept), result, _fitting(kept.total_opacity_px(settings), Size.of(result)))


def masks(kept: KeptImage, settings: Settings) -> dict[str, np.ndarray]:
    """The masks of a result by name, (H, W) float32 each, 0 to 1. The difference map is left out if it is unknown."""
    found = {"painted": np.maximum.reduce([each.painted.placed(each.painted.strengths) for each in kept.regions]),
             "repaint": shown_mask_px(kept, settings), "opacity": kept.total_opacity_px(settings)}
    with suppress(LookupError):
        found["difference"] = relative_difference(kept, settings)
    return {name: _fitting(mask, Size.of(kept.decoded)) for name, mask in found.items()}


def _fitting(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask at the result's size: a host may have enlarged the image."""
    if Size.of(mask) == size:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size.width_height, Image.Resampling.BILINEAR))
