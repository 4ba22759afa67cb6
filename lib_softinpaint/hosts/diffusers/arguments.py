"""Checks of `SoftInpaintPipeline`'s arguments and models, made before anything runs."""
from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch

from lib_softinpaint.hosts.diffusers.families import FAMILIES, REASONS
from lib_softinpaint.settings.request import MASKED_CONTENTS
from lib_softinpaint.settings.settings import Settings

OUTPUT_TYPES = ("pil", "np", "pt", "latent")

UNET_CHANNELS = 4, 9
"""Input channels of a UNet: the latent alone, or also the mask and the masked image of an inpainting model."""

UNETS = "Stable Diffusion 1, 2 and XL, and their inpainting models"

SUPPORTED = f"{UNETS}, {', '.join(each.label for each in FAMILIES)}"

NEEDED_PARTS = {"vae", "unet", "scheduler"}
KNOWN_PARTS = NEEDED_PARTS | {"text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "safety_checker",
                              "feature_extractor", "image_encoder"}

WEBUI_NAMES = {"denoising_strength": "strength", "steps": "num_inference_steps", "cfg_scale": "guidance_scale",
               "masked_area_padding": "padding_mask_crop", "seed": "generator", "mask": "mask_image"}
"""The WebUI's names for the pipeline's arguments."""

CONTROL_WORDS = ("control", "guess_mode", "adapter_conditioning")
"""Words in the argument names of ControlNet and T2I-Adapter."""

OF_BOTH_PARENTS = {"callback", "callback_steps"}
"""Deprecated arguments that diffusers still accepts through `kwargs`."""


def check_names(given: Iterable[str], known: Collection[str]) -> None:
    """Raises TypeError for an unknown argument and suggests a similar name."""
    for name in given:
        if name in known or name in OF_BOTH_PARENTS:
            continue
        if any(word in name for word in CONTROL_WORDS):
            raise TypeError(f"{name} belongs to ControlNet or a T2I-Adapter, which soft inpainting does not support")
        alike = WEBUI_NAMES.get(name) or next(iter(difflib.get_close_matches(name, known, 1)), None)
        raise TypeError(f"{name} is not an argument of this pipeline" + (f", did you mean {alike}?" if alike else ""))


def check_parts(name: str, parts: Collection[str]) -> None:
    """Raises ValueError if a model's components are not those of a supported model.

    Parameters
    ----------
    name
        Name of the pipeline's class.
    parts
        Names of its components.
    """
    further = sorted(set(parts) - KNOWN_PARTS)
    if further or not set(parts) >= NEEDED_PARTS:
        part = f"it has {', '.join(further)}" if further else f"it has no {', '.join(sorted(NEEDED_PARTS - set(parts)))}"
        raise ValueError(f"the model must be one of {SUPPORTED}, got {name}: {REASONS.get(name, part)}")


def check_values(image_count: int, mask_count: int, prompt: Any, num_images_per_prompt: Any, num_inference_steps: Any,
                 strength: Any, guidance_scale: Any, padding_mask_crop: Any, masked_content: Any, mask_blur: Any,
                 settings: Any, generator: Any, output_type: Any, others: Mapping[str, Any]) -> int:
    """Number of images that the arguments request. Raises ValueError if an argument is invalid."""
    embeddings = others.get("prompt_embeds")
    if (prompt is None) == (embeddings is None):
        raise ValueError("one of prompt and prompt_embeds must be given, got " + ("none" if prompt is None else "both"))
    if prompt is not None and not (isinstance(prompt, str) or isinstance(prompt, list) and prompt
                                   and all(isinstance(each, str) for each in prompt)):
        raise ValueError(f"prompt must be a string or a list of strings, got {prompt!r}")
    prompts = len(embeddings) if embeddings is not None else len(prompt) if isinstance(prompt, list) else 1
    for name, value in (("num_images_per_prompt", num_images_per_prompt), ("num_inference_steps", num_inference_steps)):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    count = prompts * num_images_per_prompt
    for name, number in (("image", image_count), ("mask_image", mask_count)):
        if number not in (1, prompts):
            raise ValueError(f"{name} must be one image or a list with one per prompt ({prompts}), got {number}")
    if padding_mask_crop is not None and max(image_count, mask_count) > 1:
        raise ValueError("padding_mask_crop needs one image and one mask, got a list of "
                         f"{max(image_count, mask_count)}: call the pipeline once per image")
    ranges = {"strength": (strength, 0, 1), "guidance_scale": (guidance_scale, 0, math.inf),
              "mask_blur": (mask_blur, 0, math.inf), "padding_mask_crop": (padding_mask_crop or 0, 0, math.inf)}
    for name, (value, least, most) in ranges.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not least <= value <= most:
            raise ValueError(f"{name} must be a number from {least} to {most}, got {value!r}")
    if strength == 0:
        raise ValueError("strength must be above 0 and at most 1, got 0")
    for name, value, choices in (("masked_content", masked_content, MASKED_CONTENTS),
                                 ("output_type", output_type, OUTPUT_TYPES)):
        if value not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value!r}")
    if not isinstance(settings, Settings):
        raise ValueError(f"settings must be lib_softinpaint.Settings, got {type(settings).__name__}")
    if settings.enabled and settings.regions_one_by_one:
        raise ValueError("a pipeline inpaints its mask as a whole, got settings with regions_one_by_one: call soft_inpaint or "
                         "hosts.diffusers.models.inpaint, which call the pipeline once per region")
    generators = generator if isinstance(generator, list) else [] if generator is None else [generator]
    if not all(isinstance(each, torch.Generator) for each in generators):
        raise ValueError(f"generator must be a torch.Generator or a list of them, got {generator!r}")
    if isinstance(generator, list) and len(generator) != count:
        raise ValueError(f"generator must be one generator or a list with one per image ({count}), got {len(generator)}")
    return count


def check_models(pipeline: Any, others: Mapping[str, Any]) -> None:
    """Raises ValueError if the pipeline's models cannot run this request."""
    channels = pipeline.unet.config.in_channels
    if channels not in UNET_CHANNELS:
        raise ValueError(f"the model must be one of {UNETS}, whose UNet has {' or '.join(map(str, UNET_CHANNELS))} input "
                         f"channels, got {channels}")
    has_adapter = getattr(pipeline.unet, "encoder_hid_proj", None) is not None
    for name in ("ip_adapter_image", "ip_adapter_image_embeds"):
        if others.get(name) is not None and not has_adapter:
            raise ValueError(f"{name} needs an IP-Adapter in the model, got none: call load_ip_adapter first")
    if has_adapter and not any(others.get(name) is not None for name in ("ip_adapter_image", "ip_adapter_image_embeds")):
        raise ValueError("a model with an IP-Adapter needs ip_adapter_image or ip_adapter_image_embeds, got none: "
                         "unload_ip_adapter removes it")
