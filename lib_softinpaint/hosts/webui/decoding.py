"""Replaces NaN and infinity, in what the sampler returns and in decoded images."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from modules import devices, processing, shared
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.webui.faults import guarded, tell_user
from lib_softinpaint.hosts.webui.originals import encoded_original
from lib_softinpaint.hosts.webui.run import runs


def finite_latents(p: Any, job: SoftInpaintJob, samples: torch.Tensor) -> torch.Tensor:
    """The sampled latents (B, C, ..., h, w), with the original's wherever they are NaN or infinite."""
    lost = ~samples.isfinite().all(dim=1, keepdim=True)
    if not lost.any():
        return samples
    tell_user(p, f"The sampler failed on {lost.float().mean():.0%} of the latents; the original is shown there.")
    return torch.where(lost, job.reference.to(samples), samples)


@guarded
def postprocess_batch_list(p: Any, pp: Any) -> None:
    """After decoding: replaces NaN and infinity. The host checks only the first value and shows NaN as black."""
    run = runs.get(p)
    if run is None or run.sampled is None or run.sampled.latents is None:
        return
    latents, run.sampled.latents = run.sampled.latents, None
    for place, decoded in enumerate(pp.images):
        if decoded.isfinite().all():
            continue
        if devices.dtype_vae != torch.float32 and getattr(shared.opts, "auto_vae_precision", True):
            devices.dtype_vae = torch.float32  # never reset, just as the host does not reset it after its own check
            p.sd_model.first_stage_model.to(torch.float32)
        second = processing.decode_first_stage(p.sd_model, latents[place:place + 1].to(devices.dtype_vae))[0]
        second = ((second.float() + 1) / 2).clamp(0, 1).to(decoded.device)
        lost = ~second.isfinite().all(0)
        if lost.any():
            tell_user(p, f"The VAE failed to decode {lost.float().mean():.0%} of image {place + 1}; the original is shown "
                         "there.")
            size = Size(*decoded.shape[1:])
            shown = encoded_original(p, run.sampled.sampling.job, place).resize(size.width_height, Image.Resampling.LANCZOS)
            second = torch.where(lost, torch.from_numpy(np.array(shown)).permute(2, 0, 1).to(second) / 255, second)
        else:
            tell_user(p, f"The VAE failed on part of image {place + 1}, so it was decoded again.")
        pp.images[place] = second
