"""The WebUI: its hooks, its masks and pictures, translated into jobs and back. The only file that knows `modules`.

Numbers in comments are lines of AUTOMATIC1111 1.10.1.
"""
from __future__ import annotations

import dataclasses
import functools
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from modules import devices, errors, images, processing, script_callbacks, scripts, sd_samplers_common, shared, ui_components
from PIL import Image, ImageOps

from lib_softinpaint import schedule
from lib_softinpaint.composite import composite
from lib_softinpaint.hosts.jobs import RunTable
from lib_softinpaint.job import SoftInpaintJob
from lib_softinpaint.mask import feather_outward, feather_reach, to_latent
from lib_softinpaint.settings import (
    FEATHER_FROM_BLUR,
    NOTE_KEY,
    Settings,
    from_infotext,
    infotext_key,
    infotext_keys,
    read_args,
    to_infotext,
)
from lib_softinpaint.ui import accordion

TITLE = "Soft Inpainting"
BUILTIN_SCRIPT = os.path.join("extensions-builtin", "soft-inpainting", "scripts", "soft_inpainting.py")
KEEP_BUILTIN = "softinpaint_keep_builtin"

FILL_ORIGINAL = 1
JUST_RESIZE_LATENT = 3
ONLY_MASKED_RESIZE = 2


@dataclass
class Run:
    """One `process_images` of the host: what was changed on its processing object, and the job once it is known."""
    settings: Settings
    mask: Image.Image | None = None
    """Shaped mask at the picture's size; None where the host shapes it."""
    kept_fields: dict[str, Any] = field(default_factory=dict)
    host_masks: tuple[torch.Tensor, torch.Tensor] | None = None
    """The processing object's mask and nmask while neutral ones stand there."""
    job: SoftInpaintJob | None = None
    noisy: torch.Tensor | None = None
    """Input of the model call in progress, of samplers that ask for noise."""
    alpha_bar: torch.Tensor | None = None
    shown: np.ndarray | None = None
    """How much of the picture that is between the host's overlay and ours is shown at each pixel."""


_runs: RunTable[Run] = RunTable()
_denoiser: Any = None
"""The denoiser whose model call is in progress: the callback after it is not told."""


# Taking the built-in's place

def register(script_class: type) -> type | None:
    """Puts the script into the host's list, and answers what the host's loader should still append.

    The built-in's entry is replaced where it stands: other scripts read the mask in the same hooks, so the place
    matters, and later than while scripts load is too late where there is no page. Called on each load, also after
    "Reload UI", which clears all callbacks.
    """
    script_callbacks.on_ui_settings(_add_options)
    builtin = next((place for place, entry in enumerate(scripts.scripts_data)
                    if os.path.normpath(entry.path).endswith(BUILTIN_SCRIPT)), None)
    if builtin is not None and shared.opts.data.get(KEEP_BUILTIN, False):
        return None
    script_callbacks.on_cfg_denoiser(_on_cfg_denoiser)
    script_callbacks.on_cfg_after_cfg(_on_cfg_after_cfg)
    script_callbacks.on_before_ui(_add_axes)
    script_callbacks.on_app_started(_keep_floats)
    _add_axes()
    if builtin is None:
        return script_class
    path = script_class.title.__globals__["__file__"]
    scripts.scripts_data[builtin] = scripts.ScriptClassData(script_class, path, scripts.basedir(), script_class.__module__)
    return None


def _add_options() -> None:
    shared.opts.add_option(KEEP_BUILTIN, shared.OptionInfo(
        False, "Keep the built-in soft inpainting and switch this extension off",
        section=("softinpaint", "Soft inpainting"), category_id="sd").needs_reload_ui())


def build_ui(script: Any) -> list[Any]:
    """The script's Gradio components; sets what the host pastes from infotext."""
    components = accordion.build(ui_components.InputAccordion)
    fields = dataclasses.fields(Settings)
    script.infotext_fields = [(component, functools.partial(from_infotext, field))
                              for component, field in zip(components, fields)]
    script.paste_field_names = [infotext_key(field) for field in fields]
    return components


