"""Trains, exports and evaluates the scene model.

    python -m training.train vae --minutes 25        # autoencoder on drawn scenes
    python -m training.train text --minutes 3        # text encoder alone, to recognise a caption's words
    python -m training.train unet --minutes 60       # text encoder and UNet on encoded scenes
    python -m training.train decoder --minutes 10    # decoder alone, for fixed latents
    python -m training.train export                  # checkpoints -> demo/model, fp16
    python -m training.train evaluate                # prints scores, writes contact sheets to training/runs

`--minutes` is a stage's total. To resume after an interruption, use the same number; to train longer, a larger one.
Checkpoints are saved in training/runs, which git ignores. A stage without a checkpoint starts from the weights in
demo/model, so `unet` and `decoder` can be trained on directly. To train from scratch, first remove demo/model.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from safetensors.torch import save_file
from torch.nn.functional import binary_cross_entropy_with_logits

from training.evaluation import evaluate
from training.networks import (
    TEXT_WIDTH,
    new_scheduler,
    new_text_encoder,
    new_tokenizer,
    new_unet,
    new_vae,
    to_tensor,
    tokenize,
)
from training.scenes import HELD_OUT, SIZE, Scene
from training.sd1_checkpoint import text_weights

RUNS = Path(__file__).parent / "runs"
MODEL = Path(__file__).parents[1] / "demo" / "model"

THREADS = 2  # more threads gain little at these sizes
SAVE_SECONDS = 180  # an interruption costs at most this much
LONGEST_STEP_SECONDS = 10  # if a step takes longer, the machine was asleep; the rest does not count as training time
LOG_STEPS = 50
EMA_DECAY = 0.999  # averages about the last thousand steps of a few thousand

CROP_PX = 96  # crops train fastest
CROP_BATCH = 8
CROP_SHARE = 0.45  # whole images must follow, because their normalisation statistics differ
WHOLE_BATCH = 1  # has about as many pixels as the crops
VAE_RATE = 1e-3
KL_WEIGHT = 3e-4  # just enough to keep the latents near unit scale
EDGE_WEIGHT = 0.5  # the eye notices blurred edges first
DECODER_RATE = 5e-4
LATENT_NOISE = 0.03  # share of the latents' standard deviation; hides noise that the sampler leaves behind
SCALING = 0.18215  # SD1's value, because some programs have it built in

SCENES = 8_000  # encoded once and kept in memory; captions vary each time
ENCODE_BATCH = 8
TEXT_BATCH = 32
TEXT_RATE = 1e-3
UNET_BATCH = 16
UNET_RATE = 1e-3
PAIRS = 1021  # buckets for pairs of neighbouring words such as red and house; a prime, so that few collide
DROPPED_CAPTIONS = 0.1  # trains the unconditional half of classifier-free guidance
UNKNOWN_WORDS = 0.1  # share of captions with a word outside the vocabulary, which the model learns to ignore


# Autoencoder


def train_vae(minutes: float) -> None:
    """Trains the autoencoder, first on crops, then on whole images."""
    vae = with_bundled_weights(new_vae(), "vae")

    def batch(share: float, rng: np.random.Generator) -> torch.Tensor:
        if share < CROP_SHARE:
            return to_tensor(np.stack([crop for _ in range(CROP_BATCH // 2) for crop in _crops(rng)]))
        return to_tensor(np.stack([Scene.from_seed(int(seed)).draw() for seed in rng.integers(HELD_OUT, size=WHOLE_BATCH)]))

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        images = batch(share, rng)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(images).latent_dist
            decoded = vae.decode(posterior.sample()).sample
        return reconstruction_loss(decoded.float(), images) + KL_WEIGHT * _kl(posterior)

    fit("vae", vae, loss, minutes, VAE_RATE)


def reconstruction_loss(decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """L1 and L2 of the pixels plus L1 of their gradients along both axes."""
    error = decoded - images
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges


def _kl(posterior) -> torch.Tensor:
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def _crops(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Two random crops of one new scene."""
    image = Scene.from_seed(int(rng.integers(HELD_OUT))).draw()
    for top, left in rng.integers(0, SIZE - CROP_PX + 1, (2, 2)):
        yield image[top : top + CROP_PX, left : left + CROP_PX]


