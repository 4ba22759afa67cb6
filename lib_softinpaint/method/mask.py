"""Painted mask -> repaint mask in pixels -> repaint mask in latent size. 1 = repaint."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import find_objects, gaussian_filter, label, maximum_filter

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method import surroundings
from lib_softinpaint.method.distance import depth, depth_and_nearest
from lib_softinpaint.method.smootherstep import rise, smootherstep
from lib_softinpaint.settings.request import LATENT_PX
from lib_softinpaint.settings.settings import FEATHER_AUTOMATIC, FEATHER_FROM_HOST, FEATHER_OWN, IN_PERCENT, Settings

REACH_PER_BLUR = 2.4
"""Pixels that the feather reaches outward per pixel of Mask blur: there, the WebUI's 8-bit Gaussian falls to 0. A Mask blur
from a guide therefore keeps its meaning."""

SMALLEST_REACH_PX = 16
"""Pixels that the feather may reach with Only masked at any padding; else padding 0 would mean no feather."""

AREA_SHARE = 0.02
"""Share of the painted pixels above which a grey is the strength of an area, not a rim or a step of a gradient."""

AUTOMATIC_SHARE, AUTOMATIC_CELLS = 0.1, 4
"""Least reach of an automatic feather: a share of the square root of the painted area, and latent pixels. A feather of fewer
latent pixels is a step to the sampler."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """What a host and its image add to a painted mask.

    Parameters
    ----------
    blur_px
        The host's Mask blur.
    padding_px
        The host's Only masked padding, None if the whole image is inpainted.
    cell_px
        Side of a latent pixel in pixels of the mask, from `cell_side`.
    edges : (h, w) float32
        From `surroundings.edges`; None if the feather should go straight over everything.
    """

    blur_px: float
    padding_px: int | None = None
    cell_px: float = LATENT_PX
    edges: np.ndarray | None = None


def cell_side(painted: np.ndarray, working: Size, padding_px: int | None, latent_px: int = LATENT_PX) -> float:
    """Side of a latent pixel in pixels of the painted mask (H, W).

    Parameters
    ----------
    working
        Size at which the image or, with Only masked, its crop is generated.
    latent_px
        Side of a latent pixel at that size.
    """
    box = Box.whole(Size.of(painted)) if padding_px is None else Box.around(painted > 0, padding_px)
    return latent_px * max(box.height / working.height, box.width / working.width)


def blur_reach(blur_px: float, padding_px: int | None = None) -> float:
    """Pixels that the feather of a Mask blur reaches outward; with Only masked, no further than the padding."""
    return _within_padding(REACH_PER_BLUR * blur_px, padding_px)


def _within_padding(reach_px: float, padding_px: int | None) -> float:
    return reach_px if padding_px is None else min(reach_px, max(padding_px, SMALLEST_REACH_PX))


def repaint_mask(painted: np.ndarray, settings: Settings, canvas: Canvas) -> np.ndarray:
    """Repaint mask from the painted mask: grown and feathered by the settings or, with soft inpainting off, blurred.

    Parameters
    ----------
    painted : (H, W) float, 0 to 1
        Greys are strengths.

    Returns
    -------
    (H, W) float32, 0 to 1
    """
    if not settings.enabled:
        return host_blur(painted, canvas.blur_px)
    mask = shrink(painted, -settings.grow_px) if settings.grow_px < 0 else painted
    grow_px = max(0.0, settings.grow_px)
    if settings.feather_source == FEATHER_FROM_HOST:
        return host_blur(feather_outward(mask, 0, grow_px), canvas.blur_px)
    reach_px = feather_reach(painted, settings, canvas)
    detour_px = None
    if canvas.edges is not None and settings.edge_awareness > 0 and reach_px > 0 and mask.any():
        detour_px = surroundings.detours(mask > 0, canvas.edges, settings.edge_awareness, reach_px + grow_px)
    return feather_outward(mask, reach_px, grow_px, detour_px)


def feather_reach(painted: np.ndarray, settings: Settings, canvas: Canvas) -> float:
    """Pixels that the feather reaches outward."""
    if settings.feather_source == FEATHER_OWN:
        width = settings.feather_width
        if settings.feather_unit == IN_PERCENT:
            width *= np.sqrt(np.count_nonzero(painted)) / 100
        return _within_padding(min(width, max(painted.shape)), canvas.padding_px)
    reach_px = REACH_PER_BLUR * canvas.blur_px
    if settings.feather_source == FEATHER_AUTOMATIC and canvas.blur_px > 0:
        wanted = max(AUTOMATIC_SHARE * np.sqrt(np.count_nonzero(painted)), AUTOMATIC_CELLS * canvas.cell_px)
        reach_px = max(reach_px, min(wanted, max(painted.shape)))
    return _within_padding(reach_px, canvas.padding_px)


def padding_left(painted: np.ndarray, repaint: np.ndarray, padding_px: int) -> int:
    """Padding around the repaint mask, so that a crop has `padding_px` around the painted mask on every side.

    A feather uses part of the padding, but on no side more than it reaches there.
    """
    if not painted.any():
        return padding_px
    inner, outer, size = Box.around(painted > 0), Box.around(repaint > 0), Size.of(painted)
    used = [here - there for here, there, border in (
        (inner.left, outer.left, 0), (inner.top, outer.top, 0), (outer.right, inner.right, size.width),
        (outer.bottom, inner.bottom, size.height)) if there != border and here != border]
    return max(0, padding_px - min(used, default=padding_px))


@dataclass(frozen=True, eq=False)
class PaintedMask:
    """The painted mask, and everything except the settings that its repaint mask depends on.

    Parameters
    ----------
    strengths : (H, W) float32, 0 to 1
    canvas
    size
        Size of the image that the mask is for.
    stretched_to
        Size to which the mask is resized before it is cut to `size`. If None, it is not resized and starts at the image's
        upper left corner.
    how
        As in `resized`.
    """

    strengths: np.ndarray
    canvas: Canvas
    size: Size
    stretched_to: Size | None = None
    how: str = "stretch"

    def repaint_px(self, settings: Settings) -> np.ndarray:
        """Repaint mask in image size, (H, W) float32, 0 to 1."""
        return self.placed(repaint_mask(self.strengths, settings, self.canvas))

    def placed(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the painted mask's size, brought to image size, (H, W) float32."""
        height, width = self.size
        if self.stretched_to is not None:
            stretched = resized(mask, self.stretched_to, self.how)
            return stretched if stretched.shape == self.size else stretched[:height, :width]
        if mask.shape == self.size:
            return mask
        # Crops are placed from the image's corner, even if the image is larger than the mask.
        whole = np.zeros(self.size, np.float32)
        common = mask[:height, :width]
        whole[:common.shape[0], :common.shape[1]] = common
        return whole


