"""One inpainting as plain data, in the WebUI's terms: the source of the command line's options, infotext and API body."""

import dataclasses
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from lib_softinpaint import __version__
from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Size
from lib_softinpaint.settings import settings
from lib_softinpaint.settings.fields import Field, Range, coerce_all, fields_of, read
from lib_softinpaint.settings.settings import Settings

INPAINT_MASKED, INPAINT_NOT_MASKED = MASK_MODES = ("Inpaint masked", "Inpaint not masked")
WHOLE_PICTURE, ONLY_MASKED = INPAINT_AREAS = ("Whole picture", "Only masked")
MASKED_CONTENTS = ("fill", "original", "latent noise", "latent nothing")
"""In the order of the WebUI's numbers for them."""

OLD_SCHEDULE_TYPES = (" Karras", " Exponential")
"""Ends of samplers' names, by which the WebUI before 1.9 named the schedule type."""

LATENT_PX = 8
"""Pixels to a side of a latent pixel, for all of Stable Diffusion's autoencoders."""

SCENES = "softinpaint-scenes"
"""What infotext calls the bundled model, as the WebUI does."""

RANDOM_SEED = -1
LARGEST_SEED = 2 ** 32 - 1


@dataclass(frozen=True)
class Request:
    """What is asked of a model. Raises ValueError on a value that is not one of its field's.

    The order is the infotext's.
    """

    prompt: Annotated[str, Field(
        "Prompt", "What to paint.")] = ""
    negative_prompt: Annotated[str, Field(
        "Negative prompt", "What not to paint.")] = ""
    steps: Annotated[int, Field(
        "Steps", "Sampling steps; the denoising strength's share of them is run.", Range(1, 150, 1))] = 20
    sampler: Annotated[str, Field(
        "Sampler", "Sampler, by the WebUI's name.")] = "Euler a"
    schedule_type: Annotated[str, Field(
        "Schedule type", "Noise schedule, by the WebUI's name.", unsaid="Automatic")] = "Automatic"
    cfg_scale: Annotated[float, Field(
        "CFG scale", "How closely the prompt is followed.", Range(1, 30, 0.5))] = 7.0
    seed: Annotated[int, Field(
        "Seed", "Start of the noise; -1: a random one.", Range(RANDOM_SEED, LARGEST_SEED, 1))] = RANDOM_SEED
    width: Annotated[int, Field(
        "Width", "Width at which the model works, pixels; 0: the picture's.", Range(0, 8192, 8))] = 0
    height: Annotated[int, Field(
        "Height", "Height at which the model works, pixels; 0: the picture's.", Range(0, 8192, 8))] = 0
    denoising_strength: Annotated[float, Field(
        "Denoising strength", "How much may change: 1 repaints from pure noise.", Range(0.01, 1, 0.01))] = 0.75
    mask_mode: Annotated[str, Field(
        "Mask mode", "Whether the mask's white or its black is repainted.", choices=MASK_MODES,
        unsaid=INPAINT_MASKED)] = INPAINT_MASKED
    mask_blur: Annotated[int, Field(
        "Mask blur", "Pixels; the feather around the painted area reaches 2.4 times as far.", Range(0, 64, 1), unsaid=0)] = 4
    inpaint_area: Annotated[str, Field(
        "Inpaint area", "What the model sees: everything, or the painted area with some padding.", choices=INPAINT_AREAS,
        unsaid=WHOLE_PICTURE)] = WHOLE_PICTURE
    masked_area_padding: Annotated[int, Field(
        "Masked area padding", "Pixels around the painted area, with Only masked.", Range(0, 256, 4))] = 32
    masked_content: Annotated[str, Field(
        "Masked content", "What the painted area holds before noise is added.", choices=MASKED_CONTENTS,
        unsaid="original")] = "original"
    settings: Settings = field(default_factory=lambda: Settings(enabled=True))
    clip_skip: Annotated[int, Field(
        "Clip skip", "Layer of the text encoder that is read, counted from the last, 1; SDXL ignores it.", Range(1, 12, 1),
        unsaid=1)] = 1

    def __post_init__(self):
        coerce_all(self)


def with_seed(request: Request) -> Request:
    """The request with a seed: a random one where it asks for that."""
    return replace(request, seed=random.randint(0, LARGEST_SEED)) if request.seed == RANDOM_SEED else request


FIELDS = tuple(fields_of(Request).values())
_APART = {"prompt", "negative_prompt", "width", "height"}
"""Fields whose place in the infotext is not that of a key of their own."""