def _keep_floats(demo: Any, app: Any) -> None:
    # A ui-config.json that the built-in wrote holds 1 and 4 for floats; the host converts pasted values to the type
    # that it finds here, and int("0.2") answers 500.
    for script in scripts.scripts_img2img.alwayson_scripts:
        if getattr(script, "name", None) == TITLE.lower():
            for component, setting in zip(script.controls, dataclasses.fields(Settings)):
                if isinstance(setting.default, float):
                    component.value = float(component.value)


def _add_axes() -> None:
    for entry in scripts.scripts_data:
        options = getattr(entry.module, "axis_options", None)
        if options is not None:
            known = {option.label for option in options}
            options.extend(axis for axis in _axes(entry.module.AxisOptionImg2Img) if axis.label not in known)


def _axes(axis_option: type) -> list[Any]:
    axes = []
    for place, setting in enumerate(dataclasses.fields(Settings)):
        choices = ("True", "False") if isinstance(setting.default, bool) else setting.metadata.get("choices")
        axes.append(axis_option(
            f"[Soft inpainting] {setting.metadata['label']}", str if choices else float,
            functools.partial(_apply_axis, place), choices=functools.partial(list, choices) if choices else None))
    return axes


def _apply_axis(place: int, p: Any, value: Any, values: list[Any]) -> None:
    script = next(script for script in p.scripts.alwayson_scripts if script.name == TITLE.lower())
    script_args = list(p.script_args)
    script_args[script.args_from + place] = value
    p.script_args = script_args


# Faults

def _tell(p: Any, sentence: str) -> None:
    """Under the picture and in its infotext: the API returns no comments."""
    p.comment(sentence)
    known = p.extra_generation_params.get(NOTE_KEY)
    p.extra_generation_params[NOTE_KEY] = f"{known} {sentence}" if known else sentence


def _guarded(hook):
    """A fault in a hook costs the soft inpainting, never the picture: the host's own result follows."""
    @functools.wraps(hook)
    def run_hook(p, *args):
        try:
            hook(p, *args)
            return True
        except Exception as fault:
            errors.report(f"Soft inpainting failed in {hook.__name__}; the WebUI's own inpainting follows", exc_info=True)
            _give_up(p, f"Soft inpainting failed and was left out: {type(fault).__name__}: {fault}")
            return False
    return run_hook


def _give_up(p: Any, sentence: str) -> None:
    run = _runs.pop(p)
    for key in infotext_keys():
        p.extra_generation_params.pop(key, None)
    _tell(p, sentence)
    if run is None:
        return
    _put_fields_back(p, run)
    _put_masks_back(p, run)
    if p.nmask is not None:
        p.nmask = p.nmask.round()
        p.mask = 1 - p.nmask
    denoiser = getattr(getattr(p, "sampler", None), "model_wrap_cfg", None)
    if getattr(denoiser, "nmask", None) is not None:
        denoiser.nmask, denoiser.mask = p.nmask, p.mask


# One run, in the order of the hooks

@_guarded
def process(p: Any, args: tuple[Any, ...]) -> None:
    """Before the host's `init`: reads the settings and shapes the mask."""
    _start_afresh(p)
    try:
        settings, notes = read_args(args)
    except ValueError as unreadable:
        _tell(p, f"Soft inpainting was left out: {unreadable}")
        return
    if not settings.enabled or getattr(p, "image_mask", None) is None:
        return
    for note in notes:
        _tell(p, note)
    if isinstance(p.image_mask, list):
        _tell(p, "Soft inpainting was left out: it takes one mask, got a list.")
        return
    if _painted(p.image_mask, p.inpainting_mask_invert).getbbox() is None:  # nothing to inpaint
        return
    run = Run(settings)
    _runs.put(p, run)
    p.extra_generation_params.update(to_infotext(settings))
    if settings.feather_source == FEATHER_FROM_BLUR:
        _shape_mask(p, run)
    _set_field(p, run, "mask_round", False)


def _start_afresh(p: Any) -> None:
    # Loopback and others come again with the same object, X/Y/Z with a copy that shares the infotext's dict.
    before = _runs.pop(p)
    if before is not None:
        _put_fields_back(p, before)
        _put_masks_back(p, before)
    for key in infotext_keys():
        p.extra_generation_params.pop(key, None)


