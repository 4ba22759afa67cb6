"""Photoshop files (.psd) with layers, written by psd-tools, which few users need: it is imported when it is used."""
from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from lib_softinpaint.generation.colours import SRGB, Colours
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.images.openraster import Layer


def demand_installed() -> None:
    """Raises ImportError if psd-tools is not installed."""
    import psd_tools  # noqa: F401


def written(layers: Sequence[Layer], merged: np.ndarray, colours: Colours = SRGB) -> bytes:
    """A Photoshop file. The arguments are those of `openraster.write`."""
    from psd_tools import PSDImage
    from psd_tools.constants import Resource
    from psd_tools.psd.image_resources import ImageResource

    document = PSDImage.frompil(Image.fromarray(merged).convert("RGBA"))
    for layer in layers:
        has_alpha = layer.pixels.shape[2] == 4
        box = Box.around(layer.pixels[..., 3] > 0) if has_alpha else Box.whole(Size.of(layer.pixels))
        document.create_pixel_layer(Image.fromarray(layer.pixels[box.inside]).convert("RGBA"), name=layer.name, top=box.top,
                                    left=box.left)
    if colours.icc_profile:
        document.image_resources[Resource.ICC_PROFILE] = ImageResource(
            key=Resource.ICC_PROFILE.value, data=colours.icc_profile)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()
