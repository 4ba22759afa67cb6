"""The results of one request beside each other: which is best, in which nothing changed, and which are nearly alike."""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from lib_softinpaint.generation import score
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.method.mask import resized
from lib_softinpaint.settings.settings import HOSTS, OWN_CONTENTS, Settings

SAME = 3.0
"""CIELAB units. In the mean over the painted area, images that differ by less are nearly alike. 2.3 is just noticeable, and
the bundled model's autoencoder alone makes a difference of 1.8 to 2.7."""

COMPARED_PX = 16
"""Longer side to which what was painted is reduced before it is compared: differences in grain do not count."""

ENOUGH_STRENGTH = 0.9
"""Denoising strength from which more of it hardly makes results differ more."""

NOISE = "latent noise", "latent nothing"
"""Masked contents that keep nothing of the original."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is compared of a result.

    Parameters
    ----------
    score
        Blend score, 0 to 100; NaN if it is unknown.
    effect
        Mean difference of `look` from the original's, CIELAB units; NaN if it is unknown.
    look : (h, w, 3) float32
        What was painted in CIELAB, reduced to COMPARED_PX.
    weight : (h, w) float32, 0 to 1
        How much of each pixel of `look` was painted.
    """

    score: float
    effect: float
    look: np.ndarray
    weight: np.ndarray

    @property
    def unchanged(self) -> bool:
        return self.effect < SAME

    def distance(self, other: Candidate) -> float:
        """Mean difference of what was painted, CIELAB units; infinite if the images have different sizes or masks."""
        if self.look.shape != other.look.shape or not np.array_equal(self.weight, other.weight):
            return math.inf
        return float(np.average(np.linalg.norm(self.look - other.look, axis=-1), weights=self.weight))


def of_kept(kept: KeptImage, settings: Settings, result: np.ndarray | None = None) -> Candidate:
    """The kept image under these settings, as a candidate.

    Parameters
    ----------
    kept
    settings
    result : (H, W, 3 or 4) uint8
        From `KeptImage.composited`, if already computed.
    """
    if result is None or result.shape[-1] == 4:
        result = kept.sampled_within(settings).composited(settings, kept.decoded)
    try:
        value = kept.blend_score(settings, result)
    except ValueError:  # the host has enlarged the image
        return _candidate(math.nan, None, result, np.ones(result.shape[:2], bool))
    painted = np.maximum.reduce([each.painted.placed(each.painted.strengths) for each in kept.regions])
    return _candidate(value, kept.regions[0].sampled.original, result, painted > 0)


def of_images(original: Image.Image, result: Image.Image, painted: np.ndarray) -> Candidate:
    """A result whose new image is unknown: ghosts count as 0. What lies outside is not judged.

    Parameters
    ----------
    original, result
        A WebUI rounds the result's size to multiples of eight.
    painted : (H, W) float32, 0 to 1
        Of the original's size.
    """
    size = Size.of(result)
    if Size.of(original) != size:
        original, painted = original.resize(result.size, Image.Resampling.LANCZOS), resized(painted, size)
    before, after = (np.asarray(over_white(each).convert("RGB")) for each in (original, result))
    scores = score.score(before, after, np.ones(painted.shape, np.float32), painted > 0)
    return _candidate(score.blend_score(scores), before, after, painted > 0)


def _candidate(value: float, original: np.ndarray | None, result: np.ndarray, painted: np.ndarray) -> Candidate:
    inside = Box.around(painted, 0).inside
    factor = max(1, -(-max(painted[inside].shape) // COMPARED_PX))

    def reduced(image: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(np.ascontiguousarray(image[inside])).reduce(factor))

    def look_of(image: np.ndarray) -> np.ndarray:
        return lab(reduced(image)).permute(1, 2, 0).numpy()
    weight = reduced(255 * painted.astype(np.uint8)).astype(np.float32) / 255
    made = Candidate(value, math.nan, look_of(result), weight)
    return made if original is None else replace(made, effect=made.distance(replace(made, look=look_of(original))))


def best_first(candidates: Sequence[Candidate]) -> list[int]:
    """Places of the candidates, best first. Equal ones keep their order, and unknown scores come last.

    An unchanged image has no seam and would win, so it goes behind those that changed.
    """
    def rank(place: int) -> tuple[bool, bool, float]:
        each = candidates[place]
        return math.isnan(each.score), each.unchanged, -each.score
    return sorted(range(len(candidates)), key=rank)


def alike(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Groups of places whose images are nearly the first of their group. Unchanged images are in none."""
    groups: list[list[int]] = []
    for place, each in enumerate(candidates):
        if each.unchanged:
            continue
        group = next((group for group in groups if candidates[group[0]].distance(each) < SAME), None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    return [group for group in groups if len(group) > 1]


def marks(candidates: Sequence[Candidate], names: Sequence[str]) -> list[str]:
    """What is wrong with each candidate, in few words, or ""."""
    first_of = {place: group[0] for group in alike(candidates) for place in group[1:]}
    return ["unchanged" if each.unchanged else f"nearly like {names[first_of[place]]}" if place in first_of else ""
            for place, each in enumerate(candidates)]


def labels(candidates: Sequence[Candidate]) -> list[str]:
    """Number, score and mark of each candidate, in few words."""
    numbers = [f"{place + 1}" for place in range(len(candidates))]
    return [", ".join(filter(None, (f"{number}: {rounded(each.score)}", mark)))
            for number, each, mark in zip(numbers, candidates, marks(candidates, numbers))]


def rounded(value: float) -> str:
    return "no score" if math.isnan(value) else f"{value:.0f}"


def remarks(candidates: Sequence[Candidate], denoising_strength: float, masked_content: str,
            seeds: Sequence[str] | None = None) -> list[str]:
    """Sentences on images that changed nothing or are nearly alike, and what to change.

    Images are named by their seeds or, without these, by their numbers from 1.
    """
    def named(places: Iterable[int]) -> str:
        names = [f"{place + 1}" if seeds is None else seeds[place] for place in places]
        return (f"{'image' if seeds is None else 'seed'}{'s' if len(names) > 1 else ''} "
                f"{' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}")
    advice = _what_to_change(denoising_strength, masked_content)
    found = []
    unchanged = [place for place, each in enumerate(candidates) if each.unchanged]
    if unchanged:
        found.append(f"Almost nothing changed {'in' if seeds is None else 'with'} {named(unchanged)}. {advice}")
    groups = alike(candidates)
    if groups:
        found.append(f"Nearly alike: {'; '.join(map(named, groups))}. {advice}")
    return found


def _what_to_change(denoising_strength: float, masked_content: str) -> str:
    ways = []
    if denoising_strength < ENOUGH_STRENGTH:
        ways.append(f"raise denoising strength (now {denoising_strength:g})")
    if masked_content in OWN_CONTENTS:
        ways.append(f'set own masked content to "{HOSTS}" and masked content to "{NOISE[0]}"')
    elif masked_content not in NOISE:
        ways.append(f'set masked content to "{NOISE[0]}" (now "{masked_content}")')
    sentence = " or ".join(ways) or "change the prompt or paint a larger area"
    return f"{sentence[0].upper()}{sentence[1:]}."
