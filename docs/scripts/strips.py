"""Draws docs/images/strip-*.webp: what each setting of the composite does over its range.

Run `python -m docs.scripts.strips`, then look at all.
"""
from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lib_softinpaint.bundled import bundled
from lib_softinpaint.cli.requested import demo_request
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Box
from lib_softinpaint.hosts.makers import local_maker
from lib_softinpaint.images.files import read_image, read_mask
from lib_softinpaint.images.sheet import side_by_side, stacked
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.settings import FIELDS

IMAGES = Path(__file__).parents[1] / "images"

STRIPS: Mapping[str, tuple[tuple[Value, ...], Mapping[str, Value]]] = {
    "mask_influence": ((0.0, 0.25, 0.5, 0.75, 1.0), {"least_opacity": 0.0}),
    "difference_threshold": ((0.0, 0.5, 1.0, 2.0, 4.0, 8.0), {"least_opacity": 0.0}),
    "automatic_threshold": ((False, True), {"least_opacity": 0.0}),
    "difference_contrast": ((0.0, 0.5, 1.0, 2.0, 4.0, 8.0), {"least_opacity": 0.0, "difference_threshold": 1.0}),
    "edge_taper_px": ((0.0, 6.0, 12.0, 24.0, 64.0), {"seam_search": 0.0}),
    "seam_search": ((0.0, 0.25, 0.5, 0.75, 1.0), {}),
    "least_opacity": ((0.0, 0.25, 0.5, 0.75, 1.0), {"difference_threshold": 4.0}),
    "drift_correction": ((0.0, 0.25, 0.5, 0.75, 1.0), {}),
    "grain": ((0.0, 0.25, 0.5, 0.75, 1.0), {})}
"""Values to show, and the other settings with which they show most, by setting of the composite."""

MARGIN_PX, TILE_WIDTH_PX = 56, 190
SHOWN_LEVELS, MOST_AMPLIFIED = 200, 64
"""The largest difference of a strip is amplified by a power of two to at most this level."""


def finished() -> KeptImage:
    """The demo's image, with all that a re-composite needs."""
    kept: list[KeptImage] = []
    make = local_maker(demo_request(), None)
    make(demo_request(), read_image(bundled("demo/image.png")), read_mask(bundled("demo/mask.png")), kept.append)
    return kept[0]


def strip(image: KeptImage, name: str) -> Image.Image:
    """The painted area at each value of a setting, and below it how much differs from the default, amplified."""
    values, others = STRIPS[name]
    inside = Box.around(image.sampled.painted_px > 0, MARGIN_PX).inside
    default = image.composited(image.settings_with(others))[inside].astype(np.int16)
    composited = {value: image.composited(image.settings_with({**others, name: value}))[inside] for value in values}
    largest = max(int(np.abs(result - default).max()) for result in composited.values())
    factor = 2 ** int(np.log2(min(MOST_AMPLIFIED, max(1, SHOWN_LEVELS / max(1, largest)))))
    results, differences = {}, {}
    for value, result in composited.items():
        label = {False: "off", True: "on"}[value] if isinstance(value, bool) else f"{value:g}"
        results[f"{label} (default)" if value == FIELDS[name].default else label] = Image.fromarray(result)
        difference = (factor * np.abs(result - default)).clip(0, 255).astype(np.uint8)
        differences[f"{label}: difference x {factor}"] = Image.fromarray(difference)
    rows = [side_by_side({name: reduced(tile) for name, tile in row.items()}) for row in (results, differences)]
    return stacked(rows)


def reduced(tile: Image.Image) -> Image.Image:
    return tile.resize((TILE_WIDTH_PX, round(tile.height * TILE_WIDTH_PX / tile.width)), Image.Resampling.LANCZOS)


def main(folder: Path = IMAGES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    image = finished()
    for name in STRIPS:
        path = folder / f"strip-{name.replace('_', '-')}.webp"
        strip(image, name).save(path, quality=80, method=6)
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
