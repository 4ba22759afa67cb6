"""What the panel that accepts and compares results needs of the host: its gallery, its folders and its painted masks."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from modules import images, infotext_utils, paths, shared
from PIL import Image

from lib_softinpaint.generation.colours import with_colours
from lib_softinpaint.hosts.webui.gallery import gallery_image, identity_of, kept_image
from lib_softinpaint.images import infotext_files, painted_masks, steps
from lib_softinpaint.images.painted_masks import PaintedMasks
from lib_softinpaint.images.read import without_idle_alpha
from lib_softinpaint.images.steps import Steps
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.settings import PAINTED_KEY
from lib_softinpaint.ui.staging import Host, Selected

LONGEST_ABOUT = 40
"""Characters of the prompt in the list of steps."""

masks = PaintedMasks(Path(paths.data_path) / painted_masks.FOLDER)


def host() -> Host:
    return Host(Steps(Path(paths.data_path) / steps.FOLDER), selected, without, masks.path_of, mask_of_file, save_mask, about,
                "selected_gallery_index()", "switch_to_inpaint();")


def keep_painted(p: Any, painted: np.ndarray) -> str:
    """Saves what the user painted. Returns a sentence if that failed, else "".

    Parameters
    ----------
    p
    painted : (H, W) float32, 0 to 1
        After the host's *Inpaint not masked*.
    """
    try:
        p.extra_generation_params[PAINTED_KEY] = masks.put(1 - painted if p.inpainting_mask_invert else painted)
    except OSError as fault:
        return f"The painted mask could not be saved for later: {fault}."
    return ""


def selected(gallery: Any, generation_info: str, index: int) -> Selected:
    """The gallery image at this index. Raises LookupError with a sentence if there is none."""
    if not gallery:
        raise LookupError("The gallery is empty: generate an image first.")
    place, info = max(0, index), json.loads(generation_info or "{}")
    first = info.get("index_of_first_image", 0)
    if place < first:
        raise LookupError("Select a single image, not the grid or contact sheet.")
    if place >= len(gallery):
        raise LookupError(f"The gallery has {len(gallery)} images, got number {place + 1}.")
    image = gallery_image(gallery[place])
    texts = info.get("infotexts", [])
    text = image.info.get("parameters") or (texts[place] if place < len(texts) else "")
    identity = identity_of(image)
    original = None
    if identity is not None:
        kept = kept_image(identity)
        pixels = kept.sampled.original if kept.source is None else kept.source
        original = with_colours(Image.fromarray(pixels), kept.colours)
    return Selected(place - first + 1, without_idle_alpha(image), text, infotext.parse(text).get(PAINTED_KEY, ""), original)


def without(gallery: Any, generation_info: str, index: int) -> tuple[Any, str]:
    """The gallery and its generation info without the image at this index, whose file stays."""
    place, info = max(0, index), json.loads(generation_info or "{}")
    first = info.get("index_of_first_image", 0)
    for name, at in (("infotexts", place), ("all_seeds", place - first), ("all_subseeds", place - first),
                     ("all_prompts", place - first), ("all_negative_prompts", place - first)):
        if 0 <= at < len(info.get(name, ())):
            del info[name][at]
    return [gallery_image(entry) for number, entry in enumerate(gallery) if number != place], json.dumps(info)


def mask_of_file(path: Path) -> str:
    """Name of the painted mask in an image file's infotext; "" if it has none."""
    return infotext.parse(infotext_files.read(path) or "").get(PAINTED_KEY, "")


def save_mask(found: Selected) -> str:
    """Saves the painted mask of an image beside the host's own results. Returns the file name."""
    fields = infotext_utils.parse_generation_parameters(found.infotext, [])
    folder = shared.opts.outdir_samples or shared.opts.outdir_img2img_samples
    with Image.open(masks.path_of(found.mask)) as mask:
        path, _ = images.save_image(mask.copy(), folder, "", fields.get("Seed"), fields.get("Prompt"), "png", suffix="-mask")
    return os.path.basename(path)


def about(text: str) -> str:
    """Seed and prompt of an infotext."""
    fields = infotext.parse(text)
    prompt = fields.get("Prompt", "")
    shortened = prompt if len(prompt) <= LONGEST_ABOUT else f"{prompt[:LONGEST_ABOUT].rstrip()}..."
    return ", ".join(filter(None, (f"seed {fields['Seed']}" if "Seed" in fields else "", shortened))) or "image"
