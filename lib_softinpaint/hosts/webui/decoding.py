"""Decoding again what came out as NaN."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from modules import devices, processing, shared
from PIL import Image

from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.webui.faults import guarded, tell_user
from lib_softinpaint.hosts.webui.originals import encoded_original
from lib_softinpaint.hosts.webui.run import runs


@guarded
def postprocess_batch_list(p: Any, pp: Any) -> None:
    """After decoding: replaces what is not a number. The host looks at the first value alone, and shows NaN black."""
    run = runs.get(p)
    if run is None or run.sampling is None or run.sampled is None or run.sampled.latents is None:
        return
    latents, run.sampled.latents = run.sampled.latents, None
    for place, decoded in enumerate(pp.images):
        if decoded.isfinite().all():
            continue
        if devices.dtype_vae != torch.float32 and getattr(shared.opts, "auto_vae_precision", True):
            devices.dtype_vae = torch.float32  # and so it stays, as after the host's own check
            p.sd_model.first_stage_model.to(torch.float32)
        again = processing.decode_first_stage(p.sd_model, latents[place:place + 1].to(devices.dtype_vae))[0]
        again = ((again.float() + 1) / 2).clamp(0, 1).to(decoded.device)
        lost = ~again.isfinite().all(0)
        if lost.any():
            tell_user(p, f"The decoder gave no numbers for {lost.float().mean():.0%} of image {place + 1}: the original is "
                         "shown there.")
            size = Size(*decoded.shape[1:])
            shown = encoded_original(p, run.sampling.job, place).resize(size.width_height, Image.Resampling.LANCZOS)
            again = torch.where(lost, torch.from_numpy(np.array(shown)).permute(2, 0, 1).to(again) / 255, again)
        else:
            tell_user(p, f"The decoder gave no numbers for a part of image {place + 1}, and was asked again.")
        pp.images[place] = again
