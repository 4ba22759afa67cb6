"""Makes new content agree with its surroundings, before the model calls of one batch. Knows no host."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.method import coherence
from lib_softinpaint.settings.settings import FIELDS, Settings, infotext_key


def possible(settings: Settings, steps: int, guidance: float, unfit: str | None) -> tuple[Settings, str | None]:
    """The settings without what a run cannot do, and a sentence if that is something asked for.

    Agreement is on by default, so there is no sentence about it.

    Parameters
    ----------
    steps, guidance
        Number of steps that are run, and guidance scale. Rounds need enough of both.
    unfit
        The sampler or scheduler, if it does not go on with a latent that was changed.
    """
    rounds = settings.coherence_rounds > 0
    if unfit is not None:
        return replace(settings, agreement=0.0, coherence_rounds=0.0), \
            f"Coherence rounds were left out: they do not work with {unfit}." if rounds else None
    obstacle = coherence.obstacle(steps, guidance) if rounds else None
    return settings if obstacle is None else replace(settings, coherence_rounds=0.0), obstacle


def left_out(asked: Settings, used: Settings) -> dict[str, str]:
    """Infotext keys and values of the settings that `possible` has changed."""
    return {infotext_key(FIELDS[name]): "0" for name in ("coherence_rounds", "agreement")
            if getattr(asked, name) != getattr(used, name)}


class CoherentCalls:
    """Changes the noisy latent before a step, as the settings *Agreement with the surroundings* and *Coherence rounds* say.

    Parameters
    ----------
    job
        Its `blend` must get the prediction of each call.
    seeds
        One for each image of the batch.
    """

    def __init__(self, job: SoftInpaintJob, seeds: Sequence[int]):
        self.job = job
        self.seeds = seeds
        self._step = 0
        self._asked: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        """Noisy latent, signal and sigma of the last model call."""

    def begin_step(self, noisy: torch.Tensor, signal: torch.Tensor, sigma: torch.Tensor, ratio: torch.Tensor,
                   predict: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The noisy latent with which a step goes on: a new tensor, or the latent itself if nothing is to be done.

        Parameters
        ----------
        noisy : (B, C, ..., H, W) float
            signal * latent + sigma * noise
        signal, sigma, ratio : (B or 1,) float
            The ratio is from `schedule`.
        predict
            The model's denoised prediction for a noisy latent, without the original blended in.
        """
        step, self._step = self._step, self._step + 1
        settings, highest = self.job.settings, float(ratio.max())
        count = coherence.rounds_at(settings.coherence_rounds, highest)
        agrees = settings.agreement > 0 and self._asked is not None and coherence.LEAST_RATIO < highest < coherence.MOST_RATIO
        share = self.job.repaint_share(noisy, ratio) if count or agrees else None
        if share is None or not share.any():  # nothing may change in this step
            return noisy
        signal, deviation = (_beside(each, noisy) for each in (signal, sigma / signal))
        reference, latent = self.job.reference, noisy.float() / signal
        if agrees and (seen := self._seen_noise(latent)) is not None:
            latent = coherence.agreed(latent, seen, reference, self.job.repaint, share, deviation, settings.agreement)
        before = None
        for number in range(count):
            denoised = predict((signal * latent).to(noisy.dtype)).float()
            if before is not None and coherence.is_settled(before, denoised, share):
                break
            before = denoised
            noise = coherence.noise_for(self.seeds, step, number, noisy)
            latent = coherence.moved(latent, denoised, reference, share, deviation, noise)
        return (signal * latent).to(noisy.dtype)

    def ask(self, noisy: torch.Tensor, signal: torch.Tensor, sigma: torch.Tensor) -> None:
        """Notes what the model is asked at a call. Arguments as in `begin_step`."""
        if self.job.settings.agreement > 0:
            self._asked = noisy.clone(), signal, sigma

    def _seen_noise(self, latent: torch.Tensor) -> torch.Tensor | None:
        """What the model took for noise at its last call, of standard deviation 1. None if that call had another size."""
        assert self._asked is not None, "the first call has no call before it"
        (noisy, *level), predicted = self._asked, self.job.predicted
        if predicted is None or not latent.shape == noisy.shape == predicted.shape:
            return None
        signal, sigma = (_beside(each, noisy) for each in level)
        return (noisy.float() - signal * predicted.float()) / sigma


def _beside(each: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    """One number for each image, (B or 1,), in a shape that multiplies with the latent, float32."""
    return each.float().view(-1, *[1] * (latent.ndim - 1)).to(latent.device)
