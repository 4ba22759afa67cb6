"""Random diffusers models of a few thousand parameters, in the layouts of SD1, SDXL and an SD1 inpainting model."""
import json

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

WIDTH = 32

KNOWN_WARNINGS = [pytest.mark.filterwarnings(each) for each in (
    # diffusers passes tensors to NumPy functions, and NumPy 2 warns that PyTorch's array protocol is outdated.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:diffusers.schedulers",
    "ignore:__array_wrap__ must accept context and return_scalar:DeprecationWarning:diffusers.schedulers",
    "ignore:__array_wrap__ must accept context and return_scalar:DeprecationWarning:numpy.*fromnumeric",
    "ignore:Should have t[ab]>=t0 but got:UserWarning:torchsde",  # sigmas are rounded
)]
"""Known warnings of diffusers and transformers. Any other warning is a failure."""


def scheduler():
    return EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


def vae():
    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=1, mid_block_add_attention=False)


def unet(in_channels=4, **config):
    return UNet2DConditionModel(
        sample_size=8, in_channels=in_channels, out_channels=4, block_out_channels=(32, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4, **{"cross_attention_dim": WIDTH, **config})


def tokenizer(folder):
    folder.mkdir(parents=True, exist_ok=True)
    letters = [*"abcdefghijklmnopqrstuvwxyz", *[f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz"]]
    vocabulary = {token: index for index, token in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def text_config():
    return CLIPTextConfig(vocab_size=64, hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2,
                          num_attention_heads=2, projection_dim=WIDTH, bos_token_id=0, eos_token_id=1, pad_token_id=1)


def sd1(folder, in_channels=4):
    torch.manual_seed(0)
    return StableDiffusionPipeline(
        vae=vae(), text_encoder=CLIPTextModel(text_config()).eval(), tokenizer=tokenizer(folder / "tokens"),
        unet=unet(in_channels), scheduler=scheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)


def sdxl(folder):
    torch.manual_seed(0)
    time_ids = dict(addition_embed_type="text_time", addition_time_embed_dim=8,
                    projection_class_embeddings_input_dim=6 * 8 + WIDTH, cross_attention_dim=2 * WIDTH)
    return StableDiffusionXLPipeline(
        vae=vae(), text_encoder=CLIPTextModel(text_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(text_config()).eval(), tokenizer=tokenizer(folder / "tokens"),
        tokenizer_2=tokenizer(folder / "tokens"), unet=unet(**time_ids), scheduler=scheduler())


def add_ip_adapter(unet):
    """Adds a random IP-Adapter of one token, like `load_ip_adapter`."""
    torch.manual_seed(1)
    sizes = {name: module.to_k.weight.shape for name, module in unet.named_modules() if name.endswith("attn2")}
    weights = {f"{2 * number + 1}.{key}.weight": torch.randn(size)
               for number, size in enumerate(sizes.values()) for key in ("to_k_ip", "to_v_ip")}
    cross = unet.config.cross_attention_dim
    unet._load_ip_adapter_weights([{"ip_adapter": weights, "image_proj": {
        "proj.weight": torch.randn(4 * cross, WIDTH), "proj.bias": torch.zeros(4 * cross),
        "norm.weight": torch.ones(cross), "norm.bias": torch.zeros(cross)}}])
