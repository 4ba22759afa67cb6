"""Lets reForge and Forge Classic load the small test models, whose sizes are in none of their tables.

The models are in the folder named by SOFTINPAINT_TEST_MODELS. In other hosts, and without it, this does nothing.
"""
import json
import os
from functools import partial
from pathlib import Path

import torch

try:
    from ldm_patched.modules import sd, sd1_clip, sdxl_clip, supported_models, supported_models_base
except ImportError:
    supported_models = None

NAME = "softinpaint-scenes"
XL_TEXT = "softinpaint-xl"


def learn_scenes(folder):
    """The scene model and its variants with other input channels."""
    from omegaconf import OmegaConf
    config = OmegaConf.to_container(OmegaConf.load(folder / f"{NAME}.yaml"))["model"]["params"]
    unet, vae = config["unet_config"]["params"], config["first_stage_config"]["params"]
    text = folder / NAME

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
    learn_vae({"ddconfig": vae["ddconfig"], "embed_dim": vae["embed_dim"]})


def learn_xl(text):
    """The SDXL-shaped models, whose text encoders' configurations are l.json and g.json in the folder `text`."""
    sizes = {name: json.loads((text / f"{name}.json").read_text())["hidden_size"] for name in "lg"}

    class SmallXLClip(sdxl_clip.SDXLClipModel):
        def __init__(self, device="cpu", dtype=None, **options):
            torch.nn.Module.__init__(self)
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


def learn_vae(sizes):
    """Gives the host the sizes of an autoencoder, which it recognises by its first layer."""
    construct = sd.VAE.__init__

    def constructed(vae, sd=None, device=None, config=None, **others):
        first = (sd or {}).get("encoder.conv_in.weight")
        if config is None and first is not None and len(first) == sizes["ddconfig"]["ch"]:
            config = {"params": sizes}
        construct(vae, sd=sd, device=device, config=config, **others)
    sd.VAE.__init__ = constructed


if supported_models is not None and os.environ.get("SOFTINPAINT_TEST_MODELS"):
    models = Path(os.environ["SOFTINPAINT_TEST_MODELS"])
    learn_scenes(models)
    if (models / XL_TEXT).exists():
        learn_xl(models / XL_TEXT)
