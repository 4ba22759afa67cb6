"""Writes a tiny random checkpoint of Stable Diffusion 1's format, 4.6 M parameters, that the WebUI loads in a second.

    python tiny_checkpoint.py WEBUI_CHECKOUT OUT

Run it with the WebUI's own Python. OUT/tiny.safetensors and OUT/tiny.yaml belong into models/Stable-diffusion;
OUT/clip-tiny (tokenizer and text model) stays where it is, the yaml names it.
"""
import json
import sys
from pathlib import Path

import torch

WIDTH = 64
"""Channels of the text model."""

CONFIG = """
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    linear_start: 0.00085
    linear_end: 0.0120
    num_timesteps_cond: 1
    timesteps: 1000
    first_stage_key: "jpg"
    cond_stage_key: "txt"
    image_size: 64
    channels: 4
    cond_stage_trainable: false
    conditioning_key: crossattn
    monitor: val/loss_simple_ema
    scale_factor: 0.18215
    use_ema: False
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: 32
        in_channels: 4
        out_channels: 4
        model_channels: 32
        attention_resolutions: [2]
        num_res_blocks: 1
        channel_mult: [1, 2]
        num_heads: 4
        use_spatial_transformer: True
        transformer_depth: 1
        context_dim: {width}
        use_checkpoint: False
        legacy: False
    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: 4
        monitor: val/rec_loss
        ddconfig:
          double_z: true
          z_channels: 4
          resolution: 256
          in_channels: 3
          out_ch: 3
          ch: 32
          ch_mult: [1, 1, 1, 1]
          num_res_blocks: 1
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity
    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params:
        version: {clip}
"""


def write_text_model(folder: Path) -> None:
    from clip.simple_tokenizer import SimpleTokenizer
    from transformers import CLIPTextConfig, CLIPTextModel
    tokenizer = SimpleTokenizer()
    merges = [" ".join(pair) for pair, _ in sorted(tokenizer.bpe_ranks.items(), key=lambda item: item[1])]
    ends = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(tokenizer.encoder))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf8")
    (folder / "special_tokens_map.json").write_text(json.dumps(ends))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"do_lower_case": True, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer", **ends}))
    model = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer.encoder), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2,
        num_attention_heads=4, projection_dim=WIDTH, bos_token_id=0, eos_token_id=2, pad_token_id=1))
    # The WebUI divides the embedding by its mean, so that must not be zero.
    torch.nn.init.normal_(model.text_model.final_layer_norm.bias, mean=0.2, std=0.3)
    model.save_pretrained(folder)


def write_checkpoint(webui: Path, folder: Path) -> None:
    sys.path.insert(0, str(webui / "repositories" / "stable-diffusion-stability-ai"))
    from ldm.util import instantiate_from_config
    from omegaconf import OmegaConf
    from safetensors.torch import save_file
    torch.manual_seed(0)
    write_text_model(folder / "clip-tiny")
    config = CONFIG.format(width=WIDTH, clip=(folder / "clip-tiny").resolve())
    model = instantiate_from_config(OmegaConf.create(config).model)
    for weight in model.model.parameters():
        if weight.dim() > 1 and not weight.any():
            torch.nn.init.normal_(weight, std=0.02)
    with torch.no_grad():  # log-variance -30: encoding the same picture twice gives the same latent
        model.first_stage_model.quant_conv.weight[4:] = 0
        model.first_stage_model.quant_conv.bias[4:] = -30
    save_file({name: weight.contiguous() for name, weight in model.state_dict().items()}, folder / "tiny.safetensors")
    (folder / "tiny.yaml").write_text(config)


if __name__ == "__main__":
    write_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]))