def _set_field(p: Any, run: Run, name: str, value: Any) -> None:
    run.kept_fields.setdefault(name, getattr(p, name))
    setattr(p, name, value)


def _put_fields_back(p: Any, run: Run) -> None:
    for name, value in run.kept_fields.items():
        setattr(p, name, value)
    run.kept_fields = {}


def _shape_mask(p: Any, run: Run) -> None:
    padding = p.inpaint_full_res_padding if p.inpaint_full_res else None
    # Blur is set per axis by outpainting; the feather is round.
    reach = feather_reach(max(p.mask_blur_x, p.mask_blur_y), padding)
    run.mask = _feathered(_painted(p.image_mask, p.inpainting_mask_invert), reach)
    _set_field(p, run, "image_mask", run.mask)
    if p.latent_mask is not None:
        _set_field(p, run, "latent_mask", _feathered(_painted(p.latent_mask, 0), reach))
    if p.mask_blur_x > 0 or p.mask_blur_y > 0:
        p.extra_generation_params["Mask blur"] = p.mask_blur
    if p.inpainting_mask_invert:
        p.extra_generation_params["Mask mode"] = "Inpaint not masked"
    for name in ("mask_blur_x", "mask_blur_y", "inpainting_mask_invert"):
        _set_field(p, run, name, 0)
    if padding is not None:
        # The crop is the painted box plus the padding; the feather has used up a part of it already.
        _set_field(p, run, "inpaint_full_res_padding", max(0, padding - int(np.ceil(reach))))


def _painted(mask: Image.Image, invert: int) -> Image.Image:
    grey = processing.create_binary_mask(mask, round=False)
    return ImageOps.invert(grey) if invert else grey


def _feathered(painted: Image.Image, reach_px: float) -> Image.Image:
    feathered = feather_outward(np.asarray(painted, np.float32) / 255, reach_px)
    return Image.fromarray(np.rint(feathered * 255).astype(np.uint8))


@_guarded
def process_batch(p: Any) -> None:
    """After the host's `init`, before each sampling: makes the job, and the host's own blends neutral."""
    run = _runs.get(p)
    if run is None:
        return
    if "inpaint_full_res_padding" in run.kept_fields and "Masked area padding" in p.extra_generation_params:
        p.extra_generation_params["Masked area padding"] = run.kept_fields["inpaint_full_res_padding"]
    _put_fields_back(p, run)
    if p.mask_for_overlay is None:  # the host's blur has erased the mask: it has turned to plain img2img
        _give_way(p)
        return
    if run.job is None:
        run.job = _make_job(p, run)
    run.host_masks = p.mask, p.nmask
    # Samplers that mask before denoising lerp noisy latents with the clean original, where greys do harm. Neutral
    # masks make the host's blends the identity while its hooks are still called; the job blends instead.
    p.mask, p.nmask = torch.zeros_like(p.mask), torch.ones_like(p.nmask)


def _give_way(p: Any) -> None:
    _runs.pop(p)
    for key in infotext_keys():
        p.extra_generation_params.pop(key, None)


def _put_masks_back(p: Any, run: Run) -> None:
    if run.host_masks is not None:
        p.mask, p.nmask = run.host_masks
        run.host_masks = None


def _make_job(p: Any, run: Run) -> SoftInpaintJob:
    box = tuple(p.paste_to) if p.inpaint_full_res else None
    originals = [_original(p, picture, box) for picture in p.init_images]
    masks = [_pixel_mask(p, run, original.size, box) for original in originals]
    repeat = p.batch_size if len(originals) == 1 else 1
    return SoftInpaintJob(run.settings, _latent_mask(p, run, box), _reference(p, originals, box),
                          [np.asarray(original) for original in originals] * repeat, masks * repeat, box)


def _original(p: Any, picture: Image.Image, box: tuple[int, ...] | None) -> Image.Image:
    """The picture as the host's result should show it where nothing was painted."""
    picture = images.flatten(picture, shared.opts.img2img_background_color)
    return picture if box is not None else _at_processing_size(p, picture)


