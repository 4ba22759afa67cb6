"""Images that show what a composite is made of."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.settings.settings import Settings

AMPLIFIED = 8
"""Factor of the local contrast in the seam view, and of the difference between two images."""

LOCAL_PX = 4.0
"""Pixels, deviation of a Gaussian: anything finer is local contrast."""

BESIDE_PX = 8
"""Margin around the feather that the seam view also shows."""

DIMMED = 0.4
"""Brightness away from the seam."""


def image(kept: KeptImage, settings: Settings) -> np.ndarray:
    """The result, (H, W, 3 or 4) uint8."""
    return kept.composited(settings)


def opacity(kept: KeptImage, settings: Settings) -> np.ndarray:
    """Opacity of the new pixels, (H, W) uint8; 255 is fully visible."""
    return _grey(kept.total_opacity_px(settings))


def difference(kept: KeptImage, settings: Settings) -> np.ndarray:
    """How much the latent changed, (H, W) uint8; 128 at the difference threshold.

    Raises LookupError with a sentence if it is unknown.
    """
    return _grey(relative_difference(kept, settings))


def relative_difference(kept: KeptImage, settings: Settings) -> np.ndarray:
    """How much the latent changed, (H, W) float32, 0 to 1; 0.5 at the difference threshold.

    Raises LookupError with a sentence if it is unknown.
    """
    return np.maximum.reduce([_relative_difference(each.sampled, settings) for each in kept.regions])


def _relative_difference(sampled: SampledImage, settings: Settings) -> np.ndarray:
    if sampled.distance is None:
        raise LookupError("How much this image changed is unknown; only the mask counts.")
    threshold = sampled.threshold(settings)
    distance = sampled.distance
    relative = np.minimum(distance / (2 * threshold), 1) if threshold > 0 else (distance > 0).astype(np.float32)
    return sampled.enlarged(relative)


def seam(kept: KeptImage, settings: Settings) -> np.ndarray:
    """The result with its local contrast amplified along the mask's edge, and dimmed elsewhere; (H, W, 3) uint8.

    Source: own; unsharp masking.
    """
    result = kept.composited(settings)[..., :3].astype(np.float32)
    mask = shown_mask_px(kept, settings)
    size = 2 * BESIDE_PX + 1
    near = maximum_filter(mask, size) > minimum_filter(mask, size)
    smooth = gaussian_filter(result, (LOCAL_PX, LOCAL_PX, 0))
    amplified = smooth + AMPLIFIED * (result - smooth)
    return np.clip(np.rint(np.where(near[..., None], amplified, DIMMED * result)), 0, 255).astype(np.uint8)


def amplified_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much two images differ in each band, AMPLIFIED times as much, (H, W, 3) uint8. Both are (H, W, 3) uint8."""
    return np.minimum(AMPLIFIED * np.abs(one.astype(np.int16) - other), 255).astype(np.uint8)


def shown_mask_px(kept: KeptImage, settings: Settings) -> np.ndarray:
    """Mask within which the new pixels are shown, (H, W) float32, 0 to 1."""
    return np.maximum.reduce([each.sampled_within(settings).mask_px for each in kept.regions])


def _grey(share: np.ndarray) -> np.ndarray:
    return np.rint(255 * share).astype(np.uint8)


VIEWS: Mapping[str, tuple[Callable[[KeptImage, Settings], np.ndarray], str]] = MappingProxyType({
    "Image": (image, ""),
    "Opacity": (opacity, "White shows the new pixels, black the original."),
    "Difference map": (difference, "Brighter changed more. Middle grey is the difference threshold, where half is shown."),
    "Seam": (seam, f"Local contrast is amplified {AMPLIFIED} times along the mask's edge. Any seam that is left shows here."),
})
"""By label: the function that computes the view, and a sentence on how to read it."""
