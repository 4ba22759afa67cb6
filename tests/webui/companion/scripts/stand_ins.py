"""Test extension: what stands in for the detectors and models that other people's extensions would download, and what those
extensions see of a soft inpainting."""
import base64
import io

import numpy as np
from fastapi import Body
from modules import script_callbacks, scripts
from PIL import Image, ImageDraw


def module_of(file_name):
    """The loaded module of an extension's script; None if it is not installed."""
    return next((entry.module for entry in scripts.scripts_data if entry.path.endswith(file_name)), None)


class Detailer:
    """A detector for ADetailer that finds boxes on request, and a record of its inner runs."""

    boxes = []
    runs = []

    @classmethod
    def detect(cls, model, image, confidence=0.3):
        if not cls.boxes:
            return cls.Output()
        masks = []
        for box in cls.boxes:
            masks.append(Image.new("L", image.size))
            ImageDraw.Draw(masks[-1]).rectangle(tuple(box), fill=255)
        return cls.Output(cls.boxes, masks, [1.0] * len(masks), image.copy())

    @classmethod
    def install(cls, module):
        process = module.process_images

        def recorded(p):
            mask = np.asarray(p.image_mask.convert("L")).copy()
            processed = process(p)
            cls.runs.append({"painted": int((mask > 0).sum()), "soft": "Soft inpainting enabled" in processed.infotexts[0],
                             "mask_is_unchanged": bool((np.asarray(p.image_mask.convert("L")) == mask).all())})
            return processed
        cls.Output, module.process_images, module.mediapipe_predict = module.PredictOutput, recorded, cls.detect


class Control:
    """What ControlNet's units see: image and mask after their preprocessor. Lets it load a small model."""

    SMALL = {"model_channels": 64, "num_res_blocks": 1, "attention_resolutions": [2, 4], "transformer_depth": 1,
             "channel_mult": [1, 1, 2], "num_heads": 4}
    OUTPUTS = 13
    """ControlNet adds so many to Stable Diffusion 1's encoder. The small model has fewer, the last ones."""
    seen = []
    samplings = []
    """Of each batch that was sampled: its crop, and how often a ControlNet was asked."""

    @classmethod
    def install(cls, module):
        from scripts.cldm import PlugableControlModel
        from scripts.controlnet_model_guess import controlnet_default_config
        controlnet_default_config.update(cls.SMALL)
        forward, get_control = PlugableControlModel.forward, module.get_control

        def padded(*args, **kwargs):
            cls.samplings[-1]["calls"] += 1
            outputs = forward(*args, **kwargs)
            return [0.0] * (cls.OUTPUTS - len(outputs)) + outputs

        def recorded(*args, **kwargs):
            controls, *others = get_control(*args, **kwargs)
            cls.seen += [control.detach().float().cpu().numpy() for control in controls]
            return controls, *others
        PlugableControlModel.forward, module.get_control = padded, recorded


class ControlOfForge:
    """The same for the ControlNet that Forge and its kin have, with a model that does nothing."""

    @classmethod
    def install(cls, module):
        prepare, patcher = module.ControlNetForForgeOfficial.process_unit_after_click_generate, module.ControlModelPatcher

        class Idle(patcher):
            def process_before_every_sampling(self, *args, **kwargs):
                Control.samplings[-1]["calls"] += 1

        def recorded(script, p, unit, params, *args, **kwargs):
            result = prepare(script, p, unit, params, *args, **kwargs)
            seen = [params.control_cond[:, :3], params.control_mask[:, :1]]
            Control.seen.append(np.concatenate([part.detach().float().cpu().numpy() for part in seen], 1))
            return result  # in Forge Classic, whether the unit works
        module.ControlNetForForgeOfficial.process_unit_after_click_generate = recorded
        module.try_load_supported_control_model = lambda path: Idle()


class Samplings(scripts.Script):
    """Notes each batch that is sampled."""

    def title(self):
        return "Samplings"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process_batch(self, p, *args, **kwargs):
        Control.samplings.append({"crop": getattr(p, "paste_to", None), "calls": 0})


def encoded(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return base64.b64encode(buffer.getvalue()).decode()


def add_routes(demo, app):
    for file_name, stand_in in (("scripts/!adetailer.py", Detailer), ("scripts/adetailer.py", Detailer),
                                ("sd-webui-controlnet/scripts/controlnet.py", Control),
                                ("sd_forge_controlnet/scripts/controlnet.py", ControlOfForge)):
        if (module := module_of(file_name)) is not None:
            stand_in.install(module)

    @app.post("/companion/boxes")
    def find_boxes(boxes: list = Body()):  # noqa: B008 - FastAPI's way to take a list
        Detailer.boxes, Detailer.runs = boxes, []

    @app.get("/companion/detailed")
    def inner_runs():
        return Detailer.runs

    @app.get("/companion/controls")
    def controls():
        seen, samplings, Control.seen, Control.samplings = Control.seen, Control.samplings, [], []
        return {"seen": [encoded(array) for array in seen], "samplings": samplings}


script_callbacks.on_app_started(add_routes)
