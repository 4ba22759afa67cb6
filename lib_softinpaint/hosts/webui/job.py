"""Builds the job of one run from what the host has prepared."""
from __future__ import annotations

from typing import Any

import numpy as np

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.hosts.webui.masks import MASK_RESIZES, in_latent_size, latent_mask_of, overlay_mask
from lib_softinpaint.hosts.webui.originals import reference_latent, shown_original, transparent_source
from lib_softinpaint.hosts.webui.run import Run, Sampling
from lib_softinpaint.method.mask import PaintedMask, resized


def start_sampling(p: Any, run: Run) -> Sampling:
    """The run's state at its first batch, once the host's `init` has run."""
    box = Box(*p.paste_to) if p.inpaint_full_res else None
    originals = [shown_original(p, image, box) for image in run.shown or p.init_images]
    sizes, working = [Size.of(original) for original in originals], Size(p.height, p.width)
    painted = [PaintedMask(run.painted, run.canvas, size, working if box is None else None,
                           MASK_RESIZES[p.resize_mode]) for size in sizes]
    shaped = run.shaped
    if shaped is None:
        masks = [overlay_mask(p, overlay, size) for overlay, size in zip(p.overlay_images, sizes)]
    else:
        masks = [each.placed(shaped.shown) for each in painted]
    if shaped is None:
        repaint = p.nmask
    elif shaped.sampled is None:
        repaint = latent_mask_of(p, shaped.shown, box)
    else:  # another script's mask: the host stretches it over the latent, even over that of a crop
        repaint = in_latent_size(p, resized(shaped.sampled, working))
    repeat = p.batch_size if len(originals) == 1 else 1
    sources = [transparent_source(p, image, box) for image in run.originals] * repeat
    job = SoftInpaintJob(run.settings, repaint, reference_latent(p, run, originals, box),
                         [np.asarray(original) for original in originals] * repeat, masks * repeat, box,
                         [each.placed(each.strengths) for each in painted] * repeat)
    return Sampling(job, painted * repeat, sources)
