"""Test extension: lets reForge and Forge Classic load small models, whose sizes are in none of their tables.

The models are in the folder of the environment variable SOFTINPAINT_TEST_MODELS.
"""
import json
import os
from functools import partial
from pathlib import Path

import torch

try:
    from ldm_patched.modules import sd, sd1_clip, sdxl_clip, supported_models, supported_models_base
except ImportError:  # another host
    supported_models = None

SCENES, XL_TEXT = "softinpaint-scenes", "softinpaint-random-xl"


def add_scenes(folder):
    """The scene model and its variants in the same shape. Their sizes are in its .yaml."""
    from omegaconf import OmegaConf
    config = OmegaConf.to_container(OmegaConf.load(folder / f"{SCENES}.yaml"))["model"]["params"]
    unet, vae = config["unet_config"]["params"], config["first_stage_config"]["params"]
    text = folder / SCENES

    class SmallSD15(supported_models.SD15):
        unet_config = {**supported_models.SD15.unet_config, "context_dim": unet["context_dim"],
                       "model_channels": unet["model_channels"]}
        unet_extra_config = {"num_heads": unet["num_heads"], "num_head_channels": -1}

        def clip_target(self, state_dict=None):
            tokenizer = partial(sd1_clip.SDTokenizer, tokenizer_path=str(text))
            target = supported_models_base.ClipTarget(partial(sd1_clip.SD1Tokenizer, tokenizer=tokenizer),
                                                      sd1_clip.SD1ClipModel)
            target.params["clip_model"] = partial(sd1_clip.SDClipModel, textmodel_json_config=str(text / "config.json"))
            return target

    supported_models.models.insert(0, SmallSD15)
    add_vae({"ddconfig": vae["ddconfig"], "embed_dim": vae["embed_dim"]})


def add_xl(text):
    """The SDXL-shaped models. The configurations of their text encoders are l.json and g.json in the folder `text`."""
    sizes = {name: json.loads((text / f"{name}.json").read_text())["hidden_size"] for name in "lg"}

    class SmallXLClip(sdxl_clip.SDXLClipModel):
        def __init__(self, device="cpu", dtype=None, **options):
            torch.nn.Module.__init__(self)  # the parent's constructor would build CLIP in full size
            for name in "lg":
                setattr(self, f"clip_{name}", sd1_clip.SDClipModel(
                    textmodel_json_config=str(text / f"{name}.json"), layer="hidden", layer_idx=-2, device=device,
                    dtype=dtype, layer_norm_hidden_state=False))
            self.dtypes = {dtype}

    class SmallSDXL(supported_models.SDXL):
        unet_config = {**supported_models.SDXL.unet_config, "model_channels": 64, "context_dim": sum(sizes.values()),
                       "adm_in_channels": sizes["g"] + 6 * 256}
        del unet_config["transformer_depth"]

        def clip_target(self, state_dict=None):
            return supported_models_base.ClipTarget(sdxl_clip.SDXLTokenizer, SmallXLClip)

    supported_models.models.insert(0, SmallSDXL)


def add_vae(sizes):
    """Makes the host build its autoencoder in these sizes where the checkpoint's first layer has them."""
    construct = sd.VAE.__init__

    def constructed(vae, sd=None, device=None, config=None, **others):
        first = (sd or {}).get("encoder.conv_in.weight")
        if config is None and first is not None and len(first) == sizes["ddconfig"]["ch"]:
            config = {"params": sizes}
        construct(vae, sd=sd, device=device, config=config, **others)
    sd.VAE.__init__ = constructed


if supported_models is not None and os.environ.get("SOFTINPAINT_TEST_MODELS"):
    add_scenes(Path(os.environ["SOFTINPAINT_TEST_MODELS"]))
    add_xl(Path(os.environ["SOFTINPAINT_TEST_MODELS"]) / XL_TEXT)
