"""Random transformer models of a few thousand parameters, in the layouts of SD3, Flux.1, Flux.2 Klein, Qwen-Image, ..."""
import diffusers
import pytest
import torch
import transformers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from lib_softinpaint.hosts.diffusers import families
from tests import tiny_models

WIDTH = tiny_models.WIDTH
CHANNELS = 8
"""Of a latent. Neither 3, an image's, nor 4, the number that diffusers assumes."""
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def scheduler(**config):
    return diffusers.FlowMatchEulerDiscreteScheduler(**config)


def shifting():
    """A scheduler whose shift depends on the number of patches, as in the models published for these families."""
    return scheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15)


def vae(kind=diffusers.AutoencoderKL, **config):
    return kind(
        block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, norm_num_groups=4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=CHANNELS, layers_per_block=1, mid_block_add_attention=False,
        use_quant_conv=False, use_post_quant_conv=False, **config)


def shifted_vae():
    return vae(scaling_factor=1.5035, shift_factor=0.0609)


def letters():
    """A tokenizer with one token for each letter."""
    vocabulary = {token: index for index, token in enumerate(["<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz ,:."])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
                                   model_max_length=512)
    made.chat_template = TEMPLATE
    return made


def t5(width=WIDTH):
    return T5EncoderModel(T5Config(vocab_size=64, d_model=width, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=2)).eval()


def qwen3(kind):
    from transformers import Qwen3Config  # not in the oldest versions that other families run with

    return kind(Qwen3Config(vocab_size=64, hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, head_dim=16,
                            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512)).eval()


def rope(**config):
    return {"num_attention_heads": 2, "attention_head_dim": 16, **config}


def sd3(folder):
    clip = tiny_models.text_config()
    return diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=16, patch_size=2, in_channels=CHANNELS, out_channels=CHANNELS, num_layers=1, num_attention_heads=2,
            attention_head_dim=16, joint_attention_dim=2 * WIDTH, caption_projection_dim=32, pooled_projection_dim=2 * WIDTH),
        scheduler=scheduler(shift=3.0), vae=shifted_vae(),
        text_encoder=CLIPTextModelWithProjection(clip).eval(), tokenizer=tiny_models.tokenizer(folder / "tokens"),
        text_encoder_2=CLIPTextModelWithProjection(clip).eval(), tokenizer_2=tiny_models.tokenizer(folder / "tokens"),
        text_encoder_3=t5(2 * WIDTH), tokenizer_3=letters())


def flux(folder, kind=diffusers.FluxPipeline, further_channels=0):
    return kind(
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1, in_channels=4 * CHANNELS + further_channels, out_channels=4 * CHANNELS, num_layers=1,
            num_single_layers=1, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=True,
            **rope(axes_dims_rope=(4, 4, 8))),
        scheduler=shifting(), vae=shifted_vae(), text_encoder=CLIPTextModel(tiny_models.text_config()).eval(),
        tokenizer=tiny_models.tokenizer(folder / "tokens"), text_encoder_2=t5(), tokenizer_2=letters())


def fill(folder):
    return flux(folder, diffusers.FluxFillPipeline, 4 * CHANNELS + 4 * 8 * 8)


def kontext(folder):
    return flux(folder, diffusers.FluxKontextPipeline)


def chroma(folder):
    return diffusers.ChromaPipeline(
        transformer=diffusers.ChromaTransformer2DModel(
            patch_size=1, in_channels=4 * CHANNELS, num_layers=1, num_single_layers=1, joint_attention_dim=WIDTH,
            approximator_hidden_dim=32, approximator_layers=1, approximator_num_channels=16,
            **rope(axes_dims_rope=(4, 4, 8))),
        scheduler=scheduler(), vae=shifted_vae(), text_encoder=t5(), tokenizer=letters())


def klein(folder, is_distilled=False):
    from transformers import Qwen3ForCausalLM

    made = vae(diffusers.AutoencoderKLFlux2)
    with torch.no_grad():  # not the mean 0 and variance 1 of a new batch norm
        made.bn.running_mean.uniform_(-0.5, 0.5)
        made.bn.running_var.uniform_(0.5, 2)
    return diffusers.Flux2KleinPipeline(
        transformer=diffusers.Flux2Transformer2DModel(
            patch_size=1, in_channels=4 * CHANNELS, num_layers=1, num_single_layers=1, joint_attention_dim=3 * WIDTH,
            timestep_guidance_channels=32, guidance_embeds=False, **rope(axes_dims_rope=(4, 4, 4, 4))),
        scheduler=shifting(), vae=made, text_encoder=qwen3(Qwen3ForCausalLM), tokenizer=letters(), is_distilled=is_distilled)


def qwen_image(folder):
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(
        text_config={"vocab_size": 64, "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 1,
                     "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512,
                     "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"}},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH})
    return diffusers.QwenImagePipeline(
        transformer=diffusers.QwenImageTransformer2DModel(
            patch_size=2, in_channels=4 * CHANNELS, out_channels=CHANNELS, num_layers=1, joint_attention_dim=WIDTH,
            guidance_embeds=False, **rope(axes_dims_rope=(8, 4, 4))),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=8, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
            latents_mean=[0.1, -0.2, 0.3, 0.0] * 2, latents_std=[0.5, 1.0, 1.5, 2.0] * 2),
        scheduler=shifting(), text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(), tokenizer=letters())


def z_image(folder):
    from transformers import Qwen3Model

    return diffusers.ZImagePipeline(
        transformer=diffusers.ZImageTransformer2DModel(
            in_channels=CHANNELS, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
            axes_dims=[8, 4, 4], axes_lens=[1024, 32, 32]),
        scheduler=scheduler(shift=3.0), vae=shifted_vae(), text_encoder=qwen3(Qwen3Model), tokenizer=letters())


KNOWN_WARNINGS = [*tiny_models.KNOWN_WARNINGS, pytest.mark.filterwarnings(
    "ignore:`FluxPosEmbed` is deprecated:FutureWarning:diffusers")]  # Chroma's own use of it

FAMILIES = {
    "SD3": sd3, "Flux.1": flux, "Flux.1 Fill": fill, "Flux.1 Kontext": kontext, "Flux.2 Klein": klein,
    "Qwen-Image": qwen_image, "Z-Image": z_image, "Chroma": chroma}


def made(family, folder):
    """A random model of the family, the same in each run."""
    parent = {each.label: each.parent for each in families.FAMILIES}.get(family, "StableDiffusion3Img2ImgPipeline")
    if not hasattr(diffusers, parent):
        pytest.skip(f"diffusers {diffusers.__version__} has no {parent}")
    if not hasattr(torch.nn, "RMSNorm") and family != "SD3":
        pytest.skip(f"{family} in diffusers needs PyTorch 2.4")
    if family == "Qwen-Image" and int(transformers.__version__.partition(".")[0]) < 5:
        pytest.skip("Qwen-Image was run with transformers 5 only")
    torch.manual_seed(0)
    return FAMILIES[family](folder)
