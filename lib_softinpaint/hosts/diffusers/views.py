"""The part of each image that the model sees, and the way back."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method import surroundings
from lib_softinpaint.method.content import prepared
from lib_softinpaint.method.mask import Canvas, cell_side, padding_left, repaint_mask, resized, to_latent
from lib_softinpaint.settings.settings import Settings


@dataclass
class View:
    """The part of one image that the model sees.

    Parameters
    ----------
    original : (H, W, 3) uint8
    painted, repaint_px : (H, W) float32, 0 to 1
    image
        The crop, at the model's working size.
    mask : (h, w) float32, 0 to 1
        Repaint mask at the same size.
    repaint : (1, h / 8, w / 8) float32, 0 to 1
        The same mask at latent size.
    """

    original: np.ndarray
    painted: np.ndarray
    canvas: Canvas
    repaint_px: np.ndarray
    box: Box
    image: Image.Image
    mask: np.ndarray
    repaint: torch.Tensor

    def holding(self, content: str) -> Image.Image:
        """The crop at the model's working size, with masked content of our own, as in `content.prepared`."""
        return seen(prepared(self.original, self.repaint_px, content), self.box, Size.of(self.image))


def views_of(originals: list[np.ndarray], paintings: list[np.ndarray], settings: Settings, mask_blur: float,
             padding: int | None, height: int | None, width: int | None, factor: int, patch: int = 1) -> list[View]:
    """A view for each pair of image and mask.

    Parameters
    ----------
    factor
        Width of a latent pixel in pixels.
    patch
        Width of the denoiser's patches in latent pixels.

    Raises
    ------
    ValueError
        If the images differ in size, if the working size is too small, or if a mask is empty.
    """
    if len({each.shape for each in originals}) > 1:
        sizes = ", ".join(str(Size.of(each)) for each in originals)
        raise ValueError(f"images in a list must have the same size, got {sizes}")
    working = Size(height or originals[0].shape[0], width or originals[0].shape[1])
    if min(working) < factor * patch:
        raise ValueError(f"height and width must be {factor * patch} pixels or more for this model, got "
                         f"{working.height} and {working.width}")
    working = working.multiple_of(factor * patch)
    for painted in paintings:
        if not painted.any():
            raise ValueError("mask_image must have a pixel to repaint, got an empty mask")
    views, edges = [], [surroundings.edges(each) if settings.enabled else None for each in originals]
    for number in range(max(len(originals), len(paintings))):
        original, painted = originals[number % len(originals)], paintings[number % len(paintings)]
        canvas = Canvas(mask_blur, padding, cell_side(painted, working, padding, factor), edges[number % len(edges)])
        repaint_px = repaint_mask(painted, settings, canvas)
        box = crop_box(repaint_px, working, None if padding is None else padding_left(painted, repaint_px, padding))
        image = seen(original, box, working)
        mask = resized(repaint_px[box.inside], working)
        repaint = torch.from_numpy(to_latent(mask, working.height // factor, working.width // factor))[None]
        views.append(View(original, painted, canvas, repaint_px, box, image, mask,
                          repaint if settings.enabled else repaint.round()))
    return views


def seen(pixels: np.ndarray, box: Box, working: Size) -> Image.Image:
    """The box of an image (H, W, 3) uint8, at the model's working size."""
    return Image.fromarray(pixels[box.inside]).resize(working.width_height, Image.Resampling.LANCZOS)


def crop_box(repaint_px: np.ndarray, working: Size, padding: int | None) -> Box:
    """The region of the image that the model sees."""
    if padding is None:
        return Box.whole(Size.of(repaint_px))
    mask = Image.fromarray((repaint_px > 0).astype(np.uint8) * 255)
    left, top, right, bottom = VaeImageProcessor.get_crop_region(mask, *working.width_height, padding)
    return Box(left, top, right - left, bottom - top)


def placed_in_original(pixels: np.ndarray, job: SoftInpaintJob) -> np.ndarray:
    """Decoded pixels (h, w, 3) float32, placed at their box in an array as large as the original."""
    assert job.box is not None, "_prepared gives every job one"
    bands = [np.asarray(Image.fromarray(band).resize(job.box.size.width_height, Image.Resampling.LANCZOS))
             for band in np.ascontiguousarray(pixels.transpose(2, 0, 1))]
    whole = np.zeros(job.originals[0].shape, np.float32)
    whole[job.box.inside] = np.stack(bands, axis=-1)
    return whole