WITHOUT_EFFECT = {
    "Size", "Version", "Model", "Model hash", "Lora hashes", "Hashes", "VAE hash", "User", "Batch size", "Batch pos",
    "Created Date", "Civitai resources", "Civitai metadata", "Soft inpainting kept"}
"""Keys that say nothing of how an image is sampled, or, as the size and the model, are taken elsewhere."""


# Infotext

def to_infotext(request: Request, **others: Any) -> dict[str, Any]:
    """Keys and values that the result carries, in the WebUI's order, Prompt and Negative prompt among them.

    Parameters
    ----------
    others
        What was only known when the picture was made, such as Size and Model.
    """
    written = {each.label: getattr(request, each.name) for each in FIELDS
               if each.name not in _APART and getattr(request, each.name) != each.unsaid}
    if request.inpaint_area == WHOLE_PICTURE:
        del written["Masked area padding"]
    whole = {key: int(value) for key, value in written.items() if isinstance(value, float) and value.is_integer()}
    soft = settings.to_infotext(request.settings) if request.settings.enabled else {}
    return {"Prompt": request.prompt, "Negative prompt": request.negative_prompt, **written, **whole, **others, **soft,
            "Version": f"softinpaint {__version__}"}


def from_infotext(params: Mapping[str, str]) -> tuple[Request, list[str]]:
    """The request that made an image with this infotext, and a sentence for each number that had to be clamped, and for
    the keys that were not taken.

    An image without Soft inpainting's keys was made by hard inpainting. Raises BadInput on what cannot be read.
    """
    notes: list[str] = []
    given = dict(params)
    if size := re.fullmatch(r"(\d+)x(\d+)", given.get("Size", "")):
        given["Width"], given["Height"] = size.groups()
    if given.get("Sampler", "").endswith(OLD_SCHEDULE_TYPES):
        given["Sampler"], _, given["Schedule type"] = given["Sampler"].rpartition(" ")
    values = {}
    for each in FIELDS:
        value = given.get(each.label, each.unsaid)
        if value is not None:
            values[each.name] = read(each, value, notes)
    soft = {}
    for each in settings.saved_fields():
        key = settings.infotext_key(each)
        soft[each.name] = read(each, given[key], notes) if key in given else settings.from_infotext(each, given)
    left = [key for key in params if key not in _known_keys()]
    if left:
        notes.append(f"Not taken from the infotext: {', '.join(left)}.")
    if not soft["enabled"]:
        notes.append("Soft inpainting is off, since the picture was made without it.")
    return Request(**values, settings=Settings(**{name: value for name, value in soft.items() if value is not None})), notes


def _known_keys() -> set[str]:
    return {"Prompt", "Negative prompt", *(each.label for each in FIELDS), *settings.infotext_keys(),
            *WITHOUT_EFFECT}


def working_size(request: Request, picture: Size) -> Size:
    """Size at which the model works for an image of this size: whole latent pixels.

    Raises BadInput if that is less than one.
    """
    size = Size(request.height or picture.height, request.width or picture.width)
    if min(size) < LATENT_PX:
        raise BadInput(f"Width and height must be {LATENT_PX} pixels or more, got {size}")
    return size.multiple_of(LATENT_PX)


# The WebUI's API

def to_api(request: Request, picture: Size) -> dict[str, Any]:
    """Body of a call to /sdapi/v1/img2img for a picture of this size, without the picture and its mask."""
    height, width = working_size(request, picture)
    soft = {"Soft Inpainting": {"args": [dataclasses.asdict(request.settings)]}} if request.settings.enabled else {}
    return {
        "prompt": request.prompt, "negative_prompt": request.negative_prompt, "steps": request.steps,
        "sampler_name": request.sampler, "scheduler": request.schedule_type, "cfg_scale": request.cfg_scale,
        "seed": request.seed, "width": width, "height": height,
        "denoising_strength": request.denoising_strength, "mask_blur": request.mask_blur,
        "inpainting_mask_invert": MASK_MODES.index(request.mask_mode),
        "inpaint_full_res": request.inpaint_area == ONLY_MASKED,
        "inpaint_full_res_padding": request.masked_area_padding,
        "inpainting_fill": MASKED_CONTENTS.index(request.masked_content), "alwayson_scripts": soft,
        "override_settings": {"CLIP_stop_at_last_layers": request.clip_skip}}
