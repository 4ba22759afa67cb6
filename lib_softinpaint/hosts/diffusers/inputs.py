"""Reads the images and masks that a pipeline is given, single or in lists, as arrays."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from lib_softinpaint.images.painted import cleaned, strengths
from lib_softinpaint.images.read import as_original


def listed(images: Any) -> list[Any]:
    """The argument as a list."""
    return list(images) if isinstance(images, (list, tuple)) and images else [images]


def for_each(tensors: list[torch.Tensor], count: int) -> torch.Tensor:
    """A batch of `count`, with each tensor (1, ...) repeated equally often."""
    return tensors[0] if len(tensors) == count == 1 else torch.cat(repeated(tensors, count))


def seeds_of(generator: Any, count: int) -> list[int]:
    """Each image's seed for random numbers drawn after sampling."""
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
