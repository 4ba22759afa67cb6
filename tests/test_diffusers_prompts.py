"""Prompts, clip skip and LoRA files on random models of a few thousand parameters."""
import copy
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import lora as diffusers_lora
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers import prompts as diffusers_prompts
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import Request
from tests import tiny_models
from tests.contract import prompts
from tests.tiny_models import KNOWN_WARNINGS
from tests.webui import family
from tests.webui.host import drawn_disc, drawn_image

pytestmark = KNOWN_WARNINGS

IMAGE, MASK = drawn_image(64, 64), drawn_disc(64, 64, 12)
LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
TEXT_LAYER = "text_model.encoder.layers.1.mlp.fc1"
RANK, ALPHA = 2, 4.0


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    made = {"SD1": tiny_models.sd1(folder), "SDXL": tiny_models.sdxl(folder)}
    return {name: SoftInpaintPipeline.from_pipe(pipeline) for name, pipeline in made.items()}


@pytest.fixture
def small(pipelines):
    pipelines["SD1"].set_progress_bar_config(disable=True)
    return pipelines["SD1"]


def made(pipeline, prompt="abc", places=(), **fields):
    request = Request(prompt=prompt, **{"seed": 1, "steps": 2, "sampler": "Euler", **fields})
    return np.asarray(models.inpaint(pipeline, request, IMAGE, MASK, loras=places))


def embeddings(pipeline, prompt, negative_prompt="", clip_skip=1):
    return diffusers_prompts._embeddings(pipeline, prompt, negative_prompt, clip_skip)


def of_diffusers(pipeline, prompt, negative_prompt=""):
    encoded = pipeline.encode_prompt(prompt=prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True,
                                     negative_prompt=negative_prompt)
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    return dict(zip(names, encoded))


# Prompts

@pytest.mark.parametrize("kind", ["SD1", "SDXL"])
def test_a_short_prompt_has_the_embeddings_of_diffusers(pipelines, kind):
    ours, theirs = (read(pipelines[kind], "a house", "rain") for read in (embeddings, of_diffusers))
    assert ours.keys() == theirs.keys()
    for name, embedding in theirs.items():
        torch.testing.assert_close(ours[name], embedding, rtol=0, atol=0)


def test_clip_skip_counts_from_the_last_layer_which_is_1(small):
    without_last = copy.deepcopy(small.text_encoder)
    layers = getattr(without_last, "text_model", without_last).encoder
    layers.layers = layers.layers[:-1]
    tokens = small.tokenizer("a house", padding="max_length", max_length=77, return_tensors="pt").input_ids
    expected = without_last(tokens).last_hidden_state
    torch.testing.assert_close(embeddings(small, "a house", clip_skip=2)["prompt_embeds"], expected)
    assert (made(small) != made(small, clip_skip=2)).any()


def test_a_clip_skip_beyond_the_first_layer_is_rejected(small):
    with pytest.raises(BadInput, match="Clip skip must be at most 2, the layers of this model's text encoder, got 3"):
        made(small, clip_skip=3)


def test_clip_skip_changes_nothing_with_sdxl_as_in_the_webui(pipelines):
    _, arguments = diffusers_prompts.prepared(pipelines["SDXL"], Request(prompt="abc", clip_skip=2))
    assert arguments == {"prompt": "abc", "negative_prompt": ""}
    assert diffusers_prompts.as_run(pipelines["SDXL"], Request(clip_skip=2)) == Request()


def test_weights_multiply_their_tokens_and_the_mean_stays(small):
    plain, heavy = (embeddings(small, prompt)["prompt_embeds"] for prompt in ("ab cd e", "ab (cd:1.5) e"))
    tokens = len(diffusers_prompts._tokens(small.tokenizer, "ab "))
    weights = torch.ones(77, 1)
    weights[1 + tokens:1 + tokens + 2] = 1.5
    expected = plain * weights
    torch.testing.assert_close(heavy, expected * plain.mean() / expected.mean())


@pytest.mark.parametrize("kind", ["SD1", "SDXL"])
def test_long_prompts_are_split_into_chunks_of_75_tokens_and_short_ones_padded(pipelines, kind):
    pipeline = pipelines[kind]
    both = embeddings(pipeline, "b " * 75 + "c " * 5, "rain")
    first, second, negative, empty = (of_diffusers(pipeline, text)["prompt_embeds"]
                                      for text in ("b " * 75, "c " * 5, "rain", ""))
    assert len(diffusers_prompts._tokens(pipeline.tokenizer, "b " * 75)) == 75
    torch.testing.assert_close(both["prompt_embeds"][:, :77], first)
    assert both["prompt_embeds"].shape[1] == 154
    torch.testing.assert_close(both["negative_prompt_embeds"], torch.cat([negative, empty], 1))
    torch.testing.assert_close(embeddings(pipeline, "rain BREAK c c c c c")["prompt_embeds"], torch.cat([negative, second], 1))


