"""Runs WebUI-style requests on diffusers: loads models and maps the WebUI's sampler names to schedulers."""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import logging
from PIL import Image

from lib_softinpaint.bundled import bundled
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers.families import family_named, family_of
from lib_softinpaint.hosts.diffusers.lora import infotext_hashes
from lib_softinpaint.hosts.diffusers.pipeline import DTYPE, SoftInpaintPipeline, running_alone
from lib_softinpaint.hosts.diffusers.prompts import LORA_PLACES, prepared
from lib_softinpaint.images.painted import strengths
from lib_softinpaint.images.read import as_original
from lib_softinpaint.method.mask_tools import edited
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import (
    AUTOMATIC,
    INPAINT_NOT_MASKED,
    LATENT_PX,
    ONLY_MASKED,
    SCENES,
    Request,
    to_infotext,
    with_seed,
    working_size,
)
from lib_softinpaint.settings.settings import Settings

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
                 settings: Settings | None = None, device: str | None = None, **fields: Any) -> Image.Image:
    """The image with its masked area repainted softly. Pixels outside the mask and its feather stay unchanged.

    Parameters
    ----------
    image, mask
        Same aspect ratio, any mode. `lib_softinpaint.images.read` and `lib_softinpaint.images.painted` describe how they
        are read. White is repainted, grey partly. A transparent image gives a transparent result.
    model
        A diffusers folder, a .safetensors file of the original format, or a name on the Hugging Face Hub.
    device
        PyTorch device name. The result of `chosen_device` if not given.
    fields
        Other fields of `lib_softinpaint.settings.request.Request`, such as `seed`, `steps` and `mask_blur`.

    Raises
    ------
    ValueError
        If the sizes do not match, the mask is empty, a value is out of range or the model cannot be loaded.
    """
    request = Request(prompt=prompt, settings=settings or Settings(enabled=True), **fields)
    return inpaint(load(str(model), device), request, image, mask, on_note=functools.partial(warnings.warn, stacklevel=3))


def chosen_device() -> str:
    """An NVIDIA or AMD GPU if there is one, else an Apple GPU, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@lru_cache(maxsize=1)
def load(model: str, device: str | None = None) -> DiffusionPipeline:
    """A soft-inpainting pipeline for the model on its device: half precision with CUDA, float32 elsewhere.

    Raises ValueError if the model cannot be loaded or is not supported, and ImportError if a package is missing or
    incompatible with the others.
    """
    logging.disable_progress_bar()
    if Path(model).is_absolute() and not Path(model).exists():
        raise ValueError(f"model must be a diffusers folder or a .safetensors file that exists, got {model!r}")
    device = device or chosen_device()
    half = device.startswith("cuda")
    try:
        if Path(model).is_file():
            dtype = torch.float16 if half else torch.float32
            pipeline = SoftInpaintPipeline.from_pipe(_single_file(model, dtype), **{DTYPE: dtype})
        else:
            dtype = _half_precision(model) if half else torch.float32
            pipeline = SoftInpaintPipeline.from_pretrained(
                model, local_files_only=Path(model).is_dir(), **{DTYPE: dtype})
    except MemoryError:
        raise
    except Exception as fault:  # a broken model can raise almost any error
        if missing := _failed_import(fault):
            raise ImportError("diffusers and its dependencies must be installed in compatible versions, "
                              f"got {type(missing).__name__}: {missing}") from fault
        if isinstance(fault, torch.OutOfMemoryError):
            raise
        reason = str(fault).strip().partition("\n")[0] or type(fault).__name__
        raise ValueError("model must be a diffusers folder, a .safetensors file (its configuration is downloaded "
                         f"once from the Hugging Face Hub) or a name on the Hub, got {model!r}: {reason}") from fault
    pipeline.set_progress_bar_config(disable=True)
    try:
        return pipeline.to(device)
    except (RuntimeError, AssertionError) as fault:
        raise ValueError(f"device must be available to PyTorch, got {device!r}") from fault


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
            on_measured: Callable[[dict[str, str]], None] | None = None) -> Image.Image:
    """One inpainted image. Runs on the same model wait for one another and do not share state.

    Parameters
    ----------
    pipeline
        From `load`.
    mask
        None if the setting "Mask tools" makes one from the image.
    on_step
        Called after each step with the share of steps done, 0 to 1.
    keep
        Called with the data of a soft composite.
    loras
        Files and folders in which to look for the LoRAs that the prompt names.
    on_running
        Called after each step, before `on_step`, with the running pipeline, whose `preview` shows the current prediction.
    on_note
        Called with a sentence for each fault that did not stop the run.
    on_measured
        Called with infotext keys and values of what the composite measured.
    """
    kind, changes = scheduler_class(request.sampler, request.schedule_type)

    def report(running: DiffusionPipeline, step: int, timestep: Any, tensors: dict) -> dict:
        if on_running:
            on_running(running)
        if on_step:
            on_step((step + 1) / running.num_timesteps)
        return tensors

    with running_alone(pipeline):
        running, prompts = prepared(pipeline, request, loras)
        if family_of(pipeline) is None:
            running = running.with_scheduler(kind.from_config(pipeline.scheduler.config, **changes))
        settings, painted = request.settings, mask
        if request.mask_mode == INPAINT_NOT_MASKED:
            settings = replace(settings, mask_tools="")
            given = np.zeros(Size.of(image), np.float32) if mask is None else strengths(mask)
            painted = 1 - edited(given, request.settings, np.asarray(as_original(image)))
        result = running(
            image=image, mask_image=painted,
            height=request.height or None, width=request.width or None, strength=request.denoising_strength,
            padding_mask_crop=request.masked_area_padding if request.inpaint_area == ONLY_MASKED else None,
            num_inference_steps=request.steps, guidance_scale=pipeline.guidance_for(request.cfg_scale), **prompts,
            masked_content=request.masked_content, mask_blur=request.mask_blur, settings=settings,
            generator=torch.Generator().manual_seed(with_seed(request).seed),
            keep=keep is not None, callback_on_step_end=report)
    if on_note:
        for note in result.notes:
            on_note(note)
    if on_measured:
        on_measured(result.measurements[0])
    if keep and result.kept and result.kept[0]:
        keep(result.kept[0])
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
