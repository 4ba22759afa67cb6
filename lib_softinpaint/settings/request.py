"""One inpainting as plain data, in the WebUI's terms: the source of command line options, infotext and API body."""

import dataclasses
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Size
from lib_softinpaint.settings import settings
from lib_softinpaint.settings.fields import Field, Range, coerce_all, fields_of, read
from lib_softinpaint.settings.settings import Settings
from lib_softinpaint.version import version

INPAINT_MASKED, INPAINT_NOT_MASKED = MASK_MODES = ("Inpaint masked", "Inpaint not masked")
WHOLE_PICTURE, ONLY_MASKED = INPAINT_AREAS = ("Whole picture", "Only masked")
MASKED_CONTENTS = ("fill", "original", "latent noise", "latent nothing")
"""In the order in which the WebUI numbers them."""

AUTOMATIC = "Automatic"
"""The schedule type that the WebUI chooses for the sampler."""

OLD_SCHEDULE_TYPES = (" Karras", " Exponential")
"""Suffixes of sampler names: before 1.9, the WebUI named the schedule type this way."""

LATENT_PX = 8
"""Side of a latent pixel in image pixels, for all Stable Diffusion autoencoders."""

SCENES = "softinpaint-scenes"
"""Name of the bundled model in infotext, as in the WebUI."""

LARGEST_SQUASH = 0.02
"""Relative difference of aspect ratios that still counts as equal, because sizes are multiples of eight."""

RANDOM_SEED = -1
LARGEST_SEED = 2 ** 32 - 1


@dataclass(frozen=True)
class Request:
    """What a model is asked to do. Raises ValueError if a value is out of range or of the wrong type.

    The fields are in the order of the infotext. With *Regions one by one*, the inpaint area is always "Only masked".
    """

    prompt: Annotated[str, Field(
        "Prompt", "What to paint.")] = ""
    negative_prompt: Annotated[str, Field(
        "Negative prompt", "What not to paint.")] = ""
    steps: Annotated[int, Field(
        "Steps", "Sampling steps. Denoising strength sets what share of them is run.", Range(1, 150, 1))] = 20
    sampler: Annotated[str, Field(
        "Sampler", "Sampler, as named in the WebUI.")] = "Euler a"
    schedule_type: Annotated[str, Field(
        "Schedule type", "Noise schedule, as named in the WebUI.", unsaid=AUTOMATIC)] = AUTOMATIC
    cfg_scale: Annotated[float, Field(
        "CFG scale", "How closely the prompt is followed.", Range(1, 30, 0.5))] = 7.0
    seed: Annotated[int, Field(
        "Seed", "Seed of the noise; -1 picks a random one.", Range(RANDOM_SEED, LARGEST_SEED, 1))] = RANDOM_SEED
    width: Annotated[int, Field(
        "Width", "Working width of the model, in pixels; 0 uses the image's.", Range(0, 8192, 8))] = 0
    height: Annotated[int, Field(
        "Height", "Working height of the model, in pixels; 0 uses the image's.", Range(0, 8192, 8))] = 0
    denoising_strength: Annotated[float, Field(
        "Denoising strength", "How much may change; 1 repaints from pure noise.", Range(0.01, 1, 0.01))] = 0.75
    mask_mode: Annotated[str, Field(
        "Mask mode", "Whether white or black in the mask is repainted.", choices=MASK_MODES,
        unsaid=INPAINT_MASKED)] = INPAINT_MASKED
    mask_blur: Annotated[int, Field(
        "Mask blur", "Blur in pixels; the feather reaches at least 2.4 times as far outward.", Range(0, 64, 1), unsaid=0)] = 4
    inpaint_area: Annotated[str, Field(
        "Inpaint area", "What the model sees: everything, or the painted area with some padding.", choices=INPAINT_AREAS,
        unsaid=WHOLE_PICTURE)] = WHOLE_PICTURE
    masked_area_padding: Annotated[int, Field(
        "Masked area padding", "With Only masked: padding around the painted area, in pixels.", Range(0, 256, 4))] = 32
    masked_content: Annotated[str, Field(
        "Masked content", "What is in the painted area before noise is added.", choices=MASKED_CONTENTS,
        unsaid="original")] = "original"
    settings: Settings = field(default_factory=lambda: Settings(enabled=True))
    clip_skip: Annotated[int, Field(
        "Clip skip", "Text encoder layer to use, counted from the end (1 is the last). SDXL ignores it.", Range(1, 12, 1),
        unsaid=1)] = 1

    def __post_init__(self):
        coerce_all(self)
        if self.settings.enabled and self.settings.regions_one_by_one:
            object.__setattr__(self, "inpaint_area", ONLY_MASKED)