@pytest.mark.parametrize("kind", ["SD1", "SDXL"])
@pytest.mark.parametrize("prompt", ["(abc:1.4)", "[abc]", "abc BREAK de", "b" * 76])
def test_prompt_syntax_changes_the_image(pipelines, kind, prompt):
    pipeline = pipelines[kind]
    pipeline.set_progress_bar_config(disable=True)
    assert (made(pipeline, prompt) != made(pipeline, "abc" if "c" in prompt else "b" * 75)).any()


def test_a_plain_prompt_is_passed_to_diffusers(small):
    for prompt, text in (("a house, red", "a house, red"), (r"a \(red\) house", "a (red) house"), ("b" * 75, "b" * 75)):
        running, arguments = diffusers_prompts.prepared(small, Request(prompt=prompt, negative_prompt="rain"))
        assert running is small
        assert arguments == {"prompt": text, "negative_prompt": "rain"}


def test_a_webui_checkout_gives_the_same_embeddings(tmp_path):
    automatic1111 = family.a1111()
    if automatic1111 is None:
        pytest.skip("SOFTINPAINT_WEBUI names no AUTOMATIC1111")
    subprocess.run([automatic1111.python, "-m", "tests.contract.prompts", automatic1111.checkout, models.SCENE_MODEL,
                    tmp_path / "theirs.npz"], check=True, capture_output=True, cwd=Path(__file__).parents[1])
    pipeline = models.load(str(models.SCENE_MODEL), "cpu")
    with np.load(tmp_path / "theirs.npz") as theirs:
        for (text, clip_skip), name in zip(prompts.ENCODED, theirs.files):
            ours = embeddings(pipeline, text, clip_skip=clip_skip)["prompt_embeds"][0]
            np.testing.assert_allclose(ours.numpy(), theirs[name], atol=1e-4)


# LoRA

def changes(layer_sizes, seed=0):
    """Down and up of each layer."""
    drawn = torch.Generator().manual_seed(seed)
    return {name: (torch.randn(RANK, columns, generator=drawn), torch.randn(rows, RANK, generator=drawn))
            for name, (rows, columns) in layer_sizes.items()}


def written_as_kohya(path, parts):
    """`parts` maps prefix and layer to down and up."""
    tensors = {}
    for name, (down, up) in parts.items():
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(ALPHA)}
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def parts(pipelines):
    pipeline = pipelines["SD1"]
    text_layers = {name.removeprefix("text_model."): module for name, module in pipeline.text_encoder.named_modules()}
    return changes({LAYER: pipeline.unet.get_submodule(LAYER).weight.shape,
                    TEXT_LAYER: text_layers[TEXT_LAYER.removeprefix("text_model.")].weight.shape})


@pytest.fixture
def style(tmp_path, parts):
    return written_as_kohya(tmp_path / "style.safetensors", {
        "lora_unet_" + LAYER.replace(".", "_"): parts[LAYER], "lora_te_" + TEXT_LAYER.replace(".", "_"): parts[TEXT_LAYER]})


def test_a_lora_changes_only_its_own_run(small, style):
    before, weights = made(small), {name: tensor.clone() for name, tensor in small.unet.state_dict().items()}
    changed = made(small, "abc <lora:style:2>", [style.parent])
    assert (changed != before).any()
    assert (made(small, "abc <lora:style:2>", [style]) == changed).all()
    assert (made(small, "abc <lora:style:-2>", [style]) != changed).any()
    assert (made(small, "abc <lora:style:0>", [style]) == before).all()
    assert (made(small) == before).all()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in small.unet.state_dict().items())


def test_lora_weights_are_scaled_by_alpha_over_rank(small, style, parts):
    running = diffusers_lora.with_loras(small, [diffusers_lora.Lora(style, text_encoder=0.5, unet=0.25)])
    for component, layer, weight in (("unet", LAYER, 0.25), ("text_encoder", TEXT_LAYER.removeprefix("text_model."), 0.5)):
        old, new = (dict(each.named_modules()) for each in (getattr(small, component), getattr(running, component)))
        name = layer if layer in old else f"text_model.{layer}"
        down, up = parts[layer if layer in parts else TEXT_LAYER]
        torch.testing.assert_close(new[name].weight - old[name].weight, up @ down * weight * ALPHA / RANK, atol=1e-5, rtol=0)
    other = "mid_block.attentions.0.proj_in"
    assert running.unet.get_submodule(other).weight is small.unet.get_submodule(other).weight


