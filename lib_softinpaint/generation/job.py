"""One generation's data, and the steps of the algorithm on it. Knows no host."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method import blend, difference, schedule
from lib_softinpaint.method.mask import match_latent
from lib_softinpaint.settings.settings import Settings


@dataclass(frozen=True)
class _Operands:
    """What a prediction is blended with, at one latent size. The norm and the logarithm are the same at every step."""

    reference: torch.Tensor
    reference_norm: torch.Tensor
    repaint: torch.Tensor
    log_repaint: torch.Tensor

    @classmethod
    def of(cls, reference: torch.Tensor, repaint: torch.Tensor) -> _Operands:
        return cls(reference, blend.channel_norm(reference), repaint, repaint.log())


class SoftInpaintJob:
    """Blends each step of one sampling run, and measures its result.

    Parameters
    ----------
    settings
    repaint : (C, H, W), (B or 1, C, H, W) or (B or 1, C, T, H, W) float, 0 to 1
        Latent repaint mask, all channels alike.
    reference : (B, C, ..., H, W) float
        Latent of the untouched original.
    originals
        One (H, W, 3) uint8 for each image of the batch, as large as the result.
    repaint_px
        One (H, W) float32, 0 to 1, for each image of the batch. Where it is 0, the result equals the original.
    box
        The inpainted crop of the original; None if the whole image is inpainted.
    painted_px
        One (H, W) float32, 0 to 1, for each image of the batch: the painted mask that `repaint_px` was made from. None if it
        is unknown.
    """

    def __init__(self, settings: Settings, repaint: torch.Tensor, reference: torch.Tensor,
                 originals: list[np.ndarray], repaint_px: list[np.ndarray], box: Box | None = None,
                 painted_px: list[np.ndarray] | None = None):
        self.settings = settings
        self.reference = reference.float()
        self.repaint = match_latent(repaint, self.reference)
        self.originals = originals
        self.repaint_px = repaint_px
        self.box = box
        self.painted_px = painted_px
        self.start_time = 0.0
        self.predicted: torch.Tensor | None = None
        """Denoised prediction of the last step at the latent's own size, before blending."""
        self._operands: dict[torch.Size, _Operands] = {}

    def _follow(self, device: torch.device) -> None:
        """Moves the job's tensors to the sampling device, once."""
        if self.reference.device != device:
            self.reference, self.repaint = self.reference.to(device), self.repaint.to(device)
            self._operands.clear()

    def _operands_at(self, size: torch.Size) -> _Operands:
        """What predictions of this latent size are blended with.

        Some samplers call the model at other sizes. They resize latents by nearest pixel, so the original is resized in the
        same way.
        """
        if size not in self._operands:
            self._operands[size] = _Operands.of(*(
                latent if latent.shape[-2:] == size else _nearest(latent, size) for latent in (self.reference, self.repaint)))
        return self._operands[size]

    def blend(self, denoised: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
        """The denoised prediction of one step with the original blended in.

        Parameters
        ----------
        denoised : (B, C, ..., H, W) float
            Its height and width differ from the latent's if the sampler calls the model at another size.
        ratio : (B or 1,) float
            Noise-to-signal ratio of the step, from `schedule`.

        Returns
        -------
        (B, C, ..., H, W), dtype of `denoised`, a new tensor
        """
        self._follow(denoised.device)
        if denoised.shape[-2:] == self.reference.shape[-2:]:
            self.predicted = denoised
        operands = self._operands_at(denoised.shape[-2:])
        share = self._repaint_share(operands, ratio.to(self.reference.device))
        return blend.blend(operands.reference, operands.reference_norm, denoised.float(), share,
                           self.settings.transition_contrast_boost).to(denoised.dtype)

    def _repaint_share(self, operands: _Operands, ratio: torch.Tensor) -> torch.Tensor:
        mix, share = self.settings.threshold_mix, torch.zeros(())
        if mix < 1:
            share = schedule.repaint_share(operands.log_repaint, ratio, self.settings.schedule_bias,
                                           self.settings.preservation_strength)
        if mix == 0:
            return share
        time = schedule.training_time(ratio)
        # A run starts with its noisiest step.
        self.start_time = torch.maximum(time.max(), torch.as_tensor(self.start_time, device=time.device))
        return torch.lerp(share.to(self.repaint), schedule.unlocked_share(operands.repaint, time / self.start_time), mix)

    def repaint_share(self, latent: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor | None:
        """How much of each pixel is repainted at one step, (B or 1, 1, ..., H, W) float32, 0 to 1, 1 = repaint.

        None if a sampler calls the model at another size than the latent's. Arguments as in `blend`.
        """
        if latent.shape[-2:] != self.reference.shape[-2:]:
            return None
        self._follow(latent.device)
        return self._repaint_share(self._operands_at(latent.shape[-2:]), ratio.to(latent.device)).to(self.reference)

    def locked_steps(self, ratios: torch.Tensor, order: int = 1) -> int:
        """How many of a run's first steps can be skipped, because no pixel is unlocked yet.

        Source: Levin and Fried, arXiv 2306.00950, section 4.

        Parameters
        ----------
        ratios : (N,) float
            Noise-to-signal ratio of each step, first to last.
        order
            Order of the sampler. Above 1, a step also predicts at its end, where a pixel may already be unlocked.
        """
        if self.settings.threshold_mix < 1 or not 0 < self.repaint.max() < 1:
            return 0
        time = schedule.training_time(ratios)
        self.start_time = time[0]
        locked = schedule.unlocked_share(self.repaint.max().to(time).view(1, 1), time / time[0]) == 0
        # The last step is never skipped. Agreement with the surroundings begins at the second step that is run.
        return max(0, min(int(locked.sum()) - (order > 1) - (self.settings.agreement > 0), len(ratios) - 1))

    def blend_noise(self, noisy: torch.Tensor, noise: torch.Tensor,
                    alpha_bar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The noise and denoised predictions of one step with the original blended in.

        For samplers whose model predicts noise. Where the mask is 1, the noise is unchanged, bit for bit.

        Parameters
        ----------
        noisy, noise : (B, C, ..., H, W) float
            noisy = sqrt(alpha_bar) * denoised + sqrt(1 - alpha_bar) * noise.
        alpha_bar : (B,) float, 0 to 1
        """
        alpha_bar = alpha_bar.to(noisy.device).clamp(schedule.SMALLEST_ALPHA_BAR, schedule.LARGEST_ALPHA_BAR)
        alpha_bar = alpha_bar.view(-1, *[1] * (noisy.ndim - 1))
        signal, deviation = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        denoised = (noisy.float() - deviation * noise.float()) / signal
        blended = self.blend(denoised, schedule.ratio_from_alpha_bar(alpha_bar.flatten()))
        implied = (noisy.float() - signal * blended) / deviation
        core = self._operands_at(noise.shape[-2:]).repaint == 1
        return torch.where(core, noise, implied.to(noise.dtype)), blended.to(noise.dtype)

    def finish(self, samples: torch.Tensor) -> torch.Tensor:
        """The sampled latent, replaced by the original's where the mask is 0.

        Timestep samplers end with a little noise, interrupted ones with more. None of it may stay outside the mask.
        """
        self._follow(samples.device)
        return torch.where(self.repaint == 0, self.reference.to(samples.dtype), samples)

    def measure(self, samples: torch.Tensor, decoded_size: Size, seeds: Sequence[int]) -> list[SampledImage]:
        """Everything needed to composite each new image: how much its latent changed, and where.

        Parameters
        ----------
        samples : (B, C, ..., H, W) float
        decoded_size
            Size at which the samples will be decoded.
        seeds
            One for each image.
        """
        self._follow(samples.device)
        reference, samples = torch.broadcast_tensors(self.reference, samples.float())
        distance = difference.difference_map(_frames(reference), _frames(samples)).cpu().numpy()
        repaint = _frames(self.repaint.expand(samples.shape[0], 1, *samples.shape[2:])).squeeze(1).cpu().numpy()
        return self._sampled(repaint, distance, decoded_size, seeds, self.noise_floors(len(distance)))

    def measure_by_mask(self, count: int, decoded_size: Size, seeds: Sequence[int]) -> list[SampledImage]:
        """The same for `count` images whose latents are unknown."""
        repaint = _frames(self.repaint).squeeze(1).expand(count, -1, -1).cpu().numpy()
        return self._sampled(repaint, [None] * count, decoded_size, seeds, [None] * count)

    def noise_floors(self, count: int) -> list[float | None]:
        """Median distance of the last prediction from the original where the mask is 0, for each of `count` images.

        In latent units. The final latent is useless here: outside the mask it is the original's. None before the first step,
        and if the mask covers everything.
        """
        if self.predicted is None:
            return [None] * count
        distance = blend.channel_norm(self.predicted.to(self.reference) - self.reference)
        outside = _frames((self.repaint == 0).expand_as(distance)).flatten(1) & _frames(distance).flatten(1).isfinite()
        # A loop, because some Apple GPUs have no nanmedian along a dimension.
        return [one[where].median().item() if where.any() else None
                for one, where in zip(_frames(distance).flatten(1), outside)]

    def _sampled(self, repaint: np.ndarray, distances: Iterable[np.ndarray | None], decoded_size: Size,
                 seeds: Sequence[int], noise_floors: Sequence[float | None]) -> list[SampledImage]:
        tapers: dict[int, dict[float, np.ndarray]] = {id(mask): {} for mask in self.repaint_px}
        frames = max(1, len(repaint) // len(self.originals))  # those of a video share one original
        images = []
        for number, (repaint_latent, distance) in enumerate(zip(repaint, distances)):
            place = min(number // frames, len(self.originals) - 1)
            mask = self.repaint_px[place]
            images.append(SampledImage(self.originals[place], mask, repaint_latent, distance, decoded_size, self.box,
                                       seeds[place], noise_floors[number], tapers=tapers[id(mask)],
                                       painted_px=None if self.painted_px is None else self.painted_px[place]))
        return images


def _nearest(latent: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Latent of another height and width, each pixel taken from the nearest one."""
    flat = torch.nn.functional.interpolate(latent.flatten(1, -3), tuple(size), mode="nearest-exact")
    return flat.view(*latent.shape[:-2], *size)


def _frames(latent: torch.Tensor) -> torch.Tensor:
    """Latent (B, C, H, W), or (B, C, T, H, W) as (B * T, C, H, W)."""
    return latent if latent.ndim == 4 else latent.transpose(1, 2).flatten(0, 1)
