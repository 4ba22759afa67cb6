"""The methods that the quality bench compares: ours, and each way in which others inpaint, on one model.

What a library has is taken from it; the rest is short reference code of the published or observed method.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
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
    UniPCMultistepScheduler,
)
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from benchmarks.tasks import ONLY_MASKED, PADDING_PX, Task
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline, SoftInpaintPipelineOutput
from lib_softinpaint.hosts.diffusers.scheduler import BlendingScheduler
from lib_softinpaint.method import composite, drift, mask, schedule
from lib_softinpaint.method.blend import blend, channel_norm
from lib_softinpaint.settings.request import LATENT_PX
from lib_softinpaint.settings.settings import Settings, as_builtin
from training.scenes import SIZE

HARD_BLUR_PX = 4
"""The WebUI's default."""
GUIDANCE = 6.0
IMG2IMG_STRENGTH = 0.75

CLONE_FRAME_PX = 2

OURS, HARD, BUILTIN = "ours", "hard inpainting", "built-in"
DIFFERENTIAL, DIFFERENTIAL_PASTED = "Differential Diffusion", "Differential Diffusion, pasted"
DIFFUSERS, DIFFUSERS_OVERLAY = "diffusers", "diffusers, overlay"
PASTE, POISSON = "img2img, hard paste", "img2img, Poisson paste"

TIMESTEP_SCHEDULERS = DDIMScheduler, PNDMScheduler, UniPCMultistepScheduler
"""On whose samplers the WebUI blends before the model, and the built-in takes the timestep for the noise level."""


@dataclass(frozen=True)
class Run:
    """One task, as it is asked of every method."""

    task: Task
    area: str
    sampler: str
    steps: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What a method made of a run.

    results, decoded : (B, H, W, 3) uint8
        Pictures, and the new ones before they were composited with the original.
    repaint : (H, W) float32, 0 to 1
        Where the method promises to change nothing it is 0.
    """

    results: np.ndarray
    decoded: np.ndarray
    repaint: np.ndarray


class Recorded(SoftInpaintPipeline):
    """Keeps what it decoded, in the colours in which it goes over the original."""

    def _decoded(self, job, samples, report):
        self.job, self.decoded = job, []
        for pixels in super()._decoded(job, samples, report):
            strength = job.settings.drift_correction if job.settings.enabled else 0
            shown = drift.corrected(job.originals[0], pixels, job.repaint_px[0], strength, job.box)
            self.decoded.append(np.rint(shown).clip(0, 255).astype(np.uint8))
            yield pixels


class BlendingInputs(BlendingScheduler):
    """Blends the original into what goes into the model, by the timestep, as the built-in does with timestep samplers."""

    def __init__(self, scheduler, job, conditioning, may_skip):
        super().__init__(scheduler, job)
        self.step = scheduler.step
        self.norm, self.log_repaint = channel_norm(job.reference), job.repaint.log()

    def scale_model_input(self, sample, timestep=None):
        job, settings = self.job, self.job.settings
        ratio = torch.as_tensor(timestep, dtype=torch.float32).reshape(1)
        share = schedule.repaint_share(self.log_repaint, ratio, settings.schedule_bias, settings.preservation_strength)
        sample = blend(job.reference.expand_as(sample), self.norm.expand(len(sample), -1, -1, -1), sample, share,
                       settings.transition_contrast_boost)
        return self.scheduler.scale_model_input(sample, timestep)


class BuiltIn(Recorded):
    """As observed in AUTOMATIC1111 1.10.1, its faults with timestep samplers among it; nothing keeps the outside."""

    def _blending(self, scheduler, job, conditioning, may_skip):
        job.finish = lambda samples: samples
        kind = BlendingInputs if isinstance(scheduler, TIMESTEP_SCHEDULERS) else BlendingScheduler
        return kind(scheduler, job, conditioning, may_skip)

    def _composited(self, job, samples, seeds, over, sources, report):
        sampled = job.measure(samples, job.box.size, seeds)
        for index, pixels in enumerate(self._decoded(job, samples, report)):
            opacity = composite.place(composite.enlarge(sampled[index].opacity_latent(job.settings), job.box.size), job.box,
                                      Size.of(job.originals[index]))
            yield None, composite.composite(job.originals[index], pixels, opacity)


def soft(name: str, kind: type, settings: Settings, blur_px: int | None = None) -> Callable[[Run], dict[str, Outcome]]:
    def method(run: Run) -> dict[str, Outcome]:
        pipeline = pipeline_for(kind, run)
        results = np.stack(painted_softly(pipeline, run, settings, blur_px).images)
        return {name: Outcome(results, np.stack(pipeline.decoded), pipeline.job.repaint_px[0])}
    return method


def painted_softly(pipeline: SoftInpaintPipeline, run: Run, settings: Settings, blur_px: int | None = None,
                   **others: Any) -> SoftInpaintPipelineOutput:
    """The run by one of our pipelines, under its task's Mask blur if none is given."""
    task = run.task
    return pipeline(
        task.prompt, task.picture, task.painted.astype(np.float32), strength=task.denoising_strength,
        height=SIZE, width=SIZE, padding_mask_crop=PADDING_PX if run.area == ONLY_MASKED else None,
        masked_content=task.masked_content, mask_blur=task.mask_blur if blur_px is None else blur_px,
        settings=settings, **_asked(run), **others)


