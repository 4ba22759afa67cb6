"""One generation's settings: the single source of sliders, infotext, API arguments, X/Y/Z axes and the README's table."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_softinpaint import __version__
from lib_softinpaint.settings.fields import Value, check_all, choice, read, slider, switch, text

INFOTEXT_PREFIX = "Soft inpainting "
VERSION_KEY = INFOTEXT_PREFIX + "version"
NOTE_KEY = INFOTEXT_PREFIX + "note"

SOFT, HARD = "soft", "hard"
FEATHER_FROM_BLUR = "Mask blur"
FEATHER_OWN = "own"
FEATHER_FROM_HOST = "host"
SHAPING = "feather_source", "feather_width", "feather_unit", "grow_px"
"""Fields that make the repaint mask of what is painted."""
IN_PIXELS, IN_PERCENT = FEATHER_UNITS = ("pixels", "% of the mask")


@dataclass(frozen=True)
class Settings:
    """Settings of one generation. Raises ValueError on a value that is not one of its field's.

    The order of the fields is the order of the API's arguments and may only be appended to: the first seven are those
    of the extension that ships with AUTOMATIC1111 1.8 to 1.10.1. `builtin` is a later field's value at which results
    equal that extension's.
    """

    enabled: bool = switch(
        False, label="Soft inpainting", key="enabled", elem_id="soft_inpainting_enabled",
        help="Blend repainted and original content by a grey mask.")
    schedule_bias: float = slider(
        1.0, 0, 8, 0.1, label="Schedule bias", elem_id="mask_blend_power", group="Sampling",
        help="When grey areas keep the original: below 1 rather in the late steps, above 1 rather in the early ones.")
    preservation_strength: float = slider(
        0.5, 0, 8, 0.05, label="Preservation strength", elem_id="mask_blend_scale", group="Sampling",
        help="How much of the original grey areas keep: 0 repaints them wholly, high values hardly at all.")
    transition_contrast_boost: float = slider(
        4.0, 1, 32, 0.5, label="Transition contrast boost", elem_id="inpaint_detail_preservation", group="Sampling",
        help="Contrast kept where old and new content mix; it does not change the width of the transition.")
    mask_influence: float = slider(
        0.0, 0, 1, 0.05, label="Mask influence", elem_id="composite_mask_influence", group="Composite",
        help="What decides which pixels are new: 0 how much the picture changed there, 1 also the mask.")
    difference_threshold: float = slider(
        0.5, 0, 8, 0.25, label="Difference threshold", elem_id="composite_difference_threshold", group="Composite",
        help="How much the picture must change at a place before its new pixels are shown.")
    difference_contrast: float = slider(
        2.0, 0, 8, 0.25, label="Difference contrast", elem_id="composite_difference_contrast", group="Composite",
        help="How sharply shown and hidden pixels are divided: low values fade, high values cut.")
    feather_source: str = choice(
        FEATHER_FROM_BLUR, (FEATHER_FROM_BLUR, FEATHER_OWN, FEATHER_FROM_HOST), label="Feather source",
        elem_id="softinpaint_feather_source", group="Mask", builtin=FEATHER_FROM_HOST,
        help="Mask blur: what you paint is repainted in full and fades outward by 2.4 times Mask blur. own: by the feather "
             "width below. host: the WebUI's own blur, which thins small masks out.")
    edge_taper_px: float = slider(
        12.0, 0, 64, 1, label="Edge taper, pixels", key="edge taper", elem_id="softinpaint_edge_taper",
        group="Composite", builtin=0.0,
        help="Pixels over which new content fades in from the mask's outer rim; pixels outside never change.")
    grow_px: float = slider(
        0.0, -64, 64, 1, label="Mask grow, pixels", key="mask grow", elem_id="softinpaint_grow", group="Mask", builtin=0.0,
        help="How far what you painted is grown before its feather; below 0 it shrinks, though no stroke vanishes.")
    feather_width: float = slider(
        32.0, 0, 1024, 1, label="Feather width", elem_id="softinpaint_feather_width", group="Mask",
        help="With the feather source own: how far around what you painted the picture changes gradually.")
    feather_unit: str = choice(
        IN_PIXELS, FEATHER_UNITS, label="Feather unit", elem_id="softinpaint_feather_unit", group="Mask",
        help="Of the feather width. 100 % is the side of a square as large as the painted area.")
    threshold_mix: float = slider(
        0.0, 0, 1, 0.05, label="Threshold mix", elem_id="softinpaint_threshold_mix", group="Sampling", builtin=0.0,
        help="What grey does: at 0 it blends old and new at each step, at 1 it lets a pixel change from that share of the "
             "steps on, as Differential Diffusion does.")
    least_opacity: float = slider(
        1.0, 0, 1, 0.05, label="Least opacity", elem_id="softinpaint_least_opacity", group="Composite", builtin=0.0,
        help="How far new pixels are shown even where the picture hardly changed, as a share of the mask: 1 shows all of "
             "what you painted, 0 only what changed.")
    drift_correction: float = slider(
        1.0, 0, 1, 0.05, label="Drift correction", elem_id="softinpaint_drift", group="Composite", builtin=0.0,
        help="How much of the colour shift that the autoencoder causes is taken back; it is read from what is not masked.")
    grain: float = slider(
        0.0, 0, 1, 0.05, label="Grain", elem_id="softinpaint_grain", group="Composite", builtin=0.0,
        help="How much of the original's grain the new content gets, which the model paints too smooth.")
    conditioning_mask: str = choice(
        SOFT, (SOFT, HARD), label="Conditioning mask", elem_id="softinpaint_conditioning_mask", group="Mask", builtin=SOFT,
        help="What inpainting models are told of the mask: soft as it is, or hard, white from one half on, as they were "
             "trained. Other models ignore it.")
    mask_image: str = text(
        "", label="Mask image", elem_id="softinpaint_mask_image", group="Mask", saved=False,
        help="A mask of the image's shape, used if nothing is painted above: white is repainted in full, grey by that "
             "strength, also with 16 bits. An alpha channel is used if it holds a shape. Base64 in the API.")

    automatic_threshold: bool = switch(
        False, label="Automatic threshold", elem_id="softinpaint_automatic_threshold", group="Composite", builtin=False,
        help="Count the difference threshold in the model's own noise, measured outside the mask, so that it means the same "
             "with every model.")

    def __post_init__(self):
        check_all(self)


def saved_fields() -> list[dataclasses.Field]:
    """The fields that a picture's infotext keeps: all but what is a picture itself."""
    return [field for field in dataclasses.fields(Settings) if field.metadata.get("saved", True)]


