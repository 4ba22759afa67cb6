"""Test extension: lets Forge and Forge Neo load small models, whose sizes are in none of their tables.

The folder of the environment variable SOFTINPAINT_TEST_MODELS has a description of each shape, NAME.forge.json:

    {"base": "SDXL", "unet": {"model_channels": 64}, "sizes": {"num_head_channels": 32}, "repository": "NAME-forge"}

base: the class of huggingface_guess.model_list whose model has the same shape, with other sizes.
unet: the detected UNet configuration that identifies the model.
sizes: UNet sizes that the host does not detect.
repository: folder beside the description, with diffusers configurations such as those in the host's backend/huggingface.
"""
import json
import os
from pathlib import Path


def add_small_models(folder):
    """Adds the folder's models to the host's tables. Does nothing in a host without such tables."""
    try:
        from backend import loader
        from huggingface_guess import model_list
    except ImportError:
        return
    for path in sorted(folder.glob("*.forge.json")):
        description = json.loads(path.read_text("utf-8"))
        base = getattr(model_list, description["base"])
        small = type("Small" + base.__name__, (base,), {
            "huggingface_repo": str(folder / description["repository"]),  # absolute, so it replaces the host's folder
            "unet_config": description["unet"],
            "unet_extra_config": {**base.unet_extra_config, **description["sizes"]},
        })
        model_list.models.insert(0, small)
        for engine in loader.possible_models:  # Forge Neo compares the classes, so a subclass is no match
            if base in engine.matched_guesses:
                engine.matched_guesses.append(small)


if os.environ.get("SOFTINPAINT_TEST_MODELS"):
    add_small_models(Path(os.environ["SOFTINPAINT_TEST_MODELS"]).resolve())