Painted = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""By method's name: results, decoded pictures, and the mask in which the method changes."""


def _cropped(method: Callable[[Run, Image.Image, np.ndarray], Painted]) -> Callable[[Run], dict[str, Outcome]]:
    """Methods for whole pictures, with only masked as the WebUI does it: on a crop, which is scaled, and placed back.

    They get a picture and its painted mask, (H, W) bool.
    """
    def cropping(run: Run) -> dict[str, Outcome]:
        picture, painted = Image.fromarray(run.task.picture), run.task.painted
        if run.area != ONLY_MASKED:
            return {name: Outcome(*made) for name, made in method(run, picture, painted).items()}
        left, top, right, bottom = VaeImageProcessor.get_crop_region(Image.fromarray(painted), SIZE, SIZE, PADDING_PX)
        box = Box(left, top, right - left, bottom - top)
        inside = box.inside
        enlarged = picture.crop(box.corners).resize((SIZE, SIZE), Image.Resampling.LANCZOS)

        def placed(new: np.ndarray) -> np.ndarray:
            whole = run.task.picture.copy()
            small = Image.fromarray(new).resize(box.size.width_height, Image.Resampling.LANCZOS)
            whole[inside] = np.asarray(small)
            return whole
        outcomes = {}
        for name, (results, decoded, repaint) in method(
                run, enlarged, mask.resized(painted[inside].astype(np.float32), Size(SIZE, SIZE)) >= 0.5).items():
            reach = np.zeros(painted.shape, np.float32)
            reach[inside] = mask.resized(repaint, box.size)
            # The crop came back through two resizings: its outside is the original's again.
            pasted = [np.where(reach[..., None] > 0, placed(new), run.task.picture) for new in results]
            outcomes[name] = Outcome(np.stack(pasted), np.stack([placed(new) for new in decoded]), reach)
        return outcomes
    return cropping


def _differential(run: Run, picture: Image.Image, painted: np.ndarray) -> Painted:
    """Differential Diffusion, whole, and pasted by the same mask as users of ComfyUI do."""
    repaint = mask.feather_outward(painted.astype(np.float32), mask.blur_reach(run.task.mask_blur))
    decoded = differential_diffusion(run, picture, repaint)
    pasted = np.stack([composite.composite(np.asarray(picture), new, repaint) for new in decoded])
    return {DIFFERENTIAL: (decoded, decoded, repaint), DIFFERENTIAL_PASTED: (pasted, decoded, repaint)}


