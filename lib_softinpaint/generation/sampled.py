"""One image after sampling: enough to re-composite it under any settings without sampling again."""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from PIL import Image

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method import composite, cut, drift, grain
from lib_softinpaint.method.mask import edge_taper
from lib_softinpaint.settings.settings import Settings

USUAL_NOISE_FLOOR = 0.1
"""Latent units: the bundled model's median over 54 images. At this floor, automatic and absolute thresholds are equal."""


@dataclass(eq=False)
class Findings:
    """What a decoded image shows under any composite settings: its drift, and the path of its seam.

    Each is None until it is needed. There may be no path.
    """

    decoded: np.ndarray
    drift: drift.Drift | None = None
    cut: cut.Cut | None = None
    is_cut_known: bool = False

    def arrays(self) -> list[np.ndarray]:
        """All arrays that were made from the decoded image."""
        return [*([] if self.drift is None else [self.drift.correction]), *([] if self.cut is None else self.cut.arrays())]


@dataclass(frozen=True, eq=False)
class SampledImage:
    """One image of a batch, after sampling.

    Parameters
    ----------
    original : (H, W, 3) uint8
        As large as the result.
    repaint_px : (H, W) float32, 0 to 1
        Where it is 0, the result equals the original.
    repaint : (h, w) float32, 0 to 1
        The same in latent size, for the decoded part.
    distance : (h, w) float32, latent units
        From `difference.difference_map`. None if the latent is unknown; then only the mask counts.
    decoded_size
        Size at which the latent was decoded.
    box
        The decoded part of the original; None for all of it.
    seed
        Seed of the image and of its grain.
    noise_floor
        From `job.noise_floors`, latent units; None if it is unknown.
    shown_px : (H, W) float32, 0 to 1
        Mask within which the new pixels are shown; None for `repaint_px`.
    painted_px : (H, W) float32, 0 to 1
        Painted mask that `repaint_px` was made from. None if it is unknown; then the seam is not searched.
    run : SampledImage
        The image under the run's own mask, if this is the image under another.
    """

    original: np.ndarray
    repaint_px: np.ndarray
    repaint: np.ndarray
    distance: np.ndarray | None
    decoded_size: Size
    box: Box | None
    seed: int
    noise_floor: float | None = None
    shown_px: np.ndarray | None = None
    painted_px: np.ndarray | None = None
    run: SampledImage | None = None
    tapers: dict[float, np.ndarray] = field(default_factory=dict, repr=False)
    """The last edge taper, by its width; images with the same mask share it."""
    findings: list[Findings] = field(default_factory=list, repr=False)
    """What was found out about the last decoded image."""

    def opacity_latent(self, settings: Settings) -> np.ndarray:
        """Opacity of the new pixels in latent size, (h, w) float32, 0 to 1."""
        repaint = torch.from_numpy(self.repaint)
        if self.distance is None:
            return composite.mask_opacity(repaint, settings.preservation_strength).numpy()
        return composite.opacity(
            torch.from_numpy(self.distance), repaint, settings.mask_influence, settings.preservation_strength,
            self.threshold(settings), settings.difference_contrast).numpy()

    def threshold(self, settings: Settings) -> float:
        """Distance at which new pixels are half visible at mask influence 0, latent units."""
        if settings.automatic_threshold and self.noise_floor is not None:
            return settings.difference_threshold * self.noise_floor / USUAL_NOISE_FLOOR
        return settings.difference_threshold

    @property
    def mask_px(self) -> np.ndarray:
        """Mask within which the new pixels are shown, (H, W) float32, 0 to 1."""
        return self.repaint_px if self.shown_px is None else self.shown_px

    def enlarged(self, latent_map: np.ndarray, area: Box | None = None) -> np.ndarray:
        """A part of the image from a latent map (h, w) float32, 0 to 1: (H, W) float32, the whole image if `area` is None."""
        if self.box is None:
            return composite.enlarge(latent_map, self.decoded_size, area)
        placed = composite.place(composite.enlarge(latent_map, self.decoded_size), self.box, Size.of(self.repaint_px))
        return placed if area is None else placed[area.inside]

    def opacity_px(self, settings: Settings) -> np.ndarray:
        """Opacity of the new pixels in the result, (H, W) float32, 0 to 1; exactly 0 outside the mask."""
        taper = self.tapers.get(settings.edge_taper_px)
        if taper is None:
            taper = edge_taper(self.mask_px, settings.edge_taper_px)
            self.tapers.clear()
            self.tapers[settings.edge_taper_px] = taper
        area = Box.around(taper > 0)  # the rest of a large image would take most of the time
        opacity, inside = np.zeros_like(self.mask_px), area.inside
        opacity[inside] = np.maximum(self.enlarged(self.opacity_latent(settings), area) * taper[inside],
                                     settings.least_opacity * self.mask_px[inside])
        return opacity

    def with_seam(self, settings: Settings, fade: np.ndarray, decoded: np.ndarray) -> np.ndarray:
        """The opacity with the seam searched in the feather, (H, W) float32, 0 to 1; exactly 0 outside the mask.

        Parameters
        ----------
        fade : (H, W) float32, 0 to 1
            From `opacity_px`.
        decoded : (h, w, 3) uint8 or float32, 0 to 255
            As in `composited`.
        """
        if settings.seam_search == 0 or self.painted_px is None:
            return fade
        found = self._cut(self.painted_px, settings.preservation_strength, decoded)
        if found is None:
            return fade
        inside = found.box.inside
        most = np.float32(settings.least_opacity) * found.strength
        if np.min(most) < 1:
            most = np.maximum(self.enlarged(self.opacity_latent(settings), found.box), most)
        core = cut.core_of(self.mask_px[inside], self.painted_px[inside])
        opacity = fade.copy()
        opacity[inside] += settings.seam_search * (found.opacity(fade[inside], most, core) - fade[inside])
        return opacity

    def _findings(self, decoded: np.ndarray) -> Findings:
        found = next(iter(self.findings), None)  # another thread may drop them
        if found is None or found.decoded is not decoded:
            found = Findings(decoded)
            self.findings[:] = [found]
        return found

    def drift(self, decoded: np.ndarray) -> drift.Drift:
        """Colour drift of the decoded image, at its size."""
        if self.run is not None:
            return self.run.drift(decoded)
        found = self._findings(decoded)
        if found.drift is None:
            original, repaint_px, box = self._at(Size.of(decoded))
            found.drift = drift.measured(original, decoded, repaint_px, box)
        return found.drift

    def _cut(self, painted_px: np.ndarray, preservation_strength: float, decoded: np.ndarray) -> cut.Cut | None:
        """The path through the feather. It depends on no setting that a re-composite can change but the mask's."""
        found = self._findings(decoded)
        if not found.is_cut_known:
            area, size = Box.around(self.mask_px > 0, 1), Size.of(self.original)
            if Size.of(decoded) == size:
                new = self.drift(decoded).removed(decoded, 1.0, area)
            else:
                reduced = np.asarray(Image.fromarray(cut.levels(decoded)).resize(size.width_height, Image.Resampling.BILINEAR))
                new = drift.corrected(self.original, reduced, self.repaint_px, 1.0, self.box, area)
            before = None if self.run is None else self.run._cut(painted_px, preservation_strength, decoded)
            found.cut = cut.search(self.original[area.inside], new, self.mask_px[area.inside], painted_px[area.inside], area,
                                   preservation_strength, before)
            found.is_cut_known = True
        return found.cut

    def shown_within(self, mask_px: np.ndarray) -> SampledImage:
        """The image with its new pixels shown within another mask (H, W) float32, 0 to 1, as far as it was sampled."""
        return replace(self, shown_px=np.where(self.repaint_px > 0, mask_px, 0), run=self, tapers={}, findings=[])

    def composited(self, settings: Settings, decoded: np.ndarray, opacity_px: np.ndarray | None = None) -> np.ndarray:
        """The result: the decoded image, with colours and grain matched to the original, over the original.

        Parameters
        ----------
        decoded : (H, W, 3) uint8 or float32, 0 to 255
            At its place in the result; larger than the original if a host has enlarged it.
        opacity_px : (H, W) float32, 0 to 1
            From `with_seam`, if already computed.

        Returns
        -------
        (H, W, 3) uint8, decoded's size
        """
        if opacity_px is None:
            opacity_px = self.with_seam(settings, self.opacity_px(settings), decoded)
        size = Size.of(decoded)
        original, repaint_px, _ = self._at(size)
        opacity_px = _resized(opacity_px, size)
        # Everything outside the mask stays as it is, and takes most of the time in a large image. Grain is compared there.
        area = Box.around(opacity_px > 0) if settings.grain == 0 else Box.whole(size)
        inside, result = area.inside, original.copy()
        new = self.drift(decoded).removed(decoded, settings.drift_correction, area) if settings.drift_correction else \
            decoded[inside].astype(np.float32)
        new = grain.matched(original[inside], new, repaint_px[inside], settings.grain, self.seed)
        result[inside] = composite.composite(original[inside], new, opacity_px[inside])
        return result

    def _at(self, size: Size) -> tuple[np.ndarray, np.ndarray, Box | None]:
        """Original, `repaint_px` and box at the decoded image's size: a host may have enlarged it."""
        own_size = Size.of(self.original)
        if own_size == size:
            return self.original, self.repaint_px, self.box
        original = np.asarray(Image.fromarray(self.original).resize(size.width_height, Image.Resampling.LANCZOS))
        return original, _resized(self.repaint_px, size), self.box and self.box.scaled(own_size, size)


def _resized(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask (H, W) float32 at this size."""
    if Size.of(mask) == size:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size.width_height, Image.Resampling.BILINEAR))
