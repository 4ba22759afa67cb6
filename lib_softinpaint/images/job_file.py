"""Job files: finished images with everything that a re-composite needs."""
from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lib_softinpaint.atomic_file import replacing
from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.colours import Colours
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.mask import Canvas, PaintedMask
from lib_softinpaint.settings.settings import FIELDS, Settings

FILE_FORMAT = 1
FILE_KIND = "softinpaint picture"

ARRAYS = {"original": (3, ("uint8",)), "repaint_px": (2, ("float32",)), "repaint": (2, ("float32",)),
          "distance": (2, ("float32",)), "decoded": (3, ("uint8", "float32")), "strengths": (2, ("float32",)),
          "source": (3, ("uint8",)), "colour_profile": (1, ("uint8",)), "edges": (2, ("float32",))}
"""Dimensions and types of each array in a job file. New arrays may be added; older versions ignore them."""

CANVAS = "blur_px", "padding_px", "cell_px"


def save(kept: KeptImage, path: Path) -> None:
    """Writes a job file for `load`, completely or not at all. Raises OSError if it cannot be written."""
    *before, last = kept.regions
    header = {
        "kind": FILE_KIND, "format": FILE_FORMAT, "infotext": kept.infotext, "settings": dataclasses.asdict(kept.settings),
        "png_chunks": {name.decode(): content.hex() for name, content in kept.colours.png_chunks},
        **_header(last), "before": [_header(each) for each in before]}
    arrays = _arrays(last)
    for number, each in enumerate(before):
        arrays |= {_of_region(number, name): array for name, array in _arrays(each).items()}
    with replacing(path) as file:
        np.savez_compressed(file, about=np.array(json.dumps(header)),
                            **{name: array for name, array in arrays.items() if array is not None})


def _of_region(number: int, name: str) -> str:
    """Name of an array of a region that was inpainted before the last."""
    return f"{name} {number}"


def _arrays(kept: KeptImage) -> dict[str, Any]:
    """The arrays of one region, by the names in `ARRAYS`; None for those that it lacks."""
    profile = kept.colours.icc_profile
    return {**{name: getattr(kept.sampled, name) for name in ("original", "repaint_px", "repaint", "distance")},
            "decoded": kept.decoded, "strengths": kept.painted.strengths, "source": kept.source,
            "edges": kept.painted.canvas.edges, "colour_profile": profile and np.frombuffer(profile, np.uint8)}


def _header(kept: KeptImage) -> dict[str, Any]:
    """What else is different in each region."""
    return {"sampled": {name: getattr(kept.sampled, name) for name in ("decoded_size", "box", "seed", "noise_floor")},
            "painted": {**{name: getattr(kept.painted.canvas, name) for name in CANVAS},
                        **{name: getattr(kept.painted, name) for name in ("size", "stretched_to", "how")}}}


def load(path: Path) -> KeptImage:
    """A result from its job file, without anything that a later version added. Raises BadInput if it is not a job file."""
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is not an archive" if path.exists() else "it does not exist")
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["about"]))
            if (header["kind"], header["format"]) != (FILE_KIND, FILE_FORMAT):
                raise ValueError(f"it has format {header['format']}, not {FILE_FORMAT}")
            arrays = {name: file[name] for name in ARRAYS if name in file.files}
            before = header.get("before", [])
            arrays_before = [{name: file[_of_region(number, name)] for name in ARRAYS
                              if _of_region(number, name) in file.files} for number in range(len(before))]
        kept = None
        for of_region, arrays_of_region in zip([*before, header], [*arrays_before, arrays]):
            kept = _region(header, of_region, arrays_of_region, kept)
        assert kept is not None, "there is a last region"
        return kept
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as fault:
        raise BadInput(f"a job file must be from inpaint --keep, {path} is not: {fault}") from fault


def _region(header: Mapping[str, Any], of_region: Mapping[str, Any], arrays: dict[str, np.ndarray],
            before: KeptImage | None) -> KeptImage:
    """One region from its part of the header and its arrays. Raises ValueError if they do not fit."""
    _demand_fitting(arrays, of_region)
    profile = arrays.pop("colour_profile", None)
    colours = Colours(None if profile is None else profile.tobytes(), tuple(
        (name.encode(), bytes.fromhex(content)) for name, content in header.get("png_chunks", {}).items()))
    fields = _typed(of_region["painted"])
    canvas = Canvas(**{name: fields.pop(name) for name in CANVAS if name in fields}, edges=arrays.pop("edges", None))
    painted = PaintedMask(arrays.pop("strengths"), canvas, **fields)
    decoded, source = arrays.pop("decoded"), arrays.pop("source", None)
    sampled = SampledImage(**{"distance": None, **arrays, **_typed(of_region["sampled"])},
                           painted_px=painted.placed(painted.strengths))
    return KeptImage(_settings(header["settings"]), sampled, decoded, painted, header["infotext"], source, colours, before)


def _settings(given: Mapping[str, Any]) -> Settings:
    """The settings of a job file. Those that an earlier version lacked get the value that gives its results.

    Raises ValueError if a later version wrote settings that this one lacks.
    """
    if unknown := given.keys() - FIELDS.keys():
        raise ValueError(f"a later version wrote its settings {', '.join(sorted(unknown))}")
    earlier = {name: field.earlier for name, field in FIELDS.items() if field.earlier is not None}
    return Settings(**{**earlier, **given})


def _demand_fitting(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Raises ValueError if the types and shapes of the arrays cannot be those of one result."""
    for name, array in arrays.items():
        rank, types = ARRAYS[name]
        if array.ndim != rank or array.dtype.name not in types or array.size == 0:
            raise ValueError(f"its {name} must have {rank} dimensions of {' or '.join(types)}, "
                             f"got {array.ndim} of {array.dtype}")
    size, latent = Size.of(arrays["original"]), arrays["repaint"].shape
    wanted = {"original": (*size, 3), "repaint_px": tuple(size), "distance": latent,
              "decoded": (*arrays["decoded"].shape[:2], 3)}
    if "source" in arrays:
        wanted["source"] = (*arrays["source"].shape[:2], 4)
    for name, shape in wanted.items():
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(f"its {name} must be of shape {shape}, got {arrays[name].shape}")
    if tuple(header["painted"]["size"]) != size:
        raise ValueError(f"its mask must be {size}, got {header['painted']['size']}")
    box = header["sampled"]["box"]
    if box is not None and not Box(*box).fits(size):
        raise ValueError(f"its box must lie within {size} pixels, got {box}")


def _typed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with lists from JSON turned back into sizes and boxes."""
    types = {2: Size, 4: Box}
    return {name: types[len(value)](*value) if isinstance(value, list) else value for name, value in fields.items()}
