"""The script's hooks, in the order the host calls them."""
from __future__ import annotations

import functools
import hashlib
from typing import Any

from modules import images, shared

from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.webui import candidates, detect, regions
from lib_softinpaint.hosts.webui.coherent import let_agree
from lib_softinpaint.hosts.webui.compositing import postprocess_image_after_composite, postprocess_maskoverlay
from lib_softinpaint.hosts.webui.content import add_extra_noise, content_of, prepare_content
from lib_softinpaint.hosts.webui.decoding import finite_latents, postprocess_batch_list
from lib_softinpaint.hosts.webui.faults import MASK_IMAGE_KEY, guarded, tell_user, withdraw
from lib_softinpaint.hosts.webui.job import start_sampling
from lib_softinpaint.hosts.webui.kept import KEPT_KEY, history
from lib_softinpaint.hosts.webui.masks import (
    JUST_RESIZE,
    JUST_RESIZE_LATENT,
    MASK_RESIZES,
    canvas_of,
    painted_mask,
    shape_masks,
)
from lib_softinpaint.hosts.webui.originals import decoded_size, keep_colours
from lib_softinpaint.hosts.webui.regions import split
from lib_softinpaint.hosts.webui.run import NoiseLevels, Run, Sampled, region_of, runs
from lib_softinpaint.hosts.webui.sampling import on_mask_blend
from lib_softinpaint.hosts.webui.skipped_steps import leave_out_locked_steps
from lib_softinpaint.hosts.webui.staging import keep_painted
from lib_softinpaint.images.encoded import as_bytes
from lib_softinpaint.images.painted import LEAST_VALUE, has_same_shape
from lib_softinpaint.method.mask import Canvas, resized
from lib_softinpaint.settings.advice import EMPTY, EMPTY_OF_ALL, advice
from lib_softinpaint.settings.mask_tools import source_of
from lib_softinpaint.settings.settings import HARD, read_args, to_infotext

__all__ = ["process", "before_process_batch", "process_batch", "on_mask_blend", "post_sample", "postprocess_batch_list",
           "postprocess_maskoverlay", "postprocess_image_after_composite", "postprocess"]

HASH_DIGITS = 10
"""The WebUI shows this many digits of a model's hash."""

@guarded
def process(p: Any, args: tuple[Any, ...]) -> None:
    """Before the host's `init`: reads the settings and shapes the mask."""
    # Loopback and others call again with the same object. X/Y/Z and detailers call with a copy that shares the dict.
    p.extra_generation_params = dict(p.extra_generation_params)
    withdraw(p)
    region = region_of.get(p)
    if region is not None and region.number == 0:  # of this object's previous run
        region_of.pop(p)
        region = None
    try:
        settings, notes = read_args(args)
    except ValueError as invalid:
        tell_user(p, f"Soft inpainting was skipped: {invalid}")
        return
    has_mask = getattr(p, "image_mask", None) is not None or settings.mask_image or source_of(settings.mask_tools)
    if not settings.enabled or not has_mask:
        return
    for note in notes:
        tell_user(p, note)
    mask_notes: list[str] = []
    one_by_one = region is not None or settings.regions_one_by_one and p.latent_mask is None
    try:
        painted, mask_image_is_used = (painted_mask(p, settings, mask_notes) if region is None else (region.painted, False))
    except ValueError as invalid:
        tell_user(p, f"Soft inpainting was skipped: {invalid}")
        return
    image_size, mask_size = Size.of(p.init_images[0]), Size.of(painted)
    resizes = mask_size != image_size and painted.max() >= LEAST_VALUE
    if resizes and (p.inpaint_full_res or one_by_one):
        # The host crops at the mask's own size but composites with the resized mask, which leaves black patches.
        painted = resized(painted, image_size, MASK_RESIZES[p.resize_mode])
    if painted.max() < LEAST_VALUE:
        tell_user(p, EMPTY_OF_ALL if p.inpaint_full_res or p.image_mask is None else EMPTY)
        return
    if one_by_one and region is None:
        try:
            region = split(p, painted, mask_notes)
        except ValueError as invalid:
            tell_user(p, f"Soft inpainting was skipped: {invalid}")
            return
        painted = painted if region is None else region.painted
    run = Run(settings, painted, Canvas(p.mask_blur))
    runs.put(p, run)
    if region is not None:
        run.changes.set(p, "inpaint_full_res", True)
    padding = p.inpaint_full_res_padding if p.inpaint_full_res else None
    stretches = p.resize_mode in (JUST_RESIZE, JUST_RESIZE_LATENT)
    for sentence in advice(p.denoising_strength, content_of(p, settings), padding, image_size,
                           Size(p.height, p.width) if stretches else image_size):
        p.comment(sentence)
    run.canvas = canvas_of(p, painted)
    candidates.start(p, settings)
    p.extra_generation_params.update(to_infotext(settings))
    keep_colours(p, run, mask_notes)
    if (region is None or region.number == 0) and (fault := keep_painted(p, painted if region is None else region.whole)):
        mask_notes.append(fault)
    for note in mask_notes:
        tell_user(p, note)
    if resizes:
        how = "stretched" if stretches and not has_same_shape(mask_size, image_size) else "resized"
        tell_user(p, f"The mask ({mask_size}) was {how} to fit the image ({image_size}).")
    if mask_image_is_used:
        p.extra_generation_params[MASK_IMAGE_KEY] = hashlib.sha256(as_bytes(settings.mask_image)).hexdigest()[:HASH_DIGITS]
    shape_masks(p, run)
    upscales = shared.opts.upscaler_for_img2img not in (None, "None") and p.resize_mode != JUST_RESIZE_LATENT
    if upscales and not p.inpaint_full_res:
        # Upscaling is slow, and the composite must show the very image that is encoded. So upscale once for both.
        run.changes.set(p, "init_images", [images.resize_image(
            p.resize_mode, images.flatten(image, shared.opts.img2img_background_color), p.width, p.height)
            for image in p.init_images])
    prepare_content(p, run)
    # Only the host can pass the mask to an inpainting model. Rounding it also makes "latent noise" and "latent nothing" hard.
    hard, takes_the_mask = settings.conditioning_mask == HARD, detect.is_inpainting_model(p.sd_model)
    if hard and takes_the_mask and run.shaped is None:
        tell_user(p, "Conditioning mask \"hard\" cannot be used with the feather source \"host\"; \"soft\" was used.")
    rounds = hard and run.shaped is not None
    run.changes.set(p, "mask_round", rounds and takes_the_mask)
    if hasattr(p, "inpainting_image_conditioning"):
        # For SDXL, some hosts call it without `round_image_mask`, which defaults to rounding.
        run.changes.replace_method(p, "inpainting_image_conditioning", functools.partial(
            p.inpainting_image_conditioning, round_image_mask=rounds))


