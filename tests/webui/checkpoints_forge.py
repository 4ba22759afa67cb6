"""Models that Forge and Forge Neo load with the companion's small_models_of_forge.py: Stable Diffusion XL and Flux.

Each has a description NAME.forge.json and a folder of diffusers configurations beside its checkpoint.
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import T5Config, T5EncoderModel

from tests.webui.checkpoints import SCENES, saved, with_mask_channels
from training import sd1_checkpoint

XL, XL_ZERO_SNR, XL_INPAINTING, FLUX = (
    f"softinpaint-{kind}" for kind in ("xl", "xl-ztsnr", "xl-inpainting", "flux"))

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
LAYERS = "text_model.encoder.layers."

SD_SCALE, XL_SCALE, FLUX_SCALE, FLUX_SHIFT = 0.18215, 0.13025, 0.3611, 0.1159
"""What each kind of model multiplies its autoencoder's latents by, and what Flux subtracts before."""

GAIN = 256
"""Factor by which the layer added to the text encoder outweighs its input. A power of two, so float16 loses nothing."""

HEAD_CHANNELS = 32
"""Channels of an attention head, in the scene model and in the Flux model."""

CLIP, TOKENIZER = ("transformers", "CLIPTextModel"), ("transformers", "CLIPTokenizer")
DDIM, FLOW = ("diffusers", "DDIMScheduler"), ("diffusers", "FlowMatchEulerDiscreteScheduler")
AUTOENCODER, UNET_CLASS = ("diffusers", "AutoencoderKL"), ("diffusers", "UNet2DConditionModel")


def write_all(scenes: Path) -> None:
    """Writes the models beside the scene model, and the descriptions of all."""
    describe_scenes(scenes.parent)
    weights = {key: value.float() for key, value in load_file(scenes).items()}
    write_xl(scenes.parent, weights)
    write_flux(scenes.parent, weights)


def describe_scenes(folder: Path) -> None:
    """For the scene model and its variants in the same shape."""
    unet = json.loads((sd1_checkpoint.MODEL / "unet" / "config.json").read_text())
    repository = folder / f"{SCENES}-forge"
    for name in ("scheduler", "vae"):
        shutil.copytree(sd1_checkpoint.MODEL / name, repository / name, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("*.safetensors"))
    for name in ("tokenizer", "text_encoder"):
        shutil.copytree(folder / SCENES, repository / name, dirs_exist_ok=True)
    write_index(repository, "StableDiffusionPipeline", scheduler=DDIM, text_encoder=CLIP, tokenizer=TOKENIZER,
                unet=UNET_CLASS, vae=AUTOENCODER)
    describe(repository, "SD15", {"model_channels": unet["block_out_channels"][0],
                                  "context_dim": unet["cross_attention_dim"]}, {"num_heads": unet["attention_head_dim"]})


def write_xl(folder: Path, weights: dict) -> None:
    """The scene model in SDXL's shape. It paints the same scenes; the second text encoder and the sizes have no effect."""
    unet, vae, text = part(weights, UNET), part(weights, VAE), part(weights, TEXT)
    width = text_width(text)
    for key, value in unet.items():
        if key.endswith((".proj_in.weight", ".proj_out.weight")):
            unet[key] = value[:, :, 0, 0]
        elif key.endswith((".attn2.to_k.weight", ".attn2.to_v.weight")):
            unet[key] = torch.cat([value / GAIN, torch.zeros_like(value)], 1)
    embedded, sizes = len(unet["time_embed.2.bias"]), width + 6 * 256
    unet |= linear("label_emb.0.0", sizes, embedded) | linear("label_emb.0.2", embedded, embedded)
    unet["label_emb.0.2.weight"] = torch.zeros(embedded, embedded)
    text = with_norm_as_layer(text)
    parts = {UNET: unet, VAE: with_xl_scale(vae), "conditioner.embedders.0.transformer.": text,
             "conditioner.embedders.1.model.transformer.": {**text, "text_projection.weight": torch.eye(width)}}
    repository = folder / f"{XL}-forge"
    copy_from_scenes(repository, "scheduler", "vae", "tokenizer", "text_encoder")
    shutil.copytree(repository / "tokenizer", repository / "tokenizer_2", dirs_exist_ok=True)
    config = json.loads((repository / "text_encoder" / "config.json").read_text())
    config["num_hidden_layers"] += 2
    for encoder in ("text_encoder", "text_encoder_2"):
        write_json(repository / encoder / "config.json", config)
    write_index(repository, "StableDiffusionXLPipeline", scheduler=DDIM, text_encoder=CLIP,
                text_encoder_2=("transformers", "CLIPTextModelWithProjection"), tokenizer=TOKENIZER, tokenizer_2=TOKENIZER,
                unet=UNET_CLASS, vae=AUTOENCODER)
    describe(repository, "SDXL", {"model_channels": len(unet["input_blocks.0.0.weight"]), "context_dim": 2 * width,
                                  "adm_in_channels": sizes}, {"num_head_channels": HEAD_CHANNELS})
    saved(XL, joined(parts), ("v_pred",))
    saved(XL_ZERO_SNR, joined(parts), ("v_pred", "ztsnr"))
    saved(XL_INPAINTING, with_mask_channels(joined(parts)), ("v_pred",))


