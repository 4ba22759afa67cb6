"""The small models that the WebUIs load, all made from the bundled scene model without downloads."""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training import sd1_checkpoint

FOLDER = Path(__file__).parent / "work" / "models"

SCENES, INPAINTING, ZERO_SNR, REFINER = sd1_checkpoint.NAME, *(
    f"softinpaint-{kind}" for kind in ("inpainting", "ztsnr", "refiner"))
"""Of Stable Diffusion 1's shape, for every host. The scene model predicts v, and so do the others."""

CONTROLNET = "softinpaint-sd15-inpaint"
"""The extension ControlNet guesses from the name that it belongs to Stable Diffusion 1."""

HINT_CHANNELS = 16, 16, 32, 32, 96, 96, 256
"""Of the layers that ControlNet reads an image with, but the last one's, which are the UNet's. Source: Zhang et al. 2023,
arXiv 2302.05543, its code's input_hint_block."""

FIRST_LAYER, LAST_LAYER = "model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.out.2.weight"


@lru_cache(maxsize=1)
def checkpoint() -> Path:
    """The scene model in the WebUI's format."""
    return sd1_checkpoint.export(sd1_checkpoint.MODEL, FOLDER)


@lru_cache(maxsize=1)
def write_all() -> Path:
    """The scene model, with all other models beside it. Each host lists them all and loads those it can."""
    from tests.webui import checkpoints_forge, checkpoints_reforge  # here, because they import this module

    inpainting_checkpoint()
    zero_snr_checkpoint()
    refiner_checkpoint()
    checkpoints_forge.write_all(checkpoint())
    checkpoints_reforge.write_all(checkpoint())
    return checkpoint()


def inpainting_checkpoint() -> Path:
    """The scene model's inpainting variant."""
    path = saved(INPAINTING, {**load_file(checkpoint()), **sd1_checkpoint.variant_weights("inpainting")})
    config = checkpoint().with_suffix(".yaml").read_text()
    for old, new in (("ddpm.LatentDiffusion", "ddpm.LatentInpaintDiffusion"), ("in_channels: 4", "in_channels: 9"),
                     ("conditioning_key: crossattn", "conditioning_key: hybrid\n    finetune_keys: null")):
        assert old in config, old
        config = config.replace(old, new)
    path.with_suffix(".yaml").write_text(config)
    return path


def with_mask_channels(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights with five more input channels, for mask and masked image, with random weights."""
    first = weights[FIRST_LAYER]
    mask_weights = 0.02 * torch.randn(len(first), 5, 3, 3, generator=torch.Generator().manual_seed(0))
    return {**weights, FIRST_LAYER: torch.cat([first, mask_weights.to(first)], 1)}


def zero_snr_checkpoint() -> Path:
    """The scene model marked as one with zero terminal SNR. The Forge family then rescales its schedule."""
    path = saved(ZERO_SNR, load_file(checkpoint()), ("v_pred", "ztsnr"))
    path.with_suffix(".yaml").write_text(checkpoint().with_suffix(".yaml").read_text())
    return path


def refiner_checkpoint() -> Path:
    """The scene model with a weaker last layer, so that images show which model painted them."""
    weights = load_file(checkpoint())
    path = saved(REFINER, {**weights, LAST_LAYER: 0.5 * weights[LAST_LAYER]})
    path.with_suffix(".yaml").write_text(checkpoint().with_suffix(".yaml").read_text())
    return path


def controlnet() -> Path:
    """A ControlNet for the scene model, in a folder of its own: the model's encoder, with random layers for its hint."""
    prefix, random = "model.diffusion_model.", torch.Generator().manual_seed(0)
    encoder = {key.removeprefix(prefix): weight.float() for key, weight in load_file(checkpoint()).items()
               if key.startswith(tuple(f"{prefix}{part}." for part in ("input_blocks", "time_embed", "middle_block")))}

    def layer(name: str, inputs: int, outputs: int, side: int) -> dict[str, torch.Tensor]:
        weight = torch.randn(outputs, inputs, side, side, generator=random) / (inputs * side * side) ** 0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}
    hint_channels = [3, *HINT_CHANNELS, len(encoder["input_blocks.0.0.bias"])]
    layers = [layer(f"input_hint_block.{2 * number}", *channels, 3)
              for number, channels in enumerate(zip(hint_channels, hint_channels[1:]))]
    depth = 1 + max(int(key.split(".")[1]) for key in encoder if key.startswith("input_blocks."))
    # A block ends with its residual's or its downsampling's last layer.
    widths = [len(next(bias for end in ("0.out_layers.3", "0.op", "0") if (
        bias := encoder.get(f"input_blocks.{number}.{end}.bias")) is not None)) for number in range(depth)]
    layers += [layer(f"zero_convs.{number}.0", width, width, 1) for number, width in enumerate(widths)]
    layers.append(layer("middle_block_out.0", widths[-1], widths[-1], 1))
    path = FOLDER.parent / "controlnets" / f"{CONTROLNET}.safetensors"
    path.parent.mkdir(exist_ok=True)
    weights = {key: weight for part in (encoder, *layers) for key, weight in part.items()}
    save_file({f"control_model.{key}": weight.contiguous().clone() for key, weight in weights.items()}, path)
    return path


def saved(name: str, weights: dict[str, torch.Tensor], marks: tuple[str, ...] = ()) -> Path:
    """Saves a checkpoint beside the scene model's. Marks are empty tensors whose names say more about the model."""
    path = FOLDER / f"{name}.safetensors"
    weights = {**weights, **{mark: torch.zeros(0) for mark in marks}}
    # Clone, because safetensors refuses tensors that share memory.
    save_file({key: value.detach().half().contiguous().clone() for key, value in weights.items()}, path)
    return path
