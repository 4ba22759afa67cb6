"""One generation's settings: the single source of sliders, infotext, API arguments, X/Y/Z axes and the README's table.

Annotations are evaluated on import: `fields_of` reads them, and parsing strings would be slower.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from lib_softinpaint.settings.fields import Field, Range, Value, coerce_all, fields_of, read
from lib_softinpaint.settings.mask_tools import steps_of
from lib_softinpaint.version import version

INFOTEXT_PREFIX = "Soft inpainting "
VERSION_KEY = INFOTEXT_PREFIX + "version"
NOTE_KEY = INFOTEXT_PREFIX + "note"
DRIFT_APPLIED_KEY = INFOTEXT_PREFIX + "drift applied"
"""Infotext key: share of the measured drift that was removed, 0 to 1. Written if drift correction is on, and as 0 after
a re-composite without it."""

PAINTED_KEY = INFOTEXT_PREFIX + "painted mask"
"""Infotext key: name of the painted mask in the WebUI's folder of masks."""
REGIONS_KEY = INFOTEXT_PREFIX + "regions"
"""Infotext key: how many regions were inpainted one by one, as "4" or, after an interruption, "2 of 4"."""

SOFT, HARD = "soft", "hard"
HOSTS, LOCAL_FILL, RECOLOUR = OWN_CONTENTS = "host's", "local fill", "recolour"
FEATHER_AUTOMATIC = "Automatic"
FEATHER_FROM_BLUR = "Mask blur"
FEATHER_OWN = "own"
FEATHER_FROM_HOST = "host"
SHAPING = "feather_source", "feather_width", "feather_unit", "grow_px", "edge_awareness"
"""Fields that turn the painted mask into the repaint mask."""
CANDIDATES = "Candidates"
"""Group of the fields that choose among the images of one request. They change none, so no infotext has them."""
IN_PIXELS, IN_PERCENT = FEATHER_UNITS = ("pixels", "% of the mask")


