"""FLUX.2's tiny autoencoder, from the state dicts that its authors publish. It encodes photographs and drifts as real ones do.

The networks are plain sequences of 3x3 convolutions, residual blocks, halvings and doublings. Everything with weights can be
read from the state dicts' keys.
"""
from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from benchmarks.autoencoder import Codec

ENCODER, DECODER = "taef2_encoder.pth", "taef2_decoder.pth"
GROUPS = 4
LATENT_LIMIT = 3.0


class Block(nn.Module):
    """Three convolutions beside the identity, in some blocks after 1x1 convolutions with a group norm."""

    def __init__(self, channels: int, pooled: int = 0):
        super().__init__()
        self.conv = nn.Sequential(_conv(channels, channels), nn.ReLU(), _conv(channels, channels), nn.ReLU(),
                                  _conv(channels, channels))
        self.pool = nn.Sequential(nn.Conv2d(channels, pooled, 1, bias=False), nn.GroupNorm(GROUPS, pooled), nn.ReLU(),
                                  nn.Conv2d(pooled, channels, 1, bias=False)) if pooled else None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            values = values + self.pool(values)
        return (self.conv(values) + values).relu()


class Limit(nn.Module):
    """Bounds the latents smoothly."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return (latents / LATENT_LIMIT).tanh() * LATENT_LIMIT


def codec(folder: Path) -> Codec:
    """Latents have 32 channels and are 8 times smaller than images. Raises OSError if a file is missing."""
    encoder = _network(_weights(folder / ENCODER), nn.Identity())
    decoder = _network(_weights(folder / DECODER), nn.Upsample(scale_factor=2))
    return Codec(lambda image: encoder((image + 1) / 2), lambda latents: decoder(latents) * 2 - 1)


def _weights(file: Path) -> dict[str, torch.Tensor]:
    return {key: value.float() for key, value in torch.load(file, map_location="cpu", weights_only=True).items()}


def _network(weights: dict[str, torch.Tensor], resize: nn.Module) -> nn.Sequential:
    """The sequence that fits the weights. Layers without weights: a limit at the start, ReLU after the first convolution,
    and doublings. Convolutions without bias are where the encoder halves."""
    layers: list[nn.Module] = []
    for number in range(1 + max(int(key.split(".")[0]) for key in weights)):
        if (weight := weights.get(f"{number}.weight")) is not None:
            halving = isinstance(resize, nn.Identity) and f"{number}.bias" not in weights
            layers.append(_conv(weight.shape[1], weight.shape[0], 2 if halving else 1, f"{number}.bias" in weights))
        elif f"{number}.conv.0.weight" in weights:
            pool = weights.get(f"{number}.pool.0.weight")
            layers.append(Block(len(weights[f"{number}.conv.0.weight"]), 0 if pool is None else len(pool)))
        else:
            layers.append(Limit() if number == 0 else nn.ReLU() if number == 2 else resize)
    network = nn.Sequential(*layers)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _conv(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=bias)
