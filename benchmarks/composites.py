"""Compares ways to lay a decoded image over the original, on images whose truth is known.

A scene with a new object is encoded inside the mask and the original outside. Both are decoded together and composited. No
model paints, so all differences from the truth come from the autoencoder and the composite. The object lies clear of the
painted area's edge, or is cut by it. The autoencoders are the bundled one and a second one of another architecture.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.color import lab2rgb, rgb2lab

from benchmarks import autoencoder, peers, truth
from benchmarks.autoencoder import Codec
from benchmarks.machine import ROOT
from benchmarks.options import OUTPUT, Options
from benchmarks.tables import markdown_table
from benchmarks.tasks import REPORTED_SCENES, make_task
from lib_softinpaint.generation import score
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.sampled import SampledImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.images.sheet import side_by_side
from lib_softinpaint.method import composite, drift, surroundings
from lib_softinpaint.method.mask import Canvas, host_blur, repaint_mask, to_latent
from lib_softinpaint.settings.settings import Settings, as_builtin
from training.networks import to_tensor
from training.scenes import SIZE

TASKS = "sky", "ground", "over an edge", "replace"
CLEAR, CUT = "clear of the edge", "cut by the edge"
CLEARANCE_PX, LEAST_CHANGE = 6, 8
MASK_BLUR = 8
FEWEST_PAINTED_PX = 200
PYRAMID_LEVELS = 5
SHEET, SHEET_STRIDE = "composites.jpg", 17
"""The sheet shows every 17th case. This way, neighbours differ in scene, task and kind."""

MODEL_TOLERANCE, MODEL_SMOOTHING_PX = 12.0, 6.0


@dataclass(frozen=True)
class Case:
    """One decoded image and the result it should give.

    original, new : (H, W, 3) uint8
        What was and what the sampler should have painted.
    decoded : (H, W, 3) float32, 0 to 255
    painted : (H, W) bool
    repaint, opacity : (H, W) float32, 0 to 1
        Ours. `fade` is ours without the seam search, `builtin_opacity` the built-in's for the same latents.
    """

    kind: str
    original: np.ndarray
    new: np.ndarray
    decoded: np.ndarray
    painted: np.ndarray
    repaint: np.ndarray
    opacity: np.ndarray
    fade: np.ndarray
    builtin_opacity: np.ndarray

    @cached_property
    def truth(self) -> np.ndarray:
        """(H, W, 3) uint8: the new image in the painted area, the original elsewhere."""
        return np.where(self.painted[..., None], self.new, self.original)

    @cached_property
    def distance(self) -> np.ndarray:
        """(H, W) float: `truth.signed_distance`."""
        return truth.signed_distance(self.painted)


def codecs() -> dict[str, Codec]:
    """The autoencoders by name."""
    bundled, second = models.load(str(models.SCENE_MODEL), "cpu").vae, autoencoder.trained()
    return {"bundled": Codec(lambda image: bundled.encode(image).latent_dist.mode(),
                             lambda latents: bundled.decode(latents).sample),
            "second": Codec(lambda image: second.encode(image).latents, lambda latents: second.decode(latents).sample)}


@torch.no_grad()
def cases(codec: Codec) -> Iterator[Case]:
    """Objects of four tasks in twelve scenes, each clear of the painted edge and cut by it."""
    for scene in REPORTED_SCENES:
        for name in TASKS:
            task = make_task(scene, name)
            start = codec.encode(to_tensor(task.image[None]))
            changed = np.abs(task.answer.astype(int) - task.image).max(-1) > LEAST_CHANGE
            whole = task.painted | (distance_transform_edt(~changed) < CLEARANCE_PX)
            half = task.painted & (np.arange(SIZE) < np.median(np.nonzero(changed)[1]))
            for kind, painted in ((CLEAR, whole), (CUT, half)):
                if painted.sum() < FEWEST_PAINTED_PX:
                    continue
                repaint = repaint_mask(painted.astype(np.float32), Settings(enabled=True), canvas_of(task.image, MASK_BLUR))
                new = np.where(painted[..., None], task.answer, task.image)
                decoded, samples = decoded_image(codec, repaint, start, new)
                yield Case(kind, task.image, new, decoded, painted, repaint,
                           *opacities(task.image, painted, repaint, MASK_BLUR, start, samples, decoded))


def canvas_of(image: np.ndarray, mask_blur: int) -> Canvas:
    """The whole image (H, W, 3), inpainted at its own size."""
    return Canvas(mask_blur, edges=surroundings.edges(image))


def decoded_image(codec: Codec, repaint: np.ndarray, start: torch.Tensor, new: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """The new image inside the mask and the original outside, as a sampler leaves them: decoded together, and as latents."""
    mask = torch.from_numpy(to_latent(repaint, *start.shape[-2:]))
    samples = torch.where(mask > 0, codec.encode(to_tensor(new[None])), start)
    return ((codec.decode(samples)[0].permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).numpy(), samples


def opacities(original: np.ndarray, painted: np.ndarray, repaint: np.ndarray, mask_blur: int, start: torch.Tensor,
              samples: torch.Tensor, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ours, ours without the seam search, and the built-in's for the same latents, each (H, W) float32."""
    def sampled(settings: Settings, repaint: np.ndarray) -> SampledImage:
        mask = torch.from_numpy(to_latent(repaint, *start.shape[-2:]))[None]
        job = SoftInpaintJob(settings, mask, start, [original], [repaint], painted_px=[painted.astype(np.float32)])
        return job.measure(samples, Size.of(original), [0])[0]
    ours = sampled(Settings(enabled=True), repaint)
    fade = ours.opacity_px(Settings(enabled=True))
    builtin = sampled(as_builtin(), host_blur(painted, mask_blur)).opacity_latent(as_builtin())
    return ours.with_seam(Settings(enabled=True), fade, decoded), fade, composite.enlarge(builtin, Size.of(original))


