"""Soft inpainting on diffusers. The algorithm as a pipeline.

The pipelines are diffusers' own image-to-image pipelines. A run has its own copy of the pipeline, which shares the models,
and its own scheduler, which hands each call on to a copy of the pipeline's: its step is where a prediction and the noisy
latent meet, and its scaling of the model's input is where an inpainting UNet's further channels join. So a run changes
nothing that another run holds. Runs that share a UNet wait for one another: some models change while they run (a VAE that
is moved to float32, models that are moved off the GPU).
"""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import copy
import inspect
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2DiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLImg2ImgPipeline,
)
from diffusers.pipelines import pipeline_utils
from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput
from diffusers.utils import logging
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import arguments, noise_levels
from lib_softinpaint.hosts.diffusers.inputs import (
    View,
    crop_box,
    for_each,
    listed,
    mask_strengths,
    placed_in_original,
    repeated,
    seeds_of,
    source_image,
)
from lib_softinpaint.hosts.diffusers.scheduler import BlendingScheduler, own_copy
from lib_softinpaint.images.painted import fitted
from lib_softinpaint.method.composite import composite, over_white, with_alpha
from lib_softinpaint.method.fill import fill_from_outside
from lib_softinpaint.method.mask import PaintedMask, feather_reach, repaint_mask, resized, to_latent
from lib_softinpaint.settings.settings import HARD, Settings

logger = logging.get_logger(__name__)

INPAINTING_CHANNELS = 9
"""Input channels of a UNet that is also told the mask and the latent of the picture without what is masked."""

HIDDEN_LEVEL = 127
"""Grey under which inpainting models are trained to find what is masked."""

ONE_STEP_SCHEDULERS = EulerDiscreteScheduler, HeunDiscreteScheduler, KDPM2DiscreteScheduler, DDIMScheduler
"""They look no further back than one step and draw no noise, so that a step that changes nothing can be left out."""


@dataclass
class SoftInpaintPipelineOutput(StableDiffusionPipelineOutput):
    """Images, whether a safety checker flagged each of them, with `keep` what they are made of, and what to know of them."""

    kept: list[KeptImage | None] | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class _Report:
    """What becomes known while the images of a run are decoded."""

    notes: list[str] = field(default_factory=list)
    flagged: list[bool] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        logger.warning(sentence)
        self.notes.append(sentence)


DTYPE = "dtype" if hasattr(pipeline_utils, "_resolve_dtype") else "torch_dtype"
"""diffusers' argument for the models' precision, by its newer name where it knows that."""

_LOCKS: weakref.WeakKeyDictionary[torch.nn.Module, Any] = weakref.WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


def running_alone(pipeline: DiffusionPipeline) -> Any:
    """The lock that a run holds: one for all pipelines that share a UNet. A run within a run of the same thread goes on."""
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(pipeline.unet, threading.RLock())


if TYPE_CHECKING:
    class _ImageToImagePipeline(DiffusionPipeline):
        """What `_SoftInpainting` uses of the parents that it is mixed with."""

        unet: Any
        vae: Any
        scheduler: Any
        image_processor: Any
        vae_scale_factor: int

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
        def get_timesteps(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, int]: ...
        def run_safety_checker(self, *args: Any, **kwargs: Any) -> tuple[Any, list[bool]]: ...
else:
    _ImageToImagePipeline = object


