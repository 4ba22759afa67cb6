"""Trains the scene model's autoencoder."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch.nn.functional import avg_pool2d, max_pool2d

from training.dataset import drawn_scenes, encoded_scenes, latent_statistics
from training.fit import BATCHES, autocast, averaged, compiled, fit, with_bundled_weights
from training.networks import new_vae

BATCH = 1  # images; more on a GPU
RATE = 1e-3
DECODER_RATE = 5e-4
KL_WEIGHT = 2e-5  # just enough to keep the latents near unit scale
EDGE_WEIGHT = 0.5  # the eye notices blurred edges first
STEEPNESS_WEIGHT = 1.0  # without it, edges stay blurred
POOLED_PX = (4, 16)  # and next halos, which are errors that survive averaging
LATENT_NOISE = 0.03  # share of the latents' standard deviation; hides noise that the sampler leaves behind
SCALING = 0.18215  # SD1's value, because some programs have it built in


def train_vae(minutes: float) -> None:
    """Trains the autoencoder on whole scenes, because crops have other normalisation statistics."""
    vae, scenes = with_bundled_weights(new_vae(), "vae"), drawn_scenes()

    @compiled
    def error(images: torch.Tensor) -> torch.Tensor:
        with autocast():
            posterior = vae.encode(images).latent_dist
            decoded = vae.decode(posterior.sample()).sample
        return reconstruction_loss(decoded.float(), images) + KL_WEIGHT * _kl(posterior)

    fit("vae", vae, lambda share, rng: error(scenes.batch(BATCH * BATCHES, rng)[0]), minutes, RATE)


def reconstruction_loss(decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """L1 and L2 of the pixels, L1 of their gradients along both axes, of edge steepness, and of averages over squares."""
    error = decoded - images
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    halos = sum(avg_pool2d(error, side).abs().mean() for side in POOLED_PX)
    # A sharp edge in almost the right place costs more than a blurred one in all other terms.
    blur = (_steepness(decoded) - _steepness(images)).abs().mean()
    return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges + STEEPNESS_WEIGHT * blur + halos


def _steepness(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, H - 1, W - 1) length of the gradient, the largest within a pixel."""
    down, across = images.diff(dim=-2)[..., :-1], images.diff(dim=-1)[..., :-1, :]
    return max_pool2d((down.square() + across.square() + 1e-4).sqrt(), 3, 1, 1)


def _kl(posterior) -> torch.Tensor:
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def encoder() -> AutoencoderKL:
    """The averaged autoencoder as it was trained."""
    vae = with_bundled_weights(new_vae(), "vae")
    if (weights := averaged("vae")) is not None:
        vae.load_state_dict(weights)
    return vae.eval().requires_grad_(False)


def trained_vae() -> AutoencoderKL:
    """The averaged autoencoder. After scaling, its latents have zero mean and unit deviation per channel."""
    vae = encoder()
    if (statistics := latent_statistics()) is not None:
        _standardise(vae, *statistics)
    if (weights := averaged("decoder")) is not None:
        _decoder(vae).load_state_dict(weights)
    return vae


def _decoder(vae: AutoencoderKL) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})


def train_decoder(minutes: float) -> None:
    """Trains the decoder alone on whole scenes. The latents do not change, so the UNet still fits."""
    encoded_scenes(encoder)
    vae, scenes = trained_vae(), drawn_scenes()
    decoder = _decoder(vae).requires_grad_(True)

    @compiled
    def error(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), autocast():
            latent = vae.encode(images).latent_dist.mean.float() * SCALING
        with autocast():
            decoded = vae.decode((latent + LATENT_NOISE * torch.randn_like(latent)) / SCALING).sample
        return reconstruction_loss(decoded.float(), images)

    fit("decoder", decoder, lambda share, rng: error(scenes.batch(BATCH * BATCHES, rng)[0]), minutes, DECODER_RATE)


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
