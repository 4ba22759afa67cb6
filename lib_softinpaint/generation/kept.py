"""Finished images with everything needed to re-composite them without sampling."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation import score
from lib_softinpaint.generation.colours import SRGB, Colours
from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.composite import over_white, with_alpha
from lib_softinpaint.method.mask import PaintedMask
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.fields import Value, checked
from lib_softinpaint.settings.settings import (
    DRIFT_APPLIED_KEY,
    NOTE_KEY,
    SHAPING,
    Settings,
    composite_fields,
    infotext_key,
    to_infotext,
)


@dataclass(frozen=True, eq=False)
class KeptImage:
    """One image of a run, ready to be re-composited.

    Parameters
    ----------
    settings
        The run's settings.
    sampled
    decoded : (H, W, 3) uint8 or float32, 0 to 255
        At its place in the result.
    painted
    infotext
        Infotext of the run's result.
    source : (H, W, 4) uint8
        The original with its alpha channel, if the result should have one.
    colours
        Colours of the original.
    before : KeptImage
        The image with the region that was inpainted before this one: its result is this one's original. None for the first
        region, and if the mask was inpainted as a whole.
    """

    settings: Settings
    sampled: SampledImage
    decoded: np.ndarray
    painted: PaintedMask
    infotext: str = ""
    source: np.ndarray | None = None
    colours: Colours = SRGB
    before: KeptImage | None = None
    reshaped: dict[tuple, SampledImage] = field(default_factory=dict, repr=False)
    """The last image under another mask, by that mask's settings."""

    def __repr__(self) -> str:
        """Without the arrays, so that a printed output of the pipeline stays readable."""
        return f"<KeptImage {Size.of(self.sampled.original)}, seed {self.sampled.seed}>"

    @property
    def regions(self) -> list[KeptImage]:
        """The images whose new pixels lie over one another in the result, first to last."""
        return [*(self.before.regions if self.before is not None else []), self]

    def settings_with(self, changes: Mapping[str, Value]) -> Settings:
        """The run's settings with some of the composite's changed.

        Raises BadInput if a setting needs new sampling, or if a value is out of range or of the wrong type.
        """
        fields = {each.name: each for each in composite_fields()}
        for name, value in changes.items():
            if name not in fields:
                raise BadInput(f"a re-composite can change {', '.join(fields)}, got {name!r}")
            checked(fields[name], value)
        return replace(self.settings, **changes)

    def opacity_px(self, settings: Settings, fade: np.ndarray | None = None) -> np.ndarray:
        """Opacity of the new pixels in the result, (H, W) float32, 0 to 1.

        Parameters
        ----------
        settings
        fade : (H, W) float32, 0 to 1
            From `SampledImage.opacity_px` under these settings, if already computed.
        """
        shown = self.sampled_within(settings)
        return shown.with_seam(settings, shown.opacity_px(settings) if fade is None else fade, self.decoded)

    def total_opacity_px(self, settings: Settings) -> np.ndarray:
        """Opacity of the new pixels of all regions together, (H, W) float32, 0 to 1.

        Source: "over" (Porter and Duff, SIGGRAPH 1984).
        """
        total, *others = [each.opacity_px(settings) for each in self.regions]
        for opacity_px in others:
            total = total + (1 - total) * opacity_px
        return total

    def composited(self, settings: Settings, opacity_px: np.ndarray | None = None) -> np.ndarray:
        """The result under other composite settings; under the run's own settings, the run's result.

        A wider mask shows no more than was sampled: pixels outside the run's mask stay original.

        Parameters
        ----------
        settings
        opacity_px : (H, W) float32, 0 to 1
            From `opacity_px`, if already computed.

        Returns
        -------
        (H, W, 3) uint8, or (H, W, 4) with transparency
        """
        shown, source = self._over_regions_before(settings)
        opacity_px = self.opacity_px(settings) if opacity_px is None else opacity_px
        result = shown.composited(settings, self.decoded, opacity_px)
        if source is None or source.shape[:2] != result.shape[:2]:
            return result
        return with_alpha(result, source, shown.original, opacity_px)

    def _over_regions_before(self, settings: Settings) -> tuple[SampledImage, np.ndarray | None]:
        """The sampled image and its source, with the regions before it as these settings show them."""
        shown = self.sampled_within(settings)
        if self.before is None or settings == self.settings:
            return shown, self.source
        below = self.before.composited(settings)
        if self.source is None:
            return replace(shown, original=below), None
        same = (below == self.source).all(axis=-1, keepdims=True)
        flat = np.asarray(over_white(Image.fromarray(below)))
        return replace(shown, original=np.where(same, shown.original, flat)), below

    def sampled_within(self, settings: Settings) -> SampledImage:
        """The sampled image, shown within the mask of these settings."""
        shape = tuple(getattr(settings, name) for name in SHAPING)
        if shape == tuple(getattr(self.settings, name) for name in SHAPING):
            return self.sampled
        shown = self.reshaped.get(shape)
        if shown is None:
            shown = self.sampled.shown_within(self.painted.repaint_px(settings))
            self.reshaped.clear()
            self.reshaped[shape] = shown
        return shown

    def scores(self, settings: Settings, result: np.ndarray | None = None) -> score.Scores:
        """Scores of the result under these settings. Raises ValueError if a host has enlarged the image.

        Parameters
        ----------
        settings
        result : (H, W, 3) uint8
            From `composited`, if already computed and without transparency.
        """
        sampled = self.sampled
        new = sampled.drift(self.decoded).removed(self.decoded, settings.drift_correction, Box.whole(Size.of(self.decoded)))
        if result is None:
            result = self.sampled_within(settings).composited(settings, self.decoded)
        return score.score(sampled.original, result, sampled.repaint_px, self.painted.placed(self.painted.strengths) > 0,
                           np.rint(new).clip(0, 255).astype(np.uint8))

    def blend_score(self, settings: Settings, result: np.ndarray | None = None) -> float:
        """`score.blend_score` of the result under these settings, 0 to 100; that of the region that blends worst.

        Parameters as in `scores`.
        """
        return min(score.blend_score(each.scores(settings, result if each is self else None)) for each in self.regions)

    def measurements(self, settings: Settings) -> dict[str, str]:
        """Infotext keys and values of what the composite measured, empty if it measures nothing."""
        if settings.drift_correction == 0:
            return {}
        return {DRIFT_APPLIED_KEY: f"{settings.drift_correction * self.sampled.drift(self.decoded).trust:.2f}"}

    def infotext_with(self, settings: Settings) -> str:
        """Infotext of the result under other composite settings.

        The mask settings stay the run's, because sampling with others would give another image. A note names the ones that
        were changed.
        """
        if settings == self.settings:
            return self.infotext
        params = to_infotext(settings)
        keys = [infotext_key(each) for each in composite_fields() if each.name not in SHAPING]
        reshaped = [each for each in composite_fields()
                    if each.name in SHAPING and getattr(settings, each.name) != getattr(self.settings, each.name)]
        values = {key: params[key] for key in keys}
        if settings.drift_correction != self.settings.drift_correction:
            unmeasured = {DRIFT_APPLIED_KEY: 0} if DRIFT_APPLIED_KEY in self.infotext else {}
            values.update(self.measurements(settings) or unmeasured)
        if reshaped:
            changes = ", ".join(f"{each.label} {params[infotext_key(each)]}" for each in reshaped)
            note = infotext.parse(self.infotext).get(NOTE_KEY)
            values[NOTE_KEY] = f"{note + ' ' if note else ''}Re-composited with {changes}."
        return infotext.replaced(self.infotext, values)

    def forget_rendered(self) -> None:
        """Drops cached results of re-compositing. They are computed again when needed."""
        for each in self.regions:
            each.reshaped.clear()
            each.sampled.tapers.clear()
            each.sampled.findings.clear()

    def arrays(self) -> list[np.ndarray]:
        """All arrays that this image holds in memory."""
        held = [] if self.before is None else [*self.before.arrays()]
        held += [self.decoded, self.painted.strengths, self.painted.canvas.edges, self.source]
        for sampled in (self.sampled, *self.reshaped.values()):
            held += [sampled.original, sampled.repaint_px, sampled.repaint, sampled.distance, sampled.shown_px,
                     sampled.painted_px, *sampled.tapers.values()]
            held += [array for found in sampled.findings for array in found.arrays()]
        return list({id(array): array for array in held if array is not None}.values())
