"""The scene model as a checkpoint of Stable Diffusion 1's original format, which the WebUI loads.

    python -m training.sd1_checkpoint WEBUI/models/Stable-diffusion

writes softinpaint-scenes.safetensors, its .yaml, and a folder with the tokenizer and the text encoder's
configuration. The .yaml contains that folder's path, so run this again instead of moving the files.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from safetensors.torch import save_file

from lib_softinpaint.cli.command import Command
from lib_softinpaint.cli.main import main as run

MODEL = Path(__file__).parents[1] / "demo" / "model"
VARIANTS = MODEL.parent / "variants"
NAME = "softinpaint-scenes"
LOG_VARIANCE = -30.0  # the WebUI samples its latents; this makes encoding an image twice give the same latent
SPECIAL_TOKENS = {f"{role}_token": "<|endoftext|>" for role in ("eos", "unk", "pad")} | {"bos_token": "<|startoftext|>"}

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def export(model: Path, folder: Path) -> Path:
    """Writes the model's checkpoint into the folder and returns its path. The .yaml and the folder beside it are needed."""
    logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(model, local_files_only=True)
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / NAME
    _write_text_model(pipeline, model, text)
    weights = {
        **{f"model.diffusion_model.{key}": value for key, value in unet_weights(pipeline.unet)},
        **{f"first_stage_model.{key}": value for key, value in vae_weights(pipeline.vae)},
        **{f"cond_stage_model.transformer.{key}": value for key, value in text_weights(pipeline.text_encoder)},
    }
    path = folder / f"{NAME}.safetensors"
    save_file({key: value.half().contiguous() for key, value in weights.items()}, path)
    path.chmod(0o644)
    path.with_suffix(".yaml").write_text(configuration(pipeline, text.resolve()), "utf-8")
    return path


