"""The bundled scene model as a flow model, in the pipeline of Stable Diffusion 3: same weights, another schedule.

A flow model's sample (1 - t) * latent + t * noise is the UNet's sample, scaled; both predict the same latent. So nothing is
trained, and nothing is approximate but the timesteps between those that the UNet was trained on.
"""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

from benchmarks.peers import FEW_STEPS, PLAIN, variant
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.families.sd3 import SoftInpaintSD3Pipeline

TIMESTEPS = 1000
SHIFT = {PLAIN: 3.0, FEW_STEPS: 1.6}
"""Stable Diffusion 3's shift; for the few-step variant, the one that comes closest to the noise levels of its four steps."""


class SceneTransformer(ModelMixin, ConfigMixin):
    """The UNet, called as Stable Diffusion 3 calls its transformer."""

    @register_to_config
    def __init__(self, in_channels: int = 4, patch_size: int = 2, sample_size: int = 32):
        super().__init__()
        bundled = models.load(str(models.SCENE_MODEL), "cpu")
        self.unet = bundled.unet
        alpha_bar = bundled.scheduler.alphas_cumprod.double().numpy()
        self._log_ratios = np.log((1 - alpha_bar) / alpha_bar) / 2

    def forward(self, hidden_states: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor,
                **others: Any) -> tuple[torch.Tensor]:
        """Noise - latent, (B, 4, h, w)."""
        t = (timestep.float() / TIMESTEPS).view(-1, 1, 1, 1)
        size = (t ** 2 + (1 - t) ** 2).sqrt()
        signal, noise, sample = (1 - t) / size, t / size, hidden_states / size
        log_ratio = torch.log(t.double() / (1 - t.double()).clamp(min=1e-6)).flatten().numpy()
        known = torch.from_numpy(np.interp(log_ratio, self._log_ratios, np.arange(TIMESTEPS))).float()
        velocity = self.unet(sample, known, encoder_hidden_states).sample
        return ((hidden_states - (signal * sample - noise * velocity)) / t,)


class FlowScenePipeline(SoftInpaintSD3Pipeline):
    """Its text encoder is the scene model's only one."""

    def encode_prompt(self, prompt: Any, *others: Any, negative_prompt: Any = None, **further: Any) -> Any:
        prompts = [prompt] if isinstance(prompt, str) else prompt
        negative = [negative_prompt or ""] * len(prompts) if isinstance(negative_prompt, str | None) else negative_prompt
        given, without = (self._embedded(each) for each in (prompts, negative))
        return given, without, given[:, 0], without[:, 0]

    def _embedded(self, prompts: list[str]) -> torch.Tensor:
        tokens = self.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt",
                                max_length=self.tokenizer.model_max_length)
        return self.text_encoder(tokens.input_ids).last_hidden_state


def pipeline(model: str = PLAIN) -> FlowScenePipeline:
    """The scene model, or its variant for few steps, as a flow model."""
    bundled, transformer = models.load(str(models.SCENE_MODEL), "cpu"), SceneTransformer()
    if model != PLAIN:
        transformer.unet = variant(model)["unet"]
    made = FlowScenePipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT[model]), vae=bundled.vae,
        text_encoder=bundled.text_encoder, tokenizer=bundled.tokenizer, text_encoder_2=None, tokenizer_2=None,
        text_encoder_3=None, tokenizer_3=None)
    made.set_progress_bar_config(disable=True)
    return made