def with_seed(request: Request) -> Request:
    """The request with a fixed seed, drawn at random if it had none."""
    return replace(request, seed=random.randint(0, LARGEST_SEED)) if request.seed == RANDOM_SEED else request


FIELDS = tuple(fields_of(Request).values())
_APART = {"prompt", "negative_prompt", "width", "height"}
"""Fields that have no key of their own in the infotext."""

WITHOUT_EFFECT = {
    "Size", "Version", "Model", "Model hash", "Lora hashes", "Hashes", "VAE hash", "User", "Batch size", "Batch pos",
    "Created Date", "Civitai resources", "Civitai metadata", "Soft inpainting kept"}
"""Keys that do not affect sampling, or, like the size and the model, are read elsewhere."""


# Infotext

def to_infotext(request: Request, **others: Any) -> dict[str, Any]:
    """Infotext keys and values of the result, in the WebUI's order, including Prompt and Negative prompt.

    Parameters
    ----------
    others
        Keys that are only known after sampling, such as Size and Model.
    """
    params = {each.label: getattr(request, each.name) for each in FIELDS
              if each.name not in _APART and getattr(request, each.name) != each.unsaid}
    if request.inpaint_area == WHOLE_PICTURE:
        del params["Masked area padding"]
    whole = {key: int(value) for key, value in params.items() if isinstance(value, float) and value.is_integer()}
    soft = settings.to_infotext(request.settings) if request.settings.enabled else {}
    return {"Prompt": request.prompt, "Negative prompt": request.negative_prompt, **params, **whole, **others, **soft,
            "Version": f"softinpaint {version()}"}


def from_infotext(params: Mapping[str, str]) -> tuple[Request, list[str]]:
    """The request from an image's infotext, with notes on numbers that were clamped and keys that were ignored.

    An image without Soft inpainting keys was made by hard inpainting. Raises BadInput if a value cannot be read.
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
    ignored = [key for key in params if key not in _known_keys()]
    if ignored:
        notes.append(f"Ignored in the infotext: {', '.join(ignored)}.")
    if not soft["enabled"]:
        notes.append("Soft inpainting is off because the image was made without it.")
    return Request(**values, settings=Settings(**{name: value for name, value in soft.items() if value is not None})), notes


def _known_keys() -> set[str]:
    return {"Prompt", "Negative prompt", *(each.label for each in FIELDS), *settings.infotext_keys(),
            *WITHOUT_EFFECT}


def working_size(request: Request, image: Size, step_px: int = LATENT_PX) -> Size:
    """Size at which the model works for an image of this size, in whole steps of the model.

    Raises BadInput if it is smaller than one step.
    """
    size = Size(request.height or image.height, request.width or image.width)
    if min(size) < step_px:
        raise BadInput(f"Width and height must be {step_px} pixels or more, got {size}")
    return size.multiple_of(step_px)


def unstretched(request: Request, image: Size) -> Request:
    """The request, with the image's own size if the request's would stretch it."""
    working = working_size(request, image)
    squash = working.width * image.height / (working.height * image.width)
    if request.inpaint_area == ONLY_MASKED or abs(squash - 1) < LARGEST_SQUASH:
        return request
    return replace(request, width=0, height=0)


# The WebUI's API

def to_api(request: Request, image: Size) -> dict[str, Any]:
    """Body of a call to /sdapi/v1/img2img for an image of this size, without the image and its mask."""
    height, width = working_size(request, image)
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
