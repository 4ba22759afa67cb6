"""What happens after a fault: the host's own inpainting runs, and a note says why."""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from modules import devices, errors, shared
from PIL import Image

from lib_softinpaint.hosts.webui.masks import latent_mask_of
from lib_softinpaint.hosts.webui.names import NOTES
from lib_softinpaint.hosts.webui.run import Run, region_of, runs
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.method.mask import host_blur, match_latent
from lib_softinpaint.settings.settings import NOTE_KEY, infotext_keys

MASK_IMAGE_KEY = "Soft inpainting mask image"
"""Infotext key: first digits of the SHA-256 of the file sent as *Mask image*, if that mask was used."""


def tell_user(p: Any, sentence: str) -> None:
    """Adds a note under the image and in its infotext, since the API returns no comments."""
    p.comment(sentence)
    if not getattr(shared.opts, NOTES, True):
        return
    known = p.extra_generation_params.get(NOTE_KEY)
    p.extra_generation_params[NOTE_KEY] = f"{known} {sentence}" if known else sentence


def guarded(hook: Callable[..., None]) -> Callable[..., bool]:
    """Wraps a hook so that it returns whether it succeeded. After a fault, the host's own inpainting takes over."""
    @functools.wraps(hook)
    def run_hook(p, *args):
        try:
            hook(p, *args)
            return True
        except Exception as fault:
            errors.report(f"Soft inpainting failed in {hook.__name__}; the WebUI's own inpainting is used", exc_info=True)
            run = withdraw(p)
            tell_user(p, f"Soft inpainting failed, so the WebUI's own inpainting was used: {type(fault).__name__}: {fault}")
            if run is not None:
                _restore_ordinary_inpainting(p, run)
            return False
    return run_hook


def withdraw(p: Any) -> Run | None:
    """Ends the run and removes all its traces from `p`.

    The infotext keys go first, so they cannot claim something that did not run.
    """
    for key in (*infotext_keys(), MASK_IMAGE_KEY):
        p.extra_generation_params.pop(key, None)
    run = runs.pop(p)
    if run is not None:
        run.changes.put_back(p)
    return run


def _restore_ordinary_inpainting(p: Any, run: Run) -> None:
    """Restores the host's own masks and overlays, depending on how far the run got. Never raises."""
    try:
        _make_ordinary_masks(p, run)
    except Exception:
        errors.report("Soft inpainting could not restore the WebUI's own masks", exc_info=True)
        tell_user(p, "The WebUI's own masks could not be restored. The result may differ from ordinary inpainting.")


def _make_ordinary_masks(p: Any, run: Run) -> None:
    if run.sampling is None:  # the whole mask is inpainted at once
        region_of.pop(p)
    if not run.host_is_ready:
        return
    if run.sampling is None:
        if p.image_mask is None:  # the only mask was ours, and `init` does not reset these without a mask
            p.mask = p.nmask = p.mask_for_overlay = p.overlay_images = p.paste_to = None
        with devices.autocast():
            p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
        return
    if run.shaped is None:
        p.nmask = p.nmask.round()
    else:
        job = run.sampling.job
        box = job.box
        blurred = host_blur(run.painted, p.mask_blur_x)
        p.nmask = match_latent(latent_mask_of(p, blurred, box), p.init_latent).round()[0].expand_as(p.nmask).to(p.nmask)
        gain = 2 if box is None else 1  # on a whole image the host shows only the outer half of the blur
        p.overlay_images = [overlay_of(original, np.minimum(gain * painted_mask.placed(blurred), 1))
                            for original, painted_mask in zip(job.originals, run.sampling.painted)]
    p.mask = 1 - p.nmask
    denoiser: Any = getattr(getattr(p, "sampler", None), "model_wrap_cfg", None)
    if getattr(denoiser, "nmask", None) is not None:
        denoiser.nmask, denoiser.mask = p.nmask, p.mask


def overlay_of(original: np.ndarray, repaint_px: np.ndarray) -> Image.Image:
    """The original, more transparent where more is repainted."""
    overlay = Image.fromarray(original).convert("RGBA")
    overlay.putalpha(grey_image(1 - repaint_px))
    return overlay
