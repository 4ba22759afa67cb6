"""Before a step, the noisy latent is changed so that the painted area and its surroundings agree.

The noise outside the painted area may be that which the model itself sees there. In coherence rounds, the model is asked again
at the same noise level: the painted area follows the prediction, as in Langevin sampling, and the surroundings are pulled to
the original, and away from what the model predicts there. So what the model misjudges outside the painted area changes what it
paints inside.
"""
from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch

from lib_softinpaint.method.blend import channel_norm

LEAST_RATIO, MOST_RATIO = 0.05, 3.0
"""Noise-to-signal ratios between which the noise outside the painted area is changed. Above, the model decides what it paints,
and with changed noise it more often leaves out what was asked for. Below, hardly anything is decided."""

LEAST_NOISE = 0.25
"""Share of noise in the latent's variance, 1 - alpha_bar, below which there are no rounds: large shapes are settled there."""

STEP = 0.3
"""Length of a round, in units of the time in which the painted area forgets its noise."""
PULL = 5.0
"""How much the surroundings answer to the prediction, in shares of their pull to the original."""
PULL_STEP = 0.5
"""Length of a round for the surroundings, in shares of STEP."""
MOST_PULL = 3.0
"""Largest answer to the prediction, in standard deviations of the noise."""

SETTLED = 0.02
"""Relative change of the prediction in the painted area from which further rounds are left out."""

INNER_GUIDANCE = 2.0
"""Guidance scale of the rounds, at most. Predictions under high guidance are exaggerated, and rounds add that up."""

LEAST_STEPS = 6
"""With fewer steps, rounds are left out: models that need so few are distilled, and rounds spoil their images."""


def agreed(noisy: torch.Tensor, seen: torch.Tensor, reference: torch.Tensor, repaint: torch.Tensor, share: torch.Tensor,
           ratio: torch.Tensor, strength: float) -> torch.Tensor:
    """The noisy latent whose noise outside the painted area is what the model saw there.

    Otherwise the original would carry noise that has nothing to do with the noise of the painted area, and the model would
    take the two for unrelated.

    Parameters
    ----------
    noisy : (B, C, ..., H, W) float32
        Latent + ratio * noise.
    seen : (B, C, ..., H, W) float32
        What the model took for noise at its last call, of standard deviation 1: (noisy - denoised) / ratio of that call.
    reference, share, ratio
        As in `moved`.
    repaint : (B or 1, 1, ..., H, W) float32, 0 to 1
        The repaint mask.
    strength
        0 to 1; 0 changes nothing.

    Source: DING, arXiv 2512.18365, without its second model call.
    """
    outside = (repaint == 0).to(seen).expand_as(seen)
    dimensions = tuple(range(1, seen.ndim))
    variance = (seen.square() * outside).sum(dimensions, keepdim=True) / outside.sum(dimensions, keepdim=True).clamp(min=1)
    # The model misjudges the original a little. Unlimited, the error would grow from call to call.
    seen = seen / variance.sqrt().clamp(min=1)
    return torch.lerp(noisy, reference + ratio * seen, strength * (1 - share))


def rounds_at(most: float, ratio: float) -> int:
    """Number of rounds before a step: at most `most`, fewer at less noise.

    Parameters
    ----------
    ratio
        Noise-to-signal ratio of the step. No rounds if it is infinite, as in a flow model's first step.
    """
    if not math.isfinite(ratio):
        return 0
    noise_share = ratio ** 2 / (1 + ratio ** 2)
    return round(most * noise_share) if noise_share >= LEAST_NOISE else 0


def moved(noisy: torch.Tensor, denoised: torch.Tensor, reference: torch.Tensor, share: torch.Tensor, ratio: torch.Tensor,
          noise: torch.Tensor) -> torch.Tensor:
    """The noisy latent after one round.

    Parameters
    ----------
    noisy : (B, C, ..., H, W) float32
        Latent + ratio * noise.
    denoised : (B, C, ..., H, W) float32
        The model's prediction for it, without the original blended in.
    reference : (B or 1, C, ..., H, W) float32
        The original's latent.
    share : (B or 1, 1, ..., H, W) float32, 0 to 1
        1 = repaint.
    ratio : (B or 1, 1, ..., 1, 1) float32
        Noise-to-signal ratio.
    noise : (B, C, ..., H, W) float32
        Standard normal.

    Source: the bidirectional guided conditional sampling of LanPaint, arXiv 2502.03491, for two overdamped steps and a soft
    mask.
    """
    kept = math.exp(-STEP)
    free = torch.lerp(denoised, noisy, kept) + ratio * math.sqrt(1 - kept ** 2) * noise
    kept = math.exp(-(1 + PULL) * PULL_STEP * STEP)
    answer = (PULL / (1 + PULL) * (noisy - denoised)).clamp(-MOST_PULL * ratio, MOST_PULL * ratio)
    held = torch.lerp(reference + answer, noisy, kept) + ratio * math.sqrt((1 - kept ** 2) / (1 + PULL)) * noise
    return torch.lerp(held, free, share)


def is_settled(before: torch.Tensor, after: torch.Tensor, share: torch.Tensor) -> bool:
    """Whether the prediction of the painted area hardly changed since the round before. Arguments as in `moved`."""
    change, size = (channel_norm(share * each).square().mean() for each in (after - before, after))
    return bool(change < SETTLED ** 2 * size)


def noise_for(seeds: Sequence[int], step: int, number: int, like: torch.Tensor) -> torch.Tensor:
    """Noise of one round, (B, C, ..., H, W) float32: the same for an image alone and in any batch.

    Parameters
    ----------
    seeds
        One for each image of the batch.
    step, number
        Of the run, and of the round within the step.
    """
    def one(seed: int) -> torch.Tensor:
        digest = hashlib.sha256(f"{seed} {step} {number}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") % 2 ** 63)
        return torch.randn(like.shape[1:], generator=generator)
    return torch.stack([one(seed) for seed in seeds]).to(like.device)


def obstacle(steps: int, guidance: float) -> str | None:
    """Why rounds are left out in a run of so many steps at this guidance scale, as a sentence. None if they are not."""
    if steps < LEAST_STEPS:
        return f"Coherence rounds were left out: they need at least {LEAST_STEPS} steps to run, and there are {steps}."
    if guidance <= 1:
        return f"Coherence rounds were left out: they need a CFG scale above 1, and it is {guidance:g}."
    return None
