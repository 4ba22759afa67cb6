"""Methods of others that make new content agree with its surroundings, as short reference code. Only sampling differs.

Both know a hard mask only. They repeat steps of a k-diffusion sampler, whose samples are latent + sigma * noise.
"""
from __future__ import annotations

import functools
import math
from typing import Any

import torch

from benchmarks.peers import RecordingPipeline
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.hosts.diffusers.noise_levels import noise_level
from lib_softinpaint.hosts.diffusers.scheduler import BlendingScheduler

SEED = 1


class _RepeatingScheduler(BlendingScheduler):
    """Calls the model several times at each noise level. All calls but a level's last are `repeated`."""

    def __init__(self, scheduler: Any, job: SoftInpaintJob):
        super().__init__(scheduler, job)
        self.last_call, self.generator = self.step, torch.Generator().manual_seed(SEED)

        @functools.wraps(scheduler.step)
        def step(output, timestep, sample, *args, **kwargs):
            sigma, is_last = self.plan.pop(0)
            if is_last:
                return self.last_call(output, timestep, sample, *args, **kwargs)
            index = self.scheduler.step_index
            repeated = self.repeated(output, timestep, sample, sigma, functools.partial(self.last_call, *args, **kwargs))
            self.scheduler._step_index = index
            return repeated,
        self.step = step

    def run_timesteps(self, timesteps: torch.Tensor) -> tuple[torch.Tensor, int]:
        begin = self.scheduler.begin_index or 0
        sigmas = [noise_level(self.scheduler, each, begin + number).sigma for number, each in enumerate(timesteps)]
        self.plan = [(sigma, left == 0) for sigma in sigmas for left in reversed(range(1 + self.repeats(float(sigma))))]
        return torch.stack([each for each, sigma in zip(timesteps, sigmas) for _ in range(1 + self.repeats(float(sigma)))]), 0

    def repeats(self, sigma: float) -> int:
        raise NotImplementedError

    def repeated(self, output: torch.Tensor, timestep: Any, sample: torch.Tensor, sigma: torch.Tensor,
                 step: Any) -> torch.Tensor:
        raise NotImplementedError

    def noise(self, like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=self.generator)


class RePaintScheduler(_RepeatingScheduler):
    """Each step is made three times: after a step, noise leads back to where it began.

    Source: Lugmayr et al., arXiv 2201.09865, algorithm 1, with a jump of one step.
    """

    RESAMPLINGS, LEAST_SIGMA = 2, 0.05

    def repeats(self, sigma: float) -> int:
        return self.RESAMPLINGS if sigma > self.LEAST_SIGMA else 0

    def repeated(self, output, timestep, sample, sigma, step):
        after = self.scheduler.sigmas[self.scheduler.step_index + 1]
        stepped, *_ = step(output, timestep, sample, return_dict=False)
        return stepped + (sigma ** 2 - after ** 2).clamp(min=0).sqrt() * self.noise(stepped)


class LanPaintScheduler(_RepeatingScheduler):
    """Up to five Langevin rounds before each noisy step. The known area is pulled to the original and past it.

    Source: Zheng et al., arXiv 2502.03491, the bidirectional guided score with its exact solution for overdamped steps. Its
    momentum is left out.
    """

    ROUNDS, STEP, PULL, PULL_STEP, MOST_PULL = 5, 0.3, 5.0, 0.15, 3.0

    def repeats(self, sigma: float) -> int:
        share = sigma ** 2 / (1 + sigma ** 2)
        return round(self.ROUNDS * share) if share >= 0.25 else 0

    def repeated(self, output, timestep, sample, sigma, step):
        level, scaled = noise_level(self.scheduler, timestep).scaled_for(self.scheduler.config.prediction_type, sample)
        denoised, noise = level.denoised(self.scheduler.config.prediction_type, output, scaled), self.noise(sample)
        free = self._towards(denoised, sample, self.STEP) + sigma * math.sqrt(1 - math.exp(-2 * self.STEP)) * noise
        # The score of the known area: to the original, and PULL times that from the prediction away.
        length = (1 + self.PULL) * self.PULL_STEP
        past = (self.PULL / (1 + self.PULL) * (sample - denoised)).clamp(-self.MOST_PULL * sigma, self.MOST_PULL * sigma)
        known = (self._towards(self.job.reference + past, sample, length)
                 + sigma * math.sqrt((1 - math.exp(-2 * length)) / (1 + self.PULL)) * noise)
        return torch.where(self.job.repaint > 0, free, known)

    @staticmethod
    def _towards(target: torch.Tensor, sample: torch.Tensor, length: float) -> torch.Tensor:
        return torch.lerp(target, sample, math.exp(-length))


class _HardPipeline(RecordingPipeline):
    """Samples with a hard mask. The composite is ours."""

    scheduler_kind: type[_RepeatingScheduler]

    def _blending(self, scheduler, job, conditioning, may_skip):
        job.repaint = (job.repaint >= 0.5).to(job.repaint)
        return self.scheduler_kind(scheduler, job)


class RePaintPipeline(_HardPipeline):
    scheduler_kind = RePaintScheduler


class LanPaintPipeline(_HardPipeline):
    scheduler_kind = LanPaintScheduler