def write_flux(folder: Path, weights: dict) -> None:
    """A Flux with random weights, so it paints no scenes. Its autoencoder is the scene model's, with 12 idle channels."""
    text = part(weights, TEXT)
    width, hidden, context, head, mlp = text_width(text), 64, 32, HEAD_CHANNELS, 128
    net_sizes = {"vec_in_dim": width, "context_in_dim": context, "hidden_size": hidden, "mlp_ratio": mlp / hidden,
                 "num_heads": hidden // head, "depth": 1, "depth_single_blocks": 1, "axes_dim": [8, 12, 12]}
    t5_sizes = {"d_model": context, "d_ff": 64, "d_kv": 16, "num_heads": 2, "num_layers": 2, "vocab_size": 128}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = flux_weights(width, hidden, context, head, mlp)
        t5 = T5EncoderModel(T5Config(feed_forward_proj="gated-gelu", **t5_sizes)).state_dict()
    parts = {UNET: net, "vae.": with_sixteen_channels(part(weights, VAE)), "text_encoders.clip_l.transformer.": text,
             "text_encoders.t5xxl.transformer.": {key: value for key, value in t5.items() if "embed_tokens" not in key}}
    repository = folder / f"{FLUX}-forge"
    copy_from_scenes(repository, "vae", "tokenizer", "text_encoder")
    config = json.loads((repository / "vae" / "config.json").read_text())
    write_json(repository / "vae" / "config.json", {
        **config, "latent_channels": 16, "scaling_factor": FLUX_SCALE, "shift_factor": FLUX_SHIFT,
        "use_quant_conv": False, "use_post_quant_conv": False})
    write_json(repository / "text_encoder_2" / "config.json", {
        **t5_sizes, "model_type": "t5", "dense_act_fn": "gelu_pytorch_tanh", "is_gated_act": True})
    write_letter_tokenizer(repository / "tokenizer_2")
    write_json(repository / "scheduler" / "scheduler_config.json", {"_class_name": FLOW[1]})
    write_index(repository, "FluxPipeline", scheduler=FLOW, text_encoder=CLIP, tokenizer=TOKENIZER, vae=AUTOENCODER,
                text_encoder_2=("transformers", "T5EncoderModel"), tokenizer_2=("transformers", "T5TokenizerFast"),
                transformer=("diffusers", "FluxTransformer2DModel"))
    describe(repository, "Flux", {"image_model": "flux", "guidance_embed": True}, net_sizes)
    saved(FLUX, joined(parts))


def flux_weights(width: int, hidden: int, context: int, head: int, mlp: int) -> dict:
    """One block of each kind, with the original names."""
    net = linear("img_in", 64, hidden) | linear("txt_in", context, hidden)
    for key, size in (("time_in", 256), ("vector_in", width), ("guidance_in", 256)):
        net |= linear(f"{key}.in_layer", size, hidden) | linear(f"{key}.out_layer", hidden, hidden)
    for kind in ("img", "txt"):
        block = f"double_blocks.0.{kind}"
        net |= linear(f"{block}_mod.lin", hidden, 6 * hidden) | linear(f"{block}_attn.qkv", hidden, 3 * hidden)
        net |= linear(f"{block}_attn.proj", hidden, hidden) | norms(f"{block}_attn.norm", head)
        net |= linear(f"{block}_mlp.0", hidden, mlp) | linear(f"{block}_mlp.2", mlp, hidden)
    block = "single_blocks.0"
    net |= linear(f"{block}.linear1", hidden, 3 * hidden + mlp) | linear(f"{block}.linear2", hidden + mlp, hidden)
    net |= linear(f"{block}.modulation.lin", hidden, 3 * hidden) | norms(f"{block}.norm", head)
    return net | linear("final_layer.linear", hidden, 64) | linear("final_layer.adaLN_modulation.1", hidden, 2 * hidden)


def with_norm_as_layer(text: dict) -> dict:
    """The text encoder with two more layers, because SDXL takes the second-to-last layer's output, without the final norm.

    The first layer adds the norm of its input, multiplied by GAIN, which leaves the input itself negligible. Its MLP is
    the identity, because quick_gelu(x) - quick_gelu(-x) = x. The output of the second layer is not used.
    """
    last = max(int(key.removeprefix(LAYERS).split(".")[0]) for key in text if key.startswith(LAYERS))
    layer = part(text, f"{LAYERS}{last}.")
    norm = {key: torch.zeros_like(value) for key, value in layer.items()}
    norm |= {f"layer_norm2.{kind}": text[f"text_model.final_layer_norm.{kind}"] for kind in ("weight", "bias")}
    width = text_width(text)
    plus_minus = torch.cat([torch.eye(width), -torch.eye(width)])
    norm["mlp.fc1.weight"][:2 * width] = plus_minus
    norm["mlp.fc2.weight"][:, :2 * width] = GAIN * plus_minus.T
    return {**text, **joined({f"{LAYERS}{last + 1}.": norm, f"{LAYERS}{last + 2}.": layer})}


def with_xl_scale(vae: dict) -> dict:
    """The autoencoder with latents of SDXL's range."""
    factor = SD_SCALE / XL_SCALE
    scale = torch.tensor([factor] * 4 + [1] * 4)  # the last four are variances
    return {**vae, "quant_conv.weight": vae["quant_conv.weight"] * scale.view(-1, 1, 1, 1),
            "quant_conv.bias": vae["quant_conv.bias"] * scale,
            "post_quant_conv.weight": vae["post_quant_conv.weight"] / factor}


def with_sixteen_channels(vae: dict) -> dict:
    """The autoencoder in Flux's shape and range, which has no quant_conv: the 4 latents first, then 12 idle ones."""
    vae = dict(vae)
    before, before_bias = vae.pop("quant_conv.weight")[:, :, 0, 0], vae.pop("quant_conv.bias")
    after, after_bias = vae.pop("post_quant_conv.weight")[:, :, 0, 0], vae.pop("post_quant_conv.bias")
    gain = SD_SCALE / FLUX_SCALE  # Flux's latent is (latent - shift) * scale
    out = gain * torch.einsum("oi,ihwk->ohwk", before, vae["encoder.conv_out.weight"])[:4]
    out_bias = gain * (before @ vae["encoder.conv_out.bias"] + before_bias)[:4] + FLUX_SHIFT
    vae["encoder.conv_out.weight"] = torch.cat([out, torch.zeros(28, *out.shape[1:])])
    vae["encoder.conv_out.bias"] = torch.cat([out_bias, torch.full((12,), FLUX_SHIFT),
                                              torch.full((16,), sd1_checkpoint.LOG_VARIANCE)])
    first = vae["decoder.conv_in.weight"]
    inward = torch.einsum("oihw,ij->ojhw", first, after) / gain
    constant = torch.einsum("oihw,i->o", first, after_bias) - inward.sum((1, 2, 3)) * FLUX_SHIFT
    vae["decoder.conv_in.weight"] = torch.cat([inward, torch.zeros(len(inward), 12, 3, 3)], 1)
    vae["decoder.conv_in.bias"] = vae["decoder.conv_in.bias"] + constant
    return vae


def part(weights: dict, prefix: str) -> dict:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def joined(parts: dict[str, dict]) -> dict:
    return {prefix + key: value for prefix, weights in parts.items() for key, value in weights.items()}


def linear(name: str, inputs: int, outputs: int) -> dict:
    return {f"{name}.weight": torch.randn(outputs, inputs) / inputs**0.5, f"{name}.bias": torch.zeros(outputs)}


def norms(name: str, size: int) -> dict:
    return {f"{name}.{kind}_norm.scale": torch.ones(size) for kind in ("query", "key")}


def text_width(text: dict) -> int:
    return text["text_model.final_layer_norm.weight"].numel()


def write_letter_tokenizer(folder: Path) -> None:
    """A T5 tokenizer of single letters."""
    letters = [(chr(code), -1.0) for code in range(33, 127)]
    tokenizer = Tokenizer(models.Unigram([*((token, 0.0) for token in ("<pad>", "</s>", "<unk>", "▁")), *letters], unk_id=2))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "extra_ids": 0,
        "model_max_length": 512})


def copy_from_scenes(repository: Path, *names: str) -> None:
    for name in names:
        shutil.copytree(repository.with_name(f"{SCENES}-forge") / name, repository / name, dirs_exist_ok=True)


def write_index(repository: Path, pipeline: str, **classes: tuple[str, str]) -> None:
    write_json(repository / "model_index.json", {"_class_name": pipeline, **classes})


def describe(repository: Path, base: str, unet: dict, sizes: dict) -> None:
    name = repository.name.removesuffix("-forge")
    write_json(repository.with_name(f"{name}.forge.json"),
               {"base": base, "unet": unet, "sizes": sizes, "repository": repository.name})


def write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), "utf-8")
