"""Opacity of the new pixels; original and decoded image -> result with an exact outside."""
from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.mask import scaled_size
from lib_softinpaint.method.smootherstep import smootherstep

SOFTENING_PX = 4.0
"""Pixels, deviation of a Gaussian that hides the latent grid in the opacity."""
SOFTENING_DEVIATIONS = 3
"""Deviations at which that Gaussian is cut off."""

INFLUENCE_LIMIT = 1.00001
"""Keeps the threshold finite where only the mask counts and chooses the original."""

LEAST_ALPHA = 1 / 255
"""Guards the division by alpha."""


def opacity(distance: torch.Tensor, repaint: torch.Tensor, mask_influence: float, preservation_strength: float,
            threshold: float, contrast: float) -> torch.Tensor:
    """Opacity of the new pixels from the change of the latent.

    At threshold 0, everything that changed is shown fully; at contrast 0, by half.

    Parameters
    ----------
    distance : (B, H, W) float32, latent units
        From `difference.difference_map`.
    repaint : (B or 1, H, W) float32, 0 to 1

    Returns
    -------
    (B, H, W) float32, 0 to 1

    Source: observed in AUTOMATIC1111 1.10.1, see METHOD 6 in docs/method.md.
    """
    reluctance = 0.5 * (1 - mask_influence) + mask_influence * (1 - mask_opacity(repaint, preservation_strength))
    half_shown_at = threshold * reluctance / (INFLUENCE_LIMIT - reluctance)
    change = torch.where(distance > 0, (distance / half_shown_at) ** contrast, 0)
    kept = 1 / (1 + change)
    return (1 - smootherstep(kept)).clamp(0, 1)


def mask_opacity(repaint: torch.Tensor, preservation_strength: float) -> torch.Tensor:
    """Opacity of the new pixels from the mask alone.

    Source: observed in AUTOMATIC1111 1.10.1.
    """
    return torch.where(repaint > 0, repaint ** (preservation_strength / 2), 0)


def enlarge(opacity_latent: np.ndarray, size: Size, area: Box | None = None) -> np.ndarray:
    """Opacity, enlarged to the decoded image.

    Parameters
    ----------
    opacity_latent : (h, w) float32, 0 to 1
    area
        Part of the decoded image that is needed; everything if None.

    Returns
    -------
    (H, W) float32, 0 to 1, the area's size
    """
    enlarged = Image.fromarray(opacity_latent.astype(np.float32)).resize(size.width_height, Image.Resampling.LANCZOS)
    area = area or Box.whole(size)
    around = area.grown(math.ceil(SOFTENING_DEVIATIONS * SOFTENING_PX), size)
    steps = np.clip(np.asarray(enlarged)[around.inside], 0, 1)
    softened = gaussian_filter(steps, SOFTENING_PX, mode="nearest", truncate=SOFTENING_DEVIATIONS)
    return softened[area.seen_from(around).inside]


def place(crop: np.ndarray, box: Box, size: Size) -> np.ndarray:
    """A map of an only-masked crop, placed into a map of the whole image that is 0 elsewhere.

    The crop is scaled until it covers the box, and the excess is cut off evenly. This is how the WebUI puts back the crop,
    which it had scaled to fit and padded.

    Parameters
    ----------
    crop : (h, w) float32
    box
        Place of the crop in the whole image.
    size
        Size of the whole image.

    Returns
    -------
    (H, W) float32
    """
    scaled = scaled_size(Size.of(crop), box.size, "cover")
    enlarged = Image.fromarray(crop.astype(np.float32)).resize(scaled.width_height, Image.Resampling.LANCZOS)
    whole = Image.new("F", size.width_height)
    covered = Image.new("F", box.size.width_height)
    covered.paste(enlarged, (box.width // 2 - scaled.width // 2, box.height // 2 - scaled.height // 2))
    whole.paste(covered, (box.left, box.top))
    return np.clip(np.asarray(whole), 0, 1)


def with_alpha(result: np.ndarray, source: np.ndarray, flat: np.ndarray, opacity_px: np.ndarray) -> np.ndarray:
    """The result as new content over its transparent source. New content is visible even where the source is clear.

    Parameters
    ----------
    result : (H, W, 3) uint8
    source : (H, W, 4) uint8
        The image with its alpha channel.
    flat : (H, W, 3) uint8
        The same image over a background, as it was inpainted.
    opacity_px : (H, W) float32, 0 to 1
        Opacity of the new content. Where it is 0, the result equals the source, byte for byte.

    Returns
    -------
    (H, W, 4) uint8, colours not multiplied by alpha

    Source: own; "over" (Porter and Duff, SIGGRAPH 1984), with the background then removed from the result.
    """
    inside = opacity_px > 0
    old, opacity = source[inside][:, 3:] / np.float32(255), opacity_px[inside][:, None]
    alpha = old + (1 - old) * opacity
    background = (1 - opacity) * (flat[inside] - old * source[inside][:, :3])
    colour = (result[inside] - background) / np.maximum(alpha, LEAST_ALPHA)
    painted = source.copy()
    painted[inside] = np.rint(np.concatenate([colour, 255 * alpha], axis=1)).clip(0, 255)
    return painted


def over_white(image: Image.Image) -> Image.Image:
    """The image in RGB, with transparency flattened onto white."""
    if "A" not in image.getbands():
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def composite(original: np.ndarray, decoded: np.ndarray, opacity_px: np.ndarray) -> np.ndarray:
    """New pixels over the original, computed in float and rounded once.

    Parameters
    ----------
    original : (H, W, 3) uint8
    decoded : (H, W, 3) uint8 or float, 0 to 255
    opacity_px : (H, W) float32, 0 to 1
        1 = decoded. Where it is 0, the result equals the original, byte for byte; also where decoded or opacity is not
        finite, for example because a decoder overflowed.

    Returns
    -------
    (H, W, 3) uint8
    """
    if not original.shape[:2] == decoded.shape[:2] == opacity_px.shape:
        raise ValueError(f"original, decoded and opacity_px must have the same size, got {original.shape[:2]}, "
                         f"{decoded.shape[:2]} and {opacity_px.shape}")
    result = original.astype(np.float32)
    with np.errstate(invalid="ignore"):
        result += (decoded - result) * opacity_px[..., None]
    if not np.isfinite(result.sum()):
        lost = ~np.isfinite(result).all(-1)
        result[lost] = original[lost]
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)
