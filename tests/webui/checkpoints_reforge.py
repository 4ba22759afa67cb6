"""Models that reForge and Forge Classic load with the companion's small_models_of_reforge.py: Stable Diffusion XL.

The UNet and text encoders have random weights, so the models paint no scenes.
"""
from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from tests.webui.checkpoints import saved
from training import sd1_checkpoint

XL, XL_ZERO_SNR, XL_INPAINTING, XL_FLOW = (
    f"softinpaint-random-xl{kind}" for kind in ("", "-ztsnr", "-inpainting", "-flow"))

TEXT_FOLDER = "softinpaint-random-xl"
TEXT_SIZE = 32
TIME_SIZE = 6 * 256
"""Channels of SDXL's six embedded sizes."""

OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
             "self_attn.out_proj": "attn.out_proj"}
"""OpenCLIP's names of a layer's parts."""


def write_all(scenes: Path) -> None:
    """Writes the models beside the scene model, and reuses its autoencoder."""
    write_xl(scenes, XL)
    write_xl(scenes, XL_ZERO_SNR, marks=("v_pred", "ztsnr"))
    write_xl(scenes, XL_INPAINTING, channels=9)
    write_xl(scenes, XL_FLOW)  # a separate file, because reForge's script leaves its changes in the loaded model


def write_xl(scenes: Path, name: str, channels: int = 4, marks: tuple[str, ...] = ()) -> None:
    """Writes an SDXL-shaped model.

    Parameters
    ----------
    name
        Of the checkpoint.
    channels
        Input channels of the UNet: 9 for an inpainting model.
    marks
        Empty weights by which the host recognises how the model predicts.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoders = {"l": text_encoder(layers=12), "g": text_encoder(layers=3)}  # the host takes L's eleventh layer
        unet = xl_unet(channels)
    folder = scenes.parent / TEXT_FOLDER
    folder.mkdir(exist_ok=True)
    for place, encoder in encoders.items():
        (folder / f"{place}.json").write_text(encoder.config.to_json_string())
    weights = {key: value for key, value in load_file(scenes).items() if key.startswith("first_stage_model.")}
    for key, value in sd1_checkpoint.unet_weights(unet):
        renamed = key.replace("add_embedding.linear_1", "label_emb.0.0").replace("add_embedding.linear_2", "label_emb.0.2")
        weights[f"model.diffusion_model.{renamed}"] = value
    for key, value in sd1_checkpoint.text_weights(encoders["l"]):
        weights[f"conditioner.embedders.0.transformer.{key}"] = value
    for key, value in open_clip_weights(encoders["g"]).items():
        weights[f"conditioner.embedders.1.model.{key}"] = value
    saved(name, weights, marks)


def xl_unet(channels: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=32, in_channels=channels, block_out_channels=(64, 128, 128), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=2 * TEXT_SIZE,
        attention_head_dim=(1, 2, 2), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=TEXT_SIZE + TIME_SIZE)


def text_encoder(layers: int) -> CLIPTextModel:
    """With CLIP's whole vocabulary, so that the host's own tokenizer fits."""
    return CLIPTextModel(CLIPTextConfig(
        hidden_size=TEXT_SIZE, intermediate_size=2 * TEXT_SIZE, projection_dim=TEXT_SIZE, num_attention_heads=2,
        num_hidden_layers=layers, vocab_size=49408, bos_token_id=49406, eos_token_id=49407, pad_token_id=49407))


def open_clip_weights(encoder: CLIPTextModel) -> dict[str, torch.Tensor]:
    """The text encoder's weights with OpenCLIP's names, with an identity as the projection."""
    found = {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    weights = {"token_embedding.weight": found["embeddings.token_embedding.weight"],
               "positional_embedding": found["embeddings.position_embedding.weight"],
               "text_projection": torch.eye(TEXT_SIZE), "logit_scale": torch.tensor(4.6),
               **{f"ln_final.{kind}": found[f"final_layer_norm.{kind}"] for kind in ("weight", "bias")}}
    for layer in range(encoder.config.num_hidden_layers):
        old, new = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        for kind in ("weight", "bias"):
            weights |= {f"{new}.{theirs}.{kind}": found[f"{old}.{ours}.{kind}"] for ours, theirs in OPEN_CLIP.items()}
            weights[f"{new}.attn.in_proj_{kind}"] = torch.cat(
                [found[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"])
    return weights
