"""The images of one request beside each other: their scores, their order, and which of them are saved."""
from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from modules import images, processing, shared
from PIL import Image

from lib_softinpaint.generation.candidates import Candidate, best_first, labels, of_kept, remarks
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.hosts.webui.content import content_of
from lib_softinpaint.hosts.webui.kept import history, history_mb
from lib_softinpaint.hosts.webui.run import Run
from lib_softinpaint.hosts.webui.run_table import RunTable, put_back
from lib_softinpaint.images.sheet import contact_sheet
from lib_softinpaint.settings.settings import Settings

SCORES_KEY, REMARKS_KEY = "Soft inpainting scores", "Soft inpainting remarks"
"""Keys among the generation parameters of the API's response: the blend score of each image, null if it is unknown, and
sentences on images that changed nothing or are nearly alike."""

OF_EACH_IMAGE = "all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds"
"""Lists of the host's result that have an entry for each image, beside `images` and `infotexts`."""

MOST_NAMED = 30
"""Scores in the line under the image."""

NOT_ALL_COMPARED = ("The images were not compared, because not all of them were soft-inpainted and laid over the original. "
                    "All were kept.\n")


@dataclass
class Batch:
    """What one `process_images` has made so far. It outlives the run, which a fault may end.

    Parameters
    ----------
    settings
    fields
        What was set on `p` and must be put back, by name.
    candidates
        In the order in which they were made.
    unsaved
        Arguments for the host's `save_image`, for images that the host was kept from saving.
    """

    settings: Settings
    fields: dict[str, bool]
    candidates: list[Candidate] = field(default_factory=list)
    unsaved: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def most(self) -> int:
        """How many images are saved and shown."""
        return int(self.settings.keep_best) or len(self.candidates)


batches: RunTable[Batch] = RunTable()


def start(p: Any, settings: Settings) -> None:
    """Before the first image. The host then saves neither what may not be kept, nor a grid in another order."""
    if p.n_iter * p.batch_size == 1:
        return
    wanted = {"do_not_save_samples": settings.keep_best > 0,
              "do_not_save_grid": settings.best_first or settings.keep_best > 0 or settings.contact_sheet}
    batch = Batch(settings, {name: getattr(p, name) for name, ours in wanted.items() if ours})
    for name in batch.fields:
        setattr(p, name, True)
    if batch.fields.get("do_not_save_samples") is False:
        weakref.finalize(p, _rescue, batch)
    batches.put(p, batch)


def add(p: Any, run: Run, kept: KeptImage, pixels: np.ndarray, result: Image.Image) -> None:
    """After an image was composited, with all its regions: keeps it for re-composites and for comparison.

    `pixels` are those of `result`, (H, W, 3 or 4) uint8.
    """
    batch, limit = batches.get(p), history_mb()
    if batch is None and limit == 0:
        return
    infotext = processing.create_infotext(p, p.prompts, p.seeds, p.subseeds, index=p.batch_index,
                                          all_negative_prompts=p.negative_prompts)
    if batch is not None:
        batch.candidates.append(of_kept(kept, kept.settings, pixels))
        if batch.fields.get("do_not_save_samples") is False:
            place = p.batch_index
            batch.unsaved.append((result, p.outpath_samples, "", p.seeds[place], p.prompts[place], shared.opts.samples_format,
                                  infotext))
    if limit > 0:
        run.finished.append((result, history.put(replace(kept, infotext=infotext), pixels, limit)))


def _rescue(batch: Batch) -> None:
    """Saves the best images of a request that ended with an error, so that a long run is not lost."""
    unsaved, batch.unsaved = batch.unsaved, []
    if not shared.opts.samples_save:
        return
    for place in best_first(batch.candidates)[:batch.most]:
        if place < len(unsaved):
            result, path, basename, seed, prompt, file_format, infotext = unsaved[place]
            images.save_image(result, path, basename, seed, prompt, file_format, info=infotext)


