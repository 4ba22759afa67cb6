"""The host's masks, shaped by us."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.hosts.webui import detect
from lib_softinpaint.hosts.webui.run import Run, ShapedMasks
from lib_softinpaint.images.painted import LEAST_VALUE, grey_image, painted_or_sent, strengths
from lib_softinpaint.method import surroundings
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.method.mask import (
    Canvas,
    cell_side,
    feather_outward,
    feather_reach,
    padding_left,
    repaint_mask,
    resized,
    shrink,
    to_latent,
)
from lib_softinpaint.method.mask_tools import edited
from lib_softinpaint.settings.settings import FEATHER_FROM_HOST, Settings

JUST_RESIZE, RESIZE_AND_FILL, JUST_RESIZE_LATENT = 0, 2, 3
"""The host's resize modes, by its numbers. It fits the crop of *Only masked* with RESIZE_AND_FILL."""

MASK_RESIZES = {0: "stretch", 1: "cover", 2: "contain", JUST_RESIZE_LATENT: "stretch"}
"""How the host's resize modes resize a mask."""

OUTPAINTED_SHARE = 0.25
"""Share of the Mask blur that an outpainting script sets. Up to this distance from its latent mask's edge, pixels are
neither new nor filled with noise.

Source: observed in AUTOMATIC1111 1.10.1. Poor man's outpainting extends its latent mask into the original by a quarter of
that blur. Outpainting mk2 extends it by half of the blur and fills a quarter with noise.
"""

FADE_PER_BLUR = 1.6
"""Width of the fade from an outpainting script's new pixels to the original, in pixels for each pixel of its Mask blur. This
shows as many new pixels as the WebUI's own overlay, which fades like the tail of a Gaussian."""


def shape_masks(p: Any, run: Run) -> None:
    """Gives the host the finished mask, or with the feather source "host" the mask before the host's blur."""
    by_host = run.settings.feather_source == FEATHER_FROM_HOST
    canvas = replace(run.canvas, blur_px=0) if by_host else run.canvas

    def shaped(painted: np.ndarray) -> np.ndarray:
        mask = repaint_mask(painted, run.settings, canvas)
        return np.where(mask < LEAST_VALUE, 0, mask)
    latent_mask = None
    if p.latent_mask is None:
        mask = shaped(run.painted)
    else:
        outpainted = strengths(p.latent_mask)
        mask, latent_mask = (map(shaped, (run.painted, outpainted)) if by_host else _outpainting_masks(outpainted, run))
        run.changes.set(p, "latent_mask", grey_image(latent_mask))
    run.changes.set(p, "image_mask", grey_image(mask))
    if p.inpainting_mask_invert:
        p.extra_generation_params["Mask mode"] = "Inpaint not masked"
    run.changes.set(p, "inpainting_mask_invert", 0)
    if by_host:
        return
    run.shaped = ShapedMasks(mask, latent_mask)
    if canvas.blur_px > 0:
        p.extra_generation_params["Mask blur"] = p.mask_blur
    for name in detect.blur_fields(p):
        run.changes.set(p, name, 0)
    if canvas.padding_px is not None:
        run.changes.set(p, "inpaint_full_res_padding", padding_left(run.painted, mask, canvas.padding_px))


def _outpainting_masks(outpainted: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Masks (H, W) float32 for an outpainting script: what it shows, and what it repaints (its latent mask, `outpainted`).

    The latent mask already reaches into the original. An outward feather would repaint more than the script asks for.
    """
    grow, shrunk_by = max(0, run.settings.grow_px), max(0, -run.settings.grow_px)
    blur = run.canvas.blur_px
    reach = feather_reach(run.painted, run.settings, run.canvas)
    inward, fade = min(reach, OUTPAINTED_SHARE * blur), min(reach, FADE_PER_BLUR * blur)
    return (feather_outward(shrink(run.painted, shrunk_by), fade, grow),
            feather_outward(shrink(outpainted, shrunk_by + inward), inward, grow))


def canvas_of(p: Any, painted: np.ndarray) -> Canvas:
    """What the host adds to the painted mask (H, W)."""
    padding, image = p.inpaint_full_res_padding if p.inpaint_full_res else None, p.init_images[0]
    # Several images share one mask, and outpainting scripts fill what they add. There, no outline counts.
    counts = len(p.init_images) == 1 and p.latent_mask is None
    edges = surroundings.edges(np.asarray(over_white(image))) if counts and Size.of(image) == Size.of(painted) else None
    # Outpainting sets the blur per axis; the feather is round.
    return Canvas(max(p.mask_blur_x, p.mask_blur_y), padding, cell_side(painted, Size(p.height, p.width), padding), edges)


def painted_mask(p: Any, settings: Settings, notes: list[str]) -> tuple[np.ndarray, bool]:
    """Painted mask (H, W) float32 before shaping, and whether it is the setting *Mask image*.

    Appends to `notes` as `painted.strengths` does. Raises ValueError with a sentence if the mask cannot be read.
    """
    if isinstance(p.image_mask, list):
        raise ValueError("the mask must be one image, got a list.")
    on_canvas = None if p.image_mask is None else strengths(p.image_mask, notes)
    image = p.init_images[0]
    painted = painted_or_sent(on_canvas, settings.mask_image, Size.of(image), notes)
    is_sent = painted is not on_canvas
    if settings.mask_tools:
        painted = np.zeros(Size.of(image), np.float32) if painted is None else painted
        painted = edited(painted, settings, np.asarray(image.convert("RGBA" if "A" in image.getbands() else "RGB")))
    assert painted is not None, "process() needs a painted mask, a mask image or mask tools"
    return 1 - painted if p.inpainting_mask_invert else painted, is_sent


def overlay_mask(p: Any, overlay: Any, size: Size) -> np.ndarray:
    """The host's own mask (H, W) at the result's size, read from its overlay."""
    image, precise = detect.overlay_parts(overlay)
    mask = np.asarray(precise, np.float32) if precise is not None else 1 - np.asarray(image.getchannel("A"), np.float32) / 255
    excess = [overlay_side - side for overlay_side, side in zip(mask.shape, size)]
    if all(0 <= pixels < detect.latent_scale(p) for pixels in excess):  # the VAE only decodes whole latent pixels
        return mask[:size.height, :size.width]
    return resized(mask, size)


def latent_mask_of(p: Any, mask: np.ndarray, box: Box | None) -> torch.Tensor:
    """Shaped mask in latent size (1, h, w)."""
    working = Size(p.height, p.width)
    if box is None:
        mask = resized(mask, working, MASK_RESIZES[p.resize_mode])
    else:
        mask = resized(mask[box.inside], working, MASK_RESIZES[RESIZE_AND_FILL])
    return in_latent_size(p, mask)


def in_latent_size(p: Any, mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(to_latent(mask, *p.init_latent.shape[-2:]))[None]
