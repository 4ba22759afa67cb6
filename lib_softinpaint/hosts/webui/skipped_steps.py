"""Skips the steps of a run that change nothing."""
from __future__ import annotations

from typing import Any

from modules import sd_samplers_common, shared

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.hosts.webui.run import Changes
from lib_softinpaint.hosts.webui.sampling import noise_ratio_of
from lib_softinpaint.settings.request import MASKED_CONTENTS
from lib_softinpaint.settings.settings import HOSTS

ONE_STEP_SAMPLERS = {"Euler": 1, "Heun": 2, "DPM2": 2}
"""Samplers that use only the last step and draw no noise, with their order."""


def leave_out_locked_steps(p: Any, job: SoftInpaintJob, changes: Changes) -> None:
    """Makes the host begin one step before the mask's first pixel unlocks, if that cannot change the result.

    Until then the latent is the original plus the initial noise, rescaled. This holds if sampling starts from the original
    and the sampler uses only the last step, draws no noise and starts at the noise level of its first step. Features that
    count steps would go wrong: prompts that change during sampling, a refiner, skipped negative prompts.
    """
    steps_of = getattr(sd_samplers_common, "setup_img2img_steps", None)
    if (steps_of is None or job.settings.threshold_mix < 1 or p.sampler.config.name not in ONE_STEP_SAMPLERS or p.s_churn
            or p.inpainting_fill != MASKED_CONTENTS.index("original")
            or job.settings.own_masked_content != HOSTS or job.settings.extra_noise
            or shared.opts.img2img_fix_steps or shared.opts.img2img_extra_noise > 0
            or p.s_min_uncond or getattr(shared.opts, "skip_early_cond", 0) or getattr(p, "refiner_checkpoint", None)
            or any("[" in prompt for prompt in (*p.prompts, *p.negative_prompts))):
        return
    steps, encoded = steps_of(p)
    sigmas = p.sampler.get_sigmas(p, steps)[steps - encoded - 1:-1]
    locked = job.locked_steps(noise_ratio_of(p.sampler.model_wrap_cfg)(sigmas), ONE_STEP_SAMPLERS[p.sampler.config.name])
    left_out = locked - 1  # Forge Classic leaves out the negative prompt in a run's first step, so that one must be locked
    if left_out > 0:
        changes.set(p, "denoising_strength", (encoded - left_out + 0.5) / steps)  # the host rounds down
        p.comment(f"{left_out} of {len(sigmas)} steps were skipped, because no pixel may change in them yet.")