def trained_vae() -> AutoencoderKL:
    """The averaged autoencoder. After scaling, its latents have zero mean and unit deviation per channel."""
    vae = with_bundled_weights(new_vae(), "vae")
    path = RUNS / "vae.pt"
    if path.exists():
        vae.load_state_dict(torch.load(path, map_location="cpu")["average"])
    vae.eval().requires_grad_(False)
    path = RUNS / "latents.pt"
    if path.exists():
        stored = torch.load(path, map_location="cpu")
        _standardise(vae, stored["mean"], stored["deviation"])
    path = RUNS / "decoder.pt"
    if path.exists():
        _decoder(vae).load_state_dict(torch.load(path, map_location="cpu")["average"])
    return vae


def _decoder(vae: AutoencoderKL) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})


def train_decoder(minutes: float) -> None:
    """Trains the decoder alone on whole encoded scenes. The latents do not change, so the UNet still fits."""
    latents = encoded_scenes()
    vae = trained_vae()
    decoder = _decoder(vae).requires_grad_(True)

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        seeds = rng.integers(len(latents), size=WHOLE_BATCH)
        images = to_tensor(np.stack([Scene.from_seed(int(seed)).draw() for seed in seeds]))
        latent = latents[torch.from_numpy(seeds)].float()
        with torch.autocast("cpu", torch.bfloat16):
            decoded = vae.decode((latent + LATENT_NOISE * torch.randn_like(latent)) / SCALING).sample
        return reconstruction_loss(decoded.float(), images)

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


# Text encoder and UNet


def encoded_scenes() -> torch.Tensor:
    """(SCENES, 4, H / 8, W / 8) float16 latents of the scenes 0, 1, 2 ..., with zero mean and unit deviation."""
    path = RUNS / "latents.pt"
    if not path.exists():
        vae = trained_vae()
        chunks = []
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for first in range(0, SCENES, ENCODE_BATCH):
                images = np.stack([Scene.from_seed(seed).draw() for seed in range(first, first + ENCODE_BATCH)])
                chunks.append(vae.encode(to_tensor(images)).latent_dist.mean.float())
                if first % 1000 < ENCODE_BATCH:
                    print(f"encoded {first} of {SCENES} scenes", flush=True)
        latents = torch.cat(chunks)
        mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
        scaled = ((latents - mean[:, None, None]) / deviation[:, None, None]).half()
        torch.save({"latents": scaled, "mean": mean, "deviation": deviation}, path)
    return torch.load(path, map_location="cpu")["latents"]


def train_text(minutes: float) -> None:
    """Trains the text encoder to predict a caption's words and word pairs from each token after its end.

    The UNet's attention starts out uniform over all 77 tokens, and most of them are padding. If each of these
    holds the caption's content, the UNet need not learn first where to look.
    """
    tokenizer = new_tokenizer(RUNS / "tokenizer")
    encoder = new_text_encoder(tokenizer)
    size = len(tokenizer)
    model = torch.nn.ModuleDict({"text": encoder, "words": torch.nn.Linear(TEXT_WIDTH, size + PAIRS)})

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        tokens = tokenize(tokenizer, [_training_caption(int(seed), rng) for seed in rng.integers(HELD_OUT, size=TEXT_BATCH)])
        target = torch.zeros(TEXT_BATCH, size + PAIRS)
        target.scatter_(1, tokens, 1.0)
        target.scatter_(1, size + (tokens[:, :-1] * size + tokens[:, 1:]) % PAIRS, 1.0)
        after = (tokens == tokenizer.eos_token_id).float()[..., None]
        logits = model["words"](encoder(tokens).last_hidden_state)
        error = binary_cross_entropy_with_logits(logits, target[:, None].expand_as(logits), reduction="none")
        return (error * after).sum() / after.sum()

    fit("text", model, loss, minutes, TEXT_RATE)


def train_unet(minutes: float) -> None:
    """Trains UNet and text encoder on encoded scenes, with velocity prediction."""
    latents = encoded_scenes()
    tokenizer = new_tokenizer(RUNS / "tokenizer")
    text = with_bundled_weights(new_text_encoder(tokenizer), "text_encoder")
    model = torch.nn.ModuleDict({"unet": with_bundled_weights(new_unet(), "unet"), "text": text})
    path = RUNS / "text.pt"
    if path.exists():
        pretrained = torch.load(path, map_location="cpu")["average"]
        model.load_state_dict({key: value for key, value in pretrained.items() if key.startswith("text.")}, strict=False)
    scheduler = new_scheduler()

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        seeds = rng.integers(len(latents), size=UNET_BATCH)
        tokens = tokenize(tokenizer, [_training_caption(int(seed), rng) for seed in seeds])
        clean = latents[torch.from_numpy(seeds)].float()
        noise = torch.randn_like(clean)
        # More of the noisy steps, since there the caption matters most. At less noise, the image itself does.
        timesteps = (torch.rand(UNET_BATCH).sqrt() * scheduler.config.num_train_timesteps).long()
        noisy = scheduler.add_noise(clean, noise, timesteps)
        with torch.autocast("cpu", torch.bfloat16):
            embedding = model["text"](tokens).last_hidden_state
            predicted = model["unet"](noisy, timesteps, embedding).sample
        return (predicted.float() - scheduler.get_velocity(clean, noise, timesteps)).square().mean()

    fit("unet", model, loss, minutes, UNET_RATE)


