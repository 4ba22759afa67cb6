"""The mathematics gives the results that are recorded in recorded.json. A change of them belongs into the CHANGELOG.

    python -m tests.test_recorded    records them again

The other tests say what the results must be like. These notice a constant or an operator that was changed by mistake.
"""
import dataclasses
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from lib_softinpaint.generation import candidates, ghosts, layers, neighbours, score, views
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.seams import seams
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.images.painted import strengths
from lib_softinpaint.method import (
    blend,
    coherence,
    composite,
    content,
    cut,
    difference,
    drift,
    fill,
    grain,
    layer,
    mask_tools,
    regions,
    schedule,
    surroundings,
)
from lib_softinpaint.method import mask as masks
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.distance import depth
from lib_softinpaint.settings.settings import Settings

RECORD = Path(__file__).parent / "recorded.json"
SAMPLES = 80
"""Values that are recorded of each result, evenly spread, beside its size, mean and deviation."""

SIZE = Size(181, 214)
ROWS, COLUMNS = np.mgrid[:SIZE.height, :SIZE.width].astype(np.float32)
NOISE = np.random.RandomState(1).standard_normal((*SIZE, 3)).astype(np.float32)
LATENT_NOISE = torch.from_numpy(np.random.RandomState(2).standard_normal((4, 2, 4, 22, 26)).astype(np.float32))