def differential_diffusion(run: Run, picture: Image.Image, repaint: np.ndarray) -> np.ndarray:
    """Pictures (B, H, W, 3) uint8 in which a pixel is repainted from the step on at which the steps left fall to its mask.

    Source: Levin and Fried, arXiv 2306.00950, algorithm 1; the whole picture is decoded, nothing is pasted.
    """
    change_map = torch.from_numpy(mask.to_latent(repaint, repaint.shape[0] // LATENT_PX, repaint.shape[1] // LATENT_PX))
    pipeline = pipeline_for(StableDiffusionImg2ImgPipeline, run)
    reference = _encoded(pipeline, picture)
    noise = torch.cat([torch.randn(reference.shape, generator=torch.Generator().manual_seed(seed)) for seed in run.seeds])

    def keep(running, step, timestep, tensors):
        if step + 1 < running.num_timesteps:
            following = running.scheduler.timesteps[-running.num_timesteps:][step + 1]
            kept = running.scheduler.add_noise(reference, noise, following.reshape(1))
            unlocked = change_map >= 1 - (step + 1) / running.num_timesteps
            tensors["latents"] = torch.where(unlocked & (change_map > 0), tensors["latents"], kept)
        return tensors
    images = pipeline(run.task.prompt, reference.repeat(len(run.seeds), 1, 1, 1), strength=run.task.denoising_strength,
                      callback_on_step_end=keep, output_type="np", **_asked(run)).images
    return np.rint(images * 255).astype(np.uint8)


def _diffusers(run: Run, picture: Image.Image, painted: np.ndarray) -> Painted:
    """Diffusers' own inpainting, its hard mask without and with the original pasted over the rest."""
    pipeline = pipeline_for(StableDiffusionInpaintPipeline, run)
    white = Image.fromarray(painted)
    images = pipeline(run.task.prompt, picture, white, height=SIZE, width=SIZE, strength=run.task.denoising_strength,
                      **_asked(run)).images
    overlaid = [pipeline.image_processor.apply_overlay(white, picture, image) for image in images]
    decoded = np.stack([np.asarray(image) for image in images])
    repaint = painted.astype(np.float32)
    return {DIFFUSERS: (decoded, decoded, repaint),
            DIFFUSERS_OVERLAY: (np.stack([np.asarray(image) for image in overlaid]), decoded, repaint)}


def _img2img(run: Run, picture: Image.Image, painted: np.ndarray) -> Painted:
    """The whole picture anew; the painted area of it pasted with a blurred edge, and by gradients (OpenCV's seamlessClone)."""
    pipeline = pipeline_for(StableDiffusionImg2ImgPipeline, run)
    strength = min(IMG2IMG_STRENGTH, run.task.denoising_strength)
    images = pipeline(run.task.prompt, picture, strength=strength, output_type="np", **_asked(run)).images
    decoded = np.rint(images * 255).astype(np.uint8)
    blurred = mask.host_blur(painted, HARD_BLUR_PX)
    pasted = np.stack([composite.composite(np.asarray(picture), new, blurred) for new in decoded])
    by_gradients = np.stack([cloned(np.asarray(picture), new, painted) for new in decoded])
    return {PASTE: (pasted, decoded, blurred), POISSON: (by_gradients, decoded, painted.astype(np.float32))}


def cloned(original: np.ndarray, new: np.ndarray, painted: np.ndarray) -> np.ndarray:
    # It wants the mask away from the borders, centred by its box, and writes into it.
    framed = np.pad(painted, CLONE_FRAME_PX).astype(np.uint8) * 255
    centre = tuple(int(span.min() + span.max() + 1) // 2 for span in np.nonzero(framed)[::-1])
    sides = (CLONE_FRAME_PX,) * 4
    wide = [cv2.copyMakeBorder(picture, *sides, cv2.BORDER_REPLICATE) for picture in (new, original)]
    inside = slice(CLONE_FRAME_PX, -CLONE_FRAME_PX)
    return cv2.seamlessClone(*wide, framed, centre, cv2.NORMAL_CLONE)[inside, inside]


PAINTERS: dict[tuple[str, ...], Callable[[Run], dict[str, Outcome]]] = {
    (HARD,): soft(HARD, Recorded, Settings(enabled=False), HARD_BLUR_PX),
    (BUILTIN,): soft(BUILTIN, BuiltIn, as_builtin()),
    (OURS,): soft(OURS, Recorded, Settings(enabled=True)),
    (DIFFERENTIAL, DIFFERENTIAL_PASTED): _cropped(_differential),
    (DIFFUSERS, DIFFUSERS_OVERLAY): _cropped(_diffusers),
    (PASTE, POISSON): _cropped(_img2img)}
"""What paints, by the names of the methods of which it gives an outcome."""

METHODS = tuple(name for names in PAINTERS for name in names)


def encoded(pictures: np.ndarray) -> torch.Tensor:
    """(B, 4, H / 8, W / 8) float32: latents of pictures (B, H, W, 3) uint8."""
    pipeline = models.load(str(models.SCENE_MODEL), "cpu")
    return torch.cat([_encoded(pipeline, Image.fromarray(picture)) for picture in pictures])


@torch.no_grad()
def _encoded(pipeline: DiffusionPipeline, picture: Image.Image) -> torch.Tensor:
    pixels = pipeline.image_processor.preprocess(picture)
    return pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor


def pipeline_for(kind: type, run: Run) -> DiffusionPipeline:
    components = models.load(str(models.SCENE_MODEL), "cpu").components
    scheduler, changes = models.scheduler_class(run.sampler, "Automatic")
    accepted = inspect.signature(kind.__init__).parameters
    pipeline = kind(**{name: part for name, part in components.items() if name in accepted} | {
        "scheduler": scheduler.from_config(components["scheduler"].config, **changes)}, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _asked(run: Run) -> dict[str, Any]:
    return {"num_inference_steps": run.steps, "guidance_scale": GUIDANCE, "num_images_per_prompt": len(run.seeds),
            "generator": [torch.Generator().manual_seed(seed) for seed in run.seeds]}
