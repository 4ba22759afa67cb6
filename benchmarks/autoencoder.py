"""A second autoencoder, to check findings about drift on more than one: small, convolutional, no attention, no norms.

    PYTHONPATH=.:demo .venv/bin/python -m benchmarks.autoencoder [MINUTES]    retrains it; default: 6 minutes, on one core
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny

from training.autoencoder import reconstruction_loss
from training.networks import to_tensor
from training.scenes import HELD_OUT, SIZE, Scene

FOLDER = Path(__file__).parent / "autoencoder"
MINUTES = 6.0
CROP_PX = 128
CROP_BATCH = 8
RATE = 2e-3


@dataclass(frozen=True)
class Codec:
    """An autoencoder as two functions: from images (B, 3, H, W) in [-1, 1] to latents, and back."""

    encode: Callable[[torch.Tensor], torch.Tensor]
    decode: Callable[[torch.Tensor], torch.Tensor]


def untrained() -> AutoencoderTiny:
    return AutoencoderTiny(
        encoder_block_out_channels=(24, 24, 24, 24), decoder_block_out_channels=(24, 24, 24, 24),
        num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 1), latent_magnitude=3, scaling_factor=1.0)


def trained() -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(FOLDER, local_files_only=True).float().eval().requires_grad_(False)


def train(minutes: float) -> None:
    """Trains the autoencoder on crops of drawn scenes and saves it in half precision."""
    torch.manual_seed(0)
    rng, network = np.random.default_rng(0), untrained().train()
    optimiser = torch.optim.AdamW(network.parameters(), RATE)
    start = time.monotonic()
    while (share := (time.monotonic() - start) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - share)
        images = _crops(rng)
        loss = reconstruction_loss(network.decode(network.encode(images).latents).sample, images)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.half().save_pretrained(FOLDER)
    print(f"loss {loss.item():.4f}")


def _crops(rng: np.random.Generator) -> torch.Tensor:
    images = [Scene.from_seed(int(seed)).draw() for seed in rng.integers(HELD_OUT, size=CROP_BATCH // 2)]
    corners = rng.integers(0, SIZE - CROP_PX + 1, (CROP_BATCH, 2))
    return to_tensor(np.stack([images[number // 2][top:top + CROP_PX, left:left + CROP_PX]
                               for number, (top, left) in enumerate(corners)]))


if __name__ == "__main__":
    train(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
