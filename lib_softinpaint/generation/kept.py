"""Finished pictures with all that their composite is made of, so that it can be made again without sampling."""
from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lib_softinpaint.atomic_file import replacing
from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation import score
from lib_softinpaint.generation.sampled import SampledPicture
from lib_softinpaint.images.read import SRGB, Colours
from lib_softinpaint.method import drift
from lib_softinpaint.method.composite import with_alpha
from lib_softinpaint.method.mask import PaintedMask
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.fields import Value, checked
from lib_softinpaint.settings.settings import NOTE_KEY, SHAPING, Settings, composite_fields, infotext_key, to_infotext

FILE_FORMAT = 1
FILE_KIND = "softinpaint picture"
ARRAYS = {"original": (3, ("uint8",)), "repaint_px": (2, ("float32",)), "repaint": (2, ("float32",)),
          "distance": (2, ("float32",)), "decoded": (3, ("uint8", "float32")), "strengths": (2, ("float32",)),
          "source": (3, ("uint8",)), "colour_profile": (1, ("uint8",))}
"""Of a job file: dimensions and types of each array. Further arrays may be added, which older versions leave out."""


@dataclass(frozen=True, eq=False)
class KeptPicture:
    """One picture of a run.

    Parameters
    ----------
    settings
        Of the run.
    sampled
    decoded : (H, W, 3) uint8 or float32, 0 to 255
        Where it stands in the result.
    painted
    infotext
        Of the run's result.
    source : (H, W, 4) uint8
        The original with its alpha channel, where the result is to have it.
    colours
        The original's.
    """

    settings: Settings
    sampled: SampledPicture
    decoded: np.ndarray
    painted: PaintedMask
    infotext: str = ""
    source: np.ndarray | None = None
    colours: Colours = SRGB
    reshaped: dict[tuple, SampledPicture] = field(default_factory=dict, repr=False)
    """The last other mask, by the settings that made it."""

    def settings_with(self, changes: Mapping[str, Value]) -> Settings:
        """The run's settings with some of the composite's changed.

        Raises ValueError with a sentence on a setting that needs a new sampling, or a value that is none of its field's.
        """
        fields = {each.name: each for each in composite_fields()}
        for name, value in changes.items():
            if name not in fields:
                raise BadInput(f"a composite is made again with {', '.join(fields)}, got {name!r}")
            checked(fields[name], value)
        return replace(self.settings, **changes)

    def composited(self, settings: Settings, opacity_px: np.ndarray | None = None) -> np.ndarray:
        """The result under other settings of the composite; under the run's own it is the run's.

        Another feather narrows what is shown: pixels outside the run's mask were not sampled.

        Parameters
        ----------
        settings
        opacity_px : (H, W) float32, 0 to 1
            The run's own, from `SampledPicture.opacity_px`, where it is at hand.

        Returns
        -------
        (H, W, 3) uint8, or (H, W, 4) with transparency
        """
        shown = self.shown(settings)
        opacity_px = shown.opacity_px(settings) if opacity_px is None else opacity_px
        result = shown.composited(settings, self.decoded, opacity_px)
        if self.source is None or self.source.shape[:2] != result.shape[:2]:
            return result
        return with_alpha(result, self.source, shown.original, opacity_px)

    def shown(self, settings: Settings) -> SampledPicture:
        """What was sampled, shown within the mask that these settings make."""
        shape = tuple(getattr(settings, name) for name in SHAPING)
        if shape == tuple(getattr(self.settings, name) for name in SHAPING):
            return self.sampled
        shown = self.reshaped.get(shape)
        if shown is None:
            shown = self.sampled.shown_within(self.painted.repaint_px(settings))
            self.reshaped.clear()
            self.reshaped[shape] = shown
        return shown

    def scores(self, settings: Settings) -> score.Scores:
        """How the result under these settings looks, in numbers. Raises ValueError where a host has enlarged the picture."""
        sampled = self.sampled
        new = drift.corrected(sampled.original, self.decoded, sampled.repaint_px, settings.drift_correction, sampled.box)
        result = self.shown(settings).composited(settings, self.decoded)
        return score.score(sampled.original, result, sampled.repaint_px, self.painted.placed(self.painted.strengths) > 0,
                           np.rint(new).clip(0, 255).astype(np.uint8))

    def blend_score(self, settings: Settings) -> float:
        """How well the result under these settings blends in, 0 to 100: `score.blend_score`."""
        return score.blend_score(self.scores(settings))

    def infotext_with(self, settings: Settings) -> str:
        """Infotext of the result under other settings of the composite.

        The mask's settings stay the run's, since another sampling with others would paint another picture; a note tells
        under which the result is shown.
        """
        if settings == self.settings:
            return self.infotext
        written = to_infotext(settings)
        keys = [infotext_key(each) for each in composite_fields() if each.name not in SHAPING]
        reshaped = [each for each in composite_fields()
                    if each.name in SHAPING and getattr(settings, each.name) != getattr(self.settings, each.name)]
        values = {key: written[key] for key in keys}
        if reshaped:
            told = ", ".join(f"{each.metadata['label']} {written[infotext_key(each)]}" for each in reshaped)
            note = infotext.parse(self.infotext).get(NOTE_KEY)
            values[NOTE_KEY] = f"{note + ' ' if note else ''}Composited again with {told}."
        return infotext.replaced(self.infotext, values)

    def forget_rendered(self) -> None:
        """Drops what re-rendering has added. It is computed again when it is needed."""
        self.reshaped.clear()
        self.sampled.tapers.clear()

    def arrays(self) -> list[np.ndarray]:
        """All that it holds in memory."""
        held = [self.decoded, self.painted.strengths, self.source]
        for sampled in (self.sampled, *self.reshaped.values()):
            held += [sampled.original, sampled.repaint_px, sampled.repaint, sampled.distance, sampled.shown_px,
                     *sampled.tapers.values()]
        return [array for array in held if array is not None]

    # Files

    def save(self, path: Path) -> None:
        """Writes a job file that `load` reads, completely or not at all. Raises OSError if it cannot be written."""
        arrays = {name: getattr(self.sampled, name) for name in ("original", "repaint_px", "repaint", "distance")}
        arrays |= {"decoded": self.decoded, "strengths": self.painted.strengths, "source": self.source,
                   "colour_profile": self.colours.icc_profile and np.frombuffer(self.colours.icc_profile, np.uint8)}
        about = {
            "kind": FILE_KIND, "format": FILE_FORMAT, "infotext": self.infotext, "settings": dataclasses.asdict(self.settings),
            "png_chunks": {name.decode(): content.hex() for name, content in self.colours.png_chunks},
            "sampled": {name: getattr(self.sampled, name) for name in ("decoded_size", "box", "seed", "noise_floor")},
            "painted": {name: getattr(self.painted, name)
                        for name in ("blur_px", "padding_px", "size", "stretched_to", "how")}}
        with replacing(path) as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)),
                                **{name: array for name, array in arrays.items() if array is not None})

    @classmethod
    def load(cls, path: Path) -> KeptPicture:
        """A result from its job file. What a later version added to the file is left out. Raises BadInput if it is no job
        file."""
        try:
            if not zipfile.is_zipfile(path):
                raise ValueError("it is no archive" if path.exists() else "it does not exist")
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                if (about["kind"], about["format"]) != (FILE_KIND, FILE_FORMAT):
                    raise ValueError(f"it is of format {about['format']}, not {FILE_FORMAT}")
                arrays = {name: file[name] for name in ARRAYS if name in file.files}
            about = {name: _tuples(value) for name, value in about.items()}
            _demand_fitting(arrays, about)
            profile = arrays.pop("colour_profile", None)
            colours = Colours(None if profile is None else profile.tobytes(), tuple(
                (name.encode(), bytes.fromhex(content)) for name, content in about.get("png_chunks", {}).items()))
            painted = PaintedMask(strengths=arrays.pop("strengths"), **about["painted"])
            decoded, source = arrays.pop("decoded"), arrays.pop("source", None)
            return cls(Settings(**about["settings"]), SampledPicture(**{"distance": None, **arrays, **about["sampled"]}),
                       decoded, painted, about["infotext"], source, colours)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as fault:
            raise BadInput(f"a job file must be one that inpaint --keep wrote, {path} is not: {fault}") from fault