@dataclass(frozen=True)
class Settings:
    """Settings of one generation. Raises ValueError if a value is out of range or of the wrong type.

    The fields are in the order of the API's arguments; new ones may only be appended. The first seven are those of the
    extension that ships with AUTOMATIC1111 1.8 to 1.10.1.
    """

    enabled: Annotated[bool, Field(
        "Soft inpainting", "Blends repainted and original content where the mask is grey.", key="enabled",
        elem_id="soft_inpainting_enabled")] = False
    schedule_bias: Annotated[float, Field(
        "Schedule bias",
        "Below 1 protects the original mostly in late steps, above 1 mostly in early ones.",
        Range(0, 8, 0.1), elem_id="mask_blend_power", group="Sampling")] = 1.0
    preservation_strength: Annotated[float, Field(
        "Preservation strength",
        "How strongly grey areas keep the original. At 0 they are fully repainted, at high values hardly at all.",
        Range(0, 8, 0.05),
        elem_id="mask_blend_scale", group="Basics")] = 0.5
    transition_contrast_boost: Annotated[float, Field(
        "Transition contrast boost",
        "Preserves contrast where old and new content mix. Does not change the width of the transition.", Range(1, 32, 0.5),
        elem_id="inpaint_detail_preservation", group="Sampling")] = 4.0
    mask_influence: Annotated[float, Field(
        "Mask influence", "What decides which new pixels are shown. 0: only how much the image changed. 1: also the mask.",
        Range(0, 1, 0.05), elem_id="composite_mask_influence", group="Composite")] = 0.0
    difference_threshold: Annotated[float, Field(
        "Difference threshold", "How much the image must change before its new pixels are shown.",
        Range(0, 8, 0.25), elem_id="composite_difference_threshold", group="Composite")] = 0.5
    difference_contrast: Annotated[float, Field(
        "Difference contrast", "How sharp the border between shown and hidden pixels is. Low values fade, high values cut.",
        Range(0, 8, 0.25), elem_id="composite_difference_contrast", group="Composite")] = 2.0
    feather_source: Annotated[str, Field(
        "Feather source",
        "How far the change fades out around what you paint. Automatic: suited to the size of what you painted, and farther "
        "with more Mask blur. Mask blur: set by Mask blur alone. own: the width that you set. host: the WebUI's own blur, "
        "which weakens small masks. At Mask blur 0, only own fades.",
        choices=(FEATHER_AUTOMATIC, FEATHER_FROM_BLUR, FEATHER_OWN, FEATHER_FROM_HOST),
        elem_id="softinpaint_feather_source", group="Basics", builtin=FEATHER_FROM_HOST)] = FEATHER_AUTOMATIC
    edge_taper_px: Annotated[float, Field(
        "Edge taper, pixels", "Width over which new content fades in from the mask's outer edge. Pixels outside the mask "
                              "never change.",
        Range(0, 64, 1), key="edge taper", elem_id="softinpaint_edge_taper", group="Composite", builtin=0.0)] = 12.0
    grow_px: Annotated[float, Field(
        "Mask grow, pixels",
        "How far the painted area grows before it is feathered. Negative values shrink it, but no stroke disappears.",
        Range(-64, 64, 1), key="mask grow", elem_id="softinpaint_grow", group="Mask", builtin=0.0)] = 0.0
    feather_width: Annotated[float, Field(
        "Feather width", "With feather source \"own\": how far the feather extends around what you painted.",
        Range(0, 1024, 1), elem_id="softinpaint_feather_width", group="Basics")] = 32.0
    feather_unit: Annotated[str, Field(
        "Feather unit", "Unit of the feather width. 100 % is the square root of the painted area.",
        choices=FEATHER_UNITS, elem_id="softinpaint_feather_unit", group="Basics")] = IN_PIXELS
    threshold_mix: Annotated[float, Field(
        "Threshold mix",
        "What grey means. 0: each step blends old and new. 1: grey sets the step from which a pixel may change, as in "
        "Differential Diffusion.", Range(0, 1, 0.05), elem_id="softinpaint_threshold_mix", group="Sampling",
        builtin=0.0)] = 0.0
    least_opacity: Annotated[float, Field(
        "Least opacity",
        "Minimum opacity of new pixels where the image barely changed, as a share of the mask's value. 1 shows everything you "
        "painted, 0 only what changed.", Range(0, 1, 0.05), elem_id="softinpaint_least_opacity", group="Composite",
        builtin=0.0)] = 1.0
    drift_correction: Annotated[float, Field(
        "Drift correction",
        "How much of the autoencoder's colour shift is removed. The shift is measured outside the mask.",
        Range(0, 1, 0.05), elem_id="softinpaint_drift", group="Composite", builtin=0.0)] = 1.0
    grain: Annotated[float, Field(
        "Grain", "How much of the original's grain is added to the new content. Models paint too smoothly.",
        Range(0, 1, 0.05), elem_id="softinpaint_grain", group="Composite", builtin=0.0)] = 0.0
    conditioning_mask: Annotated[str, Field(
        "Conditioning mask",
        "The mask given to inpainting models: soft (unchanged) or hard (white from half strength up, as in training). "
        "Other models ignore it.", choices=(SOFT, HARD), elem_id="softinpaint_conditioning_mask", group="Mask",
        builtin=SOFT)] = SOFT
    mask_image: Annotated[str, Field(
        "Mask image",
        "Used only if nothing is painted. Must have the image's aspect ratio, in 8 or 16 bits. White is fully repainted, "
        "grey partly. If its alpha channel holds a shape, that is the mask. Base64 in the API.",
        elem_id="softinpaint_mask_image", group="Mask", saved=False)] = ""

    automatic_threshold: Annotated[bool, Field(
        "Automatic threshold",
        "Scales the difference threshold to the model's noise floor, measured outside the mask. One value then means the "
        "same with every model.", elem_id="softinpaint_automatic_threshold", group="Composite", builtin=False)] = False
    edge_awareness: Annotated[float, Field(
        "Edge awareness",
        "How far the feather stays out of things beside what you painted. 0: it runs straight over them. 1: it stops at "
        "their outlines.", Range(0, 1, 0.05), elem_id="softinpaint_edge_awareness", group="Basics", builtin=0.0,
        earlier=0.0)] = 1.0
    seam_search: Annotated[float, Field(
        "Seam search",
        "How old and new content meet around what you painted. 0: they fade into each other. 1: they are cut where the cut "
        "is least visible, so that nothing shows through.", Range(0, 1, 0.05), elem_id="softinpaint_seam_search",
        group="Composite", builtin=0.0, earlier=0.0)] = 1.0
    coherence_rounds: Annotated[float, Field(
        "Coherence rounds",
        "Lets the model look at the surroundings again before each noisy step, so that what it paints continues them. Two "
        "take about 1.6 times as long as none. Needs a CFG scale above 1.", Range(0, 5, 1),
        elem_id="softinpaint_coherence_rounds", group="Coherence", builtin=0.0, earlier=0.0)] = 0.0
    agreement: Annotated[float, Field(
        "Agreement with the surroundings",
        "How much of the noise outside what you painted is the noise that the model sees there, so that it paints what fits. "
        "Takes no time.", Range(0, 1, 0.05), key="agreement", elem_id="softinpaint_agreement", group="Coherence", builtin=0.0,
        earlier=0.0)] = 1.0
    best_first: Annotated[bool, Field(
        "Best first",
        "Sorts the images of all batches by their blend score. The score agrees with choices by eye in 76 % of judged pairs.",
        elem_id="softinpaint_best_first", group=CANDIDATES, builtin=False, earlier=False, saved=False)] = False
    keep_best: Annotated[float, Field(
        "Keep the best", "How many images of all batches are saved and shown, by blend score. 0 keeps all.",
        Range(0, 100, 1), elem_id="softinpaint_keep_best", group=CANDIDATES, builtin=0.0, earlier=0.0, saved=False)] = 0.0
    contact_sheet: Annotated[bool, Field(
        "Contact sheet", "Adds one image with all candidates, their scores and seeds. It takes the place of the WebUI's grid.",
        elem_id="softinpaint_contact_sheet", group=CANDIDATES, builtin=False, earlier=False, saved=False)] = False
    regions_one_by_one: Annotated[bool, Field(
        "Regions one by one",
        "Inpaints separate strokes one after another, each with its own Only masked crop. [SEP] in the prompt separates their "
        "prompts.", elem_id="softinpaint_regions", group="Mask", builtin=False, earlier=False)] = False
    mask_tools: Annotated[str, Field(
        "Mask tools",
        "Steps that edit what you painted before anything else, from left to right. The buttons add them. transparency, "
        "luminance and colour make a mask from the image if nothing is painted.", check=steps_of,
        elem_id="softinpaint_mask_tools", group="Mask", builtin="", earlier="", unsaid="")] = ""
    own_masked_content: Annotated[str, Field(
        "Own masked content",
        "What is in the painted area before noise is added. host's: what Masked content says. local fill: the colours at its "
        "edge, spread inward. recolour: the image without its colours. The last two replace Masked content.",
        choices=OWN_CONTENTS, elem_id="softinpaint_own_masked_content", group="Sampling", builtin=HOSTS, earlier=HOSTS,
        unsaid=HOSTS)] = HOSTS
    extra_noise: Annotated[float, Field(
        "Extra noise",
        "Noise that is added to the painted area before sampling, as strong as the mask there. The effect is subtle: it "
        "varies details.", Range(0, 1, 0.05), elem_id="softinpaint_extra_noise", group="Sampling",
        builtin=0.0, earlier=0.0, unsaid=0.0)] = 0.0

    def __post_init__(self):
        coerce_all(self)

    def masked_content(self, hosts: str) -> str:
        """What is in the painted area before noise is added, where the host's field says `hosts`."""
        return hosts if self.own_masked_content == HOSTS else self.own_masked_content


