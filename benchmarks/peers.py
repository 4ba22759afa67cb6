"""The methods that the quality benchmark compares: ours and those of others, all on one model.

Methods that a library offers are called from there. The rest is short reference code of the published or observed method.
"""
from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DiffusionPipeline,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from benchmarks.tasks import ONLY_MASKED, PADDING_PX, Task
from lib_softinpaint.bundled import bundled
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.noise_levels import noise_level
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline, SoftInpaintPipelineOutput
from lib_softinpaint.hosts.diffusers.scheduler import BlendingScheduler
from lib_softinpaint.method import composite, drift, mask, schedule
from lib_softinpaint.method.blend import blend, channel_norm
from lib_softinpaint.settings.request import LATENT_PX
from lib_softinpaint.settings.settings import Settings, as_builtin
from training.networks import to_images

HARD_BLUR_PX = 4
"""The WebUI's default."""
GUIDANCE = 6.0
FRESH_GUIDANCE = 7.0
"""The WebUI's default."""

VARIANTS = bundled("demo/variants")

MEANT_FOR_PX = 512
"""Side of the images for which the settings of the guide and of diffusers' documentation are meant."""
GUIDE_BLUR_PX = 64
GUIDE = as_builtin(schedule_bias=0.2, preservation_strength=0.05, transition_contrast_boost=1, mask_influence=0,
                   difference_threshold=1.25, difference_contrast=1.25)
"""Mask blur and settings that the guide to the built-in recommends."""

DOCUMENTED_STEPS, DOCUMENTED_GUIDANCE = 50, 7.5
"""Defaults of diffusers' inpainting pipeline, which its documented example leaves as they are."""
DOCUMENTED_BLUR = 33
"""`blur_factor` in diffusers' inpainting guide, section "Mask blur"."""

CLONE_FRAME_PX = 2

MODELS = PLAIN, INPAINTING, FEW_STEPS = "plain", "inpainting", "few-steps"
"""The bundled model and its variants."""

OURS_PLAIN = "ours, plain feather"
"""Without what knows the image: the feather goes straight over neighbours and fades everywhere, and the noise outside the
painted area is random."""
OURS, HARD, BUILTIN, BUILTIN_GUIDE = "ours", "hard inpainting", "built-in", "built-in, its guide"
DIFFERENTIAL, DIFFERENTIAL_PASTED = "Differential Diffusion", "Differential Diffusion, pasted"
DIFFUSERS, DIFFUSERS_OVERLAY = "diffusers' example", "diffusers, blurred mask and overlay"
PASTE, POISSON = "img2img, hard paste", "img2img, Poisson paste"

TIMESTEP_SCHEDULERS = DDIMScheduler, PNDMScheduler, UniPCMultistepScheduler
"""With these, the WebUI blends before the model, and the built-in uses the timestep as the noise level."""


@dataclass(frozen=True)
class Run:
    """One task with the sampler, steps and seeds, the same for every method.

    model
        The bundled model, or one of its variants.
    """

    task: Task
    area: str
    sampler: str
    steps: int
    seeds: tuple[int, ...]
    guidance: float = GUIDANCE
    model: str = PLAIN


@dataclass(frozen=True)
class Outcome:
    """The images that a method painted for a run.

    results, decoded : (B, H, W, 3) uint8
        Finished images, and the decoded ones before the composite.
    repaint : (H, W) float32, 0 to 1
        0 where the method promises to change nothing.
    """

    results: np.ndarray
    decoded: np.ndarray
    repaint: np.ndarray


class RecordingPipeline(SoftInpaintPipeline):
    """Keeps the decoded images after the drift correction, as the composite uses them."""

    def _decoded(self, job, samples, report):
        self.job, self.decoded = job, []
        for pixels in super()._decoded(job, samples, report):
            strength = job.settings.drift_correction if job.settings.enabled else 0
            shown = drift.corrected(job.originals[0], pixels, job.repaint_px[0], strength, job.box)
            self.decoded.append(np.rint(shown).clip(0, 255).astype(np.uint8))
            yield pixels


