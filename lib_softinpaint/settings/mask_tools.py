"""The setting "Mask tools": a list of steps as text, such as "fill holes, smooth 4, grow 10 %"."""
from __future__ import annotations

import re
from dataclasses import dataclass

from lib_softinpaint.errors import BadInput

FILL_HOLES, DROP_SPECKS, SMOOTH, GROW, INVERT = "fill holes", "drop specks", "smooth", "grow", "invert"
TRANSPARENCY, LUMINANCE, COLOUR = SOURCES = "transparency", "luminance", "colour"
"""Steps that make a mask from the image. They count only if nothing is painted."""

EXAMPLES = {FILL_HOLES: "fill holes", DROP_SPECKS: "drop specks 8", SMOOTH: "smooth 4", GROW: "grow 10 %", INVERT: "invert",
            TRANSPARENCY: "transparency", LUMINANCE: "luminance 70-100", COLOUR: "colour #ff0000 20"}
"""Each step as the accordion's buttons add it."""

_NUMBER = r"(\d+(?:\.\d+)?)"
_PATTERNS = {
    FILL_HOLES: "fill holes", DROP_SPECKS: rf"drop specks {_NUMBER}(?: ?px)?", SMOOTH: rf"smooth {_NUMBER}(?: ?px)?",
    GROW: r"grow (-?\d+(?:\.\d+)?)(?: ?%)?", INVERT: "invert", TRANSPARENCY: "transparency",
    LUMINANCE: rf"luminance {_NUMBER} ?- ?{_NUMBER}", COLOUR: rf"colou?r #([0-9a-f]{{6}}) {_NUMBER}"}

LARGEST_PX, LARGEST_PERCENT, LARGEST_LIGHTNESS = 512, 100, 100
_LARGEST = {DROP_SPECKS: LARGEST_PX, SMOOTH: LARGEST_PX, GROW: LARGEST_PERCENT, LUMINANCE: LARGEST_LIGHTNESS,
            COLOUR: LARGEST_LIGHTNESS}


_UP_TO_PX = f"a number of pixels up to {LARGEST_PX}"
RULES = {FILL_HOLES: "no value", DROP_SPECKS: _UP_TO_PX, SMOOTH: _UP_TO_PX,
         GROW: f"a percentage from -{LARGEST_PERCENT} to {LARGEST_PERCENT}", INVERT: "no value", TRANSPARENCY: "no value",
         LUMINANCE: f"a range of lightness between 0 and {LARGEST_LIGHTNESS}, darker first",
         COLOUR: f"a colour in hexadecimal and a distance up to {LARGEST_LIGHTNESS}"}
"""What follows the name of each step."""

MEANINGS = {
    FILL_HOLES: "paints what is enclosed by paint", DROP_SPECKS: "drops areas smaller than a square of this side",
    SMOOTH: "removes notches and spikes of about this size", GROW: "grows by a share of the painted size; below 0 it shrinks",
    INVERT: "repaints what was not painted", TRANSPARENCY: "masks what is transparent",
    LUMINANCE: "masks what has this lightness", COLOUR: "masks what is at most this far from the colour"}


@dataclass(frozen=True)
class Step:
    """One mask tool.

    values
        Pixels for DROP_SPECKS and SMOOTH, percent for GROW, the range of CIELAB lightness for LUMINANCE, the distance in
        CIELAB for COLOUR; empty for the others.
    colour
        Red, green and blue, 0 to 255, for COLOUR.
    """

    tool: str
    values: tuple[float, ...] = ()
    colour: tuple[int, ...] = ()


def steps_of(text: str) -> tuple[Step, ...]:
    """The steps of a text, in their order. Raises BadInput if one cannot be read."""
    steps = tuple(_step(part.strip().lower()) for part in text.split(",") if part.strip())
    sources = [step.tool for step in steps if step.tool in SOURCES]
    if len(sources) > 1 or sources and steps[0].tool not in SOURCES:
        raise BadInput(f"Mask tools may name one of {', '.join(SOURCES)}, and only as the first step, got {text!r}")
    return steps


def source_of(text: str) -> Step | None:
    """The step that makes a mask from the image, or None."""
    steps = steps_of(text)
    return steps[0] if steps and steps[0].tool in SOURCES else None


def _step(part: str) -> Step:
    for tool, pattern in _PATTERNS.items():
        if match := re.fullmatch(pattern, part):
            found = list(match.groups())
            colour = tuple(bytes.fromhex(found.pop(0))) if tool == COLOUR else ()
            values = tuple(map(float, found))
            if any(abs(value) > _LARGEST[tool] for value in values) or tool == LUMINANCE and values[0] > values[1]:
                break
            return Step(tool, values, colour)
    for tool in RULES:
        if re.match(rf"{tool.replace('colour', 'colou?r')}\b", part):
            raise BadInput(f"Mask tools: {tool} takes {RULES[tool]}, such as {EXAMPLES[tool]!r}, got {part!r}")
    raise BadInput(f"Mask tools must be steps such as {', '.join(map(repr, EXAMPLES.values()))}, with at most {LARGEST_PX} "
                   f"pixels, {LARGEST_PERCENT} % and a lightness or distance of {LARGEST_LIGHTNESS}, got {part!r}")