FIELDS = fields_of(Settings)
"""Fields by name, in the order of the API."""


def saved_fields() -> list[Field]:
    """The fields that are saved in infotext: all except those that hold an image."""
    return [field for field in FIELDS.values() if field.saved]


def composite_fields() -> list[Field]:
    """The fields that can still be changed after sampling."""
    return [field for field in FIELDS.values() if field.group == "Composite" or field.name in SHAPING]


def as_builtin(**first_seven: Any) -> Settings:
    """Settings that give the same results as the built-in."""
    later = {field.name: field.builtin for field in FIELDS.values() if field.builtin is not None}
    return Settings(enabled=True, **{**later, **first_seven})


# What API clients, other scripts and pasted infotext send

def read_args(args: Sequence[Any]) -> tuple[Settings, list[str]]:
    """Settings from script arguments, and a note for each number that was clamped.

    Parameters
    ----------
    args
        Values in the order of the fields, of any length; or one dict by field name, which switches soft inpainting on
        unless `enabled` is False. None means the default. Numbers may be strings.

    Raises
    ------
    ValueError
        If a value cannot be read or a key is unknown. If `enabled` is off, the other values are not read.
    """
    fields = list(FIELDS.values())
    if args and isinstance(args[0], Mapping):
        given = {"enabled": True, **{name: value for name, value in args[0].items() if value is not None}}
        unknown = sorted(str(name) for name in given.keys() - {field.name for field in fields})
        if unknown:
            alike = difflib.get_close_matches(unknown[0].lower().replace(" ", "_"), FIELDS, 1)
            raise ValueError(f"Unknown soft inpainting setting {', '.join(map(repr, unknown))}; "
                             + (f"did you mean {alike[0]}? The" if alike else "the")
                             + f" settings are {', '.join(FIELDS)}.")
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
    """All infotext keys that this extension writes."""
    return [infotext_key(field) for field in saved_fields()] + [
        VERSION_KEY, NOTE_KEY, DRIFT_APPLIED_KEY, PAINTED_KEY, REGIONS_KEY]


def regions_done(done: int, count: int) -> dict[str, str]:
    """Infotext for regions that were inpainted one by one."""
    return {REGIONS_KEY: str(count) if done == count else f"{done} of {count}"}


def to_infotext(settings: Settings) -> dict[str, Any]:
    """Infotext keys and values for these settings."""
    params = {infotext_key(field): getattr(settings, field.name) for field in saved_fields()
              if getattr(settings, field.name) != field.unsaid}
    whole = {key: int(value) for key, value in params.items() if isinstance(value, float) and value.is_integer()}
    return {**params, **whole, VERSION_KEY: version()}


def from_infotext(field: Field, params: Mapping[str, Any]) -> Value | None:
    """One setting's value from parsed infotext; None if the infotext does not have it.

    Infotext without the version key is from the built-in extension. Settings that it lacks get the value that matches its
    behaviour; those that an earlier version of ours lacked, that version's.
    """
    if infotext_key(field) in params:
        try:
            return read(field, params[infotext_key(field)], [])
        except ValueError:
            return None
    if VERSION_KEY in params:
        return field.earlier
    return field.builtin if infotext_key(FIELDS["enabled"]) in params else None


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
            span = "true / false" if isinstance(field.default, bool) else "text" if field.saved else "base64"
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        rows.append(f"| {number} | `{field.name}` | {field.label} | {default} | {span} | {field.help} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown_table())
