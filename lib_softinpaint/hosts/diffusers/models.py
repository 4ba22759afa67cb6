"""Runs WebUI-style requests on diffusers: loads models and maps the WebUI's sampler names to schedulers."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.hooks import apply_group_offloading
from diffusers.utils import logging
from PIL import Image

from lib_softinpaint.bundled import bundled
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers.families import family_named, family_of
from lib_softinpaint.hosts.diffusers.inputs import source_image
from lib_softinpaint.hosts.diffusers.lora import infotext_hashes
from lib_softinpaint.hosts.diffusers.pipeline import DTYPE, SoftInpaintPipeline, running_alone
from lib_softinpaint.hosts.diffusers.prompts import LORA_PLACES, prepared
from lib_softinpaint.hosts.placement import AUTOMATIC as AUTOMATIC_PRECISION
from lib_softinpaint.hosts.placement import BY_MODEL, OFFLOADS, PRECISIONS, WHOLE
from lib_softinpaint.images.painted import MASK_ARGUMENT, fitted, strengths
from lib_softinpaint.images.read import as_original
from lib_softinpaint.method.mask_tools import edited
from lib_softinpaint.method.regions import regions
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.prompt import of_regions
from lib_softinpaint.settings.request import (
    AUTOMATIC,
    INPAINT_NOT_MASKED,
    LARGEST_SEED,
    LATENT_PX,
    ONLY_MASKED,
    SCENES,
    Request,
    to_infotext,
    with_seed,
    working_size,
)
from lib_softinpaint.settings.settings import Settings, regions_done

SCENE_MODEL = bundled("demo/model")
"""The bundled model: flat illustrations of landscapes, 256 x 256."""

SAMPLERS: dict[str, tuple[type, dict[str, Any], str]] = {
    "Euler": (diffusers.EulerDiscreteScheduler, {}, "Uniform"),
    "Euler a": (diffusers.EulerAncestralDiscreteScheduler, {}, "Uniform"),
    "Heun": (diffusers.HeunDiscreteScheduler, {}, "Uniform"),
    "LMS": (diffusers.LMSDiscreteScheduler, {}, "Uniform"),
    "DPM2": (diffusers.KDPM2DiscreteScheduler, {}, "Karras"),
    "DPM2 a": (diffusers.KDPM2AncestralDiscreteScheduler, {}, "Karras"),
    "DPM++ 2M": (diffusers.DPMSolverMultistepScheduler, {}, "Karras"),
    "DPM++ 2M SDE": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}, "Exponential"),
    "DDIM": (diffusers.DDIMScheduler, {"clip_sample": False}, "Uniform"),
    "PLMS": (diffusers.PNDMScheduler, {"skip_prk_steps": True}, "Uniform"),
    "UniPC": (diffusers.UniPCMultistepScheduler, {}, "Uniform"),
    "LCM": (diffusers.LCMScheduler, {"clip_sample": False}, "Uniform")}
"""Scheduler class, configuration changes, and the schedule type that "Automatic" selects in AUTOMATIC1111 1.10.1."""

SCHEDULE_TYPES: dict[str, dict[str, bool]] = {
    AUTOMATIC: {}, "Uniform": {}, "Karras": {"use_karras_sigmas": True}, "Exponential": {"use_exponential_sigmas": True}}


def soft_inpaint(image: Image.Image, mask: Image.Image, prompt: str = "", *, model: str | Path = SCENE_MODEL,
                 settings: Settings | None = None, device: str | None = None, offload: str = WHOLE,
                 precision: str = AUTOMATIC_PRECISION, **fields: Any) -> Image.Image:
    """The image with its masked area repainted softly. Pixels outside the mask and its feather stay unchanged.

    Parameters
    ----------
    image, mask
        Same aspect ratio, any mode. `lib_softinpaint.images.read` and `lib_softinpaint.images.painted` describe how they
        are read. White is repainted, grey partly. A transparent image gives a transparent result.
    model
        A diffusers folder, a .safetensors file of the original format, or a name on the Hugging Face Hub.
    device, offload, precision
        As in `load`.
    fields
        Other fields of `lib_softinpaint.settings.request.Request`, such as `seed`, `steps` and `mask_blur`.

    Raises
    ------
    ValueError
        If the sizes do not match, the mask is empty, a value is out of range or the model cannot be loaded.
    """
    request = Request(prompt=prompt, settings=settings or Settings(enabled=True), **fields)
    pipeline = load(str(model), device, offload, precision)
    return inpaint(pipeline, request, image, mask, on_note=functools.partial(warnings.warn, stacklevel=3))


def devices() -> list[str]:
    """PyTorch's names of the devices of this machine: NVIDIA or AMD GPU, Intel GPU, Apple GPU, CPU."""
    available = {"cuda": torch.cuda.is_available(), "xpu": hasattr(torch, "xpu") and torch.xpu.is_available(),  # since 2.3
                 "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, is_available in available.items() if is_available]


def chosen_device() -> str:
    """An NVIDIA or AMD GPU if there is one, else an Intel or Apple GPU, else the CPU."""
    return devices()[0]


@lru_cache(maxsize=1)
def load(model: str, device: str | None = None, offload: str = WHOLE,
         precision: str = AUTOMATIC_PRECISION) -> DiffusionPipeline:
    """A soft-inpainting pipeline for the model on its device.

    Parameters
    ----------
    device
        PyTorch device name. The result of `chosen_device` if not given.
    offload
        What is on the GPU at a time, which saves memory and costs time: "none" keeps everything there, "model" one of the
        pipeline's models, "layer" one layer.
    precision
        "float32", "float16" or "bfloat16". "automatic" is half precision on NVIDIA, AMD and Intel GPUs, float32 elsewhere.
        Where a VAE overflows in half precision, it runs in float32.

    Raises
    ------
    ValueError
        If the model cannot be loaded or is not supported, or the device cannot be used.
    ImportError
        If a package is missing or incompatible with the others.
    """
    if offload not in OFFLOADS:
        raise ValueError(f"offload must be one of {', '.join(OFFLOADS)}, got {offload!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    logging.disable_progress_bar()
    if Path(model).is_absolute() and not Path(model).exists():
        raise ValueError(f"model must be a diffusers folder or a .safetensors file that exists, got {model!r}")
    device = device or chosen_device()
    if offload != WHOLE and device == "cpu":
        raise ValueError(f"offload {offload!r} needs a GPU, got the device 'cpu'")
    half = device.startswith(("cuda", "xpu"))
    try:
        if Path(model).is_file():
            dtype = _dtype(precision) or (torch.float16 if half else torch.float32)
            pipeline = SoftInpaintPipeline.from_pipe(_single_file(model, dtype), **{DTYPE: dtype})
        else:
            dtype = _dtype(precision) or (_half_precision(model) if half else torch.float32)
            pipeline = SoftInpaintPipeline.from_pretrained(
                model, local_files_only=Path(model).is_dir(), **{DTYPE: dtype})
    except MemoryError:
        raise
    except Exception as fault:  # a broken model can raise almost any error
        if missing := _failed_import(fault):
            raise ImportError("diffusers and its dependencies must be installed in compatible versions, "
                              f"got {type(missing).__name__}: {missing}") from fault
        if isinstance(fault, torch.cuda.OutOfMemoryError):
            raise
        reason = str(fault).strip().partition("\n")[0] or type(fault).__name__
        raise ValueError("model must be a diffusers folder, a .safetensors file (its configuration is downloaded "
                         f"once from the Hugging Face Hub) or a name on the Hub, got {model!r}: {reason}") from fault
    pipeline.set_progress_bar_config(disable=True)
    try:
        return placed(pipeline, device, offload)
    except (RuntimeError, AssertionError) as fault:
        raise ValueError(f"device must be available to PyTorch, which has {', '.join(devices())}, got {device!r}") from fault


def placed(pipeline: DiffusionPipeline, device: str, offload: str) -> DiffusionPipeline:
    """The pipeline, ready to run on the device. `offload` as in `load`."""
    if offload == WHOLE:
        return pipeline.to(device)
    if offload == BY_MODEL:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                apply_group_offloading(part, torch.device(device), offload_type="leaf_level")
    if hasattr(pipeline.vae, "enable_slicing"):
        pipeline.vae.enable_slicing()  # one image of a batch at a time
    return pipeline


def _dtype(precision: str) -> torch.dtype | None:
    return None if precision == AUTOMATIC_PRECISION else getattr(torch, precision)


def _half_precision(model: str) -> torch.dtype:
    """bfloat16 for transformer models, which overflow in float16."""
    config = cast(dict[str, Any], DiffusionPipeline.load_config(model, local_files_only=Path(model).is_dir()))
    return torch.float16 if family_named(config.get("_class_name", "")) is None else torch.bfloat16


def _failed_import(fault: BaseException | None) -> BaseException | None:
    """The failed import that caused a fault, or None."""
    while fault is not None:
        # diffusers and transformers wrap any exception from an import in a RuntimeError.
        if isinstance(fault, ImportError) or str(fault).startswith("Failed to import "):
            return fault
        fault = fault.__cause__
    return None


def _single_file(path: str, dtype: torch.dtype) -> DiffusionPipeline:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        large = any("conditioner.embedders.1" in key for key in file.keys())  # noqa: SIM118 - it is no dict
    return (StableDiffusionXLPipeline if large else StableDiffusionPipeline).from_single_file(path, **{DTYPE: dtype})


def scheduler_class(sampler: str, schedule_type: str) -> tuple[type, dict[str, Any]]:
    """The diffusers scheduler for a WebUI sampler, and its configuration changes.

    Raises ValueError if diffusers has no counterpart.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"Sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    if schedule_type not in SCHEDULE_TYPES:
        raise ValueError(f"Schedule type must be one of {', '.join(SCHEDULE_TYPES)}, got {schedule_type!r}")
    kind, changes, automatic = SAMPLERS[sampler]
    changes = {**changes, **SCHEDULE_TYPES[automatic if schedule_type == AUTOMATIC else schedule_type]}
    if changes.keys() - inspect.signature(kind).parameters.keys():
        raise ValueError(f"Schedule type must be Automatic with the sampler {sampler}, got {schedule_type!r}")
    return kind, changes


def inpaint(pipeline: DiffusionPipeline, request: Request, image: Image.Image, mask: Image.Image | None,
            on_step: Callable[[float], None] | None = None, keep: Callable[[KeptImage], None] | None = None,
            loras: Sequence[Path] = LORA_PLACES, *, on_running: Callable[[DiffusionPipeline], None] | None = None,
            on_note: Callable[[str], None] | None = None,
            on_measured: Callable[[dict[str, str]], None] | None = None,
            on_region: Callable[[Image.Image, int, int], None] | None = None) -> Image.Image:
    """One inpainted image. Runs on the same model wait for one another and do not share state.

    With the setting *Regions one by one*, each connected area of the mask is inpainted on the result of the one before, with
    an *Only masked* crop of its own, its own part of the prompts, and the next seed.

    Parameters
    ----------
    pipeline
        From `load`.
    mask
        None if the setting "Mask tools" makes one from the image.
    on_step
        Called after each step with the share of steps done, 0 to 1.
    keep
        Called with the data of a soft composite. If `on_step` raises between regions, it holds those that are finished.
    loras
        Files and folders in which to look for the LoRAs that the prompt names.
    on_running
        Called after each step, before `on_step`, with the running pipeline, whose `preview` shows the current prediction.
    on_note
        Called with a sentence for each fault that did not stop the run.
    on_measured
        Called with infotext keys and values of what the composite measured.
    on_region
        Called after each region with the image so far, the number of regions done and their number.
    """
    heard = _Heard(on_step, keep, on_running, on_note, on_measured)
    if request.settings.enabled and request.settings.regions_one_by_one:
        with running_alone(pipeline):
            return _inpainted_by_region(pipeline, with_seed(request), image, mask, loras, heard, on_region)
    if request.mask_mode != INPAINT_NOT_MASKED:
        return _inpainted(pipeline, request, image, mask, loras, heard)
    original = as_original(image)
    kept = edited(np.zeros(Size.of(original), np.float32) if mask is None else strengths(mask), request.settings,
                  np.asarray(original))
    request = replace(request, settings=replace(request.settings, mask_tools=""))
    return _inpainted(pipeline, request, image, 1 - kept, loras, heard)


@dataclass(frozen=True)
class _Heard:
    """Who hears of a run, as in `inpaint`."""

    on_step: Callable[[float], None] | None
    keep: Callable[[KeptImage], None] | None
    on_running: Callable[[DiffusionPipeline], None] | None
    on_note: Callable[[str], None] | None
    on_measured: Callable[[dict[str, str]], None] | None


def _inpainted_by_region(pipeline: DiffusionPipeline, request: Request, image: Image.Image, mask: Image.Image | None,
                         loras: Sequence[Path], heard: _Heard,
                         on_region: Callable[[Image.Image, int, int], None] | None) -> Image.Image:
    """The image with each region inpainted on the result of the one before."""
    notes: list[str] = []
    result = source_image(image, notes)
    size = Size.of(result)
    painted = np.zeros(size, np.float32) if mask is None else fitted(strengths(mask, notes), size, MASK_ARGUMENT, notes)
    painted = edited(painted, request.settings, np.asarray(result))
    parts = regions(1 - painted if request.mask_mode == INPAINT_NOT_MASKED else painted) or [painted]
    prompts = of_regions(request.prompt, len(parts), notes)
    negative_prompts = of_regions(request.negative_prompt, len(parts), notes)
    kept: KeptImage | None = None

    def keep_region(region: KeptImage) -> None:
        nonlocal kept
        kept = replace(region, settings=request.settings, before=kept)

    try:
        for number, part in enumerate(parts):
            region = replace(request, prompt=prompts[number], negative_prompt=negative_prompts[number],
                             seed=(request.seed + number) % (LARGEST_SEED + 1),
                             settings=replace(request.settings, regions_one_by_one=False, mask_tools=""))
            result = _inpainted(pipeline, region, result, part, loras, replace(
                heard, keep=heard.keep and keep_region, on_note=notes.append,
                on_step=heard.on_step and functools.partial(_within, heard.on_step, number, len(parts))))
            if heard.on_measured:
                heard.on_measured(regions_done(number + 1, len(parts)))
            if on_region:
                on_region(result, number + 1, len(parts))
    finally:  # a caller that stops the run can still use the finished regions
        if heard.on_note:
            for note in dict.fromkeys(notes):
                heard.on_note(note)
        if heard.keep and kept:
            heard.keep(kept)
    return result


def _within(on_step: Callable[[float], None], number: int, count: int, share: float) -> None:
    """Reports a share of one of several regions as a share of all."""
    on_step((number + share) / count)


def _inpainted(pipeline: DiffusionPipeline, request: Request, image: Image.Image, mask: Any, loras: Sequence[Path],
               heard: _Heard) -> Image.Image:
    """The image with one mask inpainted. White is repainted, whatever the request's mask mode."""
    kind, changes = scheduler_class(request.sampler, request.schedule_type)

    def report(running: DiffusionPipeline, step: int, timestep: Any, tensors: dict) -> dict:
        if heard.on_running:
            heard.on_running(running)
        if heard.on_step:
            heard.on_step((step + 1) / running.num_timesteps)
        return tensors

    with running_alone(pipeline):
        running, prompts = prepared(pipeline, request, loras)
        if family_of(pipeline) is None:
            running = running.with_scheduler(kind.from_config(pipeline.scheduler.config, **changes))
        result = running(
            image=image, mask_image=mask,
            height=request.height or None, width=request.width or None, strength=request.denoising_strength,
            padding_mask_crop=request.masked_area_padding if request.inpaint_area == ONLY_MASKED else None,
            num_inference_steps=request.steps, guidance_scale=pipeline.guidance_for(request.cfg_scale), **prompts,
            masked_content=request.masked_content, mask_blur=request.mask_blur, settings=request.settings,
            generator=torch.Generator().manual_seed(with_seed(request).seed),
            keep=heard.keep is not None, callback_on_step_end=report)
    if heard.on_note:
        for note in result.notes:
            heard.on_note(note)
    if heard.on_measured:
        heard.on_measured(result.measurements[0])
    if heard.keep and result.kept and result.kept[0]:
        heard.keep(result.kept[0])
    return result.images[0]


def infotext_of(request: Request, image: Size, model: str | None, loras: Sequence[Path] = LORA_PLACES,
                measured: Mapping[str, str] | None = None, step_px: int = LATENT_PX) -> str:
    """Infotext for an `inpaint` result.

    Parameters
    ----------
    image
        Size of the image.
    model
        The model's name; None for the bundled model.
    measured
        Infotext keys and values that `inpaint` passed to `on_measured`.
    step_px
        The pipeline's.
    """
    name = Path(model).name.removesuffix(".safetensors") if model else SCENES
    return infotext.dump(to_infotext(request, Size=working_size(request, image, step_px), Model=name,
                                     **infotext_hashes(request.prompt, loras), **(measured or {})))
