"""Trains two variants of the scene model's UNet: an inpainting model, and one for four steps without guidance."""

from __future__ import annotations

import copy

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from PIL import Image, ImageDraw
from torch.nn.functional import interpolate

from training.autoencoder import SCALING, encoder, trained_vae
from training.dataset import drawn_scenes, encoded_scenes
from training.evaluation import GUIDANCE
from training.fit import BATCHES, DEVICE, autocast, compiled, fit
from training.networks import new_scheduler
from training.painter import empty_caption, some_dropped, trained_painter, velocity_error
from training.scenes import SIZE

RATE = 3e-4
INPAINTING_BATCH = 4  # smaller, because its images are encoded twice in each step
MASK_CHANNELS = 5
FEW_STEPS_BATCH = 8
FEW_STEPS, TEACHER_STEPS = 4, 4  # the teacher takes that many steps for each one of the student
FROM_NOISE = 0.5  # share of trajectories that begin with pure noise; the others begin with noisy scenes


def train_inpainting(minutes: float) -> None:
    """Trains a UNet that also gets the mask and the latents of the masked image, as Stable Diffusion 1's inpainting model."""
    vae, painter, scheduler, nothing = trained_vae(), trained_painter(), new_scheduler(), empty_caption()
    scenes, unet = drawn_scenes(), with_mask_channels(painter["unet"]).requires_grad_(True)
    shared, encode = compiled(unet), compiled(vae.encode)

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        images, captions = scenes.batch(INPAINTING_BATCH * BATCHES, rng)
        tokens = some_dropped(captions, nothing)
        masks = torch.from_numpy(np.stack([random_mask(rng) for _ in images]))[:, None].float().to(DEVICE)
        with torch.no_grad(), autocast():
            both = encode(torch.cat([images, images * (1 - masks)])).latent_dist.mean.float() * SCALING
        clean, masked = both.chunk(2)
        return velocity_error(shared, scheduler, clean, painter["text"], tokens,
                              torch.cat([interpolate(masks, scale_factor=1 / 8), masked], 1))

    fit("inpainting", unet, loss, minutes, RATE)


def with_mask_channels(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """A copy with five more input channels, which have no effect before they are trained."""
    wider = UNet2DConditionModel.from_config({**unet.config, "in_channels": unet.config.in_channels + MASK_CHANNELS})
    weights = unet.state_dict()
    first = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.cat([first, first.new_zeros(len(first), MASK_CHANNELS, *first.shape[2:])], 1)
    wider.load_state_dict(weights)
    return wider.to(DEVICE)


def random_mask(rng: np.random.Generator) -> np.ndarray:
    """(SIZE, SIZE) bool, True = repaint: a box, an ellipse or a brush stroke of random size; now and then everything."""
    mask = Image.new("1", (SIZE, SIZE))
    pen = ImageDraw.Draw(mask)
    kind = rng.choice(("box", "ellipse", "stroke", "all"), p=(0.4, 0.2, 0.3, 0.1))
    width, height = rng.uniform(0.12, 0.7, 2) * SIZE
    left, top = rng.uniform(0, SIZE - width), rng.uniform(0, SIZE - height)
    if kind == "box":
        pen.rectangle((left, top, left + width, top + height), fill=1)
    elif kind == "ellipse":
        pen.ellipse((left, top, left + width, top + height), fill=1)
    elif kind == "stroke":
        points = [tuple(point) for point in (left, top) + rng.uniform(0, 1, (4, 2)) * (width, height)]
        pen.line(points, fill=1, width=int(rng.uniform(0.06, 0.2) * SIZE), joint="curve")
    else:
        pen.rectangle((0, 0, SIZE, SIZE), fill=1)
    return np.array(mask)


def train_few_steps(minutes: float) -> None:
    """Trains a UNet whose one step equals several guided steps of the scene model (progressive distillation).

    Source: Salimans and Ho 2022, arXiv 2202.00512; guidance as in Meng et al. 2023, arXiv 2210.03142, at one strength.
    """
    latents = encoded_scenes(encoder)
    painter, scheduler, nothing = trained_painter(), new_scheduler(), empty_caption()
    teacher, student = painter["unet"], copy.deepcopy(painter["unet"]).requires_grad_(True)
    scheduler.set_timesteps(FEW_STEPS * TEACHER_STEPS)
    fine = [*scheduler.timesteps.tolist(), 0]
    times = torch.tensor(fine, device=DEVICE)
    alphas = scheduler.alphas_cumprod.to(DEVICE)
    fast_teacher, fast_student = compiled(teacher), compiled(student)

    def step(velocity: torch.Tensor, noisy: torch.Tensor, now: int, then: int) -> torch.Tensor:
        """DDIM from one timestep to another."""
        kept, moved = _factors(alphas, now, then)
        return kept * noisy + moved * velocity

    def guided(noisy: torch.Tensor, now: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), autocast():
            without, given = fast_teacher(torch.cat([noisy] * 2), now, embedding).sample.float().chunk(2)
        return without + GUIDANCE * (given - without)

    def loss(share: float, rng: np.random.Generator) -> torch.Tensor:
        clean, tokens = latents[SIZE].batch(FEW_STEPS_BATCH * BATCHES, rng)
        with torch.no_grad():
            embedding = painter["text"](torch.cat([nothing.expand_as(tokens), tokens])).last_hidden_state
        number = 0 if rng.random() < FROM_NOISE else int(rng.integers(FEW_STEPS))
        noise = torch.randn_like(clean)
        noisy = noise if number == 0 else scheduler.add_noise(clean, noise, torch.tensor(fine[number * TEACHER_STEPS]))
        errors = []
        for first in range(number * TEACHER_STEPS, FEW_STEPS * TEACHER_STEPS, TEACHER_STEPS):
            start, now, then = noisy, fine[first], fine[first + TEACHER_STEPS]
            for index in range(first, first + TEACHER_STEPS):
                noisy = step(guided(noisy, times[index], embedding), noisy, fine[index], fine[index + 1])
            kept, moved = _factors(alphas, now, then)
            with autocast():
                predicted = fast_student(start, times[first], embedding[len(tokens):]).sample.float()
            errors.append((predicted - (noisy - kept * start) / moved).square().mean())
        return torch.stack(errors).mean()

    fit("few-steps", student, loss, minutes, RATE)


def _factors(alphas: torch.Tensor, now: int, then: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a DDIM step multiplies the noisy latent and the velocity with."""
    signal, later_signal = alphas[now].sqrt(), alphas[then].sqrt()
    noise, later_noise = (1 - alphas[now]).sqrt(), (1 - alphas[then]).sqrt()
    return later_signal * signal + later_noise * noise, later_noise * signal - later_signal * noise
