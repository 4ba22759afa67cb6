"""What a pipeline is given (images, masks and lists of them) as arrays, and what the model sees of them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.images.painted import cleaned, strengths
from lib_softinpaint.images.read import as_original


@dataclass
class View:
    """The part of one image that the model sees.

    Parameters
    ----------
    image
        The crop, at the model's working size.
    mask : (h, w) float32, 0 to 1
        Repaint mask at the same size.
    repaint : (1, h / 8, w / 8) float32, 0 to 1
        The same mask at latent size.
    """

    original: np.ndarray
    repaint_px: np.ndarray
    box: Box
    image: Image.Image
    mask: np.ndarray
    repaint: torch.Tensor


def listed(images: Any) -> list[Any]:
    """The argument as a list."""
    return list(images) if isinstance(images, (list, tuple)) and images else [images]


def for_each(tensors: list[torch.Tensor], count: int) -> torch.Tensor:
    """A batch of `count`, with each tensor (1, ...) repeated equally often."""
    return tensors[0] if len(tensors) == count == 1 else torch.cat(repeated(tensors, count))


def seeds_of(generator: Any, count: int) -> list[int]:
    """Seed of each image, for random numbers drawn after sampling."""
    if isinstance(generator, list):
        return [each.initial_seed() for each in generator]
    first = 0 if generator is None else generator.initial_seed()
    return [first + number for number in range(count)]


def repeated(each: list[Any], count: int) -> list[Any]:
    """A list of `count` entries, with each item repeated equally often, next to its copies."""
    return [each[number * len(each) // count] for number in range(count)]


def mask_strengths(mask: Any, notes: list[str]) -> np.ndarray:
    """Painted mask (H, W) float32, 0 to 1, from any mask type that diffusers accepts."""
    if isinstance(mask, Image.Image):
        return strengths(mask, notes)
    values = _array(mask, "mask_image", (1,), (np.bool_, np.uint8, np.uint16))[..., 0]
    return strengths(Image.fromarray(values), notes) if values.dtype.kind in "bu" else cleaned(values, notes)


def source_image(image: Any, notes: list[str]) -> Image.Image:
    """RGB or RGBA image from any image type that diffusers accepts."""
    if isinstance(image, Image.Image):
        return as_original(image, notes)
    values = _array(image, "image", (3, 4), (np.uint8, np.uint16))
    white = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    return Image.fromarray(values if values.dtype == np.uint8 else np.rint(values / white * 255).astype(np.uint8))


def _array(image: Any, name: str, channels: tuple[int, ...], whole: tuple[type, ...]) -> np.ndarray:
    """Array (H, W, C), with C in `channels`, of a dtype in `whole` or float, 0 to 1."""
    if isinstance(image, torch.Tensor):
        image = image.detach().float().cpu()
        image = (image.squeeze(0).permute(1, 2, 0) if image.squeeze(0).ndim == 3 else image.squeeze(0)).numpy()
    if not isinstance(image, np.ndarray):
        raise ValueError(f"{name} must be a PIL image, an array or a tensor, got {type(image).__name__}")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in channels:
        raise ValueError(f"{name} must be one image of {' or '.join(map(str, channels))} channels, "
                         f"got an array of shape {image.shape}")
    if image.dtype in whole:
        return image
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"{name} as floats must be in [0, 1], got {image.min()} to {image.max()}")
    return image


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
