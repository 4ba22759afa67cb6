"""Trains the scene model's autoencoder."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn.functional import avg_pool2d

from training.dataset import drawings, encoded_scenes
from training.fit import BATCHES, RUNS, autocast, averaged, fit, with_bundled_weights
from training.networks import new_vae
from training.scenes import SIZE

CROP_PX = 96  # crops train fastest
CROPS = 2  # from each drawn scene
CROP_BATCH = 8
CROP_SHARE = 0.45  # whole images must follow, because their normalisation statistics differ
WHOLE_BATCH = 1  # has about as many pixels as the crops
RATE = 1e-3
DECODER_RATE = 5e-4
KL_WEIGHT = 2e-5  # just enough to keep the latents near unit scale
EDGE_WEIGHT = 0.5  # the eye notices blurred edges first
POOLED_PX = (4, 16)  # and next halos, which are errors that survive averaging
LATENT_NOISE = 0.03  # share of the latents' standard deviation; hides noise that the sampler leaves behind
SCALING = 0.18215  # SD1's value, because some programs have it built in


def train_vae(minutes: float) -> None:
    """Trains the autoencoder, first on crops, then on whole images."""
    vae = with_bundled_weights(new_vae(), "vae")
    crops, whole = drawings(CROP_BATCH * BATCHES // CROPS), drawings(WHOLE_BATCH * BATCHES)

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        images = _crops(next(crops), rng) if share < CROP_SHARE else next(whole)
        with autocast():
            posterior = vae.encode(images).latent_dist
            decoded = vae.decode(posterior.sample()).sample
        return reconstruction_loss(decoded.float(), images) + KL_WEIGHT * _kl(posterior)

    fit("vae", vae, loss, minutes, RATE)


def reconstruction_loss(decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """L1 and L2 of the pixels, L1 of their gradients along both axes, and L1 of averages over larger squares."""
    error = decoded - images
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    halos = sum(avg_pool2d(error, side).abs().mean() for side in POOLED_PX)
    return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges + halos


def _kl(posterior) -> torch.Tensor:
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def _crops(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """CROPS random crops of each image."""
    corners = rng.integers(0, SIZE - CROP_PX + 1, (CROPS * len(images), 2)).tolist()
    return torch.stack([images[number // CROPS, :, top : top + CROP_PX, left : left + CROP_PX]
                        for number, (top, left) in enumerate(corners)])


def encoder() -> AutoencoderKL:
    """The averaged autoencoder as it was trained."""
    vae = with_bundled_weights(new_vae(), "vae")
    if (weights := averaged("vae")) is not None:
        vae.load_state_dict(weights)
    return vae.eval().requires_grad_(False)


def trained_vae() -> AutoencoderKL:
    """The averaged autoencoder. After scaling, its latents have zero mean and unit deviation per channel."""
    vae = encoder()
    if (RUNS / "latents.pt").exists():
        _, (mean, deviation) = encoded_scenes(encoder)
        _standardise(vae, mean, deviation)
    if (weights := averaged("decoder")) is not None:
        _decoder(vae).load_state_dict(weights)
    return vae


def _decoder(vae: AutoencoderKL) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})


def train_decoder(minutes: float) -> None:
    """Trains the decoder alone on whole scenes. The latents do not change, so the UNet still fits."""
    encoded_scenes(encoder)
    vae, images = trained_vae(), drawings(WHOLE_BATCH * BATCHES)
    decoder = _decoder(vae).requires_grad_(True)

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        drawn = next(images)
        with torch.no_grad(), autocast():
            latent = vae.encode(drawn).latent_dist.mean.float() * SCALING
        with autocast():
            decoded = vae.decode((latent + LATENT_NOISE * torch.randn_like(latent)) / SCALING).sample
        return reconstruction_loss(decoded.float(), drawn)

    fit("decoder", decoder, loss, minutes, DECODER_RATE)


def _standardise(vae: AutoencoderKL, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Folds (latent - mean) / deviation / SCALING into the 1 x 1 convolutions around the latent, in place."""
    vae.register_to_config(scaling_factor=SCALING)
    scale = deviation * SCALING
    into, out_of = vae.quant_conv, vae.post_quant_conv
    with torch.no_grad():
        into.weight[:4].div_(scale[:, None, None, None])
        into.bias[:4].sub_(mean).div_(scale)
        into.bias[4:].sub_(2 * scale.log())
        out_of.bias.add_((out_of.weight[:, :, 0, 0] * mean).sum(1))
        out_of.weight.mul_(scale[None, :, None, None])
