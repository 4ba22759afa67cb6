"""Soft inpainting as diffusers pipelines.

The pipelines extend diffusers' own image-to-image pipelines. Those of transformer models are in `families`.

Each run gets its own copy of the pipeline, which shares the models, and its own scheduler, which wraps a copy of the
pipeline's. The wrapped `step` blends in the original, because it has both the prediction and the noisy latent. The wrapped
`scale_model_input` adds the extra channels of an inpainting UNet. So runs do not change each other's state. Runs that share a
UNet or transformer wait for one another, because some models change while they run (a VAE is moved to float32, models are
moved off the GPU).
"""
# diffusers exports its classes in a way that the type checker does not count as an export.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import copy
import inspect
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
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

from lib_softinpaint.generation.coherent import CoherentCalls, left_out, possible
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import arguments, coherent, noise_levels
from lib_softinpaint.hosts.diffusers.families import Family, family_named, family_of
from lib_softinpaint.hosts.diffusers.inputs import (
    for_each,
    listed,
    mask_strengths,
    repeated,
    seeds_of,
    source_image,
)
from lib_softinpaint.hosts.diffusers.latents import Latents
from lib_softinpaint.hosts.diffusers.scheduler import BlendingScheduler, own_copy
from lib_softinpaint.hosts.diffusers.vae import decoded, encoded
from lib_softinpaint.hosts.diffusers.views import View, placed_in_original, views_of
from lib_softinpaint.images.painted import MASK_ARGUMENT, fitted
from lib_softinpaint.method.composite import composite, over_white, with_alpha
from lib_softinpaint.method.content import with_extra_noise
from lib_softinpaint.method.fill import fill_from_outside
from lib_softinpaint.method.mask import PaintedMask, to_latent
from lib_softinpaint.method.mask_tools import edited
from lib_softinpaint.settings.mask_tools import source_of
from lib_softinpaint.settings.settings import HARD, HOSTS, Settings

logger = logging.get_logger(__name__)

INPAINTING_CHANNELS = 9
"""Input channels of a UNet that also takes the mask and the latent of the masked image."""

HIDDEN_LEVEL = 127
"""Grey that covers the masked area in the training of inpainting models."""

ONE_STEP_SCHEDULERS = (EulerDiscreteScheduler, HeunDiscreteScheduler, KDPM2DiscreteScheduler, DDIMScheduler,
                       FlowMatchEulerDiscreteScheduler)
"""Schedulers without multistep history or random noise, so a step that changes nothing can be skipped."""


@dataclass
class SoftInpaintPipelineOutput(StableDiffusionPipelineOutput):
    """Images, the safety checker's flags, the data of each composite (with `keep`), notes on faults, and measurements.

    The measurements of an image are infotext keys and values.
    """

    kept: list[KeptImage | None] | None = None
    notes: list[str] = field(default_factory=list)
    measurements: list[dict[str, str]] = field(default_factory=list)


@dataclass
class _Report:
    """Notes and safety flags collected during a run."""

    notes: list[str] = field(default_factory=list)
    flagged: list[bool] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        logger.warning(sentence)
        self.notes.append(sentence)


DTYPE = "dtype" if hasattr(pipeline_utils, "_resolve_dtype") else "torch_dtype"
"""diffusers' argument for the models' precision. Newer versions call it `dtype`."""

_LOCKS: weakref.WeakKeyDictionary[torch.nn.Module, Any] = weakref.WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


def running_alone(pipeline: DiffusionPipeline) -> Any:
    """The lock that a run holds, shared by all pipelines with the same denoiser. Nested runs in one thread do not block."""
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(pipeline.denoiser, threading.RLock())


if TYPE_CHECKING:
    class _ImageToImagePipeline(DiffusionPipeline):
        """What `SoftInpainting` uses from the pipelines it is mixed into."""

        unet: Any
        transformer: Any
        vae: Any
        scheduler: Any
        image_processor: Any
        vae_scale_factor: int

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
        def get_timesteps(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, int]: ...
        def run_safety_checker(self, *args: Any, **kwargs: Any) -> tuple[Any, list[bool]]: ...