def unet_weights(unet: UNet2DConditionModel) -> Iterator[tuple[str, torch.Tensor]]:
    """The UNet's weights with their original names."""
    places = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    number = 1
    for level, block in enumerate(unet.down_blocks):
        for layer in range(len(block.resnets)):
            places[f"down_blocks.{level}.resnets.{layer}"] = f"input_blocks.{number}.0"
            places[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{number}.1"
            number += 1
        if block.downsamplers:
            places[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    number = 0
    for level, block in enumerate(unet.up_blocks):
        attends = bool(getattr(block, "attentions", None))
        for layer in range(len(block.resnets)):
            places[f"up_blocks.{level}.resnets.{layer}"] = f"output_blocks.{number}.0"
            places[f"up_blocks.{level}.attentions.{layer}"] = f"output_blocks.{number}.1"
            number += 1
        if block.upsamplers:
            places[f"up_blocks.{level}.upsamplers.0"] = f"output_blocks.{number - 1}.{2 if attends else 1}"
    for key, value in unet.state_dict().items():
        renamed = _renamed(key, places)
        yield (_renamed_within(renamed, RESNET) if ".resnets." in key else renamed), value


def variant_weights(name: str) -> dict[str, torch.Tensor]:
    """A checkpoint's weights of the UNet of a variant in demo/variants."""
    unet = UNet2DConditionModel.from_pretrained(VARIANTS / name, local_files_only=True)
    return {f"model.diffusion_model.{key}": value for key, value in unet_weights(unet)}


def vae_weights(vae: AutoencoderKL) -> Iterator[tuple[str, torch.Tensor]]:
    """The autoencoder's weights with their original names. The latent's variance is set to almost zero."""
    last = len(vae.config.block_out_channels) - 1
    places = {f"decoder.up_blocks.{level}.": f"decoder.up.{last - level}." for level in range(last + 1)}
    places |= {f"encoder.down_blocks.{level}.": f"encoder.down.{level}." for level in range(last + 1)}
    for key, value in vae.state_dict().items():
        renamed = _renamed(key, places)
        renamed = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", renamed)
        renamed = renamed.replace("mid_block.attentions.0", "mid.attn_1").replace("resnets", "block")
        renamed = re.sub(r"(down|up)samplers\.0", r"\1sample", renamed)
        renamed = renamed.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        if ".attn_1." in renamed:
            renamed = _renamed_within(renamed, VAE_ATTENTION)
            value = value[:, :, None, None] if value.ndim == 2 else value
        if key.startswith("quant_conv"):
            log_variance = torch.zeros_like(value[4:]) if value.ndim > 1 else torch.full_like(value[4:], LOG_VARIANCE)
            value = torch.cat([value[:4], log_variance])
        yield renamed, value


def _renamed(key: str, places: dict[str, str]) -> str:
    start = max((old for old in places if key.startswith(old)), key=len, default="")
    return places.get(start, "") + key[len(start) :]


def _renamed_within(key: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        key = key.replace(f".{old}.", f".{new}.")
    return key


def text_weights(encoder: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The text encoder's weights with the names of transformers 4, which the WebUI uses."""
    for key, value in encoder.state_dict().items():
        yield key if key.startswith("text_model.") else f"text_model.{key}", value


def _write_text_model(pipeline: StableDiffusionPipeline, model: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(model / "tokenizer" / name, folder / name)
    tokenizer_config = {**SPECIAL_TOKENS, "do_lower_case": True, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config), "utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(SPECIAL_TOKENS), "utf-8")
    pipeline.text_encoder.config.save_pretrained(folder)


def configuration(pipeline: StableDiffusionPipeline, text: Path) -> str:
    """The checkpoint's .yaml with the networks' sizes, in the original format."""
    unet, vae, scheduler = pipeline.unet.config, pipeline.vae.config, pipeline.scheduler.config
    first = unet.block_out_channels[0]
    levels = [2**level for level, kind in enumerate(unet.down_block_types) if "CrossAttn" in kind]
    return f"""\
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: {"v" if scheduler.prediction_type == "v_prediction" else "eps"}
    linear_start: {scheduler.beta_start}
    linear_end: {scheduler.beta_end}
    timesteps: {scheduler.num_train_timesteps}
    num_timesteps_cond: 1
    first_stage_key: jpg
    cond_stage_key: txt
    image_size: {unet.sample_size}
    channels: {unet.in_channels}
    cond_stage_trainable: false
    conditioning_key: crossattn
    scale_factor: {vae.scaling_factor}
    use_ema: false
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: {unet.sample_size}
        in_channels: {unet.in_channels}
        out_channels: {unet.out_channels}
        model_channels: {first}
        attention_resolutions: {levels}
        num_res_blocks: {unet.layers_per_block}
        channel_mult: {[channels // first for channels in unet.block_out_channels]}
        num_heads: {unet.attention_head_dim}
        use_spatial_transformer: true
        transformer_depth: 1
        context_dim: {unet.cross_attention_dim}
        use_checkpoint: false
        legacy: false
    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: {vae.latent_channels}
        ddconfig:
          double_z: true
          z_channels: {vae.latent_channels}
          resolution: {vae.sample_size}
          in_channels: 3
          out_ch: 3
          ch: {vae.block_out_channels[0]}
          ch_mult: {[channels // vae.block_out_channels[0] for channels in vae.block_out_channels]}
          num_res_blocks: {vae.layers_per_block}
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity
    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params:
        version: {json.dumps(text.as_posix())}
"""


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--force", is_flag=True, help="Overwrite an existing checkpoint.")
def main(folder: Path, force: bool) -> None:
    """Write the bundled scene model as a checkpoint into FOLDER, the WebUI's models/Stable-diffusion."""
    if not folder.exists():
        raise click.UsageError(f"FOLDER must be an existing folder, got {folder}")
    if (folder / f"{NAME}.safetensors").exists() and not force:
        raise click.UsageError(f"--force is needed to overwrite {NAME}.safetensors in {folder}")
    try:
        path = export(MODEL, folder)
        for written in (path, path.with_suffix(".yaml"), path.with_suffix("")):
            click.echo(written)
    except OSError as fault:
        raise click.UsageError(f"{folder} must be a writable folder: {fault}") from fault


if __name__ == "__main__":
    sys.exit(run(program="sd1_checkpoint", command=main))