class InputBlendingScheduler(BlendingScheduler):
    """Blends the original into the model's input, by the timestep, as the built-in does with timestep samplers."""

    def __init__(self, scheduler, job, conditioning, may_skip):
        super().__init__(scheduler, job)
        self.step = self._step

    def scale_model_input(self, sample, timestep=None):
        return self.scheduler.scale_model_input(self._input(sample, timestep), timestep)

    def _input(self, sample, timestep):
        job, settings = self.job, self.job.settings
        ratio = torch.as_tensor(timestep, dtype=torch.float32).reshape(1)
        share = schedule.repaint_share(job.repaint.log(), ratio, settings.schedule_bias, settings.preservation_strength)
        reference = job.reference.expand_as(sample)
        return blend(reference, channel_norm(reference), sample, share, settings.transition_contrast_boost)

    def _step(self, output, timestep, sample, *args, **kwargs):
        if self.scheduler.config.prediction_type == "v_prediction":
            # The WebUI computes the noise from v and the blended input, diffusers from v and the sample.
            ratio = noise_level(self.scheduler, timestep).ratio
            output = output + ratio * (self._input(sample, timestep) - sample)
        return self.scheduler.step(output, timestep, sample, *args, **kwargs)


class BuiltInPipeline(RecordingPipeline):
    """The built-in as observed in AUTOMATIC1111 1.10.1, with its faults on timestep samplers. Pixels outside may change."""

    def _prepared(self, *arguments, **others):
        job, start, scheduler = super()._prepared(*arguments, **others)
        job.reference = start.float()  # with the masked content, which may not be the original's
        return job, start, scheduler

    def _blending(self, scheduler, job, conditioning, may_skip):
        job.finish = lambda samples: samples
        kind = InputBlendingScheduler if isinstance(scheduler, TIMESTEP_SCHEDULERS) else BlendingScheduler
        return kind(scheduler, job, conditioning, may_skip)

    def _composited(self, job, samples, seeds, over, sources, report):
        sampled = job.measure(samples, job.box.size, seeds)
        for index, pixels in enumerate(self._decoded(job, samples, report)):
            opacity = composite.place(composite.enlarge(sampled[index].opacity_latent(job.settings), job.box.size), job.box,
                                      Size.of(job.originals[index]))
            yield None, composite.composite(job.originals[index], pixels, opacity)


def soft(name: str, kind: type, settings: Settings,
         blur_px: Callable[[Task], int] = lambda task: task.mask_blur) -> Callable[[Run], dict[str, Outcome]]:
    def method(run: Run) -> dict[str, Outcome]:
        pipeline = pipeline_for(kind, run)
        results = np.stack(run_soft(pipeline, run, settings, blur_px(run.task)).images)
        return {name: Outcome(results, np.stack(pipeline.decoded), pipeline.job.repaint_px[0])}
    return method


def run_soft(pipeline: SoftInpaintPipeline, run: Run, settings: Settings, blur_px: int,
             **others: Any) -> SoftInpaintPipelineOutput:
    """Runs one of our pipelines."""
    task = run.task
    return pipeline(
        task.prompt, task.image, task.painted.astype(np.float32), strength=task.denoising_strength,
        height=task.side, width=task.side, padding_mask_crop=PADDING_PX if run.area == ONLY_MASKED else None,
        masked_content=task.masked_content, mask_blur=blur_px, settings=settings, **_sampling_arguments(run), **others)


