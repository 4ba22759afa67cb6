"""The images that a run starts from: as shown in the result, and as encoded by the host."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from modules import devices, images, masking, sd_samplers_common, shared
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.source import KEEP_ALPHA
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.hosts.webui.masks import JUST_RESIZE_LATENT, RESIZE_AND_FILL
from lib_softinpaint.hosts.webui.run import Run
from lib_softinpaint.images.read import as_original, gamma_note, needs_conversion, without_idle_alpha
from lib_softinpaint.settings.request import MASKED_CONTENTS


def keep_colours(p: Any, run: Run, notes: list[str]) -> None:
    """Converts images whose colour profile is not for RGB, because the host would ignore it. Notes what is lost.

    Alpha channels that hide nothing are dropped.
    """
    run.originals = [without_idle_alpha(as_original(image, notes) if needs_conversion(image) else image)
                     for image in p.init_images]
    if any(original is not image for original, image in zip(run.originals, p.init_images)):
        run.changes.set(p, "init_images", run.originals)
    notes += filter(None, map(gamma_note, run.originals))


def transparent_source(p: Any, image: Image.Image, box: Box | None) -> np.ndarray | None:
    """The image with its transparency, (H, W, 4) uint8, if the result should keep it."""
    if not getattr(shared.opts, KEEP_ALPHA, False) or image.mode != "RGBA":
        return None
    *colours, alpha = image.split()
    return np.asarray(Image.merge("RGBA", [
        *shown_original(p, Image.merge("RGB", colours), box, "None").split(),
        shown_original(p, Image.merge("RGB", [alpha] * 3), box, "None").getchannel(0)]))


def shown_original(p: Any, image: Image.Image, box: Box | None, upscaler: str | None = None) -> Image.Image:
    """The image as the result shows it where nothing was painted, without the rim that the VAE cannot decode."""
    image = images.flatten(image, shared.opts.img2img_background_color)
    if box is not None:
        return image
    if p.resize_mode == JUST_RESIZE_LATENT:
        image = image.resize((p.width, p.height), Image.Resampling.LANCZOS)
    else:
        image = images.resize_image(p.resize_mode, image, p.width, p.height, upscaler)
    size = decoded_size(p)
    return image if Size.of(image) == size else image.crop(Box.whole(size).corners)


def _encoded_crop(p: Any, image: Image.Image, box: Box) -> Image.Image:
    """The crop as the host encodes it when it inpaints this box of the image."""
    return images.resize_image(RESIZE_AND_FILL, image.crop(box.corners), p.width, p.height)


def reference_latent(p: Any, run: Run, originals: list[Image.Image], box: Box | None) -> torch.Tensor:
    """Latent of the original. The host's own is used unless the masked content is already in it.

    When outpainting, the new area is black in the original and would discolour the latent around it, so it is filled.
    """
    outpaints = p.latent_mask is not None
    shows_original = {MASKED_CONTENTS.index(content) for content in (("original", "fill") if outpaints else ("original",))}
    if p.inpainting_fill in shows_original and run.shown is None:
        return p.init_latent
    if box is not None:
        originals = [_encoded_crop(p, original, box) for original in originals]
    elif p.resize_mode == JUST_RESIZE_LATENT:
        originals = [images.flatten(image, shared.opts.img2img_background_color) for image in run.shown or p.init_images]
    if outpaints:
        originals = [masking.fill(original, p.latent_mask) for original in originals]
    pixels = torch.stack([torch.from_numpy(np.array(original)) for original in originals])
    pixels = pixels.permute(0, 3, 1, 2).to(shared.device, devices.dtype_vae) / 255
    method = sd_samplers_common.approximation_indexes.get(shared.opts.sd_vae_encode_method)
    on_gpu = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    # Encoding draws from the global random stream, which must not shift the seed's noise.
    with torch.random.fork_rng(on_gpu), devices.autocast():
        latent = sd_samplers_common.images_tensor_to_samples(pixels, method, p.sd_model)
    if latent.shape[-2:] != p.init_latent.shape[-2:]:
        latent = torch.nn.functional.interpolate(latent, p.init_latent.shape[-2:], mode="bilinear")
    return latent.expand_as(p.init_latent)


def encoded_original(p: Any, job: SoftInpaintJob, place: int) -> Image.Image:
    """The part of the original that was encoded for this image of the batch."""
    original = Image.fromarray(job.originals[place])
    return original if job.box is None else _encoded_crop(p, original, job.box)


def decoded_size(p: Any) -> Size:
    """Size of the decoded image: a whole number of latent pixels."""
    height, width = p.init_latent.shape[-2:]
    return Size(height * (p.height // height), width * (p.width // width))