# Methods

def _over(case: Case, decoded: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    return composite.composite(case.original, decoded.astype(np.float32), opacity)


def _ours(colours: Callable[[Case], np.ndarray]) -> Callable[[Case], np.ndarray]:
    return lambda case: _over(case, colours(case), case.opacity)


def _without_autoencoder_drift(case: Case) -> np.ndarray:
    return drift.corrected(case.original, case.decoded, case.repaint)


def _without_model_drift(case: Case, decoded: np.ndarray | None = None) -> np.ndarray:
    """The decoded image without the model's drift, read in the feather.

    Smooth differences there may be unchanged content in other colours.
    """
    decoded = case.decoded if decoded is None else decoded
    difference = gaussian_filter(case.original - decoded, (2, 2, 0))
    smooth = gaussian_filter(difference, (MODEL_SMOOTHING_PX, MODEL_SMOOTHING_PX, 0))
    content = np.linalg.norm(difference - smooth, axis=-1) / MODEL_TOLERANCE
    shift = np.linalg.norm(smooth, axis=-1) / (3 * MODEL_TOLERANCE)
    trust = ((case.repaint > 0) & ~case.painted) * np.exp(-content ** 2 - shift ** 2)
    near = gaussian_filter(trust, 24)[..., None]
    field = gaussian_filter(smooth * trust[..., None], (24, 24, 0)) / np.maximum(near, 1e-3)
    return decoded + field * np.clip(4 * near, 0, 1)


def _reinhard(case: Case) -> np.ndarray:
    """Source: Reinhard et al., Color transfer between images, IEEE CG&A 2001. In CIELAB, fitted outside the mask."""
    wanted, seen, outside = rgb2lab(case.original), rgb2lab(case.decoded / 255), case.repaint == 0
    gain = wanted[outside].std(0) / np.maximum(seen[outside].std(0), 1e-3)
    return lab2rgb((seen - seen[outside].mean(0)) * gain + wanted[outside].mean(0)) * 255


def _regression(case: Case) -> np.ndarray:
    outside = case.repaint == 0
    fits = [np.polyfit(case.decoded[outside, channel], case.original[outside, channel], 1) for channel in range(3)]
    return np.stack([np.polyval(fit, case.decoded[..., channel]) for channel, fit in enumerate(fits)], axis=-1)


def _histogram(case: Case) -> np.ndarray:
    outside = case.repaint == 0
    return np.stack([np.interp(case.decoded[..., channel], np.sort(case.decoded[outside, channel]),
                               np.sort(case.original[outside, channel])) for channel in range(3)], axis=-1)


def _pyramid(case: Case) -> np.ndarray:
    """Source: Burt and Adelson, A multiresolution spline, ACM TOG 1983."""
    images = [case.original.astype(np.float32), case.decoded.astype(np.float32)]
    mask = case.painted.astype(np.float32)
    bands = []
    for _ in range(PYRAMID_LEVELS):
        smaller = [cv2.pyrDown(image) for image in images]
        bands.append(([image - cv2.pyrUp(small) for image, small in zip(images, smaller)], mask[..., None]))
        images, mask = smaller, cv2.pyrDown(mask)
    result = images[0] + mask[..., None] * (images[1] - images[0])
    for (original, new), share in reversed(bands):
        result = cv2.pyrUp(result) + original + share * (new - original)
    return np.rint(result).clip(0, 255).astype(np.uint8)


def _seamless_clone(case: Case) -> np.ndarray:
    return peers.seamless_clone(case.original, np.rint(case.decoded).astype(np.uint8), case.painted)


METHODS: dict[str, Callable[[Case], np.ndarray]] = {
    "hard paste": lambda case: _over(case, case.decoded, case.painted.astype(np.float32)),
    "blur 4": lambda case: _over(case, case.decoded, np.minimum(2 * host_blur(case.painted, peers.HARD_BLUR_PX), 1)),
    "built-in": lambda case: _over(case, case.decoded, case.builtin_opacity),
    "ours, no drift correction": _ours(lambda case: case.decoded),
    "ours, no seam search": lambda case: _over(case, _without_autoencoder_drift(case), case.fade),
    "**ours**": _ours(_without_autoencoder_drift),
    "ours, one colour map": _ours(lambda case: case.decoded + drift.colour_map(
        case.original, case.decoded, case.repaint == 0)),
    "ours, model's drift alone": _ours(_without_model_drift),
    "ours, both drifts": _ours(lambda case: _without_model_drift(case, _without_autoencoder_drift(case))),
    "ours, Reinhard outside": _ours(_reinhard),
    "ours, regression outside": _ours(_regression),
    "ours, histograms outside": _ours(_histogram),
    "seamlessClone": _seamless_clone,
    "Laplacian pyramid": _pyramid}


def figures(case: Case, result: np.ndarray) -> tuple[float, float, float, float, int]:
    """CIEDE2000 in the painted area, that of its colours only, jump, gradient ratio, and count of pixels changed outside."""
    scores = score.score(case.truth, result, case.repaint, case.painted, np.rint(case.decoded).astype(np.uint8))
    outside = (result != case.original).any(-1) & (case.repaint == 0)
    return (truth.ciede2000(result, case.truth, case.painted), truth.ciede2000_of_colours(result, case.truth, case.painted),
            scores.jump, scores.gradient_ratio, int(outside.sum()))


def tables(options: Options) -> Iterator[str]:
    """A Markdown table for each autoencoder, and a contact sheet."""
    for name, codec in codecs().items():
        sums: dict[str, dict[str, list]] = {method: {CLEAR: [], CUT: []} for method in METHODS}
        for case in cases(codec):
            for method, over in METHODS.items():
                sums[method][case.kind].append(figures(case, over(case)))
        counts = [len(rows) for rows in next(iter(sums.values())).values()]
        measures = ["of colours", "jump", "gradient ratio"]
        lines = []
        for method, kinds in sums.items():
            cells = [f"{value:.2f}" for rows in kinds.values() for value in np.mean(rows, axis=0)[:4]]
            outside = np.mean([row[4] for rows in kinds.values() for row in rows])
            lines.append([method, *cells, f"{outside:.0f}"])
        header = ["method", f"CIEDE2000, {CLEAR}", *measures, f"CIEDE2000, {CUT}", *measures, "changed outside, px"]
        yield (f"{name} autoencoder, {counts[0]} objects {CLEAR} and {counts[1]} {CUT}\n\n"
               + markdown_table(header, lines))
    sheet().convert("RGB").save(OUTPUT / SHEET, quality=88)
    yield f"Contact sheet: {(OUTPUT / SHEET).relative_to(ROOT)}"


def sheet() -> Image.Image:
    """Contact sheet of the bundled autoencoder's results, cropped around the mask: one column for each method."""
    chosen = list(cases(codecs()["bundled"]))[::SHEET_STRIDE]
    methods = {"original": lambda case: case.original, "truth": lambda case: case.truth, **METHODS}
    columns = {}
    for method, over in methods.items():
        crops = []
        for case in chosen:
            top, left = (int(np.clip(np.nonzero(case.painted)[axis].mean() - SIZE // 4, 0, SIZE // 2)) for axis in (0, 1))
            crops.append(over(case)[top:top + SIZE // 2, left:left + SIZE // 2])
        columns[method.strip("*").removeprefix("ours, ")] = Image.fromarray(np.concatenate(crops))
    return side_by_side(columns)
