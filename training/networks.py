"""The untrained networks of the scene model, in standard SD1 blocks, and conversions of their inputs and outputs.

All sizes can also be expressed in the original SD1 format: each level's channel count is a multiple of
the first, each normalisation has 32 groups, and the number of heads is fixed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.scenes import SIZE, vocabulary

TEXT_WIDTH = 128  # captions are short and use about seventy words
EMBEDDING_MEAN = 0.2  # initial value of the text encoder's last bias; keeps the output's mean away from zero


def new_vae() -> AutoencoderKL:
    """An untrained autoencoder: f = 8, four latent channels, about three million parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 64, 64, 128),  # few where most of the work is done, at full size
        layers_per_block=1,
        norm_num_groups=32,
        sample_size=SIZE,
    )


def new_unet() -> UNet2DConditionModel:
    """An untrained UNet of standard SD1 blocks: 64 channels x 1, 1, 2, attention at 16 x 16 and 8 x 8."""
    return UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 64, 128),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # as in SD1's own configuration, this is the number of heads
        norm_num_groups=32,
    )


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder; its last bias keeps the output's mean away from zero.

    The WebUI divides embeddings by their mean when it weighs words.
    """
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder = CLIPTextModel(config)
    final_norm = next(module for name, module in encoder.named_modules() if name.endswith("final_layer_norm"))
    torch.nn.init.constant_(final_norm.bias, EMBEDDING_MEAN)
    return encoder


def new_tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's tokenizer with one token for each word of the captions; other words are split into letters.

    Its files, vocab.json and merges.txt, are written to `folder`.
    """
    letters = _byte_letters()
    vocab = [*letters, *(letter + "</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in vocabulary():
        # Earlier merges are applied first, so later ones never change words that already are one token.
        while len(pieces := _pieces(word, merges)) > 1:
            merges.append((pieces[0], pieces[1]))
            vocab.append(pieces[0] + pieces[1])
    vocab = [*dict.fromkeys(vocab), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {token: number for number, token in enumerate(vocab)}
    (folder / "vocab.json").write_text(json.dumps(numbers, ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]), "utf-8")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def _byte_letters() -> list[str]:
    """The 256 printable characters that byte-level BPE uses for bytes, in CLIP's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def _pieces(word: str, merges: list[tuple[str, str]]) -> list[str]:
    """The word's tokens by byte-pair encoding."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    pieces = [*word[:-1], word[-1] + "</w>"]
    while len(pieces) > 1:
        pairs = list(zip(pieces, pieces[1:]))
        best = min(pairs, key=lambda pair: ranks.get(pair, math.inf))
        if best not in ranks:
            break
        index = pairs.index(best)
        pieces[index : index + 2] = ["".join(best)]
    return pieces


def new_scheduler() -> DDIMScheduler:
    """SD1's noise schedule with velocity prediction. Full denoising starts from pure noise at the last timestep.

    Velocity is predicted because the caption decides the composition at that timestep, where predicted noise
    says almost nothing about the image.
    """
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        prediction_type="v_prediction",
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """(B, 77) int64 token numbers."""
    return tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids


def to_tensor(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32, -1 to 1."""
    # contiguous: the backward pass of GroupNorm is half as fast with channels last
    return torch.tensor(images, device=device).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def to_images(decoded: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) float, -1 to 1 -> (B, H, W, 3) uint8."""
    return ((decoded.float().clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()
