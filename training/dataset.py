"""Drawn scenes with captions, made once by several processes and stored, and their latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context

import numpy as np
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from training.fit import BATCHES, DEVICE, RUNS, autocast
from training.judge import JUDGED
from training.networks import new_tokenizer, to_tensor, tokenize
from training.scenes import SIZE, Scene, Thing

LATENTS = RUNS / "latents.pt"

SCENES = {256: 12_000, 384: 1_500, 512: 1_000}  # scenes by side in pixels, without a GPU
SCENES_ON_GPU = {256: 64_000, 384: 4_000, 512: 2_500}
FIRST_SEEDS = {256: 0, 384: 100_000_000, 512: 200_000_000}  # other scenes at each size
AT_ONCE = 64  # scenes that a process draws before it reports
CAPTIONS = 8  # different captions of each scene
ENCODE_PX = 8 * SIZE * SIZE * BATCHES  # pixels encoded at once
ONE_THING = 0.35  # share of captions that name a single thing, as most inpainting prompts do
UNKNOWN_WORDS = 0.1  # share of captions with a word outside the vocabulary, which the model learns to ignore


@dataclass
class Scenes:
    """Drawn scenes of one size. Images (N, H, W, 3) uint8, read from disk as needed, and tokens (N, CAPTIONS, 77) int16."""

    images: np.ndarray
    tokens: np.ndarray

    def batch(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Random images (B, 3, H, W) float32, -1 to 1, and a caption of each, (B, 77) int64."""
        chosen = rng.integers(len(self.images), size=count)
        return to_tensor(self.images[chosen], DEVICE), _random_captions(self.tokens, chosen, rng)

    def captions(self, count: int, rng: np.random.Generator) -> torch.Tensor:
        """Random captions, (B, 77) int64."""
        return _random_captions(self.tokens, rng.integers(len(self.tokens), size=count), rng)


def _random_captions(tokens: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """One caption of each chosen scene, (B, 77) int64. `tokens`: (N, CAPTIONS, 77) int16."""
    return torch.from_numpy(tokens[chosen, rng.integers(CAPTIONS, size=len(chosen))]).to(DEVICE).long()


def drawn_scenes(size: int = SIZE) -> Scenes:
    """The training scenes of this side in pixels; the first call draws them, which takes a minute or two on two cores."""
    images, tokens = RUNS / f"scenes-{size}.npy", RUNS / f"captions-{size}.npy"
    if not tokens.exists():
        count = (SCENES_ON_GPU if DEVICE.type == "cuda" else SCENES)[size]
        new_tokenizer(RUNS / "tokenizer")
        np.lib.format.open_memmap(images, "w+", np.uint8, (count, size, size, 3)).flush()
        firsts = range(0, count, AT_ONCE)
        with get_context("spawn").Pool() as processes:
            parts = processes.starmap(_draw, [(size, first, min(first + AT_ONCE, count)) for first in firsts])
        np.save(tokens, np.concatenate(parts))
    return Scenes(np.load(images, mmap_mode="r"), np.load(tokens))


def _draw(size: int, first: int, stop: int) -> np.ndarray:
    """Draws the scenes from number `first` up to `stop` into the stored images. Returns their tokens."""
    images = np.load(RUNS / f"scenes-{size}.npy", mmap_mode="r+")
    tokenizer, captions = _stored_tokenizer(), []
    for number in range(first, stop):
        scene, rng = Scene.from_seed(FIRST_SEEDS[size] + number), np.random.default_rng((FIRST_SEEDS[size] + number, 1))
        images[number] = scene.draw(size)
        captions += [training_caption(scene, rng) for _ in range(CAPTIONS)]
    return tokenize(tokenizer, captions).numpy().astype(np.int16).reshape(-1, CAPTIONS, tokenizer.model_max_length)
@lru_cache
def _stored_tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(RUNS / "tokenizer", model_max_length=77)


def training_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A random part of the scene in words; often a single thing, of each kind equally often."""
    caption = _one_thing(scene.things, rng) if rng.random() < ONE_THING else scene.caption(rng)
    if rng.random() < UNKNOWN_WORDS:
        word = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(3, 10)))
        caption = f"{caption}, {word}" if rng.random() < 0.5 else f"{word} {caption}"
    return caption


def _one_thing(things: tuple[Thing, ...], rng: np.random.Generator) -> str:
    kinds = sorted({thing.kind for thing in things} & {*JUDGED})
    if not kinds:
        return ""
    kind = rng.choice(kinds)
    thing = rng.choice([thing for thing in things if thing.kind == kind])
    return thing.phrase(place=rng.random() < 0.2)


@dataclass
class Latents:
    """Encoded scenes of one size. Scaled latents (N, 4, H / 8, W / 8) float16, and tokens (N, CAPTIONS, 77) int16."""

    scaled: torch.Tensor
    tokens: np.ndarray

    def batch(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Random latents (B, 4, h, w) float32 and a caption of each, (B, 77) int64."""
        chosen = rng.integers(len(self.scaled), size=count)
        return self.scaled[torch.from_numpy(chosen).to(DEVICE)].float(), _random_captions(self.tokens, chosen, rng)


def latent_statistics() -> torch.Tensor | None:
    """(2, 4) float32 mean and deviation of the encoded scenes before scaling; None before there are any."""
    return torch.load(LATENTS, map_location=DEVICE, mmap=True)["statistics"] if LATENTS.exists() else None


def encoded_scenes(vae: Callable[[], AutoencoderKL]) -> dict[int, Latents]:
    """Latents by size in pixels, with zero mean and unit deviation."""
    if not LATENTS.exists():
        network = vae()
        stored = {size: _encoded(network, drawn_scenes(size).images) for size in SCENES}
        statistics = torch.stack([stored[SIZE].mean((0, 2, 3)), stored[SIZE].std((0, 2, 3))])
        mean, deviation = statistics[:, :, None, None]
        torch.save({"latents": {size: ((latents - mean) / deviation).half() for size, latents in stored.items()},
                    "statistics": statistics}, LATENTS)
    stored = torch.load(LATENTS, map_location=DEVICE)["latents"]
    return {size: Latents(scaled, drawn_scenes(size).tokens) for size, scaled in stored.items()}


@torch.no_grad()
def _encoded(vae: AutoencoderKL, images: np.ndarray) -> torch.Tensor:
    """(N, 4, h, w) float32 latents."""
    batch = max(ENCODE_PX // images.shape[1] ** 2, 1)
    latents = []
    for first in range(0, len(images), batch):
        with autocast():
            latents.append(vae.encode(to_tensor(images[first : first + batch], DEVICE)).latent_dist.mean.float().cpu())
        print(f"encoded {min(first + batch, len(images))} of {len(images)} scenes of {images.shape[1]} px", flush=True)
    return torch.cat(latents)
