"""Makes new content agree with its surroundings in the WebUI: what its denoiser is asked is changed before a step."""
from __future__ import annotations

from typing import Any

import torch
from modules import errors, sd_samplers_common, shared

from lib_softinpaint.generation.coherent import CoherentCalls, left_out, possible
from lib_softinpaint.hosts.webui.faults import tell_user
from lib_softinpaint.hosts.webui.run import Changes, Sampling
from lib_softinpaint.hosts.webui.sampling import is_flow, noise_ratio_of
from lib_softinpaint.method import coherence, schedule

CALLS = {"sample_euler": 1, "sample_euler_ancestral": 1, "sample_lms": 1, "sample_dpmpp_2m": 1, "sample_dpmpp_2m_sde": 1,
         "sample_dpmpp_3m_sde": 1, "ddim": 1, "sample_heun": 2, "sample_dpm_2": 2, "sample_dpm_2_ancestral": 2,
         "sample_dpmpp_2s_ancestral": 2, "sample_dpmpp_sde": 2}
"""Model calls of each step, by the name of the sampler's function. Only these go on with a latent that was changed."""


def let_agree(p: Any, sampling: Sampling, changes: Changes) -> None:
    """Lets each step of this batch begin with a changed latent, as far as the sampler allows it."""
    sampler, steps_of = p.sampler, getattr(sd_samplers_common, "setup_img2img_steps", None)
    name = getattr(getattr(sampler, "func", None), "__name__", "")
    steps = steps_of(p)[1] + 1 if steps_of is not None else int(p.steps * p.denoising_strength)
    asked, job = sampling.job.settings, sampling.job
    job.settings, sentence = possible(asked, steps, p.cfg_scale, None if name in CALLS else f"the sampler {p.sampler_name}")
    p.extra_generation_params.update(left_out(asked, job.settings))
    if sentence is not None:
        tell_user(p, sentence)
    if job.settings.agreement or job.settings.coherence_rounds:
        calls = CoherentCalls(job, list(p.seeds))
        changes.replace_elsewhere(sampler.model_wrap_cfg, "forward", _Forward(sampler, sampling, calls, CALLS[name]))


class _Forward:
    """Stands for the `forward` of a batch's denoiser."""

    def __init__(self, sampler: Any, sampling: Sampling, calls: CoherentCalls, calls_each_step: int):
        self.sampler, self.denoiser, self.forward = sampler, sampler.model_wrap_cfg, sampler.model_wrap_cfg.forward
        self.sampling, self.calls, self.calls_each_step = sampling, calls, calls_each_step
        self.count, self.works = 0, True

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.works:
            try:
                self._change(x, sigma, *args, **kwargs)
            except Exception as fault:  # an interruption is none
                self.works = False
                errors.report("Soft inpainting could not change a step's latent", exc_info=True)
                tell_user(self.denoiser.p, "Coherence rounds and agreement with the surroundings were left out from some step "
                                           f"on, because they failed: {type(fault).__name__}: {fault}")
        return self.forward(x, sigma, *args, **kwargs)

    def _change(self, x: torch.Tensor, sigma: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        signal, deviation, ratio = self._levels(sigma)
        if self.count % self.calls_each_step == 0:
            inner = {**kwargs, "cond_scale": min(kwargs["cond_scale"], coherence.INNER_GUIDANCE)}

            def predict(noisy: torch.Tensor) -> torch.Tensor:
                output = self._unblended(noisy, sigma, *args, **inner)
                if not self._predicts_noise:
                    return output
                shape = -1, *[1] * (noisy.ndim - 1)
                return (noisy - deviation.view(shape) * output) / signal.view(shape)
            changed = self.calls.begin_step(x, signal, deviation, ratio, predict)
            if changed is not x:
                x.copy_(changed)  # the sampler goes on with it
        self.count += 1
        self.calls.ask(x, signal, deviation)

    @property
    def _predicts_noise(self) -> bool:
        """Whether the host's sampler counts in timesteps and works with the predicted noise."""
        denoiser = self.denoiser
        return getattr(denoiser, "mask_before_denoising", False) or getattr(denoiser, "classic_ddim_eps_estimation", False)

    def _levels(self, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Signal, noise and their ratio, (B,) each, for what the host calls sigma."""
        if self._predicts_noise:
            alpha_bar = schedule.alpha_bar_at(sigma, self.denoiser.inner_model.inner_model.alphas_cumprod).to(sigma.device)
            return alpha_bar.sqrt(), (1 - alpha_bar).sqrt(), schedule.ratio_from_alpha_bar(alpha_bar)
        signal = 1 - sigma if is_flow(self.denoiser) else torch.ones_like(sigma)
        return signal, sigma, noise_ratio_of(self.denoiser)(sigma)

    def _unblended(self, noisy: torch.Tensor, sigma: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The host's own prediction, without our blend, and without a trace in its counters and live preview."""
        levels, denoiser, state = self.sampling.noise_levels, self.denoiser, shared.state
        before = denoiser.step, getattr(self.sampler, "last_latent", None), state.current_latent
        decodes_later = shared.parallel_processing_allowed
        levels.is_round = shared.parallel_processing_allowed = True  # with --medvram, the host decodes each call at once
        try:
            return self.forward(noisy, sigma, *args, **kwargs)
        finally:
            levels.is_round, shared.parallel_processing_allowed = False, decodes_later
            denoiser.step, self.sampler.last_latent, state.current_latent = before
