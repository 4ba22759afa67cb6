"""Compares ways to lay a decoded image over a photograph, through a real autoencoder.

The painted area and its feather hold the same content again, that content relit, or another photograph. Nothing is sampled,
so all differences from the truth come from the autoencoder and the composite.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

from benchmarks import composites, taef2, truth
from benchmarks.autoencoder import Codec
from benchmarks.composites import METHODS, Case, canvas_of, decoded_image, opacities
from benchmarks.options import Options
from benchmarks.tables import markdown_table
from benchmarks.tasks import scribbled
from lib_softinpaint.method import drift, grain
from lib_softinpaint.method.mask import repaint_mask
from lib_softinpaint.settings.settings import Settings
from training.networks import to_tensor

SIDE, OWN_SIDE = 512, 1024
"""Side in pixels of scikit-image's photographs and of the user's own."""
FILES = "astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png"
IDENTITY, RELIT, FOREIGN = CONTENTS = "same content", "relit", "other content"
BOXES = (0.18, 0.25, 0.5, 0.62), (0.55, 0.4, 0.85, 0.9)
"""Left, top, right and bottom of what the brush fills, in shares of the side."""
MASK_BLURS = 4, 16
"""That of a fresh WebUI, and one that guides advise."""
GAIN, GAMMA = (0.8, 1.2), (0.8, 1.25)
"""Ranges of the factor of each channel and of the exponent of a relit photograph."""
GRAINS = {"none": (0.0, 0.0), "fine, 4 levels": (4.0, 0.0), "fine, 8 levels": (8.0, 0.0), "film, 6 levels": (6.0, 0.7)}
"""Deviation in levels and, in pixels, that of the Gaussian that makes neighbours alike, of grain added to photographs."""
GRAIN_SETTINGS = 0.0, 0.5, 1.0
FINE_PX = 1.0
"""Deviation of a Gaussian that removes grain, to measure it."""


def photographs() -> Iterator[tuple[str, np.ndarray, float]]:
    """Name, (SIDE, SIDE, 3) uint8, and by how much it was enlarged, of scikit-image's photographs."""
    for name in FILES:
        with Image.open(Path(data.__file__).parent / name) as image:
            yield name, square(image, SIDE), SIDE / min(image.size)


def own_photographs(folder: Path) -> Iterator[tuple[str, np.ndarray, float]]:
    """The same for the image files of a folder, (OWN_SIDE, OWN_SIDE, 3). Smaller ones are left out."""
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in Image.registered_extensions():
            with Image.open(file) as image:
                if min(image.size) >= OWN_SIDE:
                    yield file.name, square(image, OWN_SIDE), OWN_SIDE / min(image.size)


def square(image: Image.Image, side: int) -> np.ndarray:
    """The middle of an image, (side, side, 3) uint8."""
    edge = min(image.size)
    left, top = ((length - edge) // 2 for length in image.size)
    return np.array(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS,
                                                  (left, top, left + edge, top + edge)))


def relit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: the image under other light."""
    lit = (image / 255) ** rng.uniform(*GAMMA) * rng.uniform(*GAIN, 3)
    return np.rint(lit * 255).clip(0, 255).astype(np.uint8)


@torch.no_grad()
def cases(codec: Codec, images: list[np.ndarray], mask_blur: int) -> Iterator[Case]:
    """Each content under each mask on each photograph."""
    side = len(images[0])
    for number, image in enumerate(images):
        start = codec.encode(to_tensor(image[None]))
        rng = np.random.default_rng(number)
        news = {IDENTITY: image, RELIT: relit(image, rng), FOREIGN: images[(number + 1) % len(images)]}
        for box in BOXES:
            painted = scribbled(box, rng, side)
            repaint = repaint_mask(painted.astype(np.float32), Settings(enabled=True), canvas_of(image, mask_blur))
            for content, new in news.items():
                decoded, samples = decoded_image(codec, repaint, start, new)
                yield Case(content, image, new, decoded, painted, repaint,
                           *opacities(image, painted, repaint, mask_blur, start, samples, decoded))


def grainy(image: np.ndarray, deviation: float, alike_px: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: the image with grain that is the same in all channels."""
    grain_drawn = gaussian_filter(rng.standard_normal(image.shape[:2]), alike_px)
    return np.rint(image + deviation * (grain_drawn / grain_drawn.std())[..., None]).clip(0, 255).astype(np.uint8)


