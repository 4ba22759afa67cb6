"""The WebUI's runs: its hooks, its masks and pictures, translated into jobs and back.

Numbers in comments are lines of AUTOMATIC1111 1.10.1.
"""
from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from modules import devices, errors, images, masking, processing, sd_samplers_common, shared
from PIL import Image

from lib_softinpaint import schedule
from lib_softinpaint.advice import EMPTY, EMPTY_OF_ALL, advice
from lib_softinpaint.encoded import as_bytes
from lib_softinpaint.history import USUAL_LIMIT_MB, History
from lib_softinpaint.hosts.runs import RunTable, put_back
from lib_softinpaint.image_files import as_original, colours_of, gamma_note, needs_conversion, with_colours
from lib_softinpaint.job import SoftInpaintJob
from lib_softinpaint.kept import KeptPicture
from lib_softinpaint.mask import (
    PaintedMask,
    feather_outward,
    feather_reach,
    host_blur,
    match_latent,
    repaint_mask,
    resized,
    shrink,
    to_latent,
)
from lib_softinpaint.painted import LEAST_VALUE, as_picture, painted_or_sent, strengths
from lib_softinpaint.request import MASKED_CONTENTS
from lib_softinpaint.sampled import SampledPicture
from lib_softinpaint.settings import (
    FEATHER_FROM_HOST,
    HARD,
    NOTE_KEY,
    Settings,
    infotext_keys,
    read_args,
    to_infotext,
)
from lib_softinpaint.source import KEEP_ALPHA

HISTORY_MB, NOTES = "softinpaint_history_mb", "softinpaint_notes"
"""Options of the extension's."""

KEPT_KEY = "Soft inpainting kept"
"""Among the generation parameters of the API's answer: ids of the pictures that can be composited again."""

MASK_IMAGE_KEY = "Soft inpainting mask image"
"""In the infotext: the first digits of the SHA-256 of the file that was sent as *Mask image*, if its mask was used."""

HASH_DIGITS = 10
"""As many as the WebUI writes of a model's hash."""

SLOW_PX = 6_000_000
"""Pixels from which a composite takes about a second, so that the page tells what it waits for."""

JUST_RESIZE, JUST_RESIZE_LATENT = STRETCHING = 0, 3
ONLY_MASKED_RESIZE = 2
ONE_STEP_SAMPLERS = {"Euler": 1, "Heun": 2, "DPM2": 2}
"""Samplers that look no further back than one step and draw no noise, and their order."""

MASK_RESIZES = {0: "stretch", 1: "cover", 2: "contain", JUST_RESIZE_LATENT: "stretch"}
"""How the host's resize modes bring a mask to another size."""

OUTPAINTED_SHARE = 0.25
"""Of the Mask blur that an outpainting script sets. Within so much of its latent mask's edge lies no new area, and nothing
that the script has filled with noise.

Source: observed in AUTOMATIC1111 1.10.1. From the old edge into the original, poor man's outpainting paints its latent mask
by a quarter of that blur. Outpainting mk2 paints its latent mask by half of it, and fills a quarter with noise.
"""

FADE_PER_BLUR = 1.6
"""Pixels over which an outpainting script's new pixels fade out over the original, for each pixel of its Mask blur: then as
many are shown as by the WebUI's own overlay, which fades as the tail of a Gaussian does."""

INPAINTING_CONDITIONS = "hybrid", "concat"


