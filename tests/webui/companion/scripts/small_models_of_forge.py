"""Test extension: lets Forge and Forge Neo load small models, which their tables of known sizes do not contain.

The folder of the environment variable SOFTINPAINT_TEST_MODELS holds the exported scene model, and may hold more
models, each with a description NAME.forge.json:

    {"base": "SDXL", "unet": {"model_channels": 64, ...}, "extra": {"num_heads": 4}, "repository": "NAME"}

base: the class of huggingface_guess.model_list whose model has the same shape, with other sizes.
unet: the detected UNet configuration that identifies the model.
sizes: UNet sizes which the host does not detect. Optional.
repository: folder of the model's configurations, as those in the host's backend/huggingface, beside the description.
"""
import json
import os
import shutil
from pathlib import Path

import yaml

SCENES = "softinpaint-scenes"


def add_small_models(folder):
    """Adds the folder's models to the host's tables. Does nothing in a host without such tables."""
    try:
        from backend import loader
        from huggingface_guess import model_list
    except ImportError:
        return
    write_scenes(folder)
    for path in sorted(folder.glob("*.forge.json")):
        description = json.loads(path.read_text("utf-8"))
        base = getattr(model_list, description["base"], None)
        if base is None:
            print(f"{path.name}: this host has no {description['base']} models")
            continue
        small = type("Small" + base.__name__, (base,), {
            "huggingface_repo": str(folder / description["repository"]),  # absolute, so it replaces the host's folder
            "unet_config": description["unet"],
            "unet_extra_config": {**base.unet_extra_config, **description.get("sizes", {})},
        })
        model_list.models.insert(0, small)
        for engine in loader.possible_models:
            if base in engine.matched_guesses:
                engine.matched_guesses.append(small)


def write_scenes(folder):
    """Writes the description and configurations of the exported scene model, from its .yaml and text encoder."""
    params = yaml.safe_load((folder / f"{SCENES}.yaml").read_text("utf-8"))["model"]["params"]
    unet, vae = params["unet_config"]["params"], params["first_stage_config"]["params"]["ddconfig"]
    text, repository = folder / SCENES, folder / f"{SCENES}-forge"
    write_json(folder / f"{SCENES}.forge.json", {
        "base": "SD15", "unet": {key: unet[key] for key in ("model_channels", "context_dim")},
        "sizes": {"num_heads": unet["num_heads"]}, "repository": repository.name})
    write_json(repository / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]})
    write_json(repository / "scheduler" / "scheduler_config.json", {
        "_class_name": "DDIMScheduler", "beta_start": params["linear_start"], "beta_end": params["linear_end"],
        "beta_schedule": "scaled_linear", "num_train_timesteps": params["timesteps"], "prediction_type": "epsilon"})
    levels = len(vae["ch_mult"])
    write_json(repository / "vae" / "config.json", {
        "_class_name": "AutoencoderKL", "in_channels": 3, "out_channels": 3, "latent_channels": vae["z_channels"],
        "block_out_channels": [vae["ch"] * factor for factor in vae["ch_mult"]], "layers_per_block": vae["num_res_blocks"],
        "down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels,
        "scaling_factor": params["scale_factor"], "sample_size": vae["resolution"]})
    shutil.copytree(text, repository / "tokenizer", dirs_exist_ok=True)
    shutil.copytree(text, repository / "text_encoder", dirs_exist_ok=True)


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), "utf-8")


if os.environ.get("SOFTINPAINT_TEST_MODELS"):
    add_small_models(Path(os.environ["SOFTINPAINT_TEST_MODELS"]).resolve())
