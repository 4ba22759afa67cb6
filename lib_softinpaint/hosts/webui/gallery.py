"""Finished images in the host's gallery, and in the files that it writes."""
from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from modules import images, infotext_utils, shared
from PIL import Image

from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.hosts.webui.kept import history, history_mb


def find_shown(pictures: Any, index: int) -> str:
    """Id of the gallery's picture of this index; LookupError with a sentence where it is not kept."""
    if not pictures:
        raise LookupError("The gallery is empty: generate a picture first.")
    shown = _gallery_image(pictures[max(0, index)])
    identity = history.find(shown.already_saved_as) or history.find(result=np.asarray(shown))
    if identity is None:
        raise LookupError("This picture is not kept: it was not inpainted softly, or newer ones have taken its place "
                          "(Settings > Soft inpainting).")
    return identity


def _gallery_image(entry: Any) -> Any:
    """A gallery's picture, with the file that it stands in as the host's own saved pictures have it."""
    file = entry[0] if isinstance(entry, (list, tuple)) else entry
    picture: Any = infotext_utils.image_from_url_text([file])
    picture.already_saved_as = file["name"].partition("?")[0]
    return picture


def kept_image(identity: str) -> KeptImage:
    try:
        picture = history.get(identity)
        history.shrink(history_mb())  # what re-rendering has added since the last time
        return picture
    except KeyError as missing:
        raise LookupError(f"id must be that of a picture that is kept, got {identity!r}.") from missing


def save_image(result: Image.Image, about: str) -> str:
    """Path of a result that is written where the host writes its own."""
    told = infotext_utils.parse_generation_parameters(about, [])
    folder = shared.opts.outdir_samples or shared.opts.outdir_img2img_samples
    path, _ = images.save_image(result, folder, "", told.get("Seed"), told.get("Prompt"), shared.opts.samples_format,
                                info=about)
    return path


def save_to_gallery(result: Image.Image, about: str, pictures: Any, generation_info: str) -> tuple[str, Any, str]:
    """Name of the written file, and the gallery and its infotexts with it."""
    path = save_image(result, about)
    shown = [_gallery_image(picture) for picture in pictures or []]
    told = json.loads(generation_info or "{}")
    texts = (told.get("infotexts", []) + [""] * len(shown))[:len(shown)]
    return os.path.basename(path), [*shown, result], json.dumps({**told, "infotexts": [*texts, about]})