@guarded
def before_process_batch(p: Any) -> None:
    """Before the prompts of a batch are read."""
    regions.before_process_batch(p)


@guarded
def process_batch(p: Any) -> None:
    """After the host's `init`, before each sampling: creates the job and neutralises the host's own blends."""
    run = runs.get(p)
    if run is None:
        return
    run.host_is_ready = True
    if p.mask_for_overlay is None:  # the host's blur has erased the mask, so the host runs plain img2img
        withdraw(p)
        return
    if run.sampling is None:
        if "inpaint_full_res_padding" in run.changes.fields and "Masked area padding" in p.extra_generation_params:
            p.extra_generation_params["Masked area padding"] = run.canvas.padding_px
        run.sampling = start_sampling(p, run)
        run.changes.put_fields_back(p)
        regions.count_jobs(p)
    run.sampled, run.sampling.noise_levels = None, NoiseLevels()
    add_extra_noise(p, run, run.sampling.job)
    run.changes.make_masks_neutral(p)
    leave_out_locked_steps(p, run.sampling.job, run.changes)
    let_agree(p, run.sampling, run.changes)


@guarded
def post_sample(p: Any, ps: Any) -> None:
    """After sampling, before decoding: replaces NaN, and measures how much each latent changed."""
    run = runs.get(p)
    if run is None or run.sampling is None:
        return
    run.changes.put_back(p)
    if region_of.get(p) is not None:  # ADetailer finds its boxes in the crop, and asks whether it is one
        run.changes.set(p, "inpaint_full_res", True)
    job, size = run.sampling.job, decoded_size(p)
    if getattr(ps.samples, "already_decoded", False):
        run.sampled = Sampled(run.sampling, job.measure_by_mask(len(ps.samples), size, p.seeds))
    else:
        ps.samples = finite_latents(p, job, ps.samples)
        run.sampled = Sampled(run.sampling, job.measure(ps.samples, size, p.seeds), ps.samples)


@guarded
def postprocess(p: Any, processed: Any) -> None:
    """After the last image. A copy of `p` has no run, so it leaves the original's run alone."""
    order = candidates.finish(p, processed)
    run = runs.pop(p)
    if (region := region_of.get(p)) is not None and region.number == 0:
        region_of.pop(p)
    if run is None:
        return
    run.changes.put_back(p)
    for result, identity in run.finished:
        if path := getattr(result, "already_saved_as", None):
            history.set_file(identity, path)
    if run.finished:
        kept = [run.finished[place] for place in order] if order and max(order) < len(run.finished) else run.finished
        processed.extra_generation_params = {**processed.extra_generation_params,
                                             KEPT_KEY: [identity for _, identity in kept]}
