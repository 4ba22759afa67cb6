"""Masked content of our own, given to the host before it encodes, and extra noise, added to its latent."""
from __future__ import annotations

from typing import Any

import numpy as np
from modules import images, shared
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.webui.masks import MASK_RESIZES
from lib_softinpaint.hosts.webui.run import Run
from lib_softinpaint.images.painted import strengths
from lib_softinpaint.method.content import prepared, with_extra_noise
from lib_softinpaint.method.mask import resized
from lib_softinpaint.settings.request import MASKED_CONTENTS
from lib_softinpaint.settings.settings import HOSTS, Settings


def content_of(p: Any, settings: Settings) -> str:
    """What is in the painted area before noise is added, by its name; "" if another script has filled it."""
    return settings.masked_content(dict(enumerate(MASKED_CONTENTS)).get(p.inpainting_fill, ""))


def prepare_content(p: Any, run: Run) -> None:
    """Gives the host images with our masked content, and "original" as its own, so that it encodes them as they are."""
    content = run.settings.own_masked_content
    if content == HOSTS:
        return
    shaped = run.shaped
    if shaped is None:
        mask = strengths(p.image_mask if p.latent_mask is None else p.latent_mask)
    else:
        mask = shaped.shown if shaped.sampled is None else shaped.sampled
    run.shown = list(p.init_images)
    flat = [images.flatten(image, shared.opts.img2img_background_color) for image in p.init_images]
    run.changes.set(p, "init_images", [
        Image.fromarray(prepared(np.asarray(image), resized(mask, Size.of(image), MASK_RESIZES[p.resize_mode]), content))
        for image in flat])
    run.changes.set(p, "inpainting_fill", MASKED_CONTENTS.index("original"))


def add_extra_noise(p: Any, run: Run, job: SoftInpaintJob) -> None:
    """Adds noise of our own stream to the latent from which this batch starts. The job's reference stays without it."""
    if run.settings.extra_noise:
        run.changes.set(p, "init_latent", with_extra_noise(p.init_latent, job.repaint, run.settings.extra_noise, p.seeds))
