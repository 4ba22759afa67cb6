"""Noise levels, and how much of each pixel is repainted at each level."""
from __future__ import annotations

from functools import cache

import torch

NOISE_RATIO_LIMIT = 14.6146
"""Noise-to-signal ratio of Stable Diffusion 1 at its first step. Flow models and models with zero terminal SNR reach
thousands or infinity there. With this cap, the same settings act alike on all of them."""

SMALLEST_ALPHA_BAR = 1e-8
"""Guards divisions by the signal's share where a model's schedule ends in pure noise (alpha_bar = 0)."""

SMALLEST_RATIO = 1e-6
"""Guards the logarithm where no noise is left."""

LARGEST_ALPHA_BAR = 1 - 1e-6
"""Guards divisions by the noise's share where a schedule reaches the clean latent (alpha_bar = 1)."""

TIME_EPSILON = 1e-4
"""Share of training time. Keeps rounding from deciding comparisons such as grey 0.5 with half the time."""


def ratio_from_sigma(sigma: torch.Tensor) -> torch.Tensor:
    """Noise-to-signal ratio of models that add noise of deviation sigma to an unscaled latent.

    Parameters
    ----------
    sigma : (B,) float

    Source: Karras et al., arXiv 2206.00364, section 2: there the ratio is sigma itself.
    """
    return sigma.float().clamp(0, NOISE_RATIO_LIMIT)


def ratio_from_flow(sigma: torch.Tensor) -> torch.Tensor:
    """Noise-to-signal ratio of flow models: the noisy latent is (1 - sigma) * latent + sigma * noise.

    Parameters
    ----------
    sigma : (B,) float, 0 to 1

    Source: Esser et al., arXiv 2403.03206, section 2.
    """
    sigma = sigma.float().clamp(0, 1)
    return (sigma / (1 - sigma)).clamp(max=NOISE_RATIO_LIMIT)


def ratio_from_alpha_bar(alpha_bar: torch.Tensor) -> torch.Tensor:
    """Noise-to-signal ratio of the noisy latent sqrt(alpha_bar) * latent + sqrt(1 - alpha_bar) * noise.

    Parameters
    ----------
    alpha_bar : (B,) float, 0 to 1

    Source: Song et al., arXiv 2010.02502, equation 4.
    """
    alpha_bar = alpha_bar.float().clamp(SMALLEST_ALPHA_BAR, 1)
    return ((1 - alpha_bar) / alpha_bar).sqrt().clamp(max=NOISE_RATIO_LIMIT)


def alpha_bar_at(timestep: torch.Tensor, alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Cumulated signal share at a timestep; between two timesteps its logarithm is interpolated linearly.

    Parameters
    ----------
    timestep : (B,) float or int, 0 to T - 1
    alphas_cumprod : (T,) float

    Source: the discrete schedule of Zhao et al., arXiv 2302.04867 (UniPC), which has timesteps between integers.
    """
    # In float32, because Apple GPUs and some Intel GPUs have no float64.
    timestep = timestep.to(alphas_cumprod.device, torch.float32).clamp(0, len(alphas_cumprod) - 1)
    log_alpha_bar = alphas_cumprod.float().clamp(SMALLEST_ALPHA_BAR, 1).log()
    below = timestep.floor().long()
    above = timestep.ceil().long()
    return torch.lerp(log_alpha_bar[below], log_alpha_bar[above], timestep - below).exp()


def training_time(ratio: torch.Tensor) -> torch.Tensor:
    """Training time at which Stable Diffusion has this noise-to-signal ratio, as a share: 1 is pure noise.

    Parameters
    ----------
    ratio : (B,) float

    Returns
    -------
    (B,) float32, 0 to 1

    Source: own; the schedule of Stable Diffusion 1, 2 and XL (Rombach et al., arXiv 2112.10752), interpolated
    between steps. One clock for all models, so that the same grey acts alike on all of them.
    """
    log_ratio = ratio.float().clamp(min=SMALLEST_RATIO).log()
    table = _log_ratios().to(log_ratio.device)
    above = torch.searchsorted(table, log_ratio).clamp(1, len(table) - 1)
    below = above - 1
    between = ((log_ratio - table[below]) / (table[above] - table[below])).clamp(0, 1)
    # The table's first entry is the first step's end; below it no noise is left.
    return torch.where(log_ratio < table[0], 0, (below + 1 + between) / len(table))


@cache
def _log_ratios() -> torch.Tensor:
    """(1000,) float32: logarithm of Stable Diffusion's noise-to-signal ratio after each step of training, rising."""
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000) ** 2
    alpha_bar = torch.cumprod(1 - betas, 0)
    return ((1 - alpha_bar) / alpha_bar).log() / 2


def unlocked_share(repaint: torch.Tensor, time_left: torch.Tensor) -> torch.Tensor:
    """1 where the remaining share of time has fallen to the mask value, so that the pixel is repainted; else 0.

    Parameters
    ----------
    repaint : (B or 1, 1, ..., H, W) float, 0 to 1
    time_left : (B or 1,) float, 1 to 0
        Training time at this step divided by that at the first step.

    Source: Levin and Fried, arXiv 2306.00950, algorithm 1.
    """
    time_left = time_left.view(-1, *[1] * (repaint.ndim - 1)).to(repaint)
    return ((repaint > 0) & (repaint >= time_left - TIME_EPSILON)).to(repaint.dtype)


def repaint_share(log_repaint: torch.Tensor, ratio: torch.Tensor, bias: float, strength: float) -> torch.Tensor:
    """How much of each pixel is repainted at a noise level: repaint ** (strength * ratio ** bias).

    Where the mask is 0 or 1, so is the share, for any exponent.

    Parameters
    ----------
    log_repaint : (B or 1, 1, ..., H, W) float
        Natural logarithm of the repaint mask, -inf where it is 0. It is the same at every step, so it is
        computed once.
    ratio : (B or 1,) float
        Noise-to-signal ratio.

    Source: observed in AUTOMATIC1111 1.10.1, with sigma for the ratio; there 0 ** 0 is 1.
    """
    exponent = strength * ratio ** bias
    share = torch.exp(log_repaint * exponent.view(-1, *[1] * (log_repaint.ndim - 1)).to(log_repaint))
    return share.masked_fill(log_repaint == -torch.inf, 0)