def finish(p: Any, processed: Any) -> list[int] | None:
    """After the last image: orders the host's result, saves what is kept, and says what the scores show.

    Returns
    -------
    The places of the images that are left, in their new order; None if there was nothing to order.
    """
    batch = batches.pop(p)
    if batch is None:
        return None
    put_back(p, batch.fields)
    first, candidates = processed.index_of_first_image, batch.candidates
    made, shown = len(candidates), len(processed.images) - first
    order = None
    if made and len(processed.infotexts) - first == made and shown % made == 0:
        order = best_first(candidates)[:batch.most]
        order = order if batch.settings.best_first else sorted(order)
        _reorder(processed, order, shown // made)
        _report(p, processed, batch.settings, [candidates[place] for place in order], made)
    elif batch.fields:
        processed.comments += NOT_ALL_COMPARED
    if batch.fields.get("do_not_save_samples") is False and p.save_samples():
        _save(p, processed)
    batch.unsaved.clear()  # only now: until here, a fault leaves them to be rescued
    _add_grid(p, processed, batch, [candidates[place] for place in order or ()])
    return order


def _reorder(processed: Any, order: Sequence[int], of_one: int) -> None:
    """Puts the host's images and all that belongs to each of them into this order. `of_one`: an image and its masks."""
    first, made = processed.index_of_first_image, processed.images[processed.index_of_first_image:]
    processed.images[first:] = [made[of_one * place + part] for place in order for part in range(of_one)]
    processed.infotexts[first:] = [processed.infotexts[first:][place] for place in order]
    for name in OF_EACH_IMAGE:
        entries = getattr(processed, name)
        if len(entries) > max(order):  # after an interruption, it has entries of images that were not made
            setattr(processed, name, [entries[place] for place in order])
    processed.seed, processed.subseed = int(processed.all_seeds[0]), int(processed.all_subseeds[0])
    processed.info = processed.infotexts[0]


def _report(p: Any, processed: Any, settings: Settings, kept: Sequence[Candidate], made: int) -> None:
    """Adds scores and remarks to the host's result, in the order of its images."""
    sentences = remarks(kept, p.denoising_strength, content_of(p, settings))
    processed.extra_generation_params = {
        **processed.extra_generation_params,
        SCORES_KEY: [None if math.isnan(each.score) else round(each.score, 1) for each in kept],
        **({REMARKS_KEY: list(sentences)} if sentences else {})}
    if len(kept) < made:
        sentences.insert(0, f"The best {len(kept)} of {made} images were kept. The others were neither saved nor shown.")
    more = f" and {len(kept) - MOST_NAMED} more" if len(kept) > MOST_NAMED else ""
    sentences.append(f"Blend scores: {'; '.join(labels(kept)[:MOST_NAMED])}{more}.")
    processed.comments += "".join(f"{sentence}\n" for sentence in sentences)


def _save(p: Any, processed: Any) -> None:
    first = processed.index_of_first_image
    of_one = max(1, (len(processed.images) - first) // max(1, len(processed.infotexts) - first))  # an image and its masks
    for image, text, seed, prompt in zip(processed.images[first::of_one], processed.infotexts[first:], processed.all_seeds,
                                         processed.all_prompts):
        images.save_image(image, p.outpath_samples, "", seed, prompt, shared.opts.samples_format, info=text, p=p)


def _add_grid(p: Any, processed: Any, batch: Batch, kept: Sequence[Candidate]) -> None:
    """Adds the contact sheet, or else the grid that the host was kept from making, as the host adds its own."""
    opts, from_host = shared.opts, batch.fields.get("do_not_save_grid") is False
    wants_sheet = batch.settings.contact_sheet and len(kept) > 1
    grid_is_wanted = from_host and (opts.return_grid or opts.grid_save) and (
        len(processed.images) > 1 or not opts.grid_only_if_multiple)
    if not (wants_sheet or grid_is_wanted) or not processed.images:
        return
    grid = _sheet(processed, kept) if wants_sheet else images.image_grid(processed.images, p.batch_size)
    text = processing.create_infotext(p, processed.all_prompts, processed.all_seeds, processed.all_subseeds, index=0,
                                      use_main_prompt=True, all_negative_prompts=processed.all_negative_prompts)
    if wants_sheet or opts.return_grid:
        if opts.enable_pnginfo:
            grid.info["parameters"] = text
        processed.images.insert(0, grid)
        processed.infotexts.insert(0, text)
        processed.index_of_first_image = 1
    if from_host and (wants_sheet or opts.grid_save):
        images.save_image(grid, p.outpath_grids, "grid", processed.all_seeds[0], processed.all_prompts[0], opts.grid_format,
                          info=text, short_filename=not opts.grid_extended_filename, p=p, grid=True)


def _sheet(processed: Any, kept: Sequence[Candidate]) -> Image.Image:
    of_one = len(processed.images) // len(kept)
    names = [f"{label}, seed {seed}" for label, seed in zip(labels(kept), processed.all_seeds)]
    return contact_sheet(dict(zip(names, processed.images[::of_one])), images.get_font)
