"""Results in the host's gallery and in its output files."""
from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from modules import images, infotext_utils, shared
from PIL import Image

from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.hosts.webui import detect
from lib_softinpaint.hosts.webui.kept import history, history_mb


def find_shown(gallery: Any, index: int) -> str:
    """Id of the gallery image at this index. Raises LookupError with a sentence if it is not kept."""
    if not gallery:
        raise LookupError("The gallery is empty: generate an image first.")
    identity = identity_of(gallery_image(gallery[max(0, index)]))
    if identity is None:
        raise LookupError("This image cannot be re-composited: it was not soft-inpainted, is a grid or contact sheet, or "
                          "newer results have replaced it. The memory limit is in Settings > Soft inpainting.")
    return identity


def identity_of(shown: Any) -> str | None:
    """Id of an image from `gallery_image`; None if it is not kept."""
    return history.find(shown.already_saved_as) or history.find(result=np.asarray(shown))


def gallery_image(entry: Any) -> Any:
    """A gallery image with the path it was saved to, as on the host's own saved images."""
    file, path = detect.gallery_file(entry)
    image: Any = file if isinstance(file, Image.Image) else infotext_utils.image_from_url_text([file])
    image.already_saved_as = path
    return image


def kept_image(identity: Any) -> KeptImage:
    try:
        image = history.get(identity)
        history.shrink(history_mb())  # re-rendering may have added to it
        return image
    except (KeyError, TypeError) as missing:  # a list or an object has no hash
        raise LookupError(f"id must be the id of a kept image, got {identity!r}. It may have been dropped: the memory "
                          "limit is in Settings > Soft inpainting.") from missing


def save_image(result: Image.Image, infotext: str) -> str:
    """Saves a result where the host saves its own. Returns the path."""
    fields = infotext_utils.parse_generation_parameters(infotext, [])
    folder = shared.opts.outdir_samples or shared.opts.outdir_img2img_samples
    path, _ = images.save_image(result, folder, "", fields.get("Seed"), fields.get("Prompt"), shared.opts.samples_format,
                                info=infotext)
    return path


def save_to_gallery(result: Image.Image, infotext: str, gallery: Any, generation_info: str) -> tuple[str, Any, str]:
    """Saves a result. Returns the file name, and the gallery and its generation info with the result added."""
    path = save_image(result, infotext)
    shown = [gallery_image(image) for image in gallery or []]
    info = json.loads(generation_info or "{}")
    texts = (info.get("infotexts", []) + [""] * len(shown))[:len(shown)]
    return os.path.basename(path), [*shown, result], json.dumps({**info, "infotexts": [*texts, infotext]})