else:
    _ImageToImagePipeline = object


class SoftInpainting(_ImageToImagePipeline):
    """What each family's pipeline adds to its image-to-image parent."""

    latents: ClassVar[Latents] = Latents()
    default_guidance: ClassVar[float] = 7.0
    single_step: ClassVar[float] = 1 + 1e-6
    """Denoising strength, times the number of steps, for which the parent runs one step. The parents round differently."""
    schedulers: ClassVar[Mapping[str, Any]] = noise_levels.ADAPTERS
    """Adapters of the schedulers that the parent can run with."""

    @property
    def denoiser(self) -> Any:
        """The UNet or transformer."""
        return self.unet

    @property
    def step_px(self) -> int:
        """The working size is a multiple of this."""
        return self.vae_scale_factor * self.latents.patch

    @property
    def takes_guidance(self) -> bool:
        """Whether `guidance_scale` has an effect. It has none on distilled models."""
        return True

    @property
    def takes_mask(self) -> bool:
        """Whether the denoiser also takes the mask and the masked image."""
        return self.unet.config.in_channels == INPAINTING_CHANNELS

    @property
    def latent_dtype(self) -> torch.dtype:
        """Precision of the original's latent."""
        return self.unet.dtype

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> SoftInpainting:
        """Like diffusers', but float32 if no `torch_dtype` is given. Raises ValueError if the model is not supported."""
        config = cast(dict[str, Any], cls.load_config(pretrained_model_name_or_path, **{
            name: kwargs[name] for name in ("cache_dir", "local_files_only", "revision", "token") if name in kwargs}))
        parts = [name for name, value in config.items() if isinstance(value, (list, tuple)) and len(value) == 2 and value[0]]
        name = config.get("_class_name", "a model without a name")
        kind = cls._of_family(family_named(name), name, parts)
        if not kwargs.keys() & {"dtype", "torch_dtype"}:
            # Otherwise each model keeps its saved precision, and half precision may be mixed with float32.
            kwargs[DTYPE] = torch.float32
        return cast(SoftInpainting, super(SoftInpainting, kind).from_pretrained(pretrained_model_name_or_path, **kwargs))

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> SoftInpainting:
        """Like diffusers', but in the pipeline's own precision if no `torch_dtype` is given. The models are shared.

        Raises ValueError if the pipeline's model is not supported.
        """
        parts = [name for name, part in pipeline.components.items() if part is not None]
        kind = cls._of_family(family_of(pipeline), type(pipeline).__name__, parts)
        if not kwargs.keys() & {"dtype", "torch_dtype"}:
            if not hasattr(pipeline, "unet"):
                return kind._sharing_models(pipeline, kwargs)
            kwargs[DTYPE] = pipeline.unet.dtype
        return cast(SoftInpainting, super(SoftInpainting, kind).from_pipe(pipeline, **kwargs))

    @classmethod
    def _sharing_models(cls, pipeline: DiffusionPipeline, changes: Mapping[str, Any]) -> SoftInpainting:
        """This pipeline class with another pipeline's models as they are.

        diffusers' `from_pipe` would convert them to one precision, which undoes quantisation.
        """
        names = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
        given = {**pipeline.config, **pipeline.components}
        return cls(**{**{name: given[name] for name in names if name in given}, **changes})

    @classmethod
    def _of_family(cls, family: Family | None, name: str, parts: Collection[str]) -> type[SoftInpainting]:
        """The pipeline class for a model: that of its family if this is `SoftInpaintPipeline`, else this class.

        Parameters
        ----------
        family
            None for Stable Diffusion 1, 2 and XL, and for models that are not supported.
        name
            Name of the model's own pipeline class.
        parts
            Names of its components.

        Raises
        ------
        ValueError
            If the model is not supported, or not by this class.
        """
        if family is not None:
            wanted = family.pipeline_class()
            if not issubclass(cls, (SoftInpaintPipeline, wanted)):
                raise ValueError(f"{family.label} needs SoftInpaintPipeline or {wanted.__name__}, got {cls.__name__}")
            return cls if issubclass(cls, wanted) else wanted
        arguments.check_parts(name, parts)
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
        guidance_scale: float | None = None,
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
        Inpaints the masked area of an image softly. Pixels outside the mask and its feather stay unchanged.

        Parameters
        ----------
        prompt : str or list[str], optional
            What to paint. With a list, `num_images_per_prompt` images are made for each prompt.
        image : PIL.Image.Image | np.ndarray | torch.Tensor
            A PIL image of any mode, an array `(H, W, 3 or 4)` of uint8, uint16 or float in `[0, 1]`, or a tensor
            `(3 or 4, H, W)` of float in `[0, 1]`. Also a list of them, one per prompt and all the same size. With
            `output_type="pil"` a transparent image gives a transparent result.
        mask_image : PIL.Image.Image | np.ndarray | torch.Tensor
            Same aspect ratio as `image`. White is repainted, grey partly. A PIL image of any mode, read as described in
            `lib_softinpaint.images.painted`, or `(H, W)` bool, uint8, uint16 or float in `[0, 1]`. Also a list of
            them, one per prompt. May be left out if `settings.mask_tools` makes a mask from the image.
        height : int, optional
            Height at which the model works. Default: the image's, rounded down to whole latent pixels or patches. The
            result always has the size of `image`.
        width : int, optional
            Width at which the model works. Default: as for `height`.
        padding_mask_crop : int, optional
            Padding around the painted area, in pixels. Only that crop is inpainted, at `height` and `width`. `None`
            inpaints the whole image.
        strength : float, default 0.75
            Denoising strength, above 0 and at most 1.
        num_inference_steps : int, default 20
            Steps of the whole schedule. `strength` sets how many of them are run.
        guidance_scale : float, optional
            Scale of classifier-free guidance, which is used above 1. Default: 7.0 for Stable Diffusion 1, 2 and XL. Other
            families have other defaults, and some another kind of guidance; the docstring of the family's pipeline says
            which.
        num_images_per_prompt : int, default 1
            Images per prompt.
        masked_content : str, default "original"
            Content of the masked area before noise is added: "fill", "original", "latent noise" or "latent nothing".
        mask_blur : float, default 4
            In pixels. The feather around the painted area reaches at least 2.4 times as far.
        settings : Settings, optional
            Soft inpainting's settings. With `enabled=False` the mask is hard: each latent pixel is repainted or kept.
        keep : bool, default False
            Whether to return, in the output's `kept`, a `KeptImage` for each image. It can be re-composited with other
            settings or saved as a job file.
        generator : torch.Generator or a list of them, optional
            Makes the result deterministic.
        output_type : str, default "pil"
            "pil", "np" (float in `[0, 1]`), "pt" or "latent".
        return_dict : bool, default True
            Whether to return a `SoftInpaintPipelineOutput` or a tuple of the images, `nsfw_content_detected` and, with
            `keep`, `kept`.
        kwargs
            Any other argument of the model's image-to-image pipeline: `negative_prompt`, `callback_on_step_end`
            (which gets the running pipeline, a shallow copy of this one), `cross_attention_kwargs`, `clip_skip`, `eta`,
            prompt embeddings, IP-Adapter images.

        Returns
        -------
        SoftInpaintPipelineOutput or tuple
            The images are in `images`. If the model has a safety checker, `nsfw_content_detected` shows which images it
            flagged. Those are black, and their `kept` is None. `notes` has a sentence for each fault that did not stop
            the run.

        Raises
        ------
        TypeError
            If an argument is unknown.
        ValueError
            If the image or the mask is missing or unreadable, their sizes do not match, the mask is empty, any other value
            is invalid, or the scheduler's noise level is not known.
        """
        settings = Settings(enabled=True) if settings is None else settings
        guidance_scale = self.default_guidance if guidance_scale is None else guidance_scale
        parents = inspect.signature(super().__call__).parameters
        own = inspect.signature(SoftInpainting.__call__).parameters
        arguments.check_names(kwargs, [name for name in {**own, **parents} if name not in ("self", "kwargs")])
        images, masks = listed(image), listed(mask_image)
        count = arguments.check_values(
            len(images), len(masks), prompt, num_images_per_prompt, num_inference_steps, strength, guidance_scale,
            padding_mask_crop, masked_content, mask_blur, settings, generator, output_type, kwargs)
        self._check_models(kwargs)
        noise_levels.check(self.scheduler, self.schedulers)
        report = _Report()
        sources = [source_image(each, report.notes) for each in images]
        originals = [np.asarray(over_white(each)) for each in sources]
        if mask_image is None and settings.enabled and source_of(settings.mask_tools):
            paintings = [np.zeros(Size.of(sources[0]), np.float32)]
        else:
            paintings = [fitted(mask_strengths(each, report.notes), Size.of(sources[0]), MASK_ARGUMENT, report.notes)
                         for each in masks]
        if settings.mask_tools:
            paintings = [edited(paintings[number % len(paintings)], settings, np.asarray(sources[number % len(sources)]))
                         for number in range(max(len(sources), len(paintings)))]
        views = views_of(originals, paintings, settings, mask_blur, padding_mask_crop, height, width, self.vae_scale_factor,
                         self.latents.patch)
        # At least one step, as in the WebUI.
        strength = min(1.0, max(strength, self.single_step / num_inference_steps))
        with running_alone(self):
            try:
                job, start, scheduler = self._prepared(views, settings, masked_content, count, generator, kwargs)
                # The parent's own call, on this run's copy of the pipeline.
                running = self.with_scheduler(scheduler)
                if settings.enabled:
                    unfit = self._unfit_for_changes(scheduler.scheduler)
                    job.settings, sentence = possible(settings, int(num_inference_steps * strength), guidance_scale, unfit)
                    if sentence is not None:
                        report.note(sentence)
                    if job.settings.agreement or job.settings.coherence_rounds:
                        running.unet = coherent.CoherentUNet(running, CoherentCalls(job, seeds_of(generator, count)))
                result = super(SoftInpainting, running).__call__(**running._parent_arguments(
                    start.repeat(count // len(start), 1, 1, 1), Size.of(views[0].image), guidance_scale, dict(
                        kwargs, prompt=prompt, strength=strength, num_inference_steps=num_inference_steps,
                        num_images_per_prompt=num_images_per_prompt, generator=generator, output_type="latent"))).images
                samples = self.latents.sampled(self.vae, result, Size(*start.shape[-2:]))
                samples = _usable(job, job.finish(samples), report)
                kept: list[KeptImage | None] = []
                measurements: list[dict[str, str]] = []
                results: Any = samples if output_type == "latent" else []
                if output_type != "latent":
                    transparent = [np.asarray(each) if "A" in each.getbands() else None for each in repeated(sources, count)]
                    painted_masks = [PaintedMask(each, view.canvas, Size.of(each))
                                     for each, view in zip(repeated(paintings, count), repeated(views, count))]
                    for kept_image, result in self._composited(
                            job, samples, seeds_of(generator, count), painted_masks, transparent, report):
                        if keep and settings.enabled:
                            kept.append(kept_image)
                        measured = kept_image.measurements(settings) if kept_image else {}
                        measurements.append({**left_out(settings, job.settings), **measured})
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
        return SoftInpaintPipelineOutput(results, flagged, kept, report.notes, measurements)

    def _unfit_for_changes(self, scheduler: Any) -> str | None:
        """What does not go on with a latent that was changed before a step, or None."""
        return coherent.corrector(scheduler)

    def guidance_for(self, cfg_scale: float) -> float:
        """The `guidance_scale` for a CFG scale as the WebUI counts it: 1 is no guidance."""
        return cfg_scale

    def _check_models(self, others: Mapping[str, Any]) -> None:
        """Raises ValueError if the pipeline's models cannot run this request."""
        arguments.check_models(self, others)

    def _parent_arguments(self, start: torch.Tensor, size: Size, guidance_scale: float,
                          others: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the parent's call. Called on the run's own copy of the pipeline.

        Parameters
        ----------
        start : (B, C, h, w)
            Latent before noise is added.
        size
            The model's working size.
        others
            Arguments that all parents take.
        """
        return {**others, "image": start, "guidance_scale": guidance_scale}

    def with_scheduler(self, scheduler: Any) -> SoftInpainting:
        """A shallow copy of the pipeline with another scheduler. The models are shared."""
        other = copy.copy(self)
        other.scheduler = scheduler
        # The pipeline that set up offloading moves the models on and off the GPU.
        other.maybe_free_model_hooks = self.maybe_free_model_hooks
        return other

    def get_timesteps(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, int]:
        """The parent's timesteps, adjusted by the run's own scheduler, without the steps that it skips."""
        timesteps, count = super().get_timesteps(*args, **kwargs)
        if not isinstance(self.scheduler, BlendingScheduler):
            return timesteps, count
        timesteps, skipped = self.scheduler.run_timesteps(timesteps)
        if skipped:
            logger.info("%d of %d steps were skipped, because no pixel may change in them yet.", skipped, count)
        return timesteps, count - skipped

    def preview(self) -> Image.Image:
        """The last step's prediction for the first image, at working size. Call it on the pipeline that a callback gets."""
        predicted = getattr(self.scheduler, "predicted", None)
        if predicted is None:
            raise RuntimeError("preview needs a run in progress: call it on the pipeline that the callback gets")
        with torch.no_grad():
            return self.image_processor.postprocess(decoded(self, predicted[:1]).nan_to_num(0, 1, -1))[0]

    def _prepared(self, views: list[View], settings: Settings, masked_content: str, count: int, generator: Any,
                  others: Mapping[str, Any]) -> tuple[SoftInpaintJob, torch.Tensor, BlendingScheduler]:
        """The run's job, its start latent before noise is added, and its scheduler."""
        # A single image is not repeated: the whole batch shares it.
        shared = count if len(views) > 1 else 1
        reference = for_each([encoded(self, view.image) for view in views], shared)
        repaint = for_each([view.repaint[None] for view in views], shared)
        many = repeated(views, count)
        job = SoftInpaintJob(settings, repaint, reference, [view.original for view in many],
                             [view.repaint_px for view in many], views[0].box, [view.painted for view in many])
        start = reference
        if settings.enabled and settings.own_masked_content != HOSTS:
            start = for_each([encoded(self, view.holding(settings.own_masked_content)) for view in views], shared)
        elif masked_content == "fill":
            start = for_each([encoded(self, Image.fromarray(fill_from_outside(np.asarray(view.image), view.mask)))
                              for view in views], shared)
        elif masked_content == "latent noise":
            noise = randn_tensor((count, *reference.shape[1:]), generator=generator, device=reference.device,
                                 dtype=reference.dtype)
            start = torch.lerp(reference.expand_as(noise), noise, job.repaint.to(reference).expand_as(noise))
        elif masked_content == "latent nothing":
            start = reference * (1 - job.repaint.to(reference))
        if settings.enabled and settings.extra_noise:
            start = with_extra_noise(start, job.repaint, settings.extra_noise, seeds_of(generator, count))
        conditioning = None
        if self.takes_mask:
            conditioning = for_each([self._conditioning(view, settings, reference) for view in views], shared)
        scheduler = own_copy(self.scheduler)
        draws_noise = others.get("eta") or scheduler.config.get("stochastic_sampling")
        may_skip = start is reference and not draws_noise and isinstance(scheduler, ONE_STEP_SCHEDULERS)
        return job, start, self._blending(scheduler, job, conditioning, may_skip)

    def _blending(self, scheduler: Any, job: SoftInpaintJob, conditioning: torch.Tensor | None,
                  may_skip: bool) -> BlendingScheduler:
        return BlendingScheduler(scheduler, job, conditioning, may_skip, self.latents)

    def _conditioning(self, view: View, settings: Settings, reference: torch.Tensor) -> torch.Tensor:
        """The mask and the latent of the masked image, (1, 5, h, w)."""
        hidden, image = masked(view, settings)
        channel = torch.from_numpy(to_latent(hidden, *reference.shape[-2:]))
        channel = channel.round() if settings.conditioning_mask == HARD else channel
        return torch.cat([channel.to(reference)[None, None], encoded(self, image)], 1)

    def _composited(self, job: SoftInpaintJob, samples: torch.Tensor, seeds: list[int],
                    painted_masks: list[PaintedMask], sources: list[np.ndarray | None],
                    report: _Report) -> Iterator[tuple[KeptImage | None, np.ndarray]]:
        """Each image's composite data (None if hard or flagged) and its pixels, (H, W, 3 or 4) uint8.

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
                kept = KeptImage(job.settings, sampled[index], pixels, painted_masks[index], source=sources[index])
                yield kept, kept.composited(job.settings)
            else:
                # Hard inpainting pastes as the WebUI does: only the outer half of the mask's blur shows.
                original, opacity_px = job.originals[index], np.minimum(2 * job.repaint_px[index], 1)
                result = composite(original, pixels, opacity_px)
                source = sources[index]
                yield None, result if source is None else with_alpha(result, source, original, opacity_px)

    def _decoded(self, job: SoftInpaintJob, samples: torch.Tensor, report: _Report) -> Iterator[np.ndarray]:
        """New pixels of each image, placed in the original, (H, W, 3) float32, 0 to 255.

        Pixels for which the decoder gives no finite number are taken from the original.
        """
        checker, watermark = getattr(self, "safety_checker", None), getattr(self, "watermark", None)
        for index, sample in enumerate(samples):
            new = decoded(self, sample[None])
            lost = ~new.isfinite().all(1, keepdim=True)
            if checker is not None:
                # The checker overwrites images that it flags.
                seen = torch.where(lost, 0, new).clamp(-1, 1)
                report.flagged += self.run_safety_checker(seen, self._execution_device, self.denoiser.dtype)[1]
                if report.flagged[-1]:
                    report.note(f"The model's safety checker flagged image {index + 1}, so it was replaced by black.")
            if watermark is not None:
                new = watermark.apply_watermark(torch.where(lost, 0, new))
            pixels = ((new[0].float().permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).cpu().numpy()
            if lost.any():
                report.note(f"The VAE gave NaN or infinity for {lost.float().mean():.0%} of image {index + 1}, even in "
                            "float32. The original is shown there.")
                pixels[lost[0, 0].cpu().numpy()] = np.nan
            placed = placed_in_original(pixels, job)
            yield np.where(np.isfinite(placed), placed, job.originals[index]) if lost.any() else placed


class SoftInpaintXLPipeline(SoftInpainting, StableDiffusionXLImg2ImgPipeline):
    """Soft inpainting with SDXL. `SoftInpaintPipeline` returns one when it loads an SDXL model."""


class SoftInpaintPipeline(SoftInpainting, StableDiffusionImg2ImgPipeline):
    """Soft inpainting with Stable Diffusion 1 and 2. Loading another model gives the pipeline of the model's family.

    Examples
    --------
        >>> from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
        >>> pipeline = SoftInpaintPipeline.from_pretrained("demo/model")
        >>> result = pipeline("a red house", image, mask, mask_blur=8).images[0]  # doctest: +SKIP
    """


def masked(view: View, settings: Settings) -> tuple[np.ndarray, Image.Image]:
    """What an inpainting model is told: the hidden area (h, w) float32, 0 to 1, and the image with that area in grey."""
    hidden = (view.mask >= 0.5).astype(np.float32) if settings.conditioning_mask == HARD else view.mask
    kept = np.asarray(view.image) + hidden[..., None] * (HIDDEN_LEVEL - np.asarray(view.image, np.float32))
    return hidden, Image.fromarray(np.rint(kept).astype(np.uint8))


def _usable(job: SoftInpaintJob, samples: torch.Tensor, report: _Report) -> torch.Tensor:
    """The sampled latent, with the original's values where the model gave NaN or infinity."""
    lost = ~samples.isfinite()
    if not lost.any():
        return samples
    report.note(f"The model gave NaN or infinity for {lost.float().mean():.0%} of the latent. The original is shown there.")
    return torch.where(lost, job.reference.to(samples), samples)