def shrink(painted: np.ndarray, by_px: float) -> np.ndarray:
    """The painted mask without its rim. A stroke that would vanish keeps its innermost pixels.

    Parameters
    ----------
    painted : (H, W) float, 0 to 1

    Returns
    -------
    (H, W) float32, 0 to 1

    Source: own; erosion by a disc. The image border is not a rim.
    """
    mask = painted.astype(np.float32)
    if mask.all() or not mask.any():
        return mask
    inside = mask > 0
    box = Box.around(inside, 1).inside
    inside = inside[box]
    depth_px = depth(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
    kept = depth_px > by_px
    strokes, count = cast(tuple[np.ndarray, int], label(inside, np.ones((3, 3))))
    left = np.bincount(strokes[kept], minlength=count + 1)
    for number, place in enumerate(find_objects(strokes), start=1):
        if left[number] == 0:  # few strokes vanish, so only their boxes are processed
            stroke_depth = depth_px[place] * (strokes[place] == number)
            kept[place] |= stroke_depth > stroke_depth.max() - 0.5
    shrunk = np.zeros_like(mask)
    shrunk[box] = np.where(kept, mask[box], 0)
    return shrunk


def feather_outward(painted: np.ndarray, reach_px: float, grow_px: float = 0,
                    detour_px: np.ndarray | None = None) -> np.ndarray:
    """The painted mask with a feather around it that fades to 0 over the reach. The painted area is unchanged.

    Parameters
    ----------
    painted : (H, W) float, 0 to 1
        Greys are strengths; a feather starts at the strength of its area.
    reach_px
        Distance over which the mask falls to 0.
    grow_px
        Distance from the painted area over which the mask keeps its strength.
    detour_px : (H, W) float32
        By how much each pixel counts as farther away, from `surroundings.detours`.

    Returns
    -------
    (H, W) float32, 0 to 1

    Source: own; Perlin's smootherstep (SIGGRAPH 2002), the best of five falloffs in docs/masks.md.
    """
    mask = painted.astype(np.float32)
    if max(reach_px, grow_px) <= 0 or not mask.any():
        return mask

    box = Box.around(mask > 0, max(reach_px, 0) + max(grow_px, 0)).inside
    near = mask[box]

    def falloff(distance: np.ndarray) -> np.ndarray:
        if reach_px <= 0:
            return (distance <= grow_px).astype(np.float32)
        way = np.clip((distance + detour - grow_px) / reach_px, 0, 1).astype(np.float32)
        return 1 - smootherstep(way)
    detour = 0 if detour_px is None else detour_px[box]
    feathered = np.zeros_like(mask)
    feathered[box] = np.maximum.reduce([near, *(grey * falloff(distance) for distance, grey in _outward(near))])
    return feathered


def _outward(mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | np.float32]]:
    """For each main grey: distance (H, W) to its area, and strength (H, W) of the nearest pixel in it.

    Each grey has its own feather: an antialiased rim must not weaken the feather of the area inside it.
    """
    strongest = mask.max()
    if (mask[mask > 0] == strongest).all():
        yield depth(mask == 0), strongest
        return
    for shape_of_grey in (mask > 0, *(mask >= grey for grey in _main_greys(mask))):
        distance, nearest = depth_and_nearest(~shape_of_grey)
        yield distance, mask[tuple(nearest)]


