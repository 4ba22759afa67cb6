"""One generation's settings: the single source of sliders, infotext, API arguments, X/Y/Z axes and the README's table.

Annotations are evaluated on import: `fields_of` reads them, and would need longer for text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from lib_softinpaint import __version__
from lib_softinpaint.settings.fields import Field, Range, Value, coerce_all, fields_of, read

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
    of the extension that ships with AUTOMATIC1111 1.8 to 1.10.1.
    """

    enabled: Annotated[bool, Field(
        "Soft inpainting", "Blend repainted and original content by a grey mask.", key="enabled",
        elem_id="soft_inpainting_enabled")] = False
    schedule_bias: Annotated[float, Field(
        "Schedule bias",
        "When grey areas keep the original: below 1 rather in the late steps, above 1 rather in the early ones.",
        Range(0, 8, 0.1), elem_id="mask_blend_power", group="Sampling")] = 1.0
    preservation_strength: Annotated[float, Field(
        "Preservation strength",
        "How much of the original grey areas keep: 0 repaints them wholly, high values hardly at all.", Range(0, 8, 0.05),
        elem_id="mask_blend_scale", group="Sampling")] = 0.5
    transition_contrast_boost: Annotated[float, Field(
        "Transition contrast boost",
        "Contrast kept where old and new content mix; it does not change the width of the transition.", Range(1, 32, 0.5),
        elem_id="inpaint_detail_preservation", group="Sampling")] = 4.0
    mask_influence: Annotated[float, Field(
        "Mask influence", "What decides which pixels are new: 0 how much the picture changed there, 1 also the mask.",
        Range(0, 1, 0.05), elem_id="composite_mask_influence", group="Composite")] = 0.0
    difference_threshold: Annotated[float, Field(
        "Difference threshold", "How much the picture must change at a place before its new pixels are shown.",
        Range(0, 8, 0.25), elem_id="composite_difference_threshold", group="Composite")] = 0.5
    difference_contrast: Annotated[float, Field(
        "Difference contrast", "How sharply shown and hidden pixels are divided: low values fade, high values cut.",
        Range(0, 8, 0.25), elem_id="composite_difference_contrast", group="Composite")] = 2.0
    feather_source: Annotated[str, Field(
        "Feather source",
        "Mask blur: what you paint is repainted in full and fades outward by 2.4 times Mask blur. own: by the feather width "
        "below. host: the WebUI's own blur, which thins small masks out.",
        choices=(FEATHER_FROM_BLUR, FEATHER_OWN, FEATHER_FROM_HOST), elem_id="softinpaint_feather_source", group="Mask",
        builtin=FEATHER_FROM_HOST)] = FEATHER_FROM_BLUR
    edge_taper_px: Annotated[float, Field(
        "Edge taper, pixels", "Pixels over which new content fades in from the mask's outer rim; pixels outside never change.",
        Range(0, 64, 1), key="edge taper", elem_id="softinpaint_edge_taper", group="Composite", builtin=0.0)] = 12.0
    grow_px: Annotated[float, Field(
        "Mask grow, pixels",
        "How far what you painted is grown before its feather; below 0 it shrinks, though no stroke vanishes.",
        Range(-64, 64, 1), key="mask grow", elem_id="softinpaint_grow", group="Mask", builtin=0.0)] = 0.0
    feather_width: Annotated[float, Field(
        "Feather width", "With the feather source own: how far around what you painted the picture changes gradually.",
        Range(0, 1024, 1), elem_id="softinpaint_feather_width", group="Mask")] = 32.0
    feather_unit: Annotated[str, Field(
        "Feather unit", "Of the feather width. 100 % is the side of a square as large as the painted area.",
        choices=FEATHER_UNITS, elem_id="softinpaint_feather_unit", group="Mask")] = IN_PIXELS
    threshold_mix: Annotated[float, Field(
        "Threshold mix",
        "What grey does: at 0 it blends old and new at each step, at 1 it lets a pixel change from that share of the steps "
        "on, as Differential Diffusion does.", Range(0, 1, 0.05), elem_id="softinpaint_threshold_mix", group="Sampling",
        builtin=0.0)] = 0.0
    least_opacity: Annotated[float, Field(
        "Least opacity",
        "How far new pixels are shown even where the picture hardly changed, as a share of the mask: 1 shows all of what "
        "you painted, 0 only what changed.", Range(0, 1, 0.05), elem_id="softinpaint_least_opacity", group="Composite",
        builtin=0.0)] = 1.0
    drift_correction: Annotated[float, Field(
        "Drift correction",
        "How much of the colour shift that the autoencoder causes is taken back; it is read from what is not masked.",
        Range(0, 1, 0.05), elem_id="softinpaint_drift", group="Composite", builtin=0.0)] = 1.0
    grain: Annotated[float, Field(
        "Grain", "How much of the original's grain the new content gets, which the model paints too smooth.",
        Range(0, 1, 0.05), elem_id="softinpaint_grain", group="Composite", builtin=0.0)] = 0.0
    conditioning_mask: Annotated[str, Field(
        "Conditioning mask",
        "What inpainting models are told of the mask: soft as it is, or hard, white from one half on, as they were trained. "
        "Other models ignore it.", choices=(SOFT, HARD), elem_id="softinpaint_conditioning_mask", group="Mask",
        builtin=SOFT)] = SOFT
    mask_image: Annotated[str, Field(
        "Mask image",
        "A mask of the image's shape, used if nothing is painted above: white is repainted in full, grey by that strength, "
        "also with 16 bits. An alpha channel is used if it holds a shape. Base64 in the API.",
        elem_id="softinpaint_mask_image", group="Mask", saved=False)] = ""

    automatic_threshold: Annotated[bool, Field(
        "Automatic threshold",
        "Count the difference threshold in the model's own noise, measured outside the mask, so that it means the same with "
        "every model.", elem_id="softinpaint_automatic_threshold", group="Composite", builtin=False)] = False

    def __post_init__(self):
        coerce_all(self)