def composite_fields() -> list[dataclasses.Field]:
    """The fields that can still be changed once a picture is sampled."""
    return [field for field in dataclasses.fields(Settings)
            if field.metadata.get("group") == "Composite" or field.name in SHAPING]


def as_builtin(**first_seven: Any) -> Settings:
    """Settings at which results equal the built-in's."""
    later = {field.name: field.metadata["builtin"] for field in dataclasses.fields(Settings) if "builtin" in field.metadata}
    return Settings(enabled=True, **{**later, **first_seven})


# What API clients, other scripts and pasted infotext send

def read_args(args: Sequence[Any]) -> tuple[Settings, list[str]]:
    """Settings from script arguments, and one sentence for each number that had to be clamped.

    Parameters
    ----------
    args
        Values in the order of the fields, shorter or longer than they are; or one dict by field name, which switches
        soft inpainting on unless it says otherwise. None stands for the default; numbers may be strings.

    Raises
    ------
    ValueError
        A value that cannot be read, or an unknown key. What stands after a switched-off `enabled` is not read.
    """
    fields = dataclasses.fields(Settings)
    if args and isinstance(args[0], Mapping):
        given = {"enabled": True, **{name: value for name, value in args[0].items() if value is not None}}
        unknown = sorted(str(name) for name in given.keys() - {field.name for field in fields})
        if unknown:
            raise ValueError(f"Soft inpainting has no setting {', '.join(map(repr, unknown))}; "
                             f"it has {', '.join(field.name for field in fields)}.")
    else:
        given = {field.name: value for field, value in zip(fields, args) if value is not None}
    notes: list[str] = []
    values = {}
    for field in fields:
        if field.name in given:
            values[field.name] = read(field, given[field.name], notes)
        if field.name == "enabled" and not values.get("enabled", field.default):
            return Settings(), []
    return Settings(**values), notes


# Infotext

def infotext_key(field: dataclasses.Field) -> str:
    return INFOTEXT_PREFIX + field.metadata.get("key", field.metadata["label"].lower())


def infotext_keys() -> list[str]:
    """All keys that a picture of this extension may carry."""
    return [infotext_key(field) for field in saved_fields()] + [VERSION_KEY, NOTE_KEY]


def to_infotext(settings: Settings) -> dict[str, Any]:
    """Keys and values that a picture made with these settings carries."""
    written = {infotext_key(field): getattr(settings, field.name) for field in saved_fields()}
    whole = {key: int(value) for key, value in written.items() if isinstance(value, float) and value.is_integer()}
    return {**written, **whole, VERSION_KEY: __version__}


def from_infotext(field: dataclasses.Field, params: Mapping[str, Any]) -> Value | None:
    """One setting's value in a picture's infotext; None where the picture says nothing of it.

    A picture without the version key was made by the built-in extension: what that lacked is set as it behaved.
    """
    if infotext_key(field) in params:
        try:
            return read(field, params[infotext_key(field)], [])
        except ValueError:
            return None
    made_by_builtin = infotext_key(dataclasses.fields(Settings)[0]) in params and VERSION_KEY not in params
    return field.metadata.get("builtin") if made_by_builtin else None


# Documentation

def markdown_table() -> str:
    """The README's table of settings."""
    rows = ["| # | API name | Label | Default | Range | What it does |", "|---|---|---|---|---|---|"]
    for number, field in enumerate(dataclasses.fields(Settings)):
        about = field.metadata
        if "choices" in about:
            span = " / ".join(about["choices"])
        else:
            span = f"{about['low']} to {about['high']}" if "low" in about else "true / false"
        if isinstance(field.default, str) and "choices" not in about:
            span = "base64"
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        rows.append(f"| {number} | `{field.name}` | {about['label']} | {default} | {span} | {about['help']} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown_table())
