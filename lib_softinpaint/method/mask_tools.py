"""Tools that edit the painted mask, or make one from the image. 1 = repaint."""
from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.distance import depth_and_nearest
from lib_softinpaint.method.mask import feather_outward, shrink
from lib_softinpaint.settings import mask_tools
from lib_softinpaint.settings.mask_tools import SOURCES, Step, steps_of
from lib_softinpaint.settings.settings import Settings

WITH_CORNERS = np.ones((3, 3))
"""Pixels that touch at a corner belong to one area."""


def edited(painted: np.ndarray, settings: Settings, image: np.ndarray) -> np.ndarray:
    """The painted mask after the steps of the setting "Mask tools"; unchanged if soft inpainting is off.

    A step that makes a mask from the image counts only if nothing is painted.

    Parameters
    ----------
    painted : (H, W) float, 0 to 1
    image : (H, W, 3 or 4) uint8
        sRGB. Its size may differ from the mask's if something is painted.

    Returns
    -------
    (H, W) float32, 0 to 1
    """
    mask = painted.astype(np.float32)
    for step in steps_of(settings.mask_tools) if settings.enabled else ():
        if step.tool in SOURCES:
            mask = mask if mask.any() else from_image(step, image)
        else:
            mask = _EDITS[step.tool](mask, *step.values)
    return mask


def from_image(step: Step, image: np.ndarray) -> np.ndarray:
    """The mask that a step makes from an image (H, W, 3 or 4) uint8, as (H, W) float32, 0 to 1."""
    if step.tool == mask_tools.TRANSPARENCY:
        return from_transparency(image)
    if step.tool == mask_tools.LUMINANCE:
        return from_luminance(image, *step.values)
    return from_colour(image, step.colour, *step.values)


def from_transparency(image: np.ndarray) -> np.ndarray:
    """1 where the image is transparent; 0 everywhere if it has no alpha channel."""
    if image.shape[2] < 4:
        return np.zeros(image.shape[:2], np.float32)
    return 1 - image[..., 3].astype(np.float32) / 255


def from_luminance(image: np.ndarray, darkest: float, lightest: float) -> np.ndarray:
    """1 where the CIELAB lightness, 0 to 100, is in the range."""
    lightness = lab(image[..., :3])[0].numpy()
    return ((lightness >= darkest) & (lightness <= lightest)).astype(np.float32)


def from_colour(image: np.ndarray, colour: Sequence[int], tolerance: float) -> np.ndarray:
    """1 where the colour is at most this far from the given one, in CIELAB units."""
    wanted = lab(np.array(colour, np.uint8)[None, None])
    return ((lab(image[..., :3]) - wanted).norm(dim=0).numpy() <= tolerance).astype(np.float32)


def with_filled_holes(mask: np.ndarray) -> np.ndarray:
    """The mask with unpainted areas inside painted ones as strong as the nearest paint."""
    return _of_shape(mask, cast(np.ndarray, binary_fill_holes(mask > 0)))


def without_specks(mask: np.ndarray, side_px: float) -> np.ndarray:
    """The mask without separate areas that are smaller than a square of this side. The largest area always stays."""
    areas, count = cast(tuple[np.ndarray, int], label(mask > 0, WITH_CORNERS))
    if count < 2:
        return mask
    sizes = np.bincount(areas.ravel())
    sizes[0] = 0
    kept = sizes >= min(side_px ** 2, sizes.max())
    kept[0] = False
    return np.where(kept[areas], mask, np.float32(0))


def smoothed(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """The mask with a smoother outline: notches and corners below about this size are gone."""
    if radius_px == 0 or not mask.any():
        return mask
    share = gaussian_filter((mask > 0).astype(np.float32), radius_px, mode="mirror")
    return _of_shape(mask, share > 0.5) if share.max() > 0.5 else mask


def grown(mask: np.ndarray, percent: float) -> np.ndarray:
    """The mask grown by a share of the side of a square as large as the painted area; shrunk below 0."""
    by_px = np.sqrt(np.count_nonzero(mask)) * abs(percent) / 100
    return feather_outward(mask, 0, by_px) if percent >= 0 else shrink(mask, by_px)


def inverted(mask: np.ndarray) -> np.ndarray:
    return 1 - mask


def _of_shape(mask: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The mask cut to a shape (H, W) bool. What the shape adds is as strong as the nearest paint."""
    if not mask.any():
        return mask
    _, nearest = depth_and_nearest(mask == 0)
    return np.where(shape, mask[tuple(nearest)], np.float32(0))


_EDITS = {mask_tools.FILL_HOLES: with_filled_holes, mask_tools.DROP_SPECKS: without_specks, mask_tools.SMOOTH: smoothed,
          mask_tools.GROW: grown, mask_tools.INVERT: inverted}