class _SoftInpainting(_ImageToImagePipeline):
    """What both pipelines add to their image-to-image parents."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> DiffusionPipeline:
        """As diffusers', in float32 if no `torch_dtype` is given. Raises ValueError on a model that is not supported."""
        config = cast(dict[str, Any], cls.load_config(pretrained_model_name_or_path, **{
            name: kwargs[name] for name in ("cache_dir", "local_files_only", "revision", "token") if name in kwargs}))
        parts = [name for name, value in config.items() if isinstance(value, (list, tuple)) and len(value) == 2 and value[0]]
        arguments.check_parts(config.get("_class_name", "a model without a name"), parts)
        if not kwargs.keys() & {"dtype", "torch_dtype"}:
            # Else each model keeps what it was saved in, and half precision meets float32.
            kwargs[DTYPE] = torch.float32
        return super(_SoftInpainting, cls._of_family(config)).from_pretrained(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> DiffusionPipeline:
        """As diffusers', in the pipeline's own precision if no `torch_dtype` is given: the models are shared.

        Raises ValueError on a pipeline whose model is not supported.
        """
        parts = [name for name, part in pipeline.components.items() if part is not None]
        arguments.check_parts(type(pipeline).__name__, parts)
        if not kwargs.keys() & {"dtype", "torch_dtype"}:
            kwargs[DTYPE] = pipeline.unet.dtype
        return super(_SoftInpainting, cls._of_family(pipeline.components)).from_pipe(pipeline, **kwargs)

    @classmethod
    def _of_family(cls, parts: Mapping[str, Any]) -> type[_SoftInpainting]:
        """This class, or SDXL's where a model has these components."""
        return SoftInpaintXLPipeline if "text_encoder_2" in parts and issubclass(cls, SoftInpaintPipeline) else cls

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: Image.Image | np.ndarray | torch.Tensor | None = None,
        mask_image: Image.Image | np.ndarray | torch.Tensor | None = None,
        height: int | None = None,
        width: int | None = None,
        padding_mask_crop: int | None = None,
        strength: float = 0.75,
        num_inference_steps: int = 20,
        guidance_scale: float = 7.0,
        num_images_per_prompt: int = 1,
        masked_content: str = "original",
        mask_blur: float = 4,
        settings: Settings | None = None,
        keep: bool = False,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        **kwargs: Any,
    ) -> SoftInpaintPipelineOutput | tuple:
        r"""
        Soft-inpaints the masked area of an image. Pixels that the mask does not reach do not change.

        Args:
            prompt (`str` or `list[str]`, *optional*):
                What to paint. A list gives one image, or `num_images_per_prompt`, for each.
            image (`PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
                The image: of any mode, `(H, W, 3 or 4)` uint8, uint16 or float in `[0, 1]`, or `(3 or 4, H, W)` float in
                `[0, 1]`. If it is transparent, so is the result with `output_type="pil"`. Or a list of images of one size,
                one for each prompt.
            mask_image (`PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
                Of the shape of `image`; white is repainted, greys by that strength. An image of any mode, read as
                [`~lib_softinpaint.images.painted`] says, or `(H, W)` bool, uint8, uint16 or float in `[0, 1]`. Or a list,
                one for each prompt.
            height, width (`int`, *optional*, defaults to the image's, rounded down to what the VAE can encode):
                Size at which the model works. The result is always as large as `image`.
            padding_mask_crop (`int`, *optional*):
                Pixels around the painted area that the model sees; only that crop is inpainted, at `height` and
                `width`. The whole image if `None`.
            strength (`float`, *optional*, defaults to 0.75):
                Denoising strength, above 0 and at most 1.
            num_inference_steps (`int`, *optional*, defaults to 20):
                Steps of the whole schedule; `strength` decides how many of them are run.
            guidance_scale (`float`, *optional*, defaults to 7.0):
                Classifier-free guidance, on above 1.
            num_images_per_prompt (`int`, *optional*, defaults to 1):
                Images for each prompt.
            masked_content (`str`, *optional*, defaults to `"original"`):
                What the masked area holds before noise is added: "fill", "original", "latent noise" or "latent nothing".
            mask_blur (`float`, *optional*, defaults to 4):
                Pixels; the feather around the painted area reaches 2.4 times as far.
            settings ([`~lib_softinpaint.Settings`], *optional*):
                Soft inpainting's settings. With `enabled=False` the mask is hard: every latent pixel is repainted or not.
            keep (`bool`, *optional*, defaults to `False`):
                Whether the output's `kept` holds, for each image, everything its composite is made from
                ([`~lib_softinpaint.generation.kept.KeptImage`]), to re-composite it with other
                settings or to save it as a job file.
            generator (`torch.Generator` or a list of them, *optional*):
                Makes the result deterministic.
            output_type (`str`, *optional*, defaults to `"pil"`):
                "pil", "np" (float in `[0, 1]`), "pt" or "latent".
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a `SoftInpaintPipelineOutput` or a tuple: the images, `nsfw_content_detected`, and with
                `keep` also `kept`.
            kwargs:
                Any other argument of the image-to-image pipeline of the same model: `negative_prompt`, `callback_on_step_end`
                (which gets the running pipeline, a light copy of this one), `cross_attention_kwargs`, `clip_skip`, `eta`,
                prompt embeddings, IP-Adapter images.

        Returns
        -------
            `SoftInpaintPipelineOutput` with the images in `images`. Where the model has a safety checker,
            `nsfw_content_detected` tells which images it flagged: they are black, and nothing of them is kept. `notes` has a
            sentence for each fault that the images survived.

        Raises
        ------
            TypeError: on an argument that the pipeline does not have.
            ValueError: on a missing or unreadable image or mask, on sizes that do not match, on an empty mask, on any
                other value that cannot be used, and on a scheduler whose noise level is not known.
        """
        settings = Settings(enabled=True) if settings is None else settings
        parents = inspect.signature(super().__call__).parameters
        own = inspect.signature(_SoftInpainting.__call__).parameters
        arguments.check_names(kwargs, [name for name in {**own, **parents} if name not in ("self", "kwargs")])
        images, masks = listed(image), listed(mask_image)
        count = arguments.check_values(
            len(images), len(masks), prompt, num_images_per_prompt, num_inference_steps, strength, guidance_scale,
            padding_mask_crop, masked_content, mask_blur, settings, generator, output_type, kwargs)
        arguments.check_models(self, kwargs)
        noise_levels.check(self.scheduler)
        report = _Report()
        sources = [source_image(each, report.notes) for each in images]
        originals = [np.asarray(over_white(each)) for each in sources]
        paintings = [fitted(mask_strengths(mask, report.notes), Size.of(sources[0]), "mask_image", report.notes)
                     for mask in masks]
        views = self._views(originals, paintings, settings, mask_blur, padding_mask_crop, height, width)
        # At least one step, as in the WebUI: an int of the product decides.
        strength = min(1.0, max(strength, (1 + 1e-6) / num_inference_steps))
        with running_alone(self):
            try:
                job, start, scheduler = self._prepared(views, settings, masked_content, count, generator, kwargs)
                # The parent's own call, on a pipeline of this run alone.
                samples = super(_SoftInpainting, self.with_scheduler(scheduler)).__call__(
                    prompt=prompt, image=start.repeat(count // len(start), 1, 1, 1), strength=strength,
                    num_inference_steps=num_inference_steps, guidance_scale=guidance_scale,
                    num_images_per_prompt=num_images_per_prompt, generator=generator, output_type="latent", **kwargs).images
                samples = _usable(job, job.finish(samples), report)
                kept: list[KeptImage | None] = []
                results: Any = samples if output_type == "latent" else []
                if output_type != "latent":
                    clear = [np.asarray(each) if "A" in each.getbands() else None for each in repeated(sources, count)]
                    over = [PaintedMask(each, mask_blur, padding_mask_crop, Size.of(each))
                            for each in repeated(paintings, count)]
                    for made, result in self._composited(job, samples, seeds_of(generator, count), over, clear, report):
                        if keep and settings.enabled:
                            kept.append(made)
                        results.append(result)
            finally:
                self.maybe_free_model_hooks()
        if output_type == "pil":
            results = [Image.fromarray(each) for each in results]
        elif output_type in ("np", "pt"):
            opaque = np.stack([np.asarray(over_white(Image.fromarray(each))) for each in results])
            results = (opaque.astype(np.float32) if output_type == "np" else
                       torch.from_numpy(opaque).permute(0, 3, 1, 2).float()) / 255
        flagged = report.flagged or None
        if not return_dict:
            return (results, flagged, kept) if keep else (results, flagged)
        return SoftInpaintPipelineOutput(results, flagged, kept, report.notes)

    def with_scheduler(self, scheduler: Any) -> _SoftInpainting:
        """A light copy of the pipeline with a scheduler of its own; the models are the same."""
        other = copy.copy(self)
        other.scheduler = scheduler
        # Models that are moved on and off the GPU are moved by the pipeline that began it.
        other.maybe_free_model_hooks = self.maybe_free_model_hooks
        return other

    def get_timesteps(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, int]:
        """As the parent's; a run's own scheduler decides on them, and on the steps that may be left out."""
        timesteps, count = super().get_timesteps(*args, **kwargs)
        if not isinstance(self.scheduler, BlendingScheduler):
            return timesteps, count
        timesteps, skipped = self.scheduler.run_timesteps(timesteps)
        if skipped:
            logger.info("%d of %d steps were left out: no pixel of the mask is unlocked in them.", skipped, count)
        return timesteps, count - skipped

    def preview(self) -> Image.Image:
        """What the last step predicts for the first image, where the model works; of the pipeline that a callback gets."""
        predicted = getattr(self.scheduler, "predicted", None)
        if predicted is None:
            raise RuntimeError("preview needs a run in progress: ask the pipeline that the callback gets")
        with torch.no_grad():
            return self.image_processor.postprocess(self._decode(predicted[:1]).nan_to_num(0, 1, -1))[0]

    def _views(self, originals: list[np.ndarray], paintings: list[np.ndarray], settings: Settings, mask_blur: float,
               padding: int | None, height: int | None, width: int | None) -> list[View]:
        """What the model sees, for each image and its mask."""
        if len({each.shape for each in originals}) > 1:
            sizes = ", ".join(str(Size.of(each)) for each in originals)
            raise ValueError(f"images of a list must be of one size, got {sizes}")
        working = Size(height or originals[0].shape[0], width or originals[0].shape[1])
        factor = self.vae_scale_factor
        if min(working) < factor:
            raise ValueError(f"height and width must be {factor} pixels or more, the model's least, got "
                             f"{working.height} and {working.width}")
        working = working.multiple_of(factor)
        for painted in paintings:
            if not painted.any():
                raise ValueError("mask_image must have a pixel to repaint, got an empty mask")
        views = []
        for number in range(max(len(originals), len(paintings))):
            original, painted = originals[number % len(originals)], paintings[number % len(paintings)]
            repaint_px = repaint_mask(painted, settings, mask_blur, padding)
            reach = feather_reach(painted, settings, mask_blur, padding)
            box = crop_box(repaint_px, working, None if padding is None else max(0, padding - int(reach)))
            picture = Image.fromarray(original[box.inside]).resize(working.width_height, Image.Resampling.LANCZOS)
            mask = resized(repaint_px[box.inside], working)
            repaint = torch.from_numpy(to_latent(mask, working.height // factor, working.width // factor))[None]
            views.append(View(original, repaint_px, box, picture, mask, repaint if settings.enabled else repaint.round()))
        return views

    def _prepared(self, views: list[View], settings: Settings, masked_content: str, count: int, generator: Any,
                  others: Mapping[str, Any]) -> tuple[SoftInpaintJob, torch.Tensor, BlendingScheduler]:
        """The job of a run, the latent with which it starts before noise is added, and its scheduler."""
        # One image for all stays one: they share it.
        shared = count if len(views) > 1 else 1
        reference = for_each([self._encoded(view.picture) for view in views], shared)
        repaint = for_each([view.repaint[None] for view in views], shared)
        many = repeated(views, count)
        job = SoftInpaintJob(settings, repaint, reference, [view.original for view in many],
                             [view.repaint_px for view in many], views[0].box)
        start = reference
        if masked_content == "fill":
            start = for_each([self._encoded(Image.fromarray(fill_from_outside(np.asarray(view.picture), view.mask)))
                               for view in views], shared)
        elif masked_content == "latent noise":
            noise = randn_tensor((count, *reference.shape[1:]), generator=generator, device=reference.device,
                                 dtype=reference.dtype)
            start = torch.lerp(reference.expand_as(noise), noise, job.repaint.to(reference).expand_as(noise))
        elif masked_content == "latent nothing":
            start = reference * (1 - job.repaint.to(reference))
        conditioning = None
        if self.unet.config.in_channels == INPAINTING_CHANNELS:
            conditioning = for_each([self._conditioning(view, settings, reference) for view in views], shared)
        scheduler = own_copy(self.scheduler)
        may_skip = start is reference and not others.get("eta") and isinstance(scheduler, ONE_STEP_SCHEDULERS)
        return job, start, self._blending(scheduler, job, conditioning, may_skip)

    def _blending(self, scheduler: Any, job: SoftInpaintJob, conditioning: torch.Tensor | None,
                  may_skip: bool) -> BlendingScheduler:
        return BlendingScheduler(scheduler, job, conditioning, may_skip)

    def _conditioning(self, view: View, settings: Settings, reference: torch.Tensor) -> torch.Tensor:
        """Mask and latent of the image without what is masked, (1, 5, h, w)."""
        hard = settings.conditioning_mask == HARD
        hidden = (view.mask >= 0.5).astype(np.float32) if hard else view.mask
        kept = np.asarray(view.picture) + hidden[..., None] * (HIDDEN_LEVEL - np.asarray(view.picture, np.float32))
        channel = torch.from_numpy(to_latent(hidden, *reference.shape[-2:]))
        channel = channel.round() if hard else channel
        return torch.cat([channel.to(reference)[None, None],
                          self._encoded(Image.fromarray(np.rint(kept).astype(np.uint8)))], 1)

    def _composited(self, job: SoftInpaintJob, samples: torch.Tensor, seeds: list[int], over: list[PaintedMask],
                    sources: list[np.ndarray | None],
                    report: _Report) -> Iterator[tuple[KeptImage | None, np.ndarray]]:
        """For each image what it is made of, if that is soft and not flagged, and its pixels (H, W, 3 or 4) uint8.

        Parameters
        ----------
        sources : (H, W, 4) uint8 each
            None for images without transparency.
        """
        soft = job.settings.enabled
        assert job.box is not None, "_prepared gives every job one"
        sampled = job.measure(samples, job.box.size, seeds) if soft else []
        for index, pixels in enumerate(self._decoded(job, samples, report)):
            if report.flagged and report.flagged[index]:
                yield None, np.zeros_like(job.originals[index])  # black, as diffusers does
            elif soft:
                kept = KeptImage(job.settings, sampled[index], pixels, over[index], source=sources[index])
                yield kept, kept.composited(job.settings)
            else:
                # A hard inpainting's paste, as the WebUI's: the outer half of the mask's blur.
                original, opacity_px = job.originals[index], np.minimum(2 * job.repaint_px[index], 1)
                result = composite(original, pixels, opacity_px)
                source = sources[index]
                yield None, result if source is None else with_alpha(result, source, original, opacity_px)

    def _decoded(self, job: SoftInpaintJob, samples: torch.Tensor, report: _Report) -> Iterator[np.ndarray]:
        """New pixels of each image, (H, W, 3) float32, 0 to 255, where they stand in the original.

        Where the decoder gives no finite number they are the original's.
        """
        checker, watermark = getattr(self, "safety_checker", None), getattr(self, "watermark", None)
        for index, sample in enumerate(samples):
            decoded = self._decode(sample[None])
            lost = ~decoded.isfinite().all(1, keepdim=True)
            if checker is not None:
                # The checker writes into what it flags.
                seen = torch.where(lost, 0, decoded).clamp(-1, 1)
                report.flagged += self.run_safety_checker(seen, self._execution_device, self.unet.dtype)[1]
                if report.flagged[-1]:
                    report.note(f"The model's safety checker flagged image {index + 1}: it is black.")
            if watermark is not None:
                decoded = watermark.apply_watermark(torch.where(lost, 0, decoded))
            pixels = ((decoded[0].float().permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).cpu().numpy()
            if lost.any():
                report.note(f"The VAE failed to decode {lost.float().mean():.0%} of image {index + 1}, even in float32; "
                            "the original is shown there.")
                pixels[lost[0, 0].cpu().numpy()] = np.nan
            placed = placed_in_original(pixels, job)
            yield np.where(np.isfinite(placed), placed, job.originals[index]) if lost.any() else placed

    def _encoded(self, picture: Image.Image) -> torch.Tensor:
        """Latent of a picture, at the VAE's mode: the same picture gives the same latent."""
        def encode(vae: Any) -> torch.Tensor:
            pixels = self.image_processor.preprocess(picture).to(self._execution_device, vae.dtype)
            return vae.encode(pixels).latent_dist.mode()
        encoded = self._by_vae(encode)
        if not encoded.isfinite().all():
            raise ValueError("the model's VAE must give numbers for the image, got NaN or infinity, in float32 too")
        statistics = self._latent_statistics(encoded)
        if statistics is None:
            scaled = encoded * self.vae.config.scaling_factor
        else:
            mean, std = statistics
            scaled = (encoded - mean) * self.vae.config.scaling_factor / std
        return scaled.to(self.unet.dtype)

    def _decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Image of a latent (1, C, h, w), -1 to 1, (1, 3, H, W); not finite where the VAE's is not, in float32 too."""
        def decode(vae: Any) -> torch.Tensor:
            statistics = self._latent_statistics(latent.to(vae.dtype))
            if statistics is None:
                scaled = latent.to(vae.dtype) / vae.config.scaling_factor
            else:
                mean, std = statistics
                scaled = latent.to(vae.dtype) * std / vae.config.scaling_factor + mean
            return vae.decode(scaled, return_dict=False)[0]
        return self._by_vae(decode)

    def _latent_statistics(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Mean and deviation (1, C, 1, 1) of the VAE's latents, which some models are trained without; None for others."""
        values = [getattr(self.vae.config, name, None) for name in ("latents_mean", "latents_std")]
        if None in values:
            return None
        mean, std = (torch.tensor(each).view(1, -1, 1, 1).to(like) for each in values)
        return mean, std

    def _by_vae(self, compute: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        """What the VAE computes; in float32 where its half precision is known to overflow, and once more where it does."""
        dtype = self.vae.dtype
        if not (getattr(self.vae.config, "force_upcast", False) and dtype == torch.float16):
            result = compute(self.vae)
            if dtype == torch.float32 or result.isfinite().all():
                return result
        self.vae.to(torch.float32)
        try:
            return compute(self.vae)
        finally:
            self.vae.to(dtype)


class SoftInpaintXLPipeline(_SoftInpainting, StableDiffusionXLImg2ImgPipeline):
    """Soft inpainting with SDXL; `SoftInpaintPipeline` gives it for a model of that family."""


class SoftInpaintPipeline(_SoftInpainting, StableDiffusionImg2ImgPipeline):
    """Soft inpainting with Stable Diffusion 1 and 2; from a model of SDXL's family it gives a `SoftInpaintXLPipeline`.

    Examples
    --------
        >>> from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
        >>> pipeline = SoftInpaintPipeline.from_pretrained("demo/model")
        >>> result = pipeline("a red house", picture, mask, mask_blur=8).images[0]  # doctest: +SKIP
    """


def _usable(job: SoftInpaintJob, samples: torch.Tensor, report: _Report) -> torch.Tensor:
    """The sampled latent, the original's where the model gave no numbers."""
    lost = ~samples.isfinite()
    if not lost.any():
        return samples
    report.note(f"The model returned NaN for {lost.float().mean():.0%} of the latent; the original is shown there.")
    return torch.where(lost, job.reference.to(samples), samples)
