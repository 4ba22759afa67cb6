"""Regions one by one: the host's own run inpaints the first region, and a nested run for each image every other one.

Detailers nest runs in the same way. All scripts work in the nested runs too, so ControlNet sees each crop.
"""
from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
from modules import errors, processing, shared
from PIL import Image

from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.hosts.webui import candidates
from lib_softinpaint.hosts.webui.faults import tell_user
from lib_softinpaint.hosts.webui.run import Region, region_of, runs
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.method import regions as method
from lib_softinpaint.settings.prompt import of_regions
from lib_softinpaint.settings.request import LARGEST_SEED
from lib_softinpaint.settings.settings import NOTE_KEY, regions_done

NEEDS_OVERLAY = ("The mask was inpainted as a whole: regions one by one need the WebUI's option to overlay the original when "
                 "inpainting, which is off.")

OF_WHOLE_REQUESTS = frozenset({"Distribute"})
"""Titles of scripts that divide a request among WebUIs. A nested run would make them forget the images still to come."""

PROMPTS = "all_prompts", "all_negative_prompts"


def split(p: Any, painted: np.ndarray, notes: list[str]) -> Region | None:
    """The first region of the mask, for the host's own run. None if the host composites nothing.

    Raises BadInput if there are too many.
    """
    if not shared.opts.overlay_inpaint:
        notes.append(NEEDS_OVERLAY)
        return None
    region = Region(method.regions(painted))
    region_of.put(p, region)
    for prompts in PROMPTS:
        of_regions(getattr(p, prompts)[0], len(region.masks), notes)
    return region


def before_process_batch(p: Any) -> None:
    """Gives the host's own run the first region's part of each prompt. For the infotext, the host puts the prompts back."""
    region = region_of.get(p)
    if region is not None and region.number == 0 and runs.get(p) is not None:
        p.prompts = [_part(prompt, region) for prompt in p.prompts]
        p.negative_prompts = [_part(prompt, region) for prompt in p.negative_prompts]


def count_jobs(p: Any) -> None:
    """Tells the host's progress bar of the nested runs, once for each of its own runs."""
    region = region_of.get(p)
    if region is not None and region.number == 0:
        shared.state.job_count += p.n_iter * p.batch_size * (len(region.masks) - 1)


def inpaint_others(p: Any, pp: Any) -> None:
    """After the composite of an image of the host's own run: inpaints its other regions. Never raises.

    If a region fails or the user interrupts, the regions before it stay.
    """
    first = region_of.get(p)
    if first is None or first.number > 0:
        return
    count, done = len(first.masks), 1
    kept, first.kept = first.kept, None
    for number in range(1, count):
        if shared.state.interrupted:
            break
        region = Region(first.masks, number, kept)
        image = _inpainted(p, pp.image, region)
        if image is None:
            break
        pp.image, kept, done = image, region.kept, done + 1
    if count > 1 and p.batch_index == p.batch_size - 1 and p.iteration < p.n_iter - 1:
        _prepare_again(p)
    if runs.get(p) is not None:
        p.extra_generation_params.update(regions_done(done, count))
        _keep(p, pp.image, kept, first.shown_mask)


def _inpainted(p: Any, image: Image.Image, region: Region) -> Image.Image | None:
    """The image with one more region inpainted, or None if that failed or was interrupted."""
    nested, state = _nested(p, image, region), shared.state
    # "Interrupt after the current image" ends no image between two of its regions.
    is_last, state.stopping_generation = state.stopping_generation, False
    state.textinfo = f"Soft inpainting: region {region.number + 1} of {len(region.masks)}"
    region_of.put(nested, region)
    try:
        made = processing.process_images(nested).images
    except Exception as fault:
        errors.report(f"Soft inpainting failed in region {region.number + 1}", exc_info=True)
        tell_user(p, f"Region {region.number + 1} of {len(region.masks)} and those after it were left out, because of an "
                     f"error: {type(fault).__name__}: {fault}")
        return None
    finally:
        region_of.pop(nested)
        state.textinfo = None
        state.stopping_generation = state.stopping_generation or is_last
    note, known = nested.extra_generation_params.get(NOTE_KEY), p.extra_generation_params.get(NOTE_KEY, "")
    if note and note not in known:
        p.extra_generation_params[NOTE_KEY] = f"{known} {note}".strip()
    return None if state.interrupted or not made else made[0]


def _nested(p: Any, image: Image.Image, region: Region) -> Any:
    """A copy of the host's processing object that inpaints one region of one image."""
    nested, place = copy.copy(p), p.batch_index
    changes = {
        "init_images": [image], "image_mask": grey_image(region.painted), "inpaint_full_res": True,
        "inpainting_mask_invert": 0,
        "prompt": _part(p.prompts[place], region), "negative_prompt": _part(p.negative_prompts[place], region), "styles": [],
        "seed": (int(p.seeds[place]) + region.number) % (LARGEST_SEED + 1), "subseed": p.subseeds[place],
        "n_iter": 1, "batch_size": 1, "do_not_save_samples": True, "do_not_save_grid": True, "do_not_reload_embeddings": True,
        "override_settings": {}, "extra_generation_params": dict(p.extra_generation_params),
        # What the host's own run has left on `p`
        "mask": None, "nmask": None, "mask_for_overlay": None, "overlay_images": None, "paste_to": None,
        "color_corrections": None, "init_latent": None, "image_conditioning": None, "sampler": None,
        "_ad_disabled": True}  # ADetailer has worked on the host's own run
    for name, value in changes.items():
        setattr(nested, name, value)
    # ControlNet and others replace methods of the host's own run. Here, they would sample for that run.
    for name, value in tuple(vars(nested).items()):
        if inspect.isfunction(getattr(type(nested), name, None)) or getattr(value, "__self__", None) is p:
            delattr(nested, name)
    nested.scripts = copy.copy(p.scripts)
    nested.scripts.alwayson_scripts = [script for script in p.scripts.alwayson_scripts
                                       if script.title() not in OF_WHOLE_REQUESTS]
    if hasattr(nested, "extra_result_images"):
        nested.extra_result_images = []
    return nested


def _prepare_again(p: Any) -> None:
    """Lets the scripts prepare for the next batch. ControlNet prepares once for all of them, and ends with a nested run."""
    again = copy.copy(p)
    for name in PROMPTS:  # scripts may change these in place
        setattr(again, name, list(getattr(p, name)))
    p.scripts.process(again)
    for table in (runs, region_of, candidates.batches):
        table.pop(again)


def _part(prompt: str, region: Region) -> str:
    return of_regions(prompt, len(region.masks), [])[region.number]


def _keep(p: Any, image: Image.Image, kept: KeptImage | None, shown_mask: Image.Image | None) -> None:
    """Keeps the image with all its regions for re-composites, and shows all of them in the mask that the host may save."""
    run = runs.get(p)
    if run is None or kept is None:  # a fault: the host inpainted a region, and its own mask was saved
        return
    if shown_mask is not None:
        shown_mask.paste(grey_image(kept.total_opacity_px(run.settings)))
    candidates.add(p, run, kept, np.asarray(image), image)
