"""Latents of the model families: how each normalises its VAE's, and how its denoiser packs them.

The blend needs original and prediction as (B, C, h, w), normalised as the denoiser predicts them.
"""
from __future__ import annotations

from typing import Any

import torch

from lib_softinpaint.geometry import Size

PATCH = 2
"""Side of a patch in latent pixels, in all transformers that pack their latents."""


class Latents:
    """Latents that the denoiser takes as (B, C, h, w): Stable Diffusion 1, 2 and XL."""

    patch = 1
    """Side of a patch in latent pixels. The latent's height and width are multiples of it."""

    def encoded(self, vae: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Normalised latent (B, C, h, w), from the mode of the VAE."""
        return self.normalised(vae, vae.encode(pixels).latent_dist.mode())

    def decoded(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W), -1 to 1, of a normalised latent."""
        return vae.decode(self.denormalised(vae, latent), return_dict=False)[0]

    def normalised(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        """The VAE's latent as the denoiser predicts it."""
        shift, scale, deviation = _statistics(vae, latent)
        return (latent - shift) * scale / deviation

    def denormalised(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        """The inverse of `normalised`."""
        shift, scale, deviation = _statistics(vae, latent)
        return latent * deviation / scale + shift

    def packed(self, latent: torch.Tensor) -> torch.Tensor:
        """A latent (B, C, h, w) as the denoiser takes it."""
        return latent

    def unpacked(self, packed: torch.Tensor, size: Size) -> torch.Tensor:
        """The inverse of `packed`. `size` is the latent's height and width."""
        return packed

    def start(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        """A normalised latent as diffusers' pipeline takes it in place of an image."""
        return latent

    def sampled(self, vae: Any, result: torch.Tensor, size: Size) -> torch.Tensor:
        """The normalised latent (B, C, h, w) that diffusers' pipeline returned."""
        return self.unpacked(result, size)


class Patched(Latents):
    """Latents that the denoiser takes as they are and splits into patches itself: Stable Diffusion 3 and Z-Image."""

    patch = PATCH


class Packed(Latents):
    """Latents packed as (B, N, 4 C), one row for each patch: Flux.1 and Chroma."""

    patch = PATCH

    def packed(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_unshuffle(latent, PATCH).flatten(2).transpose(1, 2)

    def unpacked(self, packed: torch.Tensor, size: Size) -> torch.Tensor:
        rows, columns = size.height // PATCH, size.width // PATCH
        return torch.nn.functional.pixel_shuffle(packed.transpose(1, 2).unflatten(2, (rows, columns)), PATCH)


class OneFrame(Packed):
    """Packed latents whose VAE encodes videos, here of one frame: Qwen-Image."""

    def encoded(self, vae: Any, pixels: torch.Tensor) -> torch.Tensor:
        return self.normalised(vae, vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0])

    def decoded(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        return vae.decode(self.denormalised(vae, latent)[:, :, None], return_dict=False)[0][:, :, 0]


class BatchNormalised(Packed):
    """Packed latents whose patches are normalised by the VAE's batch statistics: Flux.2."""

    def normalised(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        mean, deviation = self._batch_statistics(vae, latent)
        return torch.nn.functional.pixel_shuffle(
            (torch.nn.functional.pixel_unshuffle(latent, PATCH) - mean) / deviation, PATCH)

    def denormalised(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_shuffle(self.start(vae, latent), PATCH)

    def start(self, vae: Any, latent: torch.Tensor) -> torch.Tensor:
        mean, deviation = self._batch_statistics(vae, latent)
        return torch.nn.functional.pixel_unshuffle(latent, PATCH) * deviation + mean

    def sampled(self, vae: Any, result: torch.Tensor, size: Size) -> torch.Tensor:
        return self.normalised(vae, result)

    @staticmethod
    def _batch_statistics(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, variance = (each.view(1, -1, 1, 1).to(like) for each in (vae.bn.running_mean, vae.bn.running_var))
        return mean, (variance + vae.config.batch_norm_eps).sqrt()


def _statistics(vae: Any, like: torch.Tensor) -> tuple[Any, Any, Any]:
    """Shift, scale and deviation of the VAE's latents: numbers, or (1, C, 1, 1) for each channel."""
    mean, deviation = (getattr(vae.config, name, None) for name in ("latents_mean", "latents_std"))
    scale = getattr(vae.config, "scaling_factor", None) or 1.0
    if mean is None or deviation is None:
        return getattr(vae.config, "shift_factor", None) or 0.0, scale, 1.0
    mean, deviation = (torch.tensor(each).view(1, -1, 1, 1).to(like) for each in (mean, deviation))
    return mean, scale, deviation