@dataclass
class Run:
    """One `process_images` of the host: what was changed on its processing object, and the job once it is known."""
    settings: Settings
    painted: np.ndarray
    """What was painted (H, W) float32, before any shaping."""
    blur_px: float
    padding_px: int | None
    """The user's Mask blur and Only masked padding, None where the whole picture is inpainted."""
    mask: np.ndarray | None = None
    """Shaped mask (H, W) float32, as large as the one that came; None where the host shapes it."""
    latent_mask: np.ndarray | None = None
    """The same for the latents alone, where another script asks for it."""
    kept_fields: dict[str, Any] = field(default_factory=dict)
    host_is_ready: bool = False
    """Whether the host's `init` has run."""
    host_masks: tuple[torch.Tensor, torch.Tensor] | None = None
    """The processing object's mask and nmask while neutral ones stand there."""
    job: SoftInpaintJob | None = None
    noise_ratio: Callable[[torch.Tensor], torch.Tensor] | None = None
    """From the host's sigma, as the model kind has it; for samplers that ask for the denoised latent."""
    alphas_cumprod: torch.Tensor | None = None
    """As the sampler reads it at its start; for samplers that ask for noise."""
    noisy: torch.Tensor | None = None
    """Input of the model call in progress, of samplers that ask for noise."""
    alpha_bar: torch.Tensor | None = None
    originals: list[Image.Image] = field(default_factory=list)
    """The images that were sent, in RGB or RGBA where they had a colour profile."""
    masks: list[PaintedMask] = field(default_factory=list)
    """For each picture of the batch what was painted over it."""
    sources: list[np.ndarray | None] = field(default_factory=list)
    """For each picture of the batch (H, W, 4) uint8 where the result is to have its transparency."""
    sampled: list[SampledPicture] = field(default_factory=list)
    """The pictures of the batch, once they are sampled."""
    latents: torch.Tensor | None = None
    """What the host decodes (B, C, h, w), until it is decoded."""
    finished: list[tuple[Image.Image, str]] = field(default_factory=list)
    """Results of all batches that are kept, and their ids."""
    opacity_px: np.ndarray | None = None
    """Of the picture that is between the host's overlay and ours."""


_runs: RunTable[Run] = RunTable()
history = History()
_denoiser: Any = None
"""The denoiser whose model call is in progress: the callback after it is not told."""


def history_mb() -> float:
    return max(0, shared.opts.data.get(HISTORY_MB, USUAL_LIMIT_MB))


def keep_history_of(outdated: Mapping[str, Any]) -> None:
    """Takes over the kept images of this module as it was before "Reload UI", from `webui_start.drop_outdated`."""
    before = outdated.get(__name__)
    if before is not None:
        history.take_over(before.history)


# Faults

def _tell(p: Any, sentence: str) -> None:
    """Under the picture and in its infotext: the API returns no comments."""
    p.comment(sentence)
    if not getattr(shared.opts, NOTES, True):
        return
    known = p.extra_generation_params.get(NOTE_KEY)
    p.extra_generation_params[NOTE_KEY] = f"{known} {sentence}" if known else sentence


def _guarded(hook: Callable[..., None]) -> Callable[..., bool]:
    """The hook, answering whether it went well: a fault costs the soft inpainting, the host's own result follows."""
    @functools.wraps(hook)
    def run_hook(p, *args):
        try:
            hook(p, *args)
            return True
        except Exception as fault:
            errors.report(f"Soft inpainting failed in {hook.__name__}; the WebUI's own inpainting follows", exc_info=True)
            run = _withdraw(p)
            _tell(p, f"Soft inpainting failed and was left out: {type(fault).__name__}: {fault}")
            if run is not None:
                _restore_ordinary_inpainting(p, run)
            return False
    return run_hook


def _withdraw(p: Any) -> Run | None:
    """Ends the run and leaves nothing of it on `p`. The infotext goes first: it must not claim what did not run."""
    for key in (*infotext_keys(), MASK_IMAGE_KEY):
        p.extra_generation_params.pop(key, None)
    run = _runs.pop(p)
    if run is not None:
        _put_fields_back(p, run)
        _put_masks_back(p, run)
    return run


def _restore_ordinary_inpainting(p: Any, run: Run) -> None:
    """Masks and overlays as the host makes them without us, as far as its run has come. Never raises."""
    try:
        _make_ordinary_masks(p, run)
    except Exception:
        errors.report("Soft inpainting could not make the WebUI's own masks again", exc_info=True)
        _tell(p, "The WebUI's own masks could not be made again: the result may differ from ordinary inpainting.")