def _pixel_mask(p: Any, run: Run, size: tuple[int, int], box: tuple[int, ...] | None) -> np.ndarray:
    mask = (p.mask_for_overlay if run.mask is None else run.mask).convert("L")
    if box is not None or (run.mask is None and p.resize_mode != JUST_RESIZE_LATENT):
        # A crop's place counts from the picture's corner, also in a picture that is larger than the mask.
        canvas = Image.new("L", size)
        canvas.paste(mask)
        mask = canvas
    else:
        mask = _at_processing_size(p, mask).convert("L")
    return np.asarray(mask, np.float32) / 255


def _at_processing_size(p: Any, picture: Image.Image) -> Image.Image:
    """The picture as the host's `init` sizes it, less what the VAE cannot decode."""
    if p.resize_mode == JUST_RESIZE_LATENT:
        picture = picture.resize((p.width, p.height), Image.Resampling.LANCZOS)
    else:
        picture = images.resize_image(p.resize_mode, picture, p.width, p.height)
    height, width = _decoded_size(p)
    return picture if picture.size == (width, height) else picture.crop((0, 0, width, height))


def _latent_mask(p: Any, run: Run, box: tuple[int, ...] | None) -> torch.Tensor:
    if run.mask is None or p.latent_mask is not None:
        return p.nmask
    if box is None:
        mask = _at_processing_size(p, run.mask)
    else:
        mask = images.resize_image(ONLY_MASKED_RESIZE, _cropped(run.mask, box), p.width, p.height)
    repaint = to_latent(np.asarray(mask.convert("L"), np.float32) / 255, *p.init_latent.shape[-2:])
    return torch.from_numpy(repaint)[None]


def _cropped(picture: Image.Image, box: tuple[int, ...]) -> Image.Image:
    left, top, width, height = box
    return picture.crop((left, top, left + width, top + height))


def _reference(p: Any, originals: list[Image.Image], box: tuple[int, ...] | None) -> torch.Tensor:
    """Latent of the original: the host's own, except where that holds the masked content."""
    if p.inpainting_fill == FILL_ORIGINAL:
        return p.init_latent
    if box is not None:
        originals = [images.resize_image(ONLY_MASKED_RESIZE, _cropped(original, box), p.width, p.height)
                     for original in originals]
    elif p.resize_mode == JUST_RESIZE_LATENT:
        originals = [images.flatten(picture, shared.opts.img2img_background_color) for picture in p.init_images]
    pixels = torch.stack([torch.from_numpy(np.array(original)) for original in originals])
    pixels = pixels.permute(0, 3, 1, 2).to(shared.device, devices.dtype_vae) / 255
    method = sd_samplers_common.approximation_indexes.get(shared.opts.sd_vae_encode_method)
    on_gpu = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    # Encoding draws from the global random stream, and the seed's noise must not depend on it.
    with torch.random.fork_rng(on_gpu), devices.autocast():
        latent = sd_samplers_common.images_tensor_to_samples(pixels, method, p.sd_model)
    if latent.shape[-2:] != p.init_latent.shape[-2:]:
        latent = torch.nn.functional.interpolate(latent, p.init_latent.shape[-2:], mode="bilinear")
    return latent.expand_as(p.init_latent)


@_guarded
def on_mask_blend(p: Any, mba: Any) -> None:
    """Within each model call, and once after the last."""
    run = _runs.get(p)
    if run is None or run.job is None:
        return
    if mba.is_final_blend:
        mba.blended_latent = run.job.finish(mba.current_latent)
    elif mba.denoiser.mask_before_denoising:
        run.noisy = mba.current_latent
        run.alpha_bar = schedule.alpha_bar_at(mba.sigma, mba.denoiser.alphas)
        mba.blended_latent = mba.current_latent
    else:
        mba.blended_latent = run.job.blend(mba.current_latent, _noise_ratio(mba.denoiser, mba.sigma))


def _noise_ratio(denoiser: Any, sigma: torch.Tensor) -> torch.Tensor:
    # A flow model's sigmas end at 1, the others' begin to matter there.
    is_flow = float(denoiser.inner_model.sigmas.max()) <= 1
    return schedule.ratio_from_flow(sigma) if is_flow else schedule.ratio_from_sigma(sigma)


