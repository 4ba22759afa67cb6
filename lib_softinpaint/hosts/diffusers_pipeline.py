"""Soft inpainting on diffusers. The algorithm as a pipeline.

The pipelines are diffusers' own image-to-image pipelines with two methods of the scheduler wrapped while they run: its
step is where a prediction and the noisy latent meet, whatever the scheduler, and its scaling of the model's input is
where an inpainting UNet's further channels join.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput
from diffusers.utils import logging
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from lib_softinpaint import schedule
from lib_softinpaint.composite import composite
from lib_softinpaint.fill import fill_from_outside
from lib_softinpaint.job import SoftInpaintJob
from lib_softinpaint.kept import KeptPicture
from lib_softinpaint.mask import PaintedMask, feather_reach, repaint_mask, resized, to_latent
from lib_softinpaint.painted import strengths
from lib_softinpaint.request import MASKED_CONTENTS
from lib_softinpaint.sampled import SampledPicture
from lib_softinpaint.settings import HARD, Settings

logger = logging.get_logger(__name__)

INPAINTING_CHANNELS = 9
"""Input channels of a UNet that is also told the mask and the latent of the picture without what is masked."""

HIDDEN_LEVEL = 127
"""Grey under which inpainting models are trained to find what is masked."""

ONE_STEP_SCHEDULERS = EulerDiscreteScheduler, HeunDiscreteScheduler, KDPM2DiscreteScheduler, DDIMScheduler
"""They look no further back than one step and draw no noise, so that a step that changes nothing can be left out."""


@dataclass
class SoftInpaintPipelineOutput(StableDiffusionPipelineOutput):
    """Pictures, and with `keep` what they are made of."""
    kept: list[KeptPicture] | None = None


class _SoftInpainting:
    """What both pipelines add to their image-to-image parents."""

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
        Inpaints the masked area of a picture softly. Pixels that the mask does not reach equal the picture's.

        Args:
            prompt (`str` or `list[str]`, *optional*):
                What to paint. A list gives one picture, or `num_images_per_prompt`, for each.
            image (`PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
                The picture: RGB, `(H, W, 3)` uint8 or float in `[0, 1]`, or `(3, H, W)` float in `[0, 1]`.
            mask_image (`PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
                As large as `image`; white is repainted, greys by that strength: 8 or 16 bits, of a picture with transparency
                its alpha channel; or `(H, W)` uint8, uint16 or float.
            height, width (`int`, *optional*, defaults to the picture's, rounded down to what the VAE can encode):
                Size at which the model works. The result is always as large as `image`.
            padding_mask_crop (`int`, *optional*):
                Pixels around the painted area that the model sees; only that crop is inpainted, at `height` and
                `width`. The whole picture if `None`.
            strength (`float`, *optional*, defaults to 0.75):
                Denoising strength, above 0 and at most 1.
            num_inference_steps (`int`, *optional*, defaults to 20):
                Steps of the whole schedule; `strength` decides how many of them are run.
            guidance_scale (`float`, *optional*, defaults to 7.0):
                Classifier-free guidance, on above 1.
            num_images_per_prompt (`int`, *optional*, defaults to 1):
                Pictures for each prompt.
            masked_content (`str`, *optional*, defaults to `"original"`):
                What the masked area holds before noise is added: "fill", "original", "latent noise" or "latent nothing".
            mask_blur (`float`, *optional*, defaults to 4):
                Pixels; the feather around the painted area reaches 2.4 times as far.
            settings ([`~lib_softinpaint.Settings`], *optional*):
                Soft inpainting's settings. With `enabled=False` the mask is hard: every latent pixel is repainted or not.
            keep (`bool`, *optional*, defaults to `False`):
                Whether the output's `kept` holds, for each picture, all that its composite is made of
                ([`~lib_softinpaint.kept.KeptPicture`]), to make it again with other settings, or to save it as a job file.
            generator (`torch.Generator` or a list of them, *optional*):
                Makes the result deterministic.
            output_type (`str`, *optional*, defaults to `"pil"`):
                "pil", "np" (float in `[0, 1]`), "pt" or "latent".
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a `StableDiffusionPipelineOutput` or a tuple.
            kwargs:
                Whatever the image-to-image pipeline of the same model takes: `negative_prompt`, `callback_on_step_end`,
                `cross_attention_kwargs`, `clip_skip`, `eta`, prompt embeddings, IP adapter images.

        Returns:
            `SoftInpaintPipelineOutput` with the pictures in `images`.

        Raises:
            ValueError: on a missing or unreadable picture or mask, on sizes that do not match, on an empty mask.
        """
        settings = settings or Settings(enabled=True)
        original = _pixels(image)
        painted = _strengths(mask_image)
        if masked_content not in MASKED_CONTENTS:
            raise ValueError(f"masked_content must be one of {MASKED_CONTENTS}, got {masked_content!r}")
        if painted.shape != original.shape[:2]:
            raise ValueError(f"mask_image must be as large as image {original.shape[1::-1]}, got {painted.shape[1::-1]}")
        if not painted.any():
            raise ValueError("mask_image must have a pixel to repaint, got an empty mask")
        if not 0 < strength <= 1:
            raise ValueError(f"strength must be above 0 and at most 1, got {strength}")
        # At least one step, as in the WebUI: an int of the product decides.
        strength = min(1.0, max(strength, (1 + 1e-6) / num_inference_steps))
        height = (height or original.shape[0]) // self.vae_scale_factor * self.vae_scale_factor
        width = (width or original.shape[1]) // self.vae_scale_factor * self.vae_scale_factor

        if not height or not width:
            raise ValueError(f"height and width must be {self.vae_scale_factor} pixels and more, the model's least")

        repaint_px = repaint_mask(painted, settings, mask_blur, padding_mask_crop)
        reach = feather_reach(painted, settings, mask_blur, padding_mask_crop)
        box = _box(repaint_px, height, width, None if padding_mask_crop is None else max(0, padding_mask_crop - int(reach)))
        left, top, box_width, box_height = box
        inside = np.s_[top:top + box_height, left:left + box_width]
        picture = Image.fromarray(original[inside]).resize((width, height), Image.Resampling.LANCZOS)
        mask = resized(repaint_px[inside], height, width)
        latent_size = height // self.vae_scale_factor, width // self.vae_scale_factor
        repaint = torch.from_numpy(to_latent(mask, *latent_size))[None]
        if not settings.enabled:
            repaint = repaint.round()

        count = num_images_per_prompt * (len(prompt) if isinstance(prompt, list) else 1)
        if prompt is None:
            count = num_images_per_prompt * kwargs["prompt_embeds"].shape[0]
        reference = self._encoded(picture)
        job = SoftInpaintJob(settings, repaint, reference, [original] * count, [repaint_px] * count, box)
        start = self._masked(masked_content, picture, mask, reference, job.repaint.to(reference), count, generator)
        with self._hooked(job, picture, mask, start is reference and not kwargs.get("eta")):
            samples = super().__call__(
                prompt=prompt, image=start.repeat(count // len(start), 1, 1, 1), strength=strength,
                num_inference_steps=num_inference_steps, guidance_scale=guidance_scale,
                num_images_per_prompt=num_images_per_prompt, generator=generator, output_type="latent", **kwargs).images
        samples = job.finish(samples)
        if output_type == "latent":
            return SoftInpaintPipelineOutput(samples, None) if return_dict else (samples,)
        kept: list[KeptPicture] = []
        mask_over_picture = PaintedMask(painted, mask_blur, padding_mask_crop, painted.shape)

        def on_decoded(sampled: SampledPicture, decoded: np.ndarray) -> None:
            if keep:
                kept.append(KeptPicture(settings, sampled, decoded, mask_over_picture))
        pictures = self._composited(job, samples, _seeds(generator, count), on_decoded)
        self.maybe_free_model_hooks()
        pictures = {"pil": lambda: [Image.fromarray(picture) for picture in pictures],
                    "np": lambda: np.stack(pictures).astype(np.float32) / 255,
                    "pt": lambda: torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255}[output_type]()
        return SoftInpaintPipelineOutput(pictures, None, kept) if return_dict else (pictures,)

    def preview(self) -> Image.Image:
        """What the last step predicts for the first picture, where the model works; for callbacks, while it runs."""
        if not hasattr(self, "_predicted"):
            raise RuntimeError("preview needs a run in progress")
        with torch.no_grad(), self._precise_vae() as vae:
            decoded = vae.decode(self._predicted[:1].to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
        return self.image_processor.postprocess(decoded)[0]

    def _encoded(self, picture: Image.Image) -> torch.Tensor:
        """Latent of a picture, at the VAE's mode: the same picture gives the same latent."""
        with self._precise_vae() as vae:
            pixels = self.image_processor.preprocess(picture).to(self._execution_device, vae.dtype)
            return (vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor).to(self.unet.dtype)

    def _masked(self, masked_content: str, picture: Image.Image, mask: np.ndarray, reference: torch.Tensor,
                repaint: torch.Tensor, count: int, generator: Any) -> torch.Tensor:
        """Latent with which sampling starts, before noise is added."""
        if masked_content == "fill":
            return self._encoded(Image.fromarray(fill_from_outside(np.asarray(picture), mask)))
        if masked_content == "latent noise":
            noise = randn_tensor((count, *reference.shape[1:]), generator=generator, device=reference.device,
                                 dtype=reference.dtype)
            return torch.lerp(reference.expand_as(noise), noise, repaint.expand_as(noise))
        return reference * (1 - repaint) if masked_content == "latent nothing" else reference

    @contextmanager
    def _hooked(self, job: SoftInpaintJob, picture: Image.Image, mask: np.ndarray, from_original: bool) -> Iterator[None]:
        """The scheduler with the job's blend before each step, and with an inpainting UNet's further channels."""
        step, scale_model_input = self.scheduler.step, self.scheduler.scale_model_input

        @functools.wraps(step)  # the parents look at its parameters
        def blended_step(model_output, timestep, sample, *args, **kwargs):
            model_output, self._predicted = _blended_output(self.scheduler, job, model_output, timestep, sample)
            return step(model_output, timestep, sample, *args, **kwargs)

        def unlocked_timesteps(*args, **kwargs):
            timesteps, count = get_timesteps(*args, **kwargs)
            if not from_original or not isinstance(self.scheduler, ONE_STEP_SCHEDULERS):
                return timesteps, count
            order, begin = self.scheduler.order, getattr(self.scheduler, "begin_index", None)
            if begin is not None:
                self.scheduler.set_begin_index(None)  # else it adds the first step's noise at any timestep
            skipped = job.locked_steps(torch.cat([deviation / signal for signal, deviation in (
                _signal_and_noise(self.scheduler, timestep) for timestep in timesteps[::order])]).flatten(), order)
            if begin is not None:
                self.scheduler.set_begin_index(begin + skipped * order)
            if skipped:
                logger.info("%d of %d steps were left out: no pixel of the mask is unlocked in them.", skipped, count)
            return timesteps[skipped * order:], count - skipped

        get_timesteps = self.get_timesteps
        wrapped: dict[str, Callable] = {"step": blended_step}
        if self.unet.config.in_channels == INPAINTING_CHANNELS:
            hidden = (mask >= 0.5).astype(np.float32) if job.settings.conditioning_mask == HARD else mask
            kept = np.asarray(picture) + hidden[..., None] * (HIDDEN_LEVEL - np.asarray(picture, np.float32))
            channel = torch.from_numpy(to_latent(hidden, *job.reference.shape[-2:]))
            channel = channel.round() if job.settings.conditioning_mask == HARD else channel
            conditioning = torch.cat([channel.to(job.reference)[None, None],
                                      self._encoded(Image.fromarray(np.rint(kept).astype(np.uint8)))], 1)

            @functools.wraps(scale_model_input)
            def widened(sample, *args, **kwargs):
                scaled = scale_model_input(sample, *args, **kwargs)
                return torch.cat([scaled, conditioning.to(scaled).expand(len(scaled), -1, -1, -1)], dim=1)
            wrapped["scale_model_input"] = widened
        for name, method in wrapped.items():
            setattr(self.scheduler, name, method)
        self.get_timesteps = unlocked_timesteps
        try:
            yield
        finally:
            del self.get_timesteps
            vars(self).pop("_predicted", None)
            for name in wrapped:
                delattr(self.scheduler, name)

    def _composited(self, job: SoftInpaintJob, samples: torch.Tensor, seeds: list[int],
                    on_decoded: Callable[[SampledPicture, np.ndarray], None]) -> list[np.ndarray]:
        soft = job.settings.enabled
        if soft:
            sampled = job.measure(samples, job.box[:1:-1], seeds)
        results = []
        for index, pixels in enumerate(self._decoded(job, samples)):
            # A hard inpainting's paste, as the WebUI's: the outer half of the mask's blur.
            if soft:
                on_decoded(sampled[index], pixels)
                results.append(sampled[index].composited(job.settings, pixels))
            else:
                results.append(composite(job.originals[index], pixels, np.minimum(2 * job.repaint_px[index], 1)))
        return results

    def _decoded(self, job: SoftInpaintJob, samples: torch.Tensor) -> Iterator[np.ndarray]:
        """New pixels of each picture, (H, W, 3) float32, 0 to 255, where they stand in the original."""
        with self._precise_vae() as vae:
            for sample in samples:
                decoded = vae.decode(sample[None].to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0][0]
                yield _placed(((decoded.float().permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).cpu().numpy(), job)

    @contextmanager
    def _precise_vae(self) -> Iterator[Any]:
        """The VAE, in float32 where its half-precision is known to overflow."""
        if not (getattr(self.vae.config, "force_upcast", False) and self.vae.dtype == torch.float16):
            yield self.vae
            return
        self.vae.to(torch.float32)
        try:
            yield self.vae
        finally:
            self.vae.to(torch.float16)


class SoftInpaintXLPipeline(_SoftInpainting, StableDiffusionXLImg2ImgPipeline):
    """Soft inpainting with SDXL; `SoftInpaintPipeline` gives it for a model of that family."""


class SoftInpaintPipeline(_SoftInpainting, StableDiffusionImg2ImgPipeline):
    """Soft inpainting with Stable Diffusion 1 and 2; from a model of SDXL's family it gives a `SoftInpaintXLPipeline`.

    Examples:

        >>> from lib_softinpaint.hosts.diffusers_pipeline import SoftInpaintPipeline
        >>> pipeline = SoftInpaintPipeline.from_pretrained("demo/model")
        >>> result = pipeline("a red house", picture, mask, mask_blur=8).images[0]  # doctest: +SKIP
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> DiffusionPipeline:
        config = cls.load_config(pretrained_model_name_or_path, **{
            name: kwargs[name] for name in ("cache_dir", "local_files_only", "revision", "token") if name in kwargs})
        if "text_encoder_2" in config:
            return SoftInpaintXLPipeline.from_pretrained(pretrained_model_name_or_path, **kwargs)
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> DiffusionPipeline:
        if "text_encoder_2" in pipeline.components:
            return SoftInpaintXLPipeline.from_pipe(pipeline, **kwargs)
        return super().from_pipe(pipeline, **kwargs)


def _seeds(generator: Any, count: int) -> list[int]:
    """Of each picture, for what is drawn after sampling."""
    if isinstance(generator, list):
        return [each.initial_seed() for each in generator]
    first = 0 if generator is None else generator.initial_seed()
    return [first + number for number in range(count)]


def _strengths(mask: Any) -> np.ndarray:
    """(H, W) float32, 0 to 1: painted mask of whatever kind of picture diffusers' users have."""
    if isinstance(mask, Image.Image):
        return strengths(mask)
    values = _array(mask, "mask_image", 1, (np.uint8, np.uint16))[..., 0]
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1)


def _pixels(picture: Any) -> np.ndarray:
    """(H, W, 3) uint8 of whatever kind of picture diffusers' users have."""
    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB"))
    values = _array(picture, "image", 3, (np.uint8,))
    return values if values.dtype == np.uint8 else np.rint(values * 255).astype(np.uint8)


def _array(picture: Any, name: str, channels: int, whole: tuple[type, ...]) -> np.ndarray:
    """(H, W, channels) of one of the types of whole numbers, or float, 0 to 1."""
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().float().cpu()
        picture = (picture.squeeze(0).permute(1, 2, 0) if picture.squeeze(0).ndim == 3 else picture.squeeze(0)).numpy()
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"{name} must be a PIL image, an array or a tensor, got {type(picture).__name__}")
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[2] != channels:
        raise ValueError(f"{name} must be one picture of {channels} channels, got an array of shape {picture.shape}")
    if picture.dtype in whole:
        return picture
    if not (picture.min() >= 0 and picture.max() <= 1):
        raise ValueError(f"{name} of floats must lie in [0, 1], got {picture.min()} to {picture.max()}")
    return picture


def _box(repaint_px: np.ndarray, height: int, width: int, padding: int | None) -> tuple[int, int, int, int]:
    """Left, top, width, height of what the model sees."""
    if padding is None:
        return 0, 0, *repaint_px.shape[::-1]
    mask = Image.fromarray((repaint_px > 0).astype(np.uint8) * 255)
    left, top, right, bottom = VaeImageProcessor.get_crop_region(mask, width, height, padding)
    return left, top, right - left, bottom - top


def _placed(pixels: np.ndarray, job: SoftInpaintJob) -> np.ndarray:
    """Decoded pixels (h, w, 3) float32 where their box stands in a picture as large as the original."""
    left, top, width, height = job.box
    bands = [np.asarray(Image.fromarray(band).resize((width, height), Image.Resampling.LANCZOS))
             for band in np.ascontiguousarray(pixels.transpose(2, 0, 1))]
    whole = np.zeros(job.originals[0].shape, np.float32)
    whole[top:top + height, left:left + width] = np.stack(bands, axis=-1)
    return whole


def _signal_and_noise(scheduler: Any, timestep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How much signal and noise a sample holds at a timestep, each (1, 1, 1, 1).

    The scheduler itself tells, by adding noise to a one and to a zero: so this knows no scheduler by name.
    """
    one, zero = torch.ones(1, 1, 1, 1, device=timestep.device), torch.zeros(1, 1, 1, 1, device=timestep.device)
    timestep = timestep.reshape(1)
    return scheduler.add_noise(one, zero, timestep), scheduler.add_noise(zero, one, timestep)


def _blended_output(scheduler: Any, job: SoftInpaintJob, output: torch.Tensor, timestep: Any,
                    sample: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A model's output whose denoised prediction has the original blended in, and the latter."""
    signal, deviation = _signal_and_noise(scheduler, torch.as_tensor(timestep, device=sample.device))
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":  # defined on samples of variance one
        scale = (signal ** 2 + deviation ** 2).rsqrt()
        sample, signal, deviation = sample * scale, signal * scale, deviation * scale
    to_denoised, to_output = {
        "epsilon": (lambda out: (sample - deviation * out) / signal, lambda x0: (sample - signal * x0) / deviation),
        "v_prediction": (lambda out: signal * sample - deviation * out, lambda x0: (signal * sample - x0) / deviation),
        "flow_prediction": (lambda out: sample - deviation * out, lambda x0: (sample - x0) / deviation),
        "sample": (lambda out: out, lambda x0: x0),
    }[kind]
    blended = job.blend(to_denoised(output.float()), schedule.ratio_from_sigma((deviation / signal).flatten()))
    return torch.where(job.repaint == 1, output, to_output(blended).to(output.dtype)), blended
