"""What the WebUI has and where it differs from others of its family. Asks for features, never for versions.

The host's modules are imported inside functions only, because some may be missing.
"""
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
    "processing": ("apply_overlay", "create_infotext"),
    "sd_samplers_common": ("approximation_indexes", "images_tensor_to_samples"),
    "sd_samplers_cfg_denoiser": ("CFGDenoiser",), "errors": ("report",), "images": ("flatten", "resize_image"),
    "infotext_utils": ("image_from_url_text",), "shared": ("OptionHTML", "OptionInfo", "opts"),
    "ui_components": ("InputAccordion",)}
"""Names that the host's modules must have."""

LIMITS: dict[tuple[str, ...], str] = {
    ("scripts", "Script", "on_after_component"):
        "Presets only change the settings below, and results cannot be re-composited.",
    ("images", "save_image"): "Re-composited images cannot be saved.",
    ("infotext_utils", "parse_generation_parameters"): "Re-composited images cannot be saved.",
    ("sd_samplers_common", "setup_img2img_steps"): "Steps that change nothing are not skipped."}
"""What does not work without each optional name. A key is a module and the path of attributes in it."""

BLACK_AND_WHITE = ("This WebUI makes every mask on the page black and white, even an uploaded one. For greys, use Mask "
                   "image under Advanced.")

HOOKS = ("process", "process_batch", "on_mask_blend", "post_sample", "postprocess_maskoverlay",
         "postprocess_image_after_composite", "postprocess")
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

CALLED_IN_EACH_STEP = ("cfg_after_cfg_callback",)
"""Must be called by the host's denoiser. The blend happens there if the denoiser never calls `on_mask_blend`."""

INPAINTING_CONDITIONS = "hybrid", "concat"
"""How an inpainting model of AUTOMATIC1111 gets its mask."""

OPTION = "softinpaint_left_out"


def missing(package: str = "modules") -> list[str]:
    """What the host lacks, in words. Empty if it has everything needed."""
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


def limits(package: str = "modules") -> list[str]:
    """A sentence on each thing that does not work in this host, although soft inpainting does."""
    found = [sentence for (module_name, *path), sentence in LIMITS.items()
             if not _has(_imported(f"{package}.{module_name}"), path)]
    if has_forge_canvas(package):
        found.append(BLACK_AND_WHITE)
    return list(dict.fromkeys(found))


def _has(owner: Any, path: list[str]) -> bool:
    for name in path:
        if not hasattr(owner, name):
            return False
        owner = getattr(owner, name)
    return True


def has_forge_canvas(package: str = "modules") -> bool:
    """Whether the page has the canvas of Forge and Forge Neo. Both threshold painted and uploaded masks at half strength."""
    return hasattr(_imported(f"{package}.ui"), "ForgeCanvas")


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


def blur_fields(p: Any) -> tuple[str, ...]:
    """The fields of `p` that set its Mask blur. Forge Neo has one, and read-only copies of it for each axis."""
    by_axis = getattr(type(p), "mask_blur_x", None)
    read_only = isinstance(by_axis, property) and by_axis.fset is None
    return ("mask_blur",) if read_only else ("mask_blur_x", "mask_blur_y")


def is_inpainting_model(model: Any) -> bool:
    """Whether the model takes the mask as input. Forge and Forge Neo set `is_inpaint`."""
    conditions = getattr(getattr(model, "model", None), "conditioning_key", None)
    return (conditions in INPAINTING_CONDITIONS or getattr(model, "is_inpaint", False)
            or getattr(model, "is_sdxl_inpaint", False))


def latent_scale(p: Any) -> int:
    """Pixels of the image for each pixel of its latent: 8, and 16 for some models."""
    return p.width // p.init_latent.shape[-1]


def overlay_parts(overlay: Any) -> tuple[Any, Any]:
    """A host's overlay as an image and the mask beside it, (H, W) float, 1 = repaint.

    The mask is None if the overlay is an RGBA image that is opaque where the original is kept, as in all hosts but Forge Neo
    with a precise mask.
    """
    return overlay if isinstance(overlay, tuple) else (overlay, None)


def gallery_file(entry: Any) -> tuple[Any, str]:
    """An image of the page's gallery, as Gradio 4's Pillow image or as Gradio 3's description of a file, and its path."""
    image = entry[0] if isinstance(entry, (list, tuple)) else entry
    path = image["name"] if isinstance(image, dict) else getattr(image, "filename", "")
    return image, path.partition("?")[0]


def axis_class(module: Any) -> type | None:
    """The class of the X/Y/Z plot's img2img axes, or None if the module is not the plot.

    Forge Classic defines it in another module, so it is read from an existing axis.
    """
    if not getattr(module, "axis_options", None):
        return None
    of_img2img = (type(option) for option in module.axis_options if getattr(option, "is_img2img", None) is True)
    return getattr(module, "AxisOptionImg2Img", None) or next(of_img2img, None)