def _on_cfg_denoiser(params: Any) -> None:
    global _denoiser
    _denoiser = params.denoiser


def _on_cfg_after_cfg(params: Any) -> None:
    """After the prompts' predictions were combined, in each model call of any run."""
    global _denoiser
    denoiser, _denoiser = _denoiser, None
    p = getattr(denoiser, "p", None)
    run = _runs.get(p)
    if run is not None and run.job is not None:
        _after_cfg(p, params, denoiser, run)


@_guarded
def _after_cfg(p: Any, params: Any, denoiser: Any, run: Run) -> None:
    denoised = params.x
    if run.noisy is not None:
        noisy, run.noisy = run.noisy, None
        params.x, denoised = run.job.blend_noise(noisy, params.x, run.alpha_bar)
        if denoiser.need_last_noise_uncond:  # CFG++ steps along the unconditional noise
            denoiser.last_noise_uncond, _ = run.job.blend_noise(noisy, denoiser.last_noise_uncond, run.alpha_bar)
    # The host shows, and on interruption returns, a prediction into which nothing is blended.
    denoiser.sampler.last_latent = denoised
    if shared.opts.live_preview_content != "Negative prompt":
        sd_samplers_common.store_latent(denoised)


@_guarded
def post_sample(p: Any, ps: Any) -> None:
    """After sampling, before decoding: how much each latent changed."""
    run = _runs.get(p)
    if run is None or run.job is None:
        return
    _put_masks_back(p, run)
    if getattr(ps.samples, "already_decoded", False):
        run.job.measure_by_mask(len(ps.samples))
    else:
        run.job.measure(ps.samples)


@_guarded
def postprocess_maskoverlay(p: Any, ppmo: Any) -> None:
    """Before the host's overlay: takes it away, since it composites in 8 bits, premultiplied."""
    run = _runs.get(p)
    if run is None or run.job is None or ppmo.overlay_image is None or ppmo.index >= len(run.job.shown_latent):
        return
    shown = run.job.shown(ppmo.index, *_decoded_size(p))
    overlay = Image.new("RGBA", shown.shape[::-1])
    if run.job.box is not None:
        # The host sets the crop on an empty canvas: what it saves before colour correction needs the outside.
        overlay = Image.fromarray(run.job.originals[ppmo.index]).convert("RGBA")
        overlay.putalpha(Image.fromarray(np.where(run.job.repaint_px[ppmo.index] == 0, 255, 0).astype(np.uint8)))
    run.shown = shown
    ppmo.overlay_image = overlay
    ppmo.mask_for_overlay = Image.fromarray(np.rint(shown * 255).astype(np.uint8))


def postprocess_image_after_composite(p: Any, pp: Any) -> None:
    """After the host's overlay: composites the decoded picture over the original."""
    run = _runs.get(p)
    if run is None or run.shown is None:
        return
    if not _composite(p, pp, run):
        pp.image, _ = processing.apply_overlay(pp.image, None, p.overlay_images[p.batch_index])


@_guarded
def _composite(p: Any, pp: Any, run: Run) -> None:
    shown, run.shown = run.shown, None
    original = run.job.originals[p.batch_index]
    if pp.image.size != shown.shape[::-1]:  # another script has enlarged the decoded picture
        original = np.asarray(Image.fromarray(original).resize(pp.image.size, Image.Resampling.LANCZOS))
        shown = np.asarray(Image.fromarray(shown).resize(pp.image.size, Image.Resampling.BILINEAR))
    pp.image = Image.fromarray(composite(original, np.asarray(pp.image.convert("RGB")), shown))


@_guarded
def postprocess(p: Any) -> None:
    """After the last picture. A copy of `p` has no run, and leaves the original's alone."""
    run = _runs.pop(p)
    if run is not None:
        _put_fields_back(p, run)
        _put_masks_back(p, run)


def _decoded_size(p: Any) -> tuple[int, int]:
    """Height and width of what the VAE decodes: whole latent pixels."""
    height, width = p.init_latent.shape[-2:]
    return height * (p.height // height), width * (p.width // width)