def test_diffusers_files_give_the_same_result_as_kohya_files(small, style, parts, tmp_path):
    tensors = {}
    for prefix, layer, names in (("unet", LAYER, ("lora_A", "lora_B")),
                                 ("text_encoder", TEXT_LAYER, ("lora_linear_layer.down", "lora_linear_layer.up"))):
        tensors |= {f"{prefix}.{layer}.{name}.weight": part for name, part in zip(names, parts[layer])}
    metadata = json.dumps({"unet.lora_alpha": ALPHA, "text_encoder.lora_alpha": 1,
                           "text_encoder.alpha_pattern": {TEXT_LAYER: ALPHA}})
    save_file(tensors, tmp_path / "other.safetensors", {"lora_adapter_metadata": metadata})
    ours = made(small, "abc <lora:style:2>", [style])
    assert (made(small, "abc <lora:other:2>", [tmp_path / "other.safetensors"]) == ours).all()


@pytest.mark.parametrize(("layer", "name"), [
    ("input_blocks_4_1_transformer_blocks_0_attn1_to_q", "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"),
    ("input_blocks_8_0_in_layers_2", "down_blocks_2_resnets_1_conv1"),
    ("input_blocks_3_0_op", "down_blocks_0_downsamplers_0_conv"),
    ("input_blocks_4_0_skip_connection", "down_blocks_1_resnets_0_conv_shortcut"),
    ("middle_block_1_proj_in", "mid_block_attentions_0_proj_in"),
    ("middle_block_2_out_layers_3", "mid_block_resnets_1_conv2"),
    ("output_blocks_5_1_proj_out", "up_blocks_1_attentions_2_proj_out"),
    ("output_blocks_2_2_conv", "up_blocks_0_upsamplers_0_conv"),
    ("output_blocks_8_0_emb_layers_1", "up_blocks_2_resnets_2_time_emb_proj"), ("out_2", "conv_out"),
    ("input_blocks_0_0", "conv_in"), ("down_blocks_1_attentions_0_proj_in", "down_blocks_1_attentions_0_proj_in")])
def test_stabilitys_layer_names_of_sdxl_are_translated(layer, name):
    assert diffusers_lora._name_in_diffusers(layer) == name


def test_convolution_kernels(small, tmp_path):
    name, old = "mid_block.resnets.0.conv1", small.unet.mid_block.resnets[0].conv1.weight
    drawn = torch.Generator().manual_seed(2)
    down, up = torch.randn(RANK, *old.shape[1:], generator=drawn), torch.randn(len(old), RANK, 1, 1, generator=drawn)
    path = written_as_kohya(tmp_path / "convolution.safetensors", {"lora_unet_" + name.replace(".", "_"): (down, up)})
    new = diffusers_lora.with_loras(small, [diffusers_lora.Lora(path)]).unet.get_submodule(name).weight
    expected = torch.einsum("or,rikl->oikl", up[..., 0, 0], down) * ALPHA / RANK
    torch.testing.assert_close(new - old, expected, atol=1e-4, rtol=0)


def test_an_unusable_lora_is_rejected_with_one_sentence(small, pipelines, style, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    save_file({"lora_unet_mid_block_x.hada_w1_a": torch.zeros(2)}, tmp_path / "hada.safetensors")
    down, up = torch.zeros(RANK, 5), torch.zeros(5, RANK)
    written_as_kohya(tmp_path / "wide.safetensors", {"lora_unet_" + LAYER.replace(".", "_"): (down, up)})
    written_as_kohya(tmp_path / "large.safetensors", {"lora_te2_text_model_encoder_layers_0_mlp_fc1": (down, up)})
    for name, reason in (("broken", "."), ("other", "it contains weight, which is not part of a LoRA"),
                         ("hada", "it contains"),
                         ("wide", "its layer .* does not fit the model's size"), ("large", "the model has no text_encoder_2")):
        with pytest.raises(BadInput, match=f"{name}.* cannot be used as a LoRA with the loaded model: {reason}"):
            made(small, f"abc <lora:{name}:1>", [tmp_path])
    with pytest.raises(BadInput, match="the model has no layer down_blocks_1_attentions_0_transformer_blocks_0_attn9"):
        path = tmp_path / "layer.safetensors"
        written_as_kohya(path, {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn9_to_q": (down, up)})
        made(small, "abc <lora:layer>", [path])


def test_a_missing_lora_is_named(small, tmp_path):
    with pytest.raises(BadInput, match=f"^<lora:none> needs a file none.safetensors in {tmp_path}, but there is none$"):
        made(small, "abc <lora:none:1>", [tmp_path])


def test_the_infotext_names_the_lora_as_the_webui_does(style):
    request = Request(prompt="abc <lora:style:0.5>", seed=1, clip_skip=2)
    params = infotext.parse(models.infotext_of(request, Size(64, 64), None, [style.parent]))
    assert params["Prompt"] == "abc <lora:style:0.5>"
    assert params["Clip skip"] == "2"
    name, digits = params["Lora hashes"].split(": ")
    assert (name, len(digits)) == ("style", 12)
    assert "Lora hashes" not in infotext.parse(models.infotext_of(Request(prompt="abc"), Size(64, 64), None, [style.parent]))