def _main_greys(mask: np.ndarray) -> list[float]:
    """The strengths in which areas are painted; none for a single strength or a gradient."""
    greys, counts = np.unique(mask[mask > 0], return_counts=True)
    return [float(grey) for grey, count in zip(greys, counts) if count > AREA_SHARE * counts.sum() and grey > greys[0]]


def resized(mask: np.ndarray, size: Size, how: str = "stretch") -> np.ndarray:
    """The mask in another size. A core of 1 stays 1 even if thin, and nothing rings.

    Parameters
    ----------
    mask : (H, W) float32, 0 to 1
    how
        "stretch" to the size, "cover" it and cut the excess off evenly, or "contained" in it, with the rest filled from
        the border. These are the WebUI's resize modes 0 to 2.

    Returns
    -------
    (H, W) float32, 0 to 1

    Source: own.
    """
    if Size.of(mask) == size:
        return mask.astype(np.float32, copy=False)
    scaled_to, (height, width) = scaled_size(Size.of(mask), size, how), size
    values = np.asarray(Image.fromarray(mask.astype(np.float32)).resize(scaled_to.width_height, Image.Resampling.BILINEAR))
    # The core is grown by half a step first, so that nearest-neighbour sampling cannot miss it.
    steps = [max(1, -(-old // new)) for old, new in zip(mask.shape, scaled_to)]
    core = Image.fromarray(maximum_filter((mask == 1).astype(np.uint8), size=steps))
    is_core = np.asarray(core.resize(scaled_to.width_height, Image.Resampling.NEAREST)) == 1
    scaled = np.where(is_core, 1, values.clip(0, 1)).astype(np.float32)
    above, left = height // 2 - scaled_to.height // 2, width // 2 - scaled_to.width // 2
    scaled = scaled[max(0, -above):max(0, -above) + height, max(0, -left):max(0, -left) + width]
    above, left = max(0, above), max(0, left)
    return np.pad(scaled, ((above, height - above - scaled.shape[0]), (left, width - left - scaled.shape[1])), mode="edge")


def scaled_size(old: Size, new: Size, how: str) -> Size:
    """Size after scaling and before cutting or padding, as in `resized`; rounded down."""
    wider = new.width * old.height > new.height * old.width
    if how == "stretch":
        return new
    if wider == (how == "cover"):
        return Size(old.height * new.width // old.width, new.width)
    return Size(new.height, old.width * new.height // old.height)


def host_blur(painted: np.ndarray, blur_px: float) -> np.ndarray:
    """The painted mask under the WebUI's own blur, which weakens small masks.

    Parameters
    ----------
    painted : (H, W) float, 0 to 1

    Returns
    -------
    (H, W) float32, multiples of 1/255 like the WebUI's 8-bit masks, so that the tails end

    Source: observed in AUTOMATIC1111 1.10.1; its kernel is 2 * int(2.5 * blur + 0.5) + 1 wide.
    """
    mask = painted.astype(np.float32)
    if blur_px > 0:
        mask = gaussian_filter(mask, blur_px, mode="mirror", radius=int(2.5 * blur_px + 0.5))
    return np.rint(mask * 255) / np.float32(255)


def edge_taper(repaint: np.ndarray, taper_px: float) -> np.ndarray:
    """Share of new content that pixels near the mask's outer rim may show: 0 outside, rising to 1 inside.

    A pixel may always show at least its mask value, so a hard mask keeps its hard edge and a painted core stays complete.

    Parameters
    ----------
    repaint : (H, W) float, 0 to 1
    taper_px
        Distance from the outside at which all of the new content may show.

    Returns
    -------
    (H, W) float32, 0 to 1, exactly 0 where `repaint` is 0

    Source: own. With a low preservation strength even a mask value of 0.01 repaints two thirds. Without a taper, new
    content would end in a line at the rim.
    """
    inside = repaint > 0
    if taper_px <= 0 or inside.all() or not inside.any():
        return inside.astype(np.float32)
    box = Box.around(inside, 1).inside
    way = (depth(inside[box]) / (taper_px + 1)).astype(np.float32)
    taper = np.zeros(inside.shape, np.float32)
    taper[box] = np.where(inside[box], np.maximum(repaint[box], rise(way)), 0)
    return taper


def to_latent(repaint: np.ndarray, height: int, width: int) -> np.ndarray:
    """Repaint mask in latent size: mean of each latent pixel's area, and 1 where any of it is 1.

    A stroke one pixel wide survives, and nothing leaves [0, 1].

    Parameters
    ----------
    repaint : (H, W) float32, 0 to 1
        H and W are at least `height` and `width`. Any remainder is cut off at the lower right, as in the VAE.

    Returns
    -------
    (height, width) float32, 0 to 1

    Source: own.
    """
    down, across = repaint.shape[0] // height, repaint.shape[1] // width
    if down < 1 or across < 1:
        raise ValueError(f"repaint must be at least as large as the latent {(height, width)}, got {repaint.shape}")
    whole = repaint[:height * down, :width * across]
    latent = np.zeros((height, width), np.float32)
    painted = Box.around(whole > 0)  # the rest of a large image would take most of the time
    rows = slice(painted.top // down, -(-painted.bottom // down))
    columns = slice(painted.left // across, -(-painted.right // across))
    tiles = whole[rows.start * down:rows.stop * down, columns.start * across:columns.stop * across]
    tiles = tiles.reshape(rows.stop - rows.start, down, columns.stop - columns.start, across)
    mean = tiles.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    latent[rows, columns] = np.where(tiles.max(axis=(1, 3)) == 1, np.float32(1), np.clip(mean, 0, 1))
    return latent


def match_latent(mask: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    """A host's latent mask with the latent's number of dimensions and one channel.

    Parameters
    ----------
    mask : (C, H, W), (B or 1, C, H, W) or (B or 1, C, T, H, W) float, 0 to 1
        All channels alike.
    latent : (B, C, ..., H, W)

    Returns
    -------
    (B or 1, 1, ..., H, W) float32 on the latent's device
    """
    if not 3 <= mask.ndim <= 5:
        raise ValueError(f"a latent mask must have 3, 4 or 5 dimensions, got {tuple(mask.shape)}")
    if mask.shape[-2:] != latent.shape[-2:]:
        raise ValueError(f"a latent mask must match latent height and width {tuple(latent.shape[-2:])}, "
                         f"got {tuple(mask.shape[-2:])}")
    mask = mask.to(latent.device, torch.float32)
    mask = mask[None, :1] if mask.ndim == 3 else mask[:, :1]
    while mask.ndim < latent.ndim:
        mask = mask.unsqueeze(2)
    return mask.clamp(0, 1)
