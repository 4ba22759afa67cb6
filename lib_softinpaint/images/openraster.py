"""OpenRaster files (.ora), which Krita, GIMP and MyPaint open.

Source: the OpenRaster specification 0.0.6, https://www.openraster.org.
"""
from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from lib_softinpaint.generation.colours import SRGB, Colours
from lib_softinpaint.geometry import Box, Size

MIMETYPE = "image/openraster"
VERSION = "0.0.6"
THUMBNAIL_PX = 256
"""Longest side; the specification's limit."""


@dataclass(frozen=True)
class Layer:
    """One layer of a file: its name and its pixels, (H, W, 3 or 4) uint8."""

    name: str
    pixels: np.ndarray


def write(file: BinaryIO, layers: Sequence[Layer], merged: np.ndarray, colours: Colours = SRGB) -> None:
    """Writes an OpenRaster file.

    Parameters
    ----------
    layers
        From bottom to top, all as large as the image. Empty margins are not stored.
    merged : (H, W, 3 or 4) uint8
        The image that the layers give.
    colours
        Its colour profile goes into each image of the file.
    """
    size = Size.of(merged)
    image = ElementTree.Element("image", version=VERSION, w=str(size.width), h=str(size.height), xres="72", yres="72")
    stack = ElementTree.SubElement(image, "stack")
    thumbnail = Image.fromarray(merged)
    thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", MIMETYPE)  # first and not compressed, so that programs recognise the file
        for number, layer in reversed(list(enumerate(layers))):
            box = Box.around(layer.pixels[..., 3] > 0) if layer.pixels.shape[2] == 4 else Box.whole(size)
            source = f"data/layer{number}.png"
            archive.writestr(source, png(layer.pixels[box.inside], colours))
            ElementTree.SubElement(stack, "layer", {
                "name": layer.name, "src": source, "x": str(box.left), "y": str(box.top), "opacity": "1.0",
                "visibility": "visible", "composite-op": "svg:src-over"})
        archive.writestr("stack.xml", ElementTree.tostring(image, "UTF-8", xml_declaration=True), zipfile.ZIP_DEFLATED)
        archive.writestr("mergedimage.png", png(merged, colours))
        archive.writestr("Thumbnails/thumbnail.png", png(np.asarray(thumbnail), colours))


def png(pixels: np.ndarray, colours: Colours = SRGB) -> bytes:
    """A PNG of an image (H, W, 3 or 4) uint8 or a mask (H, W) uint16."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", icc_profile=colours.icc_profile)
    return file.getvalue()