def _training_caption(seed: int, rng: np.random.Generator) -> str:
    if rng.random() < DROPPED_CAPTIONS:
        return ""
    caption = Scene.from_seed(seed).caption(rng)
    if rng.random() < UNKNOWN_WORDS:
        word = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(3, 10)))
        caption = f"{caption}, {word}" if rng.random() < 0.5 else f"{word} {caption}"
    return caption


# Shared by all stages


def with_bundled_weights(network: torch.nn.Module, part: str) -> torch.nn.Module:
    """The network with its weights from demo/model, if they exist."""
    if (MODEL / part).exists():
        network.load_state_dict(type(network).from_pretrained(MODEL / part).float().state_dict())
    return network


def fit(
    name: str,
    model: torch.nn.Module,
    loss: Callable[[float, np.random.Generator], torch.Tensor],
    minutes: float,
    rate: float,
) -> None:
    """Trains `model` until the stage's total time is reached, starting from its checkpoint if there is one.

    Parameters
    ----------
    loss : callable
        Takes the share of the stage that is done, 0 to 1, and a random generator. Returns the scalar loss of a new batch.
    """
    path = RUNS / f"{name}.pt"
    optimizer = torch.optim.AdamW(model.parameters(), rate, betas=(0.9, 0.99), weight_decay=1e-4)
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    step, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, map_location="cpu")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, seconds = state["average"], state["step"], state["seconds"]
    rng = np.random.default_rng(step + 1)
    torch.manual_seed(step + 1)
    last, saved, mean = time.monotonic(), seconds, None
    model.train()
    while seconds < minutes * 60:
        share = seconds / (minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        value = loss(share, rng)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(EMA_DECAY, step / (step + 10))
        with torch.no_grad():
            for key, parameter in model.state_dict().items():
                average[key].lerp_(parameter, 1 - decay) if parameter.is_floating_point() else average[key].copy_(parameter)
        mean = value.item() if mean is None else 0.98 * mean + 0.02 * value.item()
        now = time.monotonic()
        seconds, last = seconds + min(now - last, LONGEST_STEP_SECONDS), now
        if step % LOG_STEPS == 0:
            print(f"{name} step {step}, {seconds / 60:.1f} of {minutes:g} min, loss {mean:.4f}", flush=True)
        if seconds - saved > SAVE_SECONDS or seconds >= minutes * 60:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
            torch.save({**state, "step": step, "seconds": seconds}, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
            saved = seconds


# Export


def export() -> None:
    """Writes the averaged weights as a diffusers pipeline in fp16."""
    tokenizer = new_tokenizer(RUNS / "tokenizer")
    text = with_bundled_weights(new_text_encoder(tokenizer), "text_encoder")
    model = torch.nn.ModuleDict({"unet": with_bundled_weights(new_unet(), "unet"), "text": text})
    path = RUNS / "unet.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, map_location="cpu")["average"])
    pipeline = StableDiffusionPipeline(
        vae=trained_vae(),
        text_encoder=model["text"],
        tokenizer=tokenizer,
        unet=model["unet"],
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shutil.rmtree(MODEL, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(MODEL)
    save_file(dict(text_weights(pipeline.text_encoder)), MODEL / "text_encoder" / "model.safetensors", {"format": "pt"})
    new_tokenizer(MODEL / "tokenizer")  # also vocab.json and merges.txt, which transformers before 5 reads
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)
    size = sum(path.stat().st_size for path in files)
    print(f"{MODEL}: {size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("vae", "text", "unet", "decoder", "export", "evaluate"))
    parser.add_argument("--minutes", type=float, default=25)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    RUNS.mkdir(exist_ok=True)
    if options.stage == "vae":
        train_vae(options.minutes)
    elif options.stage == "text":
        train_text(options.minutes)
    elif options.stage == "unet":
        train_unet(options.minutes)
    elif options.stage == "decoder":
        train_decoder(options.minutes)
    elif options.stage == "export":
        export()
    else:
        evaluate(MODEL, RUNS)


if __name__ == "__main__":
    main()