MethodImages = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Results, decoded images, and the mask in which the method changes pixels, by method."""


def _cropped(method: Callable[[Run, Image.Image, np.ndarray], MethodImages]) -> Callable[[Run], dict[str, Outcome]]:
    """Methods for whole images, with only masked as in the WebUI: they run on a scaled crop, which is then placed back.

    They get an image and its painted mask, (H, W) bool.
    """
    def cropping(run: Run) -> dict[str, Outcome]:
        original, painted, side = Image.fromarray(run.task.image), run.task.painted, run.task.side
        if run.area != ONLY_MASKED:
            return {name: Outcome(*made) for name, made in method(run, original, painted).items()}
        left, top, right, bottom = VaeImageProcessor.get_crop_region(Image.fromarray(painted), side, side, PADDING_PX)
        box = Box(left, top, right - left, bottom - top)
        inside = box.inside
        enlarged = original.crop(box.corners).resize((side, side), Image.Resampling.LANCZOS)

        def placed(new: np.ndarray) -> np.ndarray:
            whole = run.task.image.copy()
            small = Image.fromarray(new).resize(box.size.width_height, Image.Resampling.LANCZOS)
            whole[inside] = np.asarray(small)
            return whole
        outcomes = {}
        for name, (results, decoded, repaint) in method(
                run, enlarged, mask.resized(painted[inside].astype(np.float32), Size(side, side)) >= 0.5).items():
            reach = np.zeros(painted.shape, np.float32)
            reach[inside] = mask.resized(repaint, box.size)
            # The crop was resized twice, so pixels outside the mask are restored from the original.
            pasted = [np.where(reach[..., None] > 0, placed(new), run.task.image) for new in results]
            outcomes[name] = Outcome(np.stack(pasted), np.stack([placed(new) for new in decoded]), reach)
        return outcomes
    return cropping


def _differential(run: Run, original: Image.Image, painted: np.ndarray) -> MethodImages:
    """Differential Diffusion: as decoded, and pasted by the same mask, as users of ComfyUI do."""
    repaint = mask.feather_outward(painted.astype(np.float32), mask.blur_reach(run.task.mask_blur))
    decoded = differential_diffusion(run, original, repaint)
    pasted = np.stack([composite.composite(np.asarray(original), new, repaint) for new in decoded])
    return {DIFFERENTIAL: (decoded, decoded, repaint), DIFFERENTIAL_PASTED: (pasted, decoded, repaint)}


def differential_diffusion(run: Run, original: Image.Image, repaint: np.ndarray) -> np.ndarray:
    """Images (B, H, W, 3) uint8. A pixel is repainted once the share of remaining steps falls to its mask value.

    Source: Levin and Fried, arXiv 2306.00950, algorithm 1. The whole image is decoded, and nothing is pasted.
    """
    change_map = torch.from_numpy(mask.to_latent(repaint, repaint.shape[0] // LATENT_PX, repaint.shape[1] // LATENT_PX))
    pipeline = pipeline_for(StableDiffusionImg2ImgPipeline, run)
    reference = _encoded(pipeline, original)
    noise = torch.cat([torch.randn(reference.shape, generator=torch.Generator().manual_seed(seed)) for seed in run.seeds])

    def keep(running, step, timestep, tensors):
        if step + 1 < running.num_timesteps:
            following = running.scheduler.timesteps[-running.num_timesteps:][step + 1]
            kept = running.scheduler.add_noise(reference, noise, following.reshape(1))
            unlocked = change_map >= 1 - (step + 1) / running.num_timesteps
            tensors["latents"] = torch.where(unlocked & (change_map > 0), tensors["latents"], kept)
        return tensors
    images = pipeline(run.task.prompt, reference.repeat(len(run.seeds), 1, 1, 1), strength=run.task.denoising_strength,
                      callback_on_step_end=keep, output_type="np", **_sampling_arguments(run)).images
    return np.rint(images * 255).astype(np.uint8)


def _diffusers_example(run: Run, original: Image.Image, painted: np.ndarray) -> MethodImages:
    """Diffusers' own inpainting as in its documentation's first example: a hard mask, and the whole image as decoded."""
    documented = replace(run, steps=DOCUMENTED_STEPS, guidance=DOCUMENTED_GUIDANCE)
    pipeline = pipeline_for(StableDiffusionInpaintPipeline, documented)
    images = pipeline(run.task.prompt, original, Image.fromarray(painted), height=run.task.side, width=run.task.side,
                      **_sampling_arguments(documented)).images
    decoded = np.stack([np.asarray(image) for image in images])
    return {DIFFUSERS: (decoded, decoded, painted.astype(np.float32))}


def _diffusers_overlay(run: Run, original: Image.Image, painted: np.ndarray) -> MethodImages:
    """Diffusers' own inpainting with a blurred mask, and with the original pasted outside it, as its documentation says."""
    pipeline, side = pipeline_for(StableDiffusionInpaintPipeline, run), run.task.side
    blurred = pipeline.mask_processor.blur(Image.fromarray(painted).convert("L"), DOCUMENTED_BLUR * side / MEANT_FOR_PX)
    images = pipeline(run.task.prompt, original, blurred, height=side, width=side,
                      strength=run.task.denoising_strength, **_sampling_arguments(run)).images
    overlaid = [pipeline.image_processor.apply_overlay(blurred, original, image) for image in images]
    return {DIFFUSERS_OVERLAY: (np.stack([np.asarray(image) for image in overlaid]),
                                np.stack([np.asarray(image) for image in images]), np.asarray(blurred, np.float32) / 255)}


def _img2img(run: Run, original: Image.Image, painted: np.ndarray) -> MethodImages:
    """img2img of the whole image. Its painted area is pasted with a blurred edge, and by OpenCV's seamlessClone."""
    pipeline = pipeline_for(StableDiffusionImg2ImgPipeline, run)
    images = pipeline(run.task.prompt, original, strength=run.task.denoising_strength, output_type="np",
                      **_sampling_arguments(run)).images
    decoded = np.rint(images * 255).astype(np.uint8)
    blurred = mask.host_blur(painted, HARD_BLUR_PX)
    pasted = np.stack([composite.composite(np.asarray(original), new, blurred) for new in decoded])
    by_gradients = np.stack([seamless_clone(np.asarray(original), new, painted) for new in decoded])
    return {PASTE: (pasted, decoded, blurred), POISSON: (by_gradients, decoded, painted.astype(np.float32))}


