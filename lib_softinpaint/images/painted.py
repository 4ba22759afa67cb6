"""Reads what is painted in a mask image, for every host, and turns masks into images. 1 = repaint.

Levels run from 0 to 255, and only levels from 9 to 249 are greys:

- 8 and below is unpainted, 250 and above is white: exports, segmentation tools and lossy formats rarely hit 0 and 255.
- If the faint levels go up and down, the mask is noisy, as after lossy compression. Then 31 and below is unpainted, 224 and
  above is white, and there are no greys around hard edges.
- An image with exactly the values 0 and 1 is read at its own scale. So is one of more than 8 bits whose largest value is
  at most 255.
- An alpha channel is used if it has a shape: it must be transparent somewhere, but not only because white was made
  transparent. Otherwise lightness is used.
- Colour on black is paint: the strongest channel is used or, with a palette, every colour but black.
"""
from __future__ import annotations

from collections.abc import MutableSequence
from typing import cast

import numpy as np
from PIL import Image, ImageChops
from scipy.ndimage import maximum_filter, uniform_filter

from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.images.encoded import decoded
from lib_softinpaint.images.read import LARGEST_BYTE, LARGEST_SHORT, at_own_scale
from lib_softinpaint.method.mask import resized

LEAST_VALUE = 0.5 / LARGEST_BYTE
"""Anything less is black in the 8-bit mask by which the WebUI crops."""

NOISE_LEVEL, WHITE_LEVEL = 8, 250
"""Highest level that is unpainted and lowest that is white, of 255."""

NOTABLE_SHARE = 0.01
"""Share of the image's pixels, or of the painted ones, above which a note is shown."""

WEAK = 0.5
"""Strength below which almost nothing happens."""

MOST = 0.5
"""If more than this share of the painted pixels has one level, that level counts as the mask's white."""

FAINT_LEVEL, OSCILLATING_SHARE = 63, 0.07
"""Pixels up to this level are noise if, of those that differ from a neighbour in their row or column, more than this share
are higher than both. Discs and strokes in JPEG (quality 20 to 95) and WebP give 0.09 to 0.69; soft masks, compressed or not,
0.053 at most."""

GREY_LEVELS = 31, 224
"""Between these levels, a pixel of a noisy mask is grey; JPEG ringing rarely gets there."""

GREY_SHARE, GREY_SHARE_NEAR_EDGES = 0.15, 0.3
"""Share of grey pixels up to which a noisy mask, or an edge in it, counts as black and white."""

STRAY_SHARE = 0.001
"""Share of transparent pixels below which they are strays in a black and white mask."""

HARD_STEP = 80
"""Levels between neighbouring pixels. An edge, antialiased or not, has more; a feather of 4 pixels or wider has less."""

CODED_PX = 8
"""Side of JPEG's blocks in pixels. Its ringing stays within an edge's block; that of other formats stays near it."""

COLOUR_LEVEL, BLACK_SHARE = 64, 0.25
"""Smallest channel difference of a coloured pixel, and smallest share of black pixels that counts as a black background."""

MASK_IMAGE = "Mask image"
MASK_ARGUMENT = "mask_image"
"""Names of a mask in messages: of the setting, and of the pipeline's argument."""

SAME_SHAPE = 0.02
"""Relative difference allowed between the aspect ratios of mask and image: sizes are often rounded."""


def strengths(image: Image.Image, notes: MutableSequence[str] | None = None) -> np.ndarray:
    """Painted mask in an image of any mode, by the rules above.

    Parameters
    ----------
    notes
        Receives one sentence for every change and every likely problem.

    Returns
    -------
    (H, W) float32, 0 to 1
        16-bit images keep their precision.

    Raises
    ------
    BadInput
        If any pixel value is negative, infinite or not a number.

    Source: alpha before lightness was observed in AUTOMATIC1111 1.10.1; the rest is our own.
    """
    notes = [] if notes is None else notes
    if image.mode == "F" or image.mode.startswith("I"):
        return cleaned(at_own_scale(np.asarray(image), image.mode, "the mask", notes), notes)
    levels = _levels(image, notes)
    if levels.max() == 1 and levels.min() == 0:
        notes.append("The mask's values are 0 and 1; 1 was read as white.")
        levels = levels * np.uint8(LARGEST_BYTE)
    return _from_levels(levels, notes)


def cleaned(mask: np.ndarray, notes: MutableSequence[str] | None = None) -> np.ndarray:
    """The mask (H, W) float, 0 to 1, as float32, with nearly black set to black and nearly white to white."""
    notes = [] if notes is None else notes
    mask = mask.astype(np.float32)
    faint = (mask > 0) & (mask < (NOISE_LEVEL + 0.5) / LARGEST_BYTE)
    if faint.mean() >= NOTABLE_SHARE and mask.min() > 0:
        notes.append(_faint_note(faint.mean()))
    mask[faint] = 0
    peak = mask.max()
    if peak > 0:
        _note_peak(round(float(peak) * LARGEST_BYTE), np.count_nonzero(mask == peak) / np.count_nonzero(mask), notes)
    mask[mask >= (WHITE_LEVEL - 0.5) / LARGEST_BYTE] = 1
    return mask


