"""Drawn scenes for training, drawn by several processes, and their latents and captions, made once and stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import CLIPTokenizer

from training.fit import BATCHES, DEVICE, RUNS, autocast
from training.judge import JUDGED
from training.networks import new_tokenizer, to_tensor, tokenize
from training.scenes import HELD_OUT, SIZE, Scene, Thing

WORKERS = max((os.cpu_count() or 1) - 2, 0)  # processes that draw; with two cores, the training draws itself
SCENES = {256: 12_000, 384: 1_500, 512: 1_000}  # scenes by side in pixels, without a GPU
SCENES_ON_GPU = {256: 48_000, 384: 6_000, 512: 4_000}
CAPTIONS = 8  # different captions of each scene
ENCODE_PX = 8 * SIZE * SIZE * BATCHES  # pixels encoded at once
ONE_THING = 0.35  # share of captions that name a single thing, as most inpainting prompts do
UNKNOWN_WORDS = 0.1  # share of captions with a word outside the vocabulary, which the model learns to ignore


class RandomSeeds(Sampler):
    """Endless seeds of scenes, other ones after each start, so that a resumed stage sees new scenes."""

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng()
        while True:
            yield int(rng.integers(HELD_OUT))


class Drawings(Dataset):
    """The scenes by seed, (H, W, 3) uint8."""

    def __getitem__(self, seed: int) -> np.ndarray:
        return Scene.from_seed(seed).draw()


class NumberedScenes(Dataset):
    """The scenes first, first + 1 ...: image (H, W, 3) uint8, and CAPTIONS captions as tokens."""

    def __init__(self, first: int, count: int, size: int, tokenizer: CLIPTokenizer):
        self.first, self.count, self.size, self.tokenizer = first, count, size, tokenizer

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, torch.Tensor]:
        scene = Scene.from_seed(self.first + index)
        rng = np.random.default_rng((self.first + index, 1))
        return scene.draw(self.size), tokenize(self.tokenizer, [training_caption(scene, rng) for _ in range(CAPTIONS)])


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


def drawings(batch: int) -> Iterator[torch.Tensor]:
    """Endless batches of random scenes, (B, 3, H, W) float32, -1 to 1."""
    ahead = 4 if WORKERS else None
    loader = DataLoader(Drawings(), batch, sampler=RandomSeeds(), num_workers=WORKERS, collate_fn=np.stack,
                        prefetch_factor=ahead)
    return (to_tensor(images).to(DEVICE) for images in loader)


def with_captions(scenes: NumberedScenes, batch: int, sampler: Sampler | None = None) -> Iterator[tuple]:
    """Batches of (B, 3, H, W) float32 images, -1 to 1, and (B, CAPTIONS, 77) int64 tokens; in order without a sampler."""
    loader = DataLoader(scenes, batch, sampler=sampler, num_workers=WORKERS, collate_fn=lambda pairs: tuple(zip(*pairs)))
    return ((to_tensor(np.stack(images)).to(DEVICE), torch.stack(captions)) for images, captions in loader)


@dataclass
class Latents:
    """Encoded scenes of one size. Scaled latents (N, 4, H / 8, W / 8) float16, and tokens (N, CAPTIONS, 77) int16."""

    scaled: torch.Tensor
    tokens: torch.Tensor

    def batch(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Random latents (B, 4, h, w) float32 and a caption of each, (B, 77) int64."""
        chosen = torch.from_numpy(rng.integers(len(self.scaled), size=count)).to(DEVICE)
        caption = torch.from_numpy(rng.integers(CAPTIONS, size=count)).to(DEVICE)
        return self.scaled[chosen].float(), self.tokens[chosen, caption].long()


def encoded_scenes(vae: Callable[[], AutoencoderKL]) -> tuple[dict[int, Latents], torch.Tensor]:
    """Latents by size in pixels, with zero mean and unit deviation, and (2, 4) float32: mean and deviation before that."""
    path = RUNS / "latents.pt"
    if not path.exists():
        network, tokenizer = vae(), new_tokenizer(RUNS / "tokenizer")
        sizes = SCENES_ON_GPU if DEVICE.type == "cuda" else SCENES
        firsts = np.cumsum([0, *sizes.values()])
        stored = {size: _encoded(network, NumberedScenes(int(first), count, size, tokenizer))
                  for first, (size, count) in zip(firsts, sizes.items())}
        whole = stored[SIZE][0]
        statistics = torch.stack([whole.mean((0, 2, 3)), whole.std((0, 2, 3))])
        mean, deviation = statistics[:, :, None, None]
        scaled = {size: (((latents - mean) / deviation).half(), tokens) for size, (latents, tokens) in stored.items()}
        torch.save({"latents": scaled, "statistics": statistics}, path)
    stored = torch.load(path, map_location=DEVICE)
    return {size: Latents(*both) for size, both in stored["latents"].items()}, stored["statistics"]


@torch.no_grad()
def _encoded(vae: AutoencoderKL, scenes: NumberedScenes) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 4, h, w) float32 latents and (N, CAPTIONS, 77) int16 tokens."""
    batch = max(ENCODE_PX // scenes.size**2, 1)
    latents, tokens = [], []
    for images, captions in with_captions(scenes, batch):
        with autocast():
            latents.append(vae.encode(images).latent_dist.mean.float().cpu())
        tokens.append(captions.short())
        print(f"encoded {min(len(latents) * batch, len(scenes))} of {len(scenes)} scenes of {scenes.size} px", flush=True)
    return torch.cat(latents), torch.cat(tokens)