def _make_ordinary_masks(p: Any, run: Run) -> None:
    if not run.host_is_ready:
        return
    if run.job is None:
        if p.image_mask is None:  # the mask was ours alone, and `init` leaves standing what it does not set
            p.mask = p.nmask = p.mask_for_overlay = p.overlay_images = p.paste_to = None
        with devices.autocast():
            p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
        return
    if run.mask is None:
        p.nmask = p.nmask.round()
    else:
        box = run.job.box
        blurred = host_blur(run.painted, p.mask_blur_x)
        p.nmask = match_latent(_latent_mask(p, blurred, box), p.init_latent).round()[0].expand_as(p.nmask).to(p.nmask)
        gain = 2 if box is None else 1  # of a whole picture the host shows the outer half of the blur only
        p.overlay_images = [_overlay(original, np.minimum(gain * over.placed(blurred), 1))
                            for original, over in zip(run.job.originals, run.masks)]
    p.mask = 1 - p.nmask
    denoiser = getattr(getattr(p, "sampler", None), "model_wrap_cfg", None)
    if getattr(denoiser, "nmask", None) is not None:
        denoiser.nmask, denoiser.mask = p.nmask, p.mask


def _overlay(original: np.ndarray, repaint_px: np.ndarray) -> Image.Image:
    """The original, the more transparent the more is repainted."""
    overlay = Image.fromarray(original).convert("RGBA")
    overlay.putalpha(as_picture(1 - repaint_px))
    return overlay


# One run, in the order of the hooks

@_guarded
def process(p: Any, args: tuple[Any, ...]) -> None:
    """Before the host's `init`: reads the settings and shapes the mask."""
    # Loopback and others come again with the same object; X/Y/Z and detailers with a copy that shares the dict.
    p.extra_generation_params = dict(p.extra_generation_params)
    _withdraw(p)
    try:
        settings, notes = read_args(args)
    except ValueError as unreadable:
        _tell(p, f"Soft inpainting was left out: {unreadable}")
        return
    if not settings.enabled or getattr(p, "image_mask", None) is None and not settings.mask_image:
        return
    for note in notes:
        _tell(p, note)
    mask_notes: list[str] = []
    try:
        painted, mask_image_is_used = _painted(p, settings, mask_notes)
    except ValueError as unreadable:
        _tell(p, f"Soft inpainting was left out: {unreadable}")
        return
    image_size, mask_size = p.init_images[0].size[::-1], painted.shape[::-1]
    resizes = painted.shape != image_size and painted.max() >= LEAST_VALUE
    if resizes and p.inpaint_full_res:
        # The host crops the image where the mask lies in its own pixels, and shows the mask resized: black patches.
        painted = resized(painted, *image_size, MASK_RESIZES[p.resize_mode])
    if painted.max() < LEAST_VALUE:
        p.comment(EMPTY_OF_ALL if p.inpaint_full_res or p.image_mask is None else EMPTY)
        return
    padding = p.inpaint_full_res_padding if p.inpaint_full_res else None
    content = dict(enumerate(MASKED_CONTENTS)).get(p.inpainting_fill, "")  # other scripts have numbers of their own
    for sentence in advice(p.denoising_strength, content,
                           padding, p.init_images[0].size,
                           (p.width, p.height) if p.resize_mode in STRETCHING else p.init_images[0].size):
        p.comment(sentence)
    # Blur is set per axis by outpainting; the feather is round.
    run = Run(settings, painted, max(p.mask_blur_x, p.mask_blur_y), padding)
    _runs.put(p, run)
    p.extra_generation_params.update(to_infotext(settings))
    _keep_colours(p, run, mask_notes)
    for note in mask_notes:
        _tell(p, note)
    if resizes:
        _tell(p, "The mask was resized to fit the image: it is {}x{}, the image {}x{}.".format(
            *mask_size, *p.init_images[0].size))
    if mask_image_is_used:
        p.extra_generation_params[MASK_IMAGE_KEY] = hashlib.sha256(as_bytes(settings.mask_image)).hexdigest()[:HASH_DIGITS]
    _shape_mask(p, run)
    upscales = shared.opts.upscaler_for_img2img not in (None, "None") and p.resize_mode != JUST_RESIZE_LATENT
    if upscales and not p.inpaint_full_res:
        # An upscaler is slow, and the original that is composited is to be the picture that is encoded: once for both.
        _set_field(p, run, "init_images", [images.resize_image(
            p.resize_mode, images.flatten(picture, shared.opts.img2img_background_color), p.width, p.height)
            for picture in p.init_images])
    # Only the host can tell an inpainting model of the mask. With hard ones it also starts latent noise and nothing hard.
    hard = settings.conditioning_mask == HARD and _is_inpainting_model(p.sd_model)
    if hard and run.mask is None:
        _tell(p, "Conditioning mask hard needs another feather source than host; soft was taken.")
    _set_field(p, run, "mask_round", hard and run.mask is not None)