def _from_levels(levels: np.ndarray, notes: MutableSequence[str]) -> np.ndarray:
    """Strengths (H, W) float32 from levels (H, W) uint8."""
    counts = np.asarray(Image.fromarray(levels).histogram())
    faint = counts[1:NOISE_LEVEL + 1].sum() / levels.size
    greys = counts[GREY_LEVELS[0] + 1:GREY_LEVELS[1]].sum() / levels.size
    has_greys = counts[NOISE_LEVEL + 1:WHITE_LEVEL].any()
    noisy = (faint >= NOTABLE_SHARE or has_greys) and _oscillates(levels)
    if noisy and has_greys and greys <= GREY_SHARE:
        levels = _without_noise(levels)
        counts = np.asarray(Image.fromarray(levels).histogram())
        notes.append("The mask has noise, as from lossy compression. Faint levels were read as unpainted, and edges as "
                     "black and white.")
    elif faint >= NOTABLE_SHARE and (noisy or not counts[0]):
        notes.append(_faint_note(faint))
    peak = int(counts.nonzero()[0][-1])
    if peak > NOISE_LEVEL:
        _note_peak(peak, counts[peak] / counts[NOISE_LEVEL + 1:].sum(), notes)
    table = np.arange(256, dtype=np.float32) / np.float32(LARGEST_BYTE)
    table[:NOISE_LEVEL + 1], table[WHITE_LEVEL:] = 0, 1
    return table[levels]


def _faint_note(share: float) -> str:
    return f"Levels up to {NOISE_LEVEL} of 255 count as unpainted; {share:.0%} of the mask is at these levels."


def _note_peak(peak: int, share: float, notes: MutableSequence[str]) -> None:
    """Notes that the mask's white is not 255, or that its strongest level is weak or rare.

    Parameters
    ----------
    peak
        The mask's highest level, 1 to 255.
    share
        Share of the painted pixels at that level.
    """
    if peak < WHITE_LEVEL and (peak < WEAK * LARGEST_BYTE or share < NOTABLE_SHARE):
        notes.append(f"The strongest level in the mask is {peak} of 255, so nothing is repainted at more than "
                     f"{peak / LARGEST_BYTE:.0%} strength.")
    elif WHITE_LEVEL <= peak < LARGEST_BYTE and share > MOST:
        notes.append(f"The mask's white is {peak} of 255 and was read as 255.")


def _oscillates(levels: np.ndarray) -> bool:
    """Whether the faint levels go up and down: lossy compression and noise do, feathers and antialiased rims do not."""
    near = levels[Box.around(levels > NOISE_LEVEL, CODED_PX).aligned_to(CODED_PX).inside]
    peaks = varying = 0
    for lines in (near, near.T):
        before, here, after = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
        faint = (here > 0) & (here <= FAINT_LEVEL)
        peaks += np.count_nonzero(faint & (here > before) & (here > after))
        varying += np.count_nonzero(faint & ((here != before) | (here != after)))
    return peaks > OSCILLATING_SHARE * varying