def grain_table(codec: Codec, images: list[np.ndarray]) -> str:
    """How much of an image's known grain new content has, under each setting, and what is changed without grain."""
    variances: dict[str, list[list[float]]] = {name: [] for name in GRAINS}
    known: dict[str, list[float]] = {name: [] for name in GRAINS}
    changes = []
    for number, image in enumerate(images):
        painted = scribbled(BOXES[0], np.random.default_rng(number), len(image))
        for name, (deviation, alike_px) in GRAINS.items():
            original = grainy(image, deviation, alike_px, np.random.default_rng(number))
            repaint = repaint_mask(painted.astype(np.float32), Settings(enabled=True), canvas_of(original, MASK_BLURS[0]))
            with torch.no_grad():
                decoded, _ = decoded_image(codec, repaint, codec.encode(to_tensor(original[None])), original)
            decoded = drift.corrected(original, decoded, repaint)
            results = [grain.matched(original, decoded, repaint, setting, 0) for setting in GRAIN_SETTINGS]
            variances[name].append([_fine_variance(result, painted) for result in results])
            known[name].append(_fine_variance(original.astype(np.float32) - image, painted))
            if name == "none":
                changes.append([float(np.abs(result - decoded)[painted].mean()) for result in results])
    without = np.mean(variances["none"], axis=0)[0]
    lines = [[name, *(f"{(max(with_grain - without, 0) / np.mean(known[name])) ** 0.5:.2f}"
                      for with_grain in np.mean(variances[name], axis=0))] for name in GRAINS if name != "none"]
    lines.append(["none: mean change, levels", *(f"{change:.2f}" for change in np.mean(changes, axis=0))])
    return (f"Grain inside, divided by the known grain, {len(images)} images\n\n"
            + markdown_table(["grain", *(f"Grain {setting:g}" for setting in GRAIN_SETTINGS)], lines))


def _fine_variance(image: np.ndarray, where: np.ndarray) -> float:
    """Variance of the fine part of the luminance."""
    luminance = image @ grain.LUMINANCE
    return float((luminance - gaussian_filter(luminance, FINE_PX))[where].var())


COLUMNS = ("CIEDE2000", "of colours", "halo L1", "gradient at edge", "jump", "half-eaten", "ring",
           *(f"{first} to {last} px" for first, last in zip(truth.BINS_PX, truth.BINS_PX[1:])), "changed outside, px")


def figures(case: Case, result: np.ndarray) -> list[float]:
    """One number for each of COLUMNS."""
    of_scene = composites.figures(case, result)
    return [*of_scene[:2], truth.halo(result, case.original, case.new, case.distance),
            truth.gradient_at_edge(result, case.truth, case.painted), of_scene[2],
            truth.half_eaten(result, case.original, case.distance), truth.ring_change(result, case.original, case.distance),
            *truth.errors_by_distance(result, case.truth, case.distance), of_scene[4]]


def tables(options: Options) -> Iterator[str]:
    """A Markdown table for each content and Mask blur, for scikit-image's photographs and for the user's own."""
    if options.autoencoder is None:
        yield "bench photos needs --autoencoder FOLDER with taef2_encoder.pth and taef2_decoder.pth (madebyollin/taesd)."
        return
    codec = taef2.codec(options.autoencoder)
    sets = {"scikit-image's photographs": list(photographs())}
    if options.photos is not None:
        sets[f"photographs of {options.photos.name}"] = list(own_photographs(options.photos))
    for name, images in sets.items():
        yield f"{name}: " + ", ".join(f"{file} ({factor:.2f} times)" for file, _, factor in images)
        for mask_blur in MASK_BLURS:
            sums: dict[str, dict[str, list]] = {content: {method: [] for method in METHODS} for content in CONTENTS}
            for case in cases(codec, [image for _, image, _ in images], mask_blur):
                for method, over in METHODS.items():
                    sums[case.kind][method].append(figures(case, over(case)))
            for content, rows in sums.items():
                lines = [[method, *map(_cell, np.nanmean(values, axis=0))] for method, values in rows.items()]
                count = len(next(iter(rows.values())))
                yield f"{content}, Mask blur {mask_blur}, {count} images\n\n" + markdown_table(["method", *COLUMNS], lines)
        yield grain_table(codec, [image for _, image, _ in images])


def _cell(value: float) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"