def _demand_fitting(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Raises ValueError on arrays that cannot be those of one result, by their types and shapes."""
    for name, array in arrays.items():
        rank, kinds = ARRAYS[name]
        if array.ndim != rank or array.dtype.name not in kinds or array.size == 0:
            raise ValueError(f"its {name} must have {rank} dimensions of {' or '.join(kinds)}, "
                             f"got {array.ndim} of {array.dtype}")
    height, width = size = arrays["original"].shape[:2]
    latent, (left, top, *sides) = arrays["repaint"].shape, about["sampled"]["box"] or (0, 0, width, height)
    wanted = {"original": (*size, 3), "repaint_px": size, "distance": latent, "decoded": (*arrays["decoded"].shape[:2], 3)}
    if "source" in arrays:
        wanted["source"] = (*arrays["source"].shape[:2], 4)
    for name, shape in wanted.items():
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(f"its {name} must be of shape {shape}, got {arrays[name].shape}")
    if about["painted"]["size"] != size:
        raise ValueError(f"its mask must lie over {size}, got {about['painted']['size']}")
    if min(left, top, *(side - 1 for side in sides)) < 0 or left + sides[0] > width or top + sides[1] > height:
        raise ValueError(f"its box must lie within {width}x{height} pixels, got {about['sampled']['box']}")


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(value, dict):
        return {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
    return value