def disc(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


def scene():
    """Slopes, stripes, a disc and grain."""
    image = np.stack([90 + 0.5 * ROWS, 130 + 40 * np.sin(COLUMNS / 9), 170 - 0.4 * COLUMNS], -1) + 5 * NOISE
    image[disc(60, 150, 26)] = 210, 70, 50
    image[120:, :50] -= 40
    return np.clip(image, 0, 255).astype(np.uint8)


ORIGINAL = scene()
PAINTED = np.where(disc(95, 95, 34), 1, np.where(disc(150, 185, 9), 0.5, 0)).astype(np.float32)
REPAINT = masks.feather_outward(PAINTED, 26)
NEW = np.clip(gaussian_filter(ORIGINAL[:, ::-1].astype(np.float32), (1, 1, 0)) + 12 * NOISE[::-1], 0, 255)
SHIFT = np.stack([4 + 0.02 * COLUMNS, -3 + 0 * COLUMNS, 2 - 0.03 * ROWS], -1)
DECODED = (np.where(PAINTED[..., None] > 0, NEW, gaussian_filter(ORIGINAL.astype(np.float32), (0.7, 0.7, 0))) + SHIFT).astype(
    np.float32)
RESULT = composite.composite(ORIGINAL, NEW, REPAINT)
RUN = Settings(enabled=True, feather_source="Mask blur", seam_search=1.0, grain=0.5)


def latent_mask():
    return torch.from_numpy(masks.to_latent(REPAINT, 22, 26))[None, None]


def kept(painted=PAINTED, original=ORIGINAL, **fields):
    over = masks.PaintedMask(painted, masks.Canvas(11), SIZE)
    repaint = over.repaint_px(RUN)
    reference, noise = LATENT_NOISE[0, :1], LATENT_NOISE[1, :1]
    job = SoftInpaintJob(RUN, torch.from_numpy(masks.to_latent(repaint, 22, 26))[None], reference, [original], [repaint],
                         painted_px=[painted])
    samples = job.finish(job.blend(reference + 0.3 * noise, torch.tensor([0.6])))
    sampled, = job.measure(samples, Size(176, 208), [3])
    sampled = dataclasses.replace(sampled, decoded_size=SIZE)
    return KeptImage(RUN, sampled, DECODED, over, "", **fields)


def two_regions():
    """The second begins in the first one's feather."""
    first = kept()
    return kept(0.8 * disc(75, 145, 22).astype(np.float32), first.composited(RUN), before=first)


OTHERWISE = dataclasses.replace(RUN, seam_search=0.4, edge_taper_px=5.0, least_opacity=0.6, grain=0.0)
"""Other settings of the composite."""


def change_of(image, **changes):
    return (image.composited(dataclasses.replace(RUN, **changes)).astype(np.float32) - ORIGINAL)[REPAINT > 0]


def enlarged_by_a_host():
    """One and a half times as high, and twice as wide."""
    image = kept()
    decoded = Image.fromarray(np.uint8(DECODED.clip(0, 255))).resize((2 * SIZE.width, SIZE.height * 3 // 2))
    return dataclasses.replace(image, decoded=np.asarray(decoded)).composited(dataclasses.replace(RUN, drift_correction=0.7))


def of_a_crop(**changes):
    image = kept()
    sampled = dataclasses.replace(image.sampled, **{
        "box": Box(6, 11, 190, 160), "decoded_size": Size(160, 190), "noise_floor": 0.3, **changes})
    return dataclasses.replace(image, sampled=sampled)


def measured(repaint, new_from=0, box=None):
    """The correction, and the trust in percent. From the column `new_from` on, the mask holds new content."""
    decoded = np.where(COLUMNS[..., None] >= new_from, DECODED, ORIGINAL + SHIFT + NOISE)
    found = drift.measured(ORIGINAL, decoded.astype(np.float32), repaint, box)
    return np.append(found.correction.ravel(), 100 * found.trust)


def drift_of_a_long_image():
    """Of which the ends are too far from the mask to tell anything about it."""
    original = np.ascontiguousarray(np.tile(ORIGINAL, (1, 3, 1))[:40])
    columns = np.arange(original.shape[1], dtype=np.float32)[:, None]
    repaint = np.zeros(original.shape[:2], np.float32)
    repaint[10:30, 264:304] = 1
    return drift.measured(original, original + np.float32(0.02) * columns * np.float32((1, -1, 2)), repaint).correction


def noisy_drift():
    """Outside the mask, noise in large blocks, and two things that are not drift."""
    decoded = ORIGINAL + SHIFT + 9 * np.kron(NOISE[:23, :27], np.ones((8, 8, 1)))[:SIZE.height, :SIZE.width]
    decoded[8:40, 8:48] += 90
    decoded[8:40, 170:200] -= 90
    found = drift.measured(ORIGINAL, decoded.astype(np.float32), PAINTED)
    return np.append(found.correction.ravel(), 100 * found.trust)


def hardly_any_drift():
    found = drift.measured(ORIGINAL, ORIGINAL + np.float32(0.004) * SHIFT, PAINTED)
    return np.append(1000 * found.correction.ravel(), 100 * found.trust)


def in_larger_blocks(decoded=None):
    with mock.patch.object(drift, "MOST_BLOCKS", 30):
        return measured(PAINTED) if decoded is None else drift.measured(ORIGINAL, decoded, PAINTED).correction


def seam_between(strengths, most_cells=cut.MOST_CELLS):
    """Share of the new image on both sides of the path, and how visible the path is."""
    with mock.patch.object(cut, "MOST_CELLS", most_cells):
        found = cut.search(ORIGINAL, NEW, masks.feather_outward(strengths, 26), strengths, Box.whole(SIZE), 0.4)
    return np.stack([found.share, found.seen])


def scores(repaint, painted, decoded=None):
    found = score.score(ORIGINAL, RESULT, repaint, painted, decoded)
    return [*dataclasses.astuple(found), *score.flaws(found, 0.7, 0.8).values(), score.blend_score(found, 0.7, 0.8)]


def in_logarithms(numbers):
    """So that none of them hides a change of smaller ones."""
    return np.log(np.abs(numbers) + 1e-3)


def scores_of_a_large_image(decoded_too, where=np.s_[150:190, 200:260]):
    """Of a small painted part, with a change far from it."""
    height, width = 3 * SIZE.height, 3 * SIZE.width
    original = np.tile(ORIGINAL, (3, 3, 1))
    painted = np.zeros((height, width), bool)
    painted[where] = True
    repaint = masks.feather_outward(painted.astype(np.float32), 40)
    new = np.clip(original[::-1, ::-1] + np.float32((9, -6, 4)), 0, 255)
    result = composite.composite(original, new, repaint)
    result[480:500, 520:560] += 7
    found = score.score(original, result, repaint, painted, np.uint8(new) if decoded_too else None)
    return [*dataclasses.astuple(found), score.blend_score(found, 0.7, 0.8)]


def scores_of_an_upright_image():
    """Of the left half, with a seam along the image's border too."""
    original, new = (np.ascontiguousarray(each.transpose(1, 0, 2)) for each in (ORIGINAL, np.uint8(NEW)))
    painted = (ROWS < 70).T & (COLUMNS > 30).T
    repaint = masks.feather_outward(painted.astype(np.float32), 14)
    found = score.score(original, composite.composite(original, new, np.sqrt(repaint)), repaint, painted, new)
    return dataclasses.astuple(found)


def faint_mixture():
    """Of images that differ nowhere, hardly, and plainly; the mixture has less contrast."""
    before = lab(ORIGINAL)
    after = before + torch.from_numpy((COLUMNS - 90) / 8).clamp(0.4, 16) * torch.tensor([0.6, -0.5, 0.6])[:, None, None]
    mixed = before + 0.4 * (after - before)
    mixed[0] = torch.from_numpy(gaussian_filter(mixed[0].numpy(), 0.4))
    ghost_px, contrast = ghosts.mixture(before, mixed, after)
    return ghost_px / 1e4, contrast


def grain_of_each_tone():
    """The grain that is added to a smooth slope from white to black, where the original has more of it in brighter tones."""
    tone = COLUMNS[..., None] * np.float32(255 / (SIZE.width - 1))
    smooth = 255 - tone + 0 * NOISE
    return grain.matched(tone + NOISE * (1 + tone / 25), smooth, np.float32(disc(90, 107, 70)), 0.8, 5) - smooth


def grain_of_a_large_image():
    """Of which only every second pixel is looked at."""
    original = np.tile(np.float32(ORIGINAL), (2, 2, 1)) + np.tile(NOISE * NOISE, (2, 2, 1))
    smooth, repaint = np.full_like(original, 120), np.zeros(original.shape[:2], np.float32)
    repaint[100:140, 60:90] = 1
    return (grain.matched(original, smooth, repaint, 1.0, 5) - smooth)[100:140, 60:90]


def black_and_white(height, width):
    """Patches without greys, on which a fill has to average much."""
    rows, columns = np.mgrid[:height, :width]
    patches = columns < 0.4 * width, rows < 0.3 * height, (rows + columns) % 37 < 9
    return 255 * np.stack(patches, -1).astype(np.uint8)


def fill_of_patches(fill_from, height, width, left):
    """Of a mask that leaves a margin, and is grey in one part."""
    image, mask = black_and_white(height, width), np.zeros((height, width), np.float32)
    mask[left:-left, left:-left] = 1
    mask[height // 2:, left + 2:left + 5] *= np.float32(0.7)
    return fill_from(image, mask)[mask > 0]


def shares_of_a_batch():
    """Of two images at two noise levels, in proportion and by time."""
    job = SoftInpaintJob(dataclasses.replace(RUN, threshold_mix=0.5, schedule_bias=0.8), latent_mask(), LATENT_NOISE[0],
                         [ORIGINAL], [REPAINT])
    return torch.stack([job.repaint_share(LATENT_NOISE[0], torch.tensor(ratios)) for ratios in ([0.3, 5.0], [1.2, 0.7])])


def antialiased():
    paint = np.zeros(SIZE, np.float32)
    for row, column, radius, strength in ((70, 60, 30, 1), (120, 150, 40, 0.6)):
        paint = np.maximum(paint, strength * np.clip(radius + 0.5 - np.hypot(ROWS - row, COLUMNS - column), 0, 1))
    return masks.feather_outward(paint.astype(np.float32), 26)


def kept_path():
    """The path through a wider feather, with the same images, and with images that leave it open."""
    core = np.float32(PAINTED == 1)
    before = cut.search(ORIGINAL, NEW, masks.feather_outward(core, 20), core, Box.whole(SIZE), 0.4)
    found = [cut.search(ORIGINAL, new, masks.feather_outward(core, 26), core, Box.whole(SIZE), 0.4, before)
             for new in (NEW[::-1], ORIGINAL + np.float32(1))]
    return np.stack([each.share for each in found])


def read_through_noise(turned=False):
    """A mask with a hard disc, a thin line, a grey patch and a feathered disc, and noise as from lossy compression."""
    levels = 255 * masks.feather_outward(np.float32(disc(50, 60, 25)), 3) + 90 * (disc(130, 60, 22) & (COLUMNS > 50))
    levels += 255 * masks.feather_outward(np.float32(disc(90, 165, 8)), 22) + 255 * (np.abs(ROWS - 12) < 2)
    noise = 11 * NOISE[..., 0] * (levels > 0) + 6 * np.abs(NOISE[..., 1]) * disc(90, 100, 85)
    levels = np.uint8(np.clip(levels + noise, 0, 255))
    return strengths(Image.fromarray(levels.T.copy() if turned else levels))


def candidate(height, width):
    painted = np.zeros(SIZE, np.float32)
    painted[60:60 + height, 70:70 + width] = 1
    found = candidates.of_images(Image.fromarray(ORIGINAL), Image.fromarray(RESULT), painted)
    return [found.score, found.effect, *found.look.ravel(), *found.weight.ravel()]


def candidate_of_another_size():
    found = candidates.of_images(Image.fromarray(ORIGINAL), Image.fromarray(RESULT).resize((208, 176)), REPAINT)
    return [found.score, found.effect, *found.look.ravel(), *(100 * found.weight.ravel())]


def halves_eaten():
    """At several distances and scales, of a result that mixes both images."""
    half = composite.composite(ORIGINAL, NEW, np.full(SIZE, 0.5, np.float32))
    return [neighbours.half_eaten(lab(ORIGINAL), lab(half), np.float32(COLUMNS - shift) / scale, scale)
            for shift in (0, 60, 130) for scale in (0.4, 1.0, 2.5)]


def fill_of_a_long_image():
    image = np.tile(ORIGINAL[:40], (1, 9, 1))
    mask = np.ones(image.shape[:2], np.float32)
    mask[:, :12] = mask[:10, -3:] = 0
    return fill.fill_from_outside(image, mask)


def along_seams(painted=PAINTED == 1, result=RESULT):
    found = seams(lab(ORIGINAL), lab(result), painted)
    return [number for reach, curve in found.items() for number in (reach, *dataclasses.astuple(curve))
            if isinstance(number, (int, float))]


def edited(text):
    return mask_tools.edited(PAINTED if text[0] in "fdsgi" else 0 * PAINTED, Settings(enabled=True, mask_tools=text), ORIGINAL)


def shaped(**changes):
    canvas = masks.Canvas(9, changes.pop("padding", None), 8.0, surroundings.edges(ORIGINAL))
    return masks.repaint_mask(PAINTED, Settings(enabled=True, **changes), canvas)


def detours_in_a_large_image():
    image, painted = np.tile(ORIGINAL, (3, 2, 1)), np.tile(PAINTED > 0, (3, 2))
    painted[:SIZE.height] = painted[:, SIZE.width:] = False
    return surroundings.detours(painted, surroundings.edges(image), 0.7, 90)


def moved():
    reference, noisy, denoised, noise = LATENT_NOISE
    return coherence.moved(noisy, denoised, reference, latent_mask(), torch.tensor(1.3), noise)


RESULTS = {
    "drift, new content": lambda: measured(PAINTED), "drift, partly trusted": lambda: measured(PAINTED, 85),
    "drift, feather": lambda: measured(REPAINT), "drift, noise and other content": noisy_drift,
    "drift, tight crop": lambda: measured(REPAINT, 0, Box(30, 128, 60, 30)),
    "drift, hardly any": hardly_any_drift, "drift in a long image": drift_of_a_long_image,
    "drift, at the image's corner": lambda: measured(np.float32(disc(172, 205, 30))),
    "drift, larger blocks": in_larger_blocks,
    "drift, larger blocks with the same content": lambda: in_larger_blocks(ORIGINAL + SHIFT),
    "seam, whole": lambda: seam_between(np.float32(PAINTED == 1)), "seam, grey": lambda: seam_between(PAINTED),
    "seam, kept path": kept_path,
    "seam, larger cells": lambda: seam_between(np.float32(PAINTED == 1), 500),
    "grain": lambda: grain.matched(ORIGINAL, DECODED, REPAINT, 0.8, 5),
    "grain of each tone": grain_of_each_tone, "grain of a large image": grain_of_a_large_image,
    "fill from outside, patches": lambda: fill_of_patches(fill.fill_from_outside, 130, 190, 30),
    "fill from outside, high patches": lambda: fill_of_patches(fill.fill_from_outside, 400, 60, 6),
    "fill from rim, patches": lambda: fill_of_patches(fill.fill_from_rim, 51, 40, 2),
    "fill from rim, wide patches": lambda: fill_of_patches(fill.fill_from_rim, 70, 230, 20),
    "fill from outside": lambda: fill.fill_from_outside(ORIGINAL, REPAINT),
    "fill from far outside": fill_of_a_long_image,
    "fill from rim": lambda: fill.fill_from_rim(ORIGINAL, REPAINT),
    "local fill": lambda: content.prepared(ORIGINAL, REPAINT, "local fill"),
    "recolour": lambda: content.prepared(ORIGINAL, REPAINT, "recolour"),
    "recolour of dark": lambda: content.prepared(ORIGINAL // 16, REPAINT, "recolour"),
    "extra noise": lambda: content.with_extra_noise(LATENT_NOISE[0], latent_mask(), 0.6, [4, 5]),
    "edges": lambda: surroundings.edges(ORIGINAL),
    "detours": lambda: surroundings.detours(PAINTED > 0, surroundings.edges(ORIGINAL), 0.7, 60),
    "detours in a large image": detours_in_a_large_image,
    "regions": lambda: np.stack(regions.regions(PAINTED)),
    "layer, nearly white": lambda: layer.layer_between(ORIGINAL // 64 + 252, RESULT // 64 + 252, REPAINT),
    "levels": lambda: cut.levels(np.float32([-9, 0.4, 0.6, 254.4, 254.6, 255, 300, np.nan, np.inf, -np.inf])),
    "layer": lambda: layer.layer_between(ORIGINAL, RESULT, REPAINT),
    "lab": lambda: lab(ORIGINAL),
    **{f"mask tools: {text}": lambda text=text: edited(text) for text in (
        "drop specks 20", "smooth 5", "grow 12 %", "grow -15 %", "invert", "luminance 45-60", "colour #d24632 20")},
    "mask, automatic": lambda: shaped(feather_source="Automatic", edge_awareness=0.6),
    "mask, own": lambda: shaped(feather_source="own", feather_width=30.0, feather_unit="% of the mask", padding=17),
    "mask, shrunk": lambda: shaped(feather_source="Mask blur", grow_px=-7.0),
    "mask, host": lambda: shaped(feather_source="host", grow_px=3.0),
    "mask, antialiased": antialiased,
    "taper": lambda: masks.edge_taper(REPAINT, 14), "latent mask": latent_mask,
    **{f"resized, {how}": lambda how=how: masks.resized(REPAINT, Size(96, 160), how)
       for how in ("stretch", "cover", "contain")},
    "opacity": lambda: composite.opacity(LATENT_NOISE[0, 0].abs(), latent_mask()[0].expand(4, -1, -1), 0.3, 0.7, 0.8, 2.5),
    "mask opacity": lambda: composite.mask_opacity(latent_mask(), 0.7),
    "enlarged": lambda: composite.enlarge(LATENT_NOISE[0, 0, 0].abs().numpy(), SIZE),
    "placed, of a resized crop": lambda: composite.place(REPAINT, Box(20, 30, 90, 70), SIZE),
    "placed": lambda: composite.place(REPAINT, Box(20, 30, 70, 90), SIZE),
    "difference": lambda: difference.difference_map(LATENT_NOISE[0], LATENT_NOISE[1]),
    "blend": lambda: blend.blend(LATENT_NOISE[0], blend.channel_norm(LATENT_NOISE[0]), LATENT_NOISE[1], latent_mask(), 4.0),
    "repaint share": lambda: schedule.repaint_share(latent_mask().log(), torch.tensor([0.9]), 0.8, 0.5),
    "shares of a batch": shares_of_a_batch,
    "training time": lambda: schedule.training_time(torch.logspace(-3, 1.2, 40)),
    "agreed": lambda: coherence.agreed(*LATENT_NOISE[:3], latent_mask(), latent_mask(), torch.tensor(1.3), 0.7),
    "moved": moved, "noise": lambda: coherence.noise_for([4, 5], 3, 2, LATENT_NOISE[0]),
    "scores, mixed": lambda: scores(REPAINT, PAINTED == 1, np.uint8(NEW)),
    "scores, unknown new image": lambda: scores(REPAINT, PAINTED == 1),
    "scores, large image": lambda: scores_of_a_large_image(True),
    "scores, large image, unknown new image": lambda: scores_of_a_large_image(False),
    "faint mixture": faint_mixture, "candidate": lambda: candidate(90, 90), "candidate, small": lambda: candidate(9, 9),
    "candidate, high": lambda: candidate(33, 15), "candidate, wide": lambda: candidate(12, 17),
    "candidate of another size": candidate_of_another_size,
    **{f"logarithms of {name}": lambda make=make: in_logarithms(make()) for name, make in {
        "scores": lambda: scores(REPAINT, PAINTED == 1, np.uint8(NEW)),
        "scores of a large image": lambda: scores_of_a_large_image(True, np.s_[151:190, 201:262]),
        "scores of a line in a large image": lambda: scores_of_a_large_image(True, np.s_[151, 201:262]),
        "scores of an upright image": scores_of_an_upright_image, "seams": lambda: along_seams(),
        "seams of a fading change": lambda: along_seams(result=np.uint8(np.clip(
            ORIGINAL + 25 * np.exp(-depth(PAINTED < 1) / 12)[..., None], 0, 255))),
        "seams of a line": lambda: along_seams((np.abs(ROWS - 90) < 2) & (COLUMNS < 120))}.items()},
    "half eaten": halves_eaten, "read through noise": read_through_noise,
    "read through noise, turned": lambda: read_through_noise(True),
    "seams": along_seams,
    "change within a wider mask": lambda: change_of(kept(), feather_source="own", grow_px=4.0),
    "change within a narrower mask": lambda: change_of(
        kept(), feather_source="own", feather_width=9.0, grow_px=-5.0, grain=0.0),
    "change without drift": lambda: change_of(kept(), drift_correction=0.0, grain=1.0, seam_search=0.0),
    "change in a crop": lambda: change_of(of_a_crop()), "composited, enlarged": enlarged_by_a_host,
    "opacity of a crop": lambda: of_a_crop().total_opacity_px(
        dataclasses.replace(RUN, least_opacity=0.2, automatic_threshold=True, seam_search=0.6)),
    "opacity by the mask alone": lambda: of_a_crop(distance=None).total_opacity_px(
        dataclasses.replace(RUN, least_opacity=0.2, preservation_strength=0.9)),
    "composited": lambda: kept().composited(RUN), "opacity of a run": lambda: kept().total_opacity_px(RUN),
    "opacity of a run, mostly by change": lambda: kept().total_opacity_px(
        dataclasses.replace(RUN, least_opacity=0.3, difference_threshold=0.5, edge_taper_px=9.0)),
    "seam view": lambda: views.seam(kept(), RUN), "opacity of two regions": lambda: two_regions().total_opacity_px(OTHERWISE),
    "change of two regions": lambda: change_of(two_regions(), **{
        name: getattr(OTHERWISE, name) for name in ("seam_search", "edge_taper_px", "least_opacity", "grain")}),
    "layers of two regions": lambda: np.stack(layers.layers(two_regions(), OTHERWISE)),
    "masks of two regions": lambda: np.stack(list(layers.masks(two_regions(), OTHERWISE).values())),
    "seam view of two regions": lambda: views.seam(two_regions(), OTHERWISE),
    "logarithms of scores of two regions": lambda: in_logarithms(
        [*dataclasses.astuple(two_regions().scores(OTHERWISE)), two_regions().blend_score(OTHERWISE)]),
    "difference view": lambda: views.relative_difference(kept(), RUN),
    "amplified": lambda: views.amplified_difference(ORIGINAL, RESULT),
}


def summary(result):
    values = np.nan_to_num(np.asarray(result, np.float64), nan=-1.0)
    flat = values.ravel()
    chosen = flat[np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(int)]
    return {"shape": list(values.shape), "mean": round(flat.mean(), 5), "deviation": round(flat.std(), 5),
            "values": [float(f"{value:.5g}") for value in chosen]}


def recorded():
    return {name: summary(result()) for name, result in RESULTS.items()}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_as_recorded(name):
    wanted, got = json.loads(RECORD.read_text())[name], summary(RESULTS[name]())
    assert got["shape"] == wanted["shape"]
    scale = max(wanted["deviation"], 1e-3)
    for part in ("mean", "deviation"):
        assert got[part] == pytest.approx(wanted[part], abs=5e-5 * scale + 1e-5)
    apart = np.abs(np.subtract(got["values"], wanted["values"]))
    # A pixel at a limit, or a path that two ways suit equally, may differ where libraries round differently.
    assert (apart > 2e-4 * scale + 1e-4 * np.abs(wanted["values"])).mean() <= 0.03


if __name__ == "__main__":
    RECORD.write_text(json.dumps(recorded(), indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")