FIELDS = fields_of(Settings)
"""By name, in the API's order."""


def saved_fields() -> list[Field]:
    """The fields that a picture's infotext keeps: all but what is a picture itself."""
    return [field for field in FIELDS.values() if field.saved]


def composite_fields() -> list[Field]:
    """The fields that can still be changed once a picture is sampled."""
    return [field for field in FIELDS.values() if field.group == "Composite" or field.name in SHAPING]


def as_builtin(**first_seven: Any) -> Settings:
    """Settings at which results equal the built-in's."""
    later = {field.name: field.builtin for field in FIELDS.values() if field.builtin is not None}
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
    fields = list(FIELDS.values())
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

def infotext_key(field: Field) -> str:
    return INFOTEXT_PREFIX + (field.key or field.label.lower())


def infotext_keys() -> list[str]:
    """All keys that a picture of this extension may carry."""
    return [infotext_key(field) for field in saved_fields()] + [VERSION_KEY, NOTE_KEY]


def to_infotext(settings: Settings) -> dict[str, Any]:
    """Keys and values that a picture made with these settings carries."""
    written = {infotext_key(field): getattr(settings, field.name) for field in saved_fields()}
    whole = {key: int(value) for key, value in written.items() if isinstance(value, float) and value.is_integer()}
    return {**written, **whole, VERSION_KEY: __version__}


def from_infotext(field: Field, params: Mapping[str, Any]) -> Value | None:
    """One setting's value in a picture's infotext; None where the picture says nothing of it.

    A picture without the version key was made by the built-in extension: what that lacked is set as it behaved.
    """
    if infotext_key(field) in params:
        try:
            return read(field, params[infotext_key(field)], [])
        except ValueError:
            return None
    made_by_builtin = infotext_key(FIELDS["enabled"]) in params and VERSION_KEY not in params
    return field.builtin if made_by_builtin else None


# Documentation

def markdown_table() -> str:
    """The README's table of settings."""
    rows = ["| # | API name | Label | Default | Range | What it does |", "|---|---|---|---|---|---|"]
    for number, field in enumerate(FIELDS.values()):
        if field.choices:
            span = " / ".join(field.choices)
        elif field.range:
            span = f"{field.range.low} to {field.range.high}"
        else:
            span = "true / false" if isinstance(field.default, bool) else "base64"
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        rows.append(f"| {number} | `{field.name}` | {field.label} | {default} | {span} | {field.help} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown_table())