def _keep_colours(p: Any, run: Run, notes: list[str]) -> None:
    """Converts images whose colour profile is not one of RGB: the host would ignore it. Notes what is lost."""
    run.originals = [as_original(picture, notes) if needs_conversion(picture) else picture for picture in p.init_images]
    if any(original is not picture for original, picture in zip(run.originals, p.init_images)):
        _set_field(p, run, "init_images", run.originals)
    notes += filter(None, map(gamma_note, run.originals))


def _is_inpainting_model(model: Any) -> bool:
    """Whether the model is told the mask."""
    network = getattr(model, "model", None)
    return getattr(network, "conditioning_key", None) in INPAINTING_CONDITIONS or getattr(model, "is_sdxl_inpaint", False)


def _set_field(p: Any, run: Run, name: str, value: Any) -> None:
    """Sets a field of `p` until the run ends. A field that refuses is not noted: there is nothing to put back."""
    before = getattr(p, name)
    setattr(p, name, value)
    run.kept_fields.setdefault(name, before)


def _put_fields_back(p: Any, run: Run) -> None:
    kept, run.kept_fields = run.kept_fields, {}
    put_back(p, kept)


def _shape_mask(p: Any, run: Run) -> None:
    """Hands the host the mask as it is to be; with the feather source "host", as it is to be before the host's blur."""
    by_host = run.settings.feather_source == FEATHER_FROM_HOST
    blur = 0 if by_host else run.blur_px

    def shaped(painted: np.ndarray) -> np.ndarray:
        mask = repaint_mask(painted, run.settings, blur, run.padding_px)
        return np.where(mask < LEAST_VALUE, 0, mask)
    latent_mask = None
    if p.latent_mask is None:
        mask = shaped(run.painted)
    else:
        outpainted = strengths(p.latent_mask)
        mask, latent_mask = (map(shaped, (run.painted, outpainted)) if by_host else _outpainting_masks(outpainted, run))
        _set_field(p, run, "latent_mask", as_picture(latent_mask))
    _set_field(p, run, "image_mask", as_picture(mask))
    if p.inpainting_mask_invert:
        p.extra_generation_params["Mask mode"] = "Inpaint not masked"
    _set_field(p, run, "inpainting_mask_invert", 0)
    if by_host:
        return
    run.mask, run.latent_mask = mask, latent_mask
    if run.blur_px > 0:
        p.extra_generation_params["Mask blur"] = p.mask_blur
    for name in _blur_fields(p):
        _set_field(p, run, name, 0)
    if run.padding_px is not None:
        # The crop is the painted box plus the padding; the feather has used up a part of it already.
        reach = feather_reach(run.painted, run.settings, blur, run.padding_px)
        _set_field(p, run, "inpaint_full_res_padding", max(0, run.padding_px - int(np.ceil(reach))))


