"""After decoding: the composite in place of the host's overlay."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from modules import processing, shared
from PIL import Image

from lib_softinpaint.generation.colours import colours_of, with_colours
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.webui import candidates
from lib_softinpaint.hosts.webui.faults import guarded, overlay_of
from lib_softinpaint.hosts.webui.regions import inpaint_others
from lib_softinpaint.hosts.webui.run import Run, Sampled, region_of, runs
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.settings.settings import DRIFT_APPLIED_KEY

FROM_ELSEWHERE = ("Images that another script added, such as those of another WebUI, were left as they came. Their infotext "
                  "says whether they are soft-inpainted.")

SLOW_PX = 6_000_000
"""At this many pixels or more, a composite takes about a second, so the page says what it is waiting for."""


@guarded
def postprocess_maskoverlay(p: Any, ppmo: Any) -> None:
    """Before the host applies its overlay: removes it, because the host composites in premultiplied 8 bits."""
    run = runs.get(p)
    p.extra_generation_params.pop(DRIFT_APPLIED_KEY, None)  # the previous image's
    if run is None or run.sampled is None or ppmo.overlay_image is None or ppmo.index >= len(run.sampled.images):
        return
    job = run.sampled.sampling.job
    fade = run.sampled.images[ppmo.index].opacity_px(run.settings)
    overlay = Image.new("RGBA", Size.of(fade).width_height)
    if job.box is not None:
        # The host pastes the crop onto an empty canvas. The copy that it saves before colour correction needs the
        # surroundings.
        inside = np.zeros(fade.shape, bool)
        inside[job.box.inside] = True
        overlay = overlay_of(job.originals[ppmo.index], inside)
    run.sampled.fade = fade
    ppmo.overlay_image = overlay
    ppmo.mask_for_overlay = run.sampled.shown_mask = grey_image(fade)


def postprocess_image_after_composite(p: Any, pp: Any) -> None:
    """After the host's overlay: composites the decoded image over the original, and inpaints the mask's other regions."""
    run = runs.get(p)
    sampled = None if run is None else run.sampled
    if sampled is not None and p.batch_index >= len(sampled.images):
        p.comment(FROM_ELSEWHERE)
        return
    if run is not None and sampled is not None and sampled.fade is not None and not _composite(p, pp, run, sampled):
        pp.image, _ = processing.apply_overlay(pp.image, None, p.overlay_images[p.batch_index])
    inpaint_others(p, pp)


@guarded
def _composite(p: Any, pp: Any, run: Run, sampled: Sampled) -> None:
    sampling, fade, shown_mask = sampled.sampling, sampled.fade, sampled.shown_mask
    sampled.fade = sampled.shown_mask = None
    place = p.batch_index
    decoded = np.asarray(pp.image.convert("RGB"))
    with _progress_note(decoded.shape[0] * decoded.shape[1]):
        colours = colours_of(run.originals[place % len(run.originals)])
        region = region_of.get(p)
        kept = KeptImage(run.settings, sampled.images[place], decoded, sampling.painted[place],
                         source=sampling.sources[place], colours=colours, before=region and region.before)
        p.extra_generation_params.update(kept.measurements(run.settings))
        opacity_px = kept.opacity_px(run.settings, fade)
        result = kept.composited(run.settings, opacity_px)
        if shown_mask is not None:
            shown_mask.paste(grey_image(opacity_px))  # the host saves it after the composite
        pp.image = with_colours(Image.fromarray(result), colours)
        if region is None:
            candidates.add(p, run, kept, result, pp.image)
        else:  # kept once the others are inpainted
            region.kept, region.shown_mask = kept, shown_mask


@contextmanager
def _progress_note(pixels: int) -> Iterator[None]:
    """For large images, shows beside the progress bar what takes so long."""
    if pixels >= SLOW_PX:
        shared.state.textinfo = "Soft inpainting: compositing"
    try:
        yield
    finally:
        if pixels >= SLOW_PX:
            shared.state.textinfo = None
