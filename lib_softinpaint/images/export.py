"""A result as files for an image editor: layers, masks, and the change alone."""
from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from lib_softinpaint.atomic_file import replacing
from lib_softinpaint.generation import layers
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.images import openraster
from lib_softinpaint.images import photoshop as photoshop_file
from lib_softinpaint.images.openraster import Layer, png
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.settings.settings import Settings

LAYERED, PHOTOSHOP = "layers.ora", "layers.psd"
CHANGE = "change.png"
MASKS = ("painted", "repaint", "opacity", "difference")
"""Each is a PNG of 16 bits. In the difference map, middle grey is the difference threshold."""

NAMES = (CHANGE, *(f"{mask}.png" for mask in MASKS), LAYERED)


def files_of(kept: KeptImage, settings: Settings, photoshop: bool = False) -> dict[str, bytes]:
    """The files of a result under these settings, by the names in `NAMES`. The page can offer them for download.

    The difference map is missing if it is unknown how much the image changed.

    Parameters
    ----------
    kept
    settings
        From `kept.settings_with`.
    photoshop
        Whether there is also a Photoshop file.

    Raises
    ------
    ImportError
        If psd-tools, which writes Photoshop files, is not installed.
    """
    profile, result = kept.colours, kept.composited(settings)
    stack = [Layer("Original", layers.background(kept))]
    regions = layers.layers(kept, settings)
    stack += [Layer(f"Region {number}" if len(regions) > 1 else "New content", pixels)
              for number, pixels in enumerate(regions, start=1)]
    files = {CHANGE: png(layers.change(kept, settings), profile)}
    files |= {f"{name}.png": png(np.asarray(grey_image(mask, 16))) for name, mask in layers.masks(kept, settings).items()}
    layered = io.BytesIO()
    openraster.write(layered, stack, result, profile)
    files[LAYERED] = layered.getvalue()
    if photoshop:
        files[PHOTOSHOP] = photoshop_file.written(stack, result, profile)
    return files


def targets(folder: Path, name: str, photoshop: bool = False) -> list[Path]:
    """The files that `save` may write."""
    return [folder / f"{name}-{file}" for file in (*NAMES, *([PHOTOSHOP] if photoshop else []))]


def save(kept: KeptImage, settings: Settings, folder: Path, name: str, photoshop: bool = False) -> list[Path]:
    """Writes the files of a result into a folder, each name after that of the result. Returns their paths.

    Raises OSError if a file cannot be written, and what `files_of` raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file, content in files_of(kept, settings, photoshop).items():
        paths.append(folder / f"{name}-{file}")
        with replacing(paths[-1]) as written:
            written.write(content)
    return paths