def _outpainting_masks(outpainted: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Masks (H, W) float32 of what an outpainting script shows, and of what it repaints: its latent mask, `outpainted`.

    That reaches into the original already. A feather that goes outward would repaint more of it than the script asks for.
    """
    grow, shrunk_by = max(0, run.settings.grow_px), max(0, -run.settings.grow_px)
    reach = feather_reach(run.painted, run.settings, run.blur_px, run.padding_px)
    inward, fade = min(reach, OUTPAINTED_SHARE * run.blur_px), min(reach, FADE_PER_BLUR * run.blur_px)
    return (feather_outward(shrink(run.painted, shrunk_by), fade, grow),
            feather_outward(shrink(outpainted, shrunk_by + inward), inward, grow))


def _blur_fields(p: Any) -> tuple[str, ...]:
    """Forge Neo has one Mask blur, which it also shows as two that cannot be set."""
    by_axis = getattr(type(p), "mask_blur_x", None)
    read_only = isinstance(by_axis, property) and by_axis.fset is None
    return ("mask_blur",) if read_only else ("mask_blur_x", "mask_blur_y")


def _painted(p: Any, settings: Settings, notes: list[str]) -> tuple[np.ndarray, bool]:
    """Painted mask (H, W) float32, before any shaping, and whether it is the setting *Mask image*.

    `notes` is as of `painted.strengths`. Raises ValueError with a sentence if it cannot be read.
    """
    if isinstance(p.image_mask, list):
        raise ValueError("it takes one mask, got a list.")
    on_canvas = None if p.image_mask is None else strengths(p.image_mask, notes)
    painted = painted_or_sent(on_canvas, settings.mask_image, p.init_images[0].size, notes)
    return 1 - painted if p.inpainting_mask_invert else painted, painted is not on_canvas


@_guarded
def process_batch(p: Any) -> None:
    """After the host's `init`, before each sampling: makes the job, and the host's own blends neutral."""
    run = _runs.get(p)
    if run is None:
        return
    run.host_is_ready = True
    if p.mask_for_overlay is None:  # the host's blur has erased the mask: it has turned to plain img2img
        _withdraw(p)
        return
    if run.job is None:
        if "inpaint_full_res_padding" in run.kept_fields and "Masked area padding" in p.extra_generation_params:
            p.extra_generation_params["Masked area padding"] = run.padding_px
        run.job = _make_job(p, run)
        _put_fields_back(p, run)
    run.noise_ratio = run.alphas_cumprod = None
    run.host_masks = p.mask, p.nmask
    # Samplers that mask before denoising lerp noisy latents with the clean original, where greys do harm. Neutral
    # masks make the host's blends the identity while its hooks are still called; the job blends instead.
    p.mask, p.nmask = torch.zeros_like(p.mask), torch.ones_like(p.nmask)
    _leave_out_locked_steps(p, run)


def _leave_out_locked_steps(p: Any, run: Run) -> None:
    """Lets the host begin where the mask's first pixel is unlocked, where that is sure to change nothing.

    Up to there the sampled latent is the original's with the first noise, scaled: if it starts from the original, and the
    sampler looks no further back than one step, draws no noise, and enters at the noise level of its first step. What the
    host counts steps for would shift: prompts that change on the way, a refiner, negative prompts that are left out.
    """
    if (run.settings.threshold_mix < 1 or p.sampler.config.name not in ONE_STEP_SAMPLERS or p.s_churn
            or p.inpainting_fill != MASKED_CONTENTS.index("original")
            or shared.opts.img2img_fix_steps or shared.opts.img2img_extra_noise > 0
            or p.s_min_uncond or getattr(shared.opts, "skip_early_cond", 0) or getattr(p, "refiner_checkpoint", None)
            or any("[" in prompt for prompt in (*p.prompts, *p.negative_prompts))):
        return
    steps, encoded = sd_samplers_common.setup_img2img_steps(p)
    sigmas = p.sampler.get_sigmas(p, steps)[steps - encoded - 1:-1]
    left_out = run.job.locked_steps(_noise_ratio(p.sampler.model_wrap_cfg)(sigmas), ONE_STEP_SAMPLERS[p.sampler.config.name])
    if left_out:
        _set_field(p, run, "denoising_strength", (encoded - left_out + 0.5) / steps)  # the host rounds down
        p.comment(f"{left_out} of {len(sigmas)} steps were left out: no pixel of the mask is unlocked in them.")


def _noise_ratio(denoiser: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """From the host's sigma. A flow model's sigmas end at 1, the others' begin to matter there."""
    sigmas = getattr(denoiser.inner_model, "sigmas", None)
    is_flow = sigmas is not None and float(sigmas.max()) <= 1
    return schedule.ratio_from_flow if is_flow else schedule.ratio_from_sigma


def _put_masks_back(p: Any, run: Run) -> None:
    masks, run.host_masks = run.host_masks, None
    if masks is not None:
        put_back(p, dict(zip(("mask", "nmask"), masks)))


def _make_job(p: Any, run: Run) -> SoftInpaintJob:
    box = tuple(p.paste_to) if p.inpaint_full_res else None
    originals = [_original(p, picture, box) for picture in p.init_images]
    sizes = [original.size[::-1] for original in originals]
    overs = [PaintedMask(run.painted, run.blur_px, run.padding_px, size, (p.height, p.width) if box is None else None,
                         MASK_RESIZES[p.resize_mode]) for size in sizes]
    if run.mask is None:
        masks = [_overlay_mask(overlay, size) for overlay, size in zip(p.overlay_images, sizes)]
    else:
        masks = [over.placed(run.mask) for over in overs]
    if run.mask is None:
        repaint = p.nmask
    elif p.latent_mask is None:
        repaint = _latent_mask(p, run.mask, box)
    else:  # another script's, which the host stretches over the latent, also over that of a crop
        repaint = _to_latent(p, resized(run.latent_mask, p.height, p.width))
    repeat = p.batch_size if len(originals) == 1 else 1
    run.masks = overs * repeat
    run.sources = [_source(p, picture, box) for picture in run.originals] * repeat
    return SoftInpaintJob(run.settings, repaint, _reference(p, originals, box),
                          [np.asarray(original) for original in originals] * repeat, masks * repeat, box)


def _source(p: Any, picture: Image.Image, box: tuple[int, ...] | None) -> np.ndarray | None:
    """The picture with its transparency (H, W, 4) uint8, where the result is to keep that."""
    if not getattr(shared.opts, KEEP_ALPHA, False) or picture.mode != "RGBA":
        return None
    *colours, alpha = picture.split()
    return np.asarray(Image.merge("RGBA", [
        *_original(p, Image.merge("RGB", colours), box, "None").split(),
        _original(p, Image.merge("RGB", [alpha] * 3), box, "None").getchannel(0)]))


def _original(p: Any, picture: Image.Image, box: tuple[int, ...] | None, upscaler: str | None = None) -> Image.Image:
    """The picture as the result should show it where nothing was painted: less what the VAE cannot decode."""
    picture = images.flatten(picture, shared.opts.img2img_background_color)
    if box is not None:
        return picture
    if p.resize_mode == JUST_RESIZE_LATENT:
        picture = picture.resize((p.width, p.height), Image.Resampling.LANCZOS)
    else:
        picture = images.resize_image(p.resize_mode, picture, p.width, p.height, upscaler)
    height, width = _decoded_size(p)
    return picture if picture.size == (width, height) else picture.crop((0, 0, width, height))


def _overlay_mask(overlay: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """The host's own mask in the result's pixels (H, W): its overlay is the original where nothing is repainted."""
    if isinstance(overlay, tuple):  # Forge Neo's precise mask: RGB image and (H, W) float, 1 = repaint
        mask = np.asarray(overlay[1], np.float32)
    else:
        mask = 1 - np.asarray(overlay.getchannel("A"), np.float32) / 255
    left_over = [overlay_side - side for overlay_side, side in zip(mask.shape, size)]
    if all(0 <= pixels < processing.opt_f for pixels in left_over):  # what the VAE cannot decode
        return mask[:size[0], :size[1]]
    return resized(mask, *size)


def _latent_mask(p: Any, mask: np.ndarray, box: tuple[int, ...] | None) -> torch.Tensor:
    """Shaped mask in latent size (1, h, w)."""
    if box is None:
        mask = resized(mask, p.height, p.width, MASK_RESIZES[p.resize_mode])
    else:
        left, top, width, height = box
        mask = resized(mask[top:top + height, left:left + width], p.height, p.width, MASK_RESIZES[ONLY_MASKED_RESIZE])
    return _to_latent(p, mask)


def _to_latent(p: Any, mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(to_latent(mask, *p.init_latent.shape[-2:]))[None]


def _encoded_crop(p: Any, picture: Image.Image, box: tuple[int, ...]) -> Image.Image:
    """What the host encodes of a picture of which it inpaints this box."""
    left, top, width, height = box
    crop = picture.crop((left, top, left + width, top + height))
    return images.resize_image(ONLY_MASKED_RESIZE, crop, p.width, p.height)


def _reference(p: Any, originals: list[Image.Image], box: tuple[int, ...] | None) -> torch.Tensor:
    """Latent of the original: the host's own, except where that holds the masked content.

    When outpainting, the new area is black in the original, which would discolour the latent around it: it is filled.
    """
    outpaints = p.latent_mask is not None
    shows_original = {MASKED_CONTENTS.index(content) for content in (("original", "fill") if outpaints else ("original",))}
    if p.inpainting_fill in shows_original:
        return p.init_latent
    if box is not None:
        originals = [_encoded_crop(p, original, box) for original in originals]
    elif p.resize_mode == JUST_RESIZE_LATENT:
        originals = [images.flatten(picture, shared.opts.img2img_background_color) for picture in p.init_images]
    if outpaints:
        originals = [masking.fill(original, p.latent_mask) for original in originals]
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
    elif getattr(mba.denoiser, "mask_before_denoising", False):
        if run.alphas_cumprod is None:
            run.alphas_cumprod = mba.denoiser.inner_model.inner_model.alphas_cumprod
        run.noisy = mba.current_latent
        run.alpha_bar = schedule.alpha_bar_at(mba.sigma, run.alphas_cumprod)
        mba.blended_latent = mba.current_latent
    else:
        if run.noise_ratio is None:
            run.noise_ratio = _noise_ratio(mba.denoiser)
        mba.blended_latent = run.job.blend(mba.current_latent, run.noise_ratio(mba.sigma))


def on_cfg_denoiser(params: Any) -> None:
    global _denoiser
    _denoiser = params.denoiser


def on_cfg_after_cfg(params: Any) -> None:
    """After the prompts' predictions were combined, in each model call of any run."""
    global _denoiser
    denoiser, _denoiser = _denoiser, None
    p = getattr(denoiser, "p", None)
    run = _runs.get(p)
    if run is not None and run.job is not None:
        _after_cfg(p, params, denoiser, run)


@_guarded
def _after_cfg(p: Any, params: Any, denoiser: Any, run: Run) -> None:
    if run.noisy is None:
        denoised = params.x.clone()  # LCM writes into what it is given
    else:
        noisy, run.noisy = run.noisy, None
        if getattr(denoiser, "need_last_noise_uncond", False):  # CFG++ steps along the unconditional noise
            denoiser.last_noise_uncond, _ = run.job.blend_noise(noisy, denoiser.last_noise_uncond, run.alpha_bar)
        # Last, since the job measures the noise floor on the prediction that it blended last.
        params.x, denoised = run.job.blend_noise(noisy, params.x, run.alpha_bar)
    # The host shows, and on interruption returns, a prediction into which nothing is blended. Its `store_latent` would
    # decode a second time where it may not do so beside the sampler.
    denoiser.sampler.last_latent = denoised
    if getattr(shared.opts, "live_preview_content", "Prompt") != "Negative prompt":
        shared.state.current_latent = denoised


@_guarded
def post_sample(p: Any, ps: Any) -> None:
    """After sampling, before decoding: how much each latent changed."""
    run = _runs.get(p)
    if run is None or run.job is None:
        return
    _put_masks_back(p, run)
    _put_fields_back(p, run)
    if getattr(ps.samples, "already_decoded", False):
        run.sampled = run.job.measure_by_mask(len(ps.samples), _decoded_size(p), p.seeds)
    else:
        run.sampled, run.latents = run.job.measure(ps.samples, _decoded_size(p), p.seeds), ps.samples


@_guarded
def postprocess_batch_list(p: Any, batch: Any) -> None:
    """After decoding: replaces what is not a number. The host looks at the first value alone, and shows NaN black."""
    run = _runs.get(p)
    if run is None or run.latents is None:
        return
    latents, run.latents = run.latents, None
    for place, decoded in enumerate(batch.images):
        if decoded.isfinite().all():
            continue
        if devices.dtype_vae != torch.float32 and getattr(shared.opts, "auto_vae_precision", True):
            devices.dtype_vae = torch.float32  # and so it stays, as after the host's own check
            p.sd_model.first_stage_model.to(torch.float32)
        again = processing.decode_first_stage(p.sd_model, latents[place:place + 1].to(devices.dtype_vae))[0]
        again = ((again.float() + 1) / 2).clamp(0, 1).to(decoded.device)
        lost = ~again.isfinite().all(0)
        if lost.any():
            _tell(p, f"The decoder gave no numbers for {lost.float().mean():.0%} of image {place + 1}: the original is shown "
                     "there.")
            shown = _encoded_original(p, run, place).resize(decoded.shape[:0:-1], Image.Resampling.LANCZOS)
            again = torch.where(lost, torch.from_numpy(np.array(shown)).permute(2, 0, 1).to(again) / 255, again)
        else:
            _tell(p, f"The decoder gave no numbers for a part of image {place + 1}, and was asked again.")
        batch.images[place] = again


def _encoded_original(p: Any, run: Run, place: int) -> Image.Image:
    """What of the original was encoded for this image of the batch."""
    original = Image.fromarray(run.job.originals[place])
    return original if run.job.box is None else _encoded_crop(p, original, run.job.box)


@_guarded
def postprocess_maskoverlay(p: Any, ppmo: Any) -> None:
    """Before the host's overlay: takes it away, since it composites in 8 bits, premultiplied."""
    run = _runs.get(p)
    if run is None or run.job is None or ppmo.overlay_image is None or ppmo.index >= len(run.sampled):
        return
    opacity_px = run.sampled[ppmo.index].opacity_px(run.settings)
    overlay = Image.new("RGBA", opacity_px.shape[::-1])
    if run.job.box is not None:
        # The host sets the crop on an empty canvas: what it saves before colour correction needs what is around it.
        left, top, width, height = run.job.box
        inside = np.zeros(opacity_px.shape, bool)
        inside[top:top + height, left:left + width] = True
        overlay = _overlay(run.job.originals[ppmo.index], inside)
    run.opacity_px = opacity_px
    ppmo.overlay_image = overlay
    ppmo.mask_for_overlay = as_picture(opacity_px)


def postprocess_image_after_composite(p: Any, pp: Any) -> None:
    """After the host's overlay: composites the decoded picture over the original."""
    run = _runs.get(p)
    if run is None or run.opacity_px is None:
        return
    if not _composite(p, pp, run):
        pp.image, _ = processing.apply_overlay(pp.image, None, p.overlay_images[p.batch_index])


@_guarded
def _composite(p: Any, pp: Any, run: Run) -> None:
    opacity_px, run.opacity_px = run.opacity_px, None
    place = p.batch_index
    decoded = np.asarray(pp.image.convert("RGB"))
    with _telling(decoded.shape[0] * decoded.shape[1]):
        limit = history_mb()
        about = processing.create_infotext(p, p.prompts, p.seeds, p.subseeds, index=place,
                                           all_negative_prompts=p.negative_prompts) if limit > 0 else ""
        colours = colours_of(run.originals[place % len(run.originals)])
        picture = KeptPicture(run.settings, run.sampled[place], decoded, run.masks[place], about, run.sources[place], colours)
        result = picture.composited(run.settings, opacity_px)
        pp.image = with_colours(Image.fromarray(result), colours)
        if limit > 0:
            run.finished.append((pp.image, history.put(picture, result, limit)))


@contextmanager
def _telling(pixels: int) -> Iterator[None]:
    """Says beside the progress bar what is waited for, where that is long."""
    if pixels >= SLOW_PX:
        shared.state.textinfo = "Soft inpainting: compositing"
    try:
        yield
    finally:
        if pixels >= SLOW_PX:
            shared.state.textinfo = None


@_guarded
def postprocess(p: Any, processed: Any) -> None:
    """After the last picture. A copy of `p` has no run, and leaves the original's alone."""
    run = _runs.pop(p)
    if run is None:
        return
    _put_fields_back(p, run)
    _put_masks_back(p, run)
    for result, identity in run.finished:
        if getattr(result, "already_saved_as", None):
            history.name(identity, result.already_saved_as)
    if run.finished:
        processed.extra_generation_params = {**processed.extra_generation_params,
                                             KEPT_KEY: [identity for _, identity in run.finished]}


def _decoded_size(p: Any) -> tuple[int, int]:
    """Height and width of what the VAE decodes: whole latent pixels."""
    height, width = p.init_latent.shape[-2:]
    return height * (p.height // height), width * (p.width // width)