def seamless_clone(original: np.ndarray, new: np.ndarray, painted: np.ndarray) -> np.ndarray:
    # OpenCV needs a mask that does not touch the borders, takes the centre of its box, and overwrites the mask.
    framed = np.pad(painted, CLONE_FRAME_PX).astype(np.uint8) * 255
    centre = tuple(int(span.min() + span.max() + 1) // 2 for span in np.nonzero(framed)[::-1])
    sides = (CLONE_FRAME_PX,) * 4
    wide = [cv2.copyMakeBorder(image, *sides, cv2.BORDER_REPLICATE) for image in (new, original)]
    inside = slice(CLONE_FRAME_PX, -CLONE_FRAME_PX)
    return cv2.seamlessClone(*wide, framed, centre, cv2.NORMAL_CLONE)[inside, inside]


PAINTERS: dict[tuple[str, ...], Callable[[Run], dict[str, Outcome]]] = {
    (HARD,): soft(HARD, RecordingPipeline, Settings(enabled=False), lambda task: HARD_BLUR_PX),
    (BUILTIN,): soft(BUILTIN, BuiltInPipeline, as_builtin()),
    (BUILTIN_GUIDE,): soft(BUILTIN_GUIDE, BuiltInPipeline, GUIDE, lambda task: GUIDE_BLUR_PX * task.side // MEANT_FOR_PX),
    (OURS,): soft(OURS, RecordingPipeline, Settings(enabled=True)),
    (OURS_PLAIN,): soft(OURS_PLAIN, RecordingPipeline,
                        Settings(enabled=True, edge_awareness=0.0, seam_search=0.0, agreement=0.0)),
    (DIFFERENTIAL, DIFFERENTIAL_PASTED): _cropped(_differential),
    (DIFFUSERS,): _cropped(_diffusers_example),
    (DIFFUSERS_OVERLAY,): _cropped(_diffusers_overlay),
    (PASTE, POISSON): _cropped(_img2img)}
"""Functions that run methods, by the names of these methods."""

METHODS = tuple(name for names in PAINTERS for name in names)
AS_FOUND = HARD, BUILTIN, OURS, OURS_PLAIN, DIFFUSERS
"""Methods at the settings that a fresh user finds."""
AT_THEIR_BEST = tuple(name for name in METHODS if name not in (DIFFUSERS, OURS_PLAIN))
"""Methods at the settings that their documentation recommends."""


def encoded(images: np.ndarray) -> torch.Tensor:
    """(B, 4, H / 8, W / 8) float32: latents of images (B, H, W, 3) uint8."""
    pipeline = models.load(str(models.SCENE_MODEL), "cpu")
    return torch.cat([_encoded(pipeline, Image.fromarray(image)) for image in images])


@torch.no_grad()
def unchanged_latents(original: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """(4, H / 8, W / 8) float32 each: latents of an image (H, W, 3) uint8, and of the image decoded from them."""
    pipeline = models.load(str(models.SCENE_MODEL), "cpu")
    latent = encoded(original[None])
    decoded = pipeline.vae.decode(latent / pipeline.vae.config.scaling_factor).sample
    return latent[0], encoded(to_images(decoded))[0]


@torch.no_grad()
def _encoded(pipeline: DiffusionPipeline, image: Image.Image) -> torch.Tensor:
    pixels = pipeline.image_processor.preprocess(image)
    return pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor


def pipeline_for(kind: type, run: Run) -> DiffusionPipeline:
    components = {**models.load(str(models.SCENE_MODEL), "cpu").components, **variant(run.model)}
    scheduler, changes = models.scheduler_class(run.sampler, "Automatic")
    accepted = inspect.signature(kind.__init__).parameters
    pipeline = kind(**{name: part for name, part in components.items() if name in accepted} | {
        "scheduler": scheduler.from_config(components["scheduler"].config, **changes)}, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@functools.cache
def variant(name: str) -> dict[str, UNet2DConditionModel]:
    """The parts in which a variant differs from the bundled model."""
    return {} if name == PLAIN else {"unet": UNet2DConditionModel.from_pretrained(VARIANTS / name, local_files_only=True)}


def _sampling_arguments(run: Run) -> dict[str, Any]:
    return {"num_inference_steps": run.steps, "guidance_scale": run.guidance, "num_images_per_prompt": len(run.seeds),
            "generator": [torch.Generator().manual_seed(seed) for seed in run.seeds]}