def _without_noise(levels: np.ndarray) -> np.ndarray:
    """Levels (H, W) uint8 without noise.

    Nearly black or white pixels become black or white, and so do all pixels in and beside each coded block with a hard
    edge and few greys.
    """
    result = np.zeros_like(levels)
    box = Box.around(levels > GREY_LEVELS[0], CODED_PX).aligned_to(CODED_PX).inside
    near = levels[box]
    height, width = near.shape
    padded = np.pad(near, ((0, -height % CODED_PX), (0, -width % CODED_PX)), mode="edge")
    steps = np.zeros_like(padded)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        step = np.maximum(padded[here], padded[there]) - np.minimum(padded[here], padded[there])
        np.maximum(steps[here], step, out=steps[here])
    hard = maximum_filter(_blocks(steps).max((1, 3)), 3) >= HARD_STEP
    grey = (padded > GREY_LEVELS[0]) & (padded < GREY_LEVELS[1])
    hard &= uniform_filter(_blocks(grey).mean((1, 3), dtype=np.float32), 3) < GREY_SHARE_NEAR_EDGES
    decided = ~grey[:height, :width] | np.kron(hard, np.ones((CODED_PX, CODED_PX), bool))[:height, :width]
    result[box] = np.where(decided, np.where(near > LARGEST_BYTE // 2, np.uint8(LARGEST_BYTE), np.uint8(0)), near)
    return result


def _blocks(values: np.ndarray) -> np.ndarray:
    """(H, W) as (H / 8, 8, W / 8, 8)."""
    height, width = values.shape
    return values.reshape(height // CODED_PX, CODED_PX, width // CODED_PX, CODED_PX)


def _levels(image: Image.Image, notes: MutableSequence[str]) -> np.ndarray:
    """Levels (H, W) uint8 of the channel that holds the mask."""
    if "A" in image.getbands() or "transparency" in image.info and image.mode == "P":
        solid = image.convert("RGBA")
        alpha = solid.getchannel("A")
        if _carries_a_shape(alpha, solid):
            return np.asarray(alpha)
        if alpha.getextrema() != (LARGEST_BYTE, LARGEST_BYTE):
            notes.append("The mask's alpha channel holds no shape, so the mask's lightness was used.")
    elif "transparency" in image.info:  # one level or colour means transparent: no paint program saves a shape like that
        notes.append("The mask's alpha channel holds no shape, so the mask's lightness was used.")
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))
    colours = image.convert("RGB")
    red, green, blue = colours.split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    weakest = ImageChops.darker(ImageChops.darker(red, green), blue)
    coloured = sum(ImageChops.difference(strongest, weakest).histogram()[COLOUR_LEVEL:])
    counts = strongest.histogram()
    black, painted = sum(counts[:NOISE_LEVEL + 1]), sum(counts[NOISE_LEVEL + 1:])
    if coloured <= NOTABLE_SHARE * painted:
        return np.asarray(colours.convert("L"))
    if black < BLACK_SHARE * (black + painted):
        notes.append("The mask has colours and no black background; its lightness was read.")
        return np.asarray(colours.convert("L"))
    if image.mode in ("P", "PA"):
        notes.append("The mask is coloured; every colour but black was read as white.")
        return np.asarray(strongest.point([LARGEST_BYTE * (level > NOISE_LEVEL) for level in range(256)]))
    notes.append("The mask is coloured; its strongest channel was read as its strength.")
    return np.asarray(strongest)


def _carries_a_shape(alpha: Image.Image, solid: Image.Image) -> bool:
    """Whether the mask is in the alpha channel."""
    least, most = cast(tuple[int, int], alpha.getextrema())  # it has one channel
    if least > NOISE_LEVEL or most <= NOISE_LEVEL:
        return False
    opacity, lightness = np.asarray(alpha), np.asarray(solid.convert("RGB").convert("L"))
    seen, hidden = lightness[opacity > NOISE_LEVEL], lightness[opacity == 0]
    # White made transparent leaves only black; a few transparent pixels leave a black and white mask.
    whitened = hidden.size and hidden.min() >= WHITE_LEVEL and seen.max() <= NOISE_LEVEL
    stray = hidden.size < STRAY_SHARE * opacity.size and seen.min() <= NOISE_LEVEL and seen.max() >= WHITE_LEVEL
    return not whitened and not stray


def has_same_shape(mask: Size, image: Size) -> bool:
    """Whether the mask has the image's aspect ratio."""
    return abs(mask.width * image.height / (mask.height * image.width) - 1) <= SAME_SHAPE


def check_shape(mask: Size, image: Size, name: str) -> None:
    """Raises BadInput if the mask's aspect ratio is not the image's. `name` names the mask in the message."""
    if not has_same_shape(mask, image):
        raise BadInput(f"{name} must have the aspect ratio of its image, {image}, got {mask}.")


def fitted(mask: np.ndarray, size: Size, name: str, notes: MutableSequence[str] | None = None) -> np.ndarray:
    """The mask (H, W) float32, 0 to 1, scaled to an image of this size.

    Raises BadInput if it has another shape. `name` names the mask in the message.
    """
    if Size.of(mask) == size:
        return mask
    check_shape(Size.of(mask), size, name)
    if notes is not None:
        notes.append(scaled_note(Size.of(mask), size, name))
    return resized(mask, size)


def scaled_note(mask: Size, image: Size, name: str) -> str:
    return f"{name} is {mask} and was scaled to the image's {image}."


def grey_image(mask: np.ndarray, bits: int = 8) -> Image.Image:
    """Grey image of a mask (H, W) float, 0 to 1, in 8 or 16 bits."""
    white, dtype = {8: (LARGEST_BYTE, np.uint8), 16: (LARGEST_SHORT, np.uint16)}[bits]
    return Image.fromarray(np.rint(mask * white).astype(dtype))


def painted_or_sent(painted: np.ndarray | None, mask_image: str, size: Size,
                    notes: MutableSequence[str] | None = None) -> np.ndarray | None:
    """The painted mask or, if nothing is painted, the setting "Mask image", for an image of this size.

    The painted mask comes first, because detailers and outpainting set their own masks and pass our settings on.

    Parameters
    ----------
    painted : (H, W) float32, 0 to 1
    mask_image
        Base64.
    notes
        As in `strengths`.

    Raises
    ------
    BadInput
        If the setting is not an image or has another shape.
    """
    if not mask_image or painted is not None and painted.max() >= LEAST_VALUE:
        return painted
    sent = decoded(mask_image, MASK_IMAGE, lambda found: check_shape(found, size, MASK_IMAGE))
    return fitted(strengths(sent, notes), size, MASK_IMAGE, notes)
