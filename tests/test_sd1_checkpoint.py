"""The scene model in the original format. tests/webui/test_command_line.py tests that a WebUI paints the same with it."""
import json

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from tests import tiny_models
from training import sd1_checkpoint

pytestmark = tiny_models.KNOWN_WARNINGS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return sd1_checkpoint.export(sd1_checkpoint.MODEL, tmp_path_factory.mktemp("a folder")).parent


@pytest.fixture(scope="module")
def weights(folder):
    return load_file(folder / "softinpaint-scenes.safetensors")


def test_every_weight_is_written_once(weights):
    pipeline = StableDiffusionPipeline.from_pretrained(sd1_checkpoint.MODEL, local_files_only=True)
    parts = {"model.diffusion_model.": pipeline.unet, "first_stage_model.": pipeline.vae,
             "cond_stage_model.": pipeline.text_encoder}
    for prefix, part in parts.items():
        written = [value for key, value in weights.items() if key.startswith(prefix)]
        assert sum(value.numel() for value in written) == sum(value.numel() for value in part.state_dict().values())
        assert len(written) == len(part.state_dict())
    assert not [key for key in weights if any(word in key for word in ("resnets", "attentions", "samplers", "_blocks."))
                and ".transformer_blocks." not in key and not key.startswith(("model.diffusion_model.input_blocks.",
                                                                             "model.diffusion_model.output_blocks."))]


def test_encoding_twice_gives_the_same_latent(weights):
    assert (weights["first_stage_model.quant_conv.weight"][4:] == 0).all()
    assert (weights["first_stage_model.quant_conv.bias"][4:] == sd1_checkpoint.LOG_VARIANCE).all()


def test_the_mean_by_which_the_webui_divides_is_not_zero():
    pipeline = StableDiffusionPipeline.from_pretrained(sd1_checkpoint.MODEL, local_files_only=True)
    for prompt in ("", "a red house", "night, a moon, two trees on the left"):
        tokens = pipeline.tokenizer(prompt, padding="max_length", max_length=77, return_tensors="pt").input_ids
        with torch.no_grad():
            assert pipeline.text_encoder(tokens).last_hidden_state.mean().abs() > 0.1


def test_the_configuration_names_its_text_model(folder):
    text = (folder / "softinpaint-scenes.yaml").read_text(encoding="utf8")
    assert f"version: {json.dumps((folder / 'softinpaint-scenes').resolve().as_posix())}" in text
    assert {path.name for path in (folder / "softinpaint-scenes").iterdir()} == {
        "config.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json"}


def test_the_bundled_text_encoder_has_names_that_all_versions_of_transformers_read():
    assert all(name.startswith("text_model.") for name in load_file(sd1_checkpoint.MODEL / "text_encoder/model.safetensors"))
