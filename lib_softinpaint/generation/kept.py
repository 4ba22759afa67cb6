"""Finished images with all that their composite is made of, so that it can be made again without sampling."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation import score
from lib_softinpaint.generation.colours import SRGB, Colours
from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.method import drift
from lib_softinpaint.method.composite import with_alpha
from lib_softinpaint.method.mask import PaintedMask
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.fields import Value, checked
from lib_softinpaint.settings.settings import NOTE_KEY, SHAPING, Settings, composite_fields, infotext_key, to_infotext


@dataclass(frozen=True, eq=False)
class KeptImage:
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
    sampled: SampledImage
    decoded: np.ndarray
    painted: PaintedMask
    infotext: str = ""
    source: np.ndarray | None = None
    colours: Colours = SRGB
    reshaped: dict[tuple, SampledImage] = field(default_factory=dict, repr=False)
    """The last other mask, by the settings that made it."""

    def settings_with(self, changes: Mapping[str, Value]) -> Settings:
        """The run's settings with some of the composite's changed.

        Raises ValueError with a sentence on a setting that needs a new sampling, or a value that is none of its field's.
        """
        fields = {each.name: each for each in composite_fields()}
        for name, value in changes.items():
            if name not in fields:
                raise BadInput(f"a re-composite can change {', '.join(fields)}, got {name!r}")
            checked(fields[name], value)
        return replace(self.settings, **changes)

    def composited(self, settings: Settings, opacity_px: np.ndarray | None = None) -> np.ndarray:
        """The result under other settings of the composite; under the run's own it is the run's.

        Another feather narrows what is shown: pixels outside the run's mask were not sampled.

        Parameters
        ----------
        settings
        opacity_px : (H, W) float32, 0 to 1
            The run's own, from `SampledImage.opacity_px`, where it is at hand.

        Returns
        -------
        (H, W, 3) uint8, or (H, W, 4) with transparency
        """
        shown = self.sampled_within(settings)
        opacity_px = shown.opacity_px(settings) if opacity_px is None else opacity_px
        result = shown.composited(settings, self.decoded, opacity_px)
        if self.source is None or self.source.shape[:2] != result.shape[:2]:
            return result
        return with_alpha(result, self.source, shown.original, opacity_px)

    def sampled_within(self, settings: Settings) -> SampledImage:
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
        result = self.sampled_within(settings).composited(settings, self.decoded)
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
            changes = ", ".join(f"{each.label} {written[infotext_key(each)]}" for each in reshaped)
            note = infotext.parse(self.infotext).get(NOTE_KEY)
            values[NOTE_KEY] = f"{note + ' ' if note else ''}Re-composited with {changes}."
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
