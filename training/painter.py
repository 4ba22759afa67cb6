"""Trains the scene model's text encoder and UNet."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch.nn.functional import binary_cross_entropy_with_logits

from training.autoencoder import encoder
from training.dataset import drawn_scenes, encoded_scenes
from training.fit import BATCHES, DEVICE, RUNS, autocast, averaged, compiled, fit, with_bundled_weights
from training.networks import TEXT_WIDTH, new_scheduler, new_text_encoder, new_tokenizer, new_unet, tokenize
from training.scenes import SIZE

TEXT_BATCH = 32
TEXT_RATE = 1e-3
UNET_BATCH = 16
UNET_RATE = 1e-3
PAIRS = 1021  # buckets for pairs of neighbouring words such as red and house; a prime, so that few collide
DROPPED_CAPTIONS = 0.1  # trains the unconditional half of classifier-free guidance
ONE_SIZE_SHARE = 0.5  # of a stage; larger scenes follow
LARGER = 0.4  # share of batches of larger scenes after that


def train_text(minutes: float) -> None:
    """Trains the text encoder to predict a caption's words and word pairs from each token after its end.

    The UNet's attention starts out uniform over all 77 tokens, and most of them are padding. If each of these
    holds the caption's content, the UNet need not learn first where to look.
    """
    tokenizer = new_tokenizer(RUNS / "tokenizer")
    size, scenes = len(tokenizer), drawn_scenes()
    model = torch.nn.ModuleDict({"text": new_text_encoder(tokenizer), "words": torch.nn.Linear(TEXT_WIDTH, size + PAIRS)})

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        tokens = scenes.captions(TEXT_BATCH, rng)
        target = torch.zeros(TEXT_BATCH, size + PAIRS, device=DEVICE)
        target.scatter_(1, tokens, 1.0)
        target.scatter_(1, size + (tokens[:, :-1] * size + tokens[:, 1:]) % PAIRS, 1.0)
        after = (tokens == tokenizer.eos_token_id).float()[..., None]
        logits = model["words"](model["text"](tokens).last_hidden_state)
        error = binary_cross_entropy_with_logits(logits, target[:, None].expand_as(logits), reduction="none")
        return (error * after).sum() / after.sum()

    fit("text", model.to(DEVICE), loss, minutes, TEXT_RATE)


def untrained_painter() -> torch.nn.ModuleDict:
    """UNet and text encoder, with the bundled weights if there are any."""
    tokenizer = new_tokenizer(RUNS / "tokenizer")
    text = with_bundled_weights(new_text_encoder(tokenizer), "text_encoder")
    return torch.nn.ModuleDict({"unet": with_bundled_weights(new_unet(), "unet"), "text": text})


def trained_painter() -> torch.nn.ModuleDict:
    """The averaged UNet and text encoder."""
    model = untrained_painter()
    if (weights := averaged("unet")) is not None:
        model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def train_unet(minutes: float) -> None:
    """Trains UNet and text encoder on encoded scenes, with velocity prediction."""
    latents = encoded_scenes(encoder)
    model, scheduler = untrained_painter(), new_scheduler()
    if (pretrained := averaged("text")) is not None:
        model.load_state_dict({key: value for key, value in pretrained.items() if key.startswith("text.")}, strict=False)
    nothing, unet = empty_caption(), compiled(model["unet"])

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        larger = share > ONE_SIZE_SHARE and rng.random() < LARGER
        size = int(rng.choice([size for size in latents if size != SIZE])) if larger else SIZE
        clean, tokens = latents[size].batch(max(UNET_BATCH * BATCHES * SIZE**2 // size**2, 1), rng)
        return velocity_error(unet, scheduler, clean, model["text"], some_dropped(tokens, nothing))

    fit("unet", model, loss, minutes, UNET_RATE)


def empty_caption() -> torch.Tensor:
    """(1, 77) int64 tokens."""
    return tokenize(new_tokenizer(RUNS / "tokenizer"), [""]).to(DEVICE)


def some_dropped(tokens: torch.Tensor, nothing: torch.Tensor) -> torch.Tensor:
    """(B, 77) int64 tokens, a share of them those of the empty caption."""
    return torch.where(torch.rand(len(tokens), 1, device=DEVICE) < DROPPED_CAPTIONS, nothing, tokens)


def velocity_error(unet: UNet2DConditionModel, scheduler, clean: torch.Tensor, text: torch.nn.Module, tokens: torch.Tensor,
                   beside: torch.Tensor | None = None) -> torch.Tensor:
    """Mean squared error at random timesteps. `beside`: further input channels, (B, C, h, w)."""
    noise = torch.randn_like(clean)
    # More of the noisy steps, since there the caption matters most. At less noise, the image itself does.
    timesteps = (torch.rand(len(clean), device=DEVICE).sqrt() * scheduler.config.num_train_timesteps).long()
    noisy = scheduler.add_noise(clean, noise, timesteps)
    seen = noisy if beside is None else torch.cat([noisy, beside], 1)
    with autocast():
        predicted = unet(seen, timesteps, text(tokens).last_hidden_state).sample
    return (predicted.float() - scheduler.get_velocity(clean, noise, timesteps)).square().mean()
