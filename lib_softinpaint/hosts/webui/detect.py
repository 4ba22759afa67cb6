"""What the WebUI must offer before this extension replaces the built-in. Checks features, never versions."""
from __future__ import annotations

import functools
import importlib
import inspect
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

NEEDED: dict[str, tuple[str, ...]] = {
    "scripts": ("AlwaysVisible", "MaskBlendArgs", "PostSampleArgs", "PostProcessMaskOverlayArgs", "ScriptClassData", "basedir",
                "scripts_data"),
    "script_callbacks": ("on_app_started", "on_before_ui", "on_cfg_after_cfg", "on_cfg_denoiser", "on_ui_settings"),
    "processing": ("apply_overlay", "create_infotext", "opt_f"),
    "sd_samplers_common": ("approximation_indexes", "images_tensor_to_samples", "setup_img2img_steps"),
    "sd_samplers_cfg_denoiser": ("CFGDenoiser",), "errors": ("report",), "images": ("flatten", "resize_image", "save_image"),
    "infotext_utils": ("image_from_url_text", "parse_generation_parameters"), "shared": ("OptionHTML", "OptionInfo", "opts"),
    "ui_components": ("InputAccordion",)}
"""Names that the host's modules must have."""

HOOKS = ("process", "process_batch", "on_mask_blend", "post_sample", "postprocess_maskoverlay",
         "postprocess_image_after_composite", "postprocess", "on_after_component")
"""Methods of the host's Script class."""

ARGUMENTS = {("scripts", "MaskBlendArgs"): ("current_latent", "nmask", "init_latent", "mask", "denoiser", "sigma"),
             ("scripts", "PostProcessMaskOverlayArgs"): ("index", "mask_for_overlay", "overlay_image"),
             ("script_callbacks", "CFGDenoiserParams"): ("x", "sigma", "denoiser"),
             ("script_callbacks", "AfterCFGCallbackParams"): ("x",)}
"""Fields of the objects that the host passes to our hooks and callbacks."""

PROCESSING_FIELDS = (
    "image_mask", "latent_mask", "mask", "nmask", "init_latent", "mask_for_overlay", "overlay_images", "paste_to",
    "mask_round", "mask_blur", "mask_blur_x", "inpaint_full_res", "inpaint_full_res_padding", "inpainting_fill",
    "inpainting_mask_invert")

CALLED_IN_EACH_STEP = ("on_mask_blend", "cfg_after_cfg_callback")
"""Called by the host's denoiser. Without the first, nothing would preserve the surroundings during sampling."""

OPTION = "softinpaint_left_out"


def missing(package: str = "modules") -> list[str]:
    """What the host lacks, in words. Empty if it has everything."""
    modules: dict[str, Any] = {name: _imported(f"{package}.{name}") for name in NEEDED}
    lacking = [f"{module_name}.{name}" if modules[module_name] else f"the module {module_name}"
               for module_name, names in NEEDED.items() for name in names if not hasattr(modules[module_name], name)]
    if lacking:
        return list(dict.fromkeys(lacking))
    processing = modules["processing"].StableDiffusionProcessingImg2Img
    lacking = [f"the hook {hook}" for hook in HOOKS if not hasattr(modules["scripts"].Script, hook)]
    lacking += [f"the field {name} of img2img" for name in PROCESSING_FIELDS if not hasattr(processing, name)]
    for (module_name, name), arguments in ARGUMENTS.items():
        given = inspect.signature(getattr(modules[module_name], name)).parameters
        lacking += [f"{argument} of {name}" for argument in arguments if argument not in given]
    # Read the file, not the loaded class: other extensions wrap its methods.
    denoiser = Path(modules["sd_samplers_cfg_denoiser"].__file__).read_text(encoding="utf8")
    return lacking + [f"a call to {name} in each sampling step" for name in CALLED_IN_EACH_STEP if name not in denoiser]


def _imported(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def can_run() -> bool:
    """Whether the host has everything needed. If not, the console and the settings page say what it lacks."""
    lacking = missing()
    if lacking:
        reason = (f"The soft inpainting extension is off because this WebUI lacks {', '.join(lacking)}. "
                  "If the WebUI has built-in soft inpainting, that stays on.")
        logging.getLogger(__name__).warning(reason)
        callbacks = importlib.import_module("modules.script_callbacks")
        callbacks.on_ui_settings(functools.partial(_show_on_settings_page, reason))
    return not lacking


def _show_on_settings_page(reason: str) -> None:
    shared = importlib.import_module("modules.shared")
    option = getattr(shared, "OptionHTML", shared.OptionInfo)(reason)
    option.section, option.category_id = ("softinpaint", "Soft inpainting"), "sd"
    shared.opts.add_option(OPTION, option)
