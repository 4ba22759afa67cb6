"""Errors against a known truth, on constructed images; and the benchmark on photographs."""
import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from benchmarks import composites, photos, taef2, truth
from benchmarks.options import Options
from tests import tiny_models

pytestmark = tiny_models.KNOWN_WARNINGS

SIDE = 256
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
PAINTED = (ROWS - 120) ** 2 + (COLUMNS - 130) ** 2 < 40 ** 2
DISTANCE = truth.signed_distance(PAINTED)
ORIGINAL = np.where(COLUMNS[..., None] % 64 < 32, (60, 90, 140), (180, 160, 90)).astype(np.uint8)
NEW = np.full((SIDE, SIDE, 3), (90, 150, 70), np.uint8)
TRUE = np.where(PAINTED[..., None], NEW, ORIGINAL)


def faded(original, new, width):
    """The new image in the painted area, fading over this many pixels of a side of 512."""
    share = np.clip(1 - DISTANCE / width, 0, 1)[..., None]
    return np.rint(original + share * (new.astype(float) - original)).astype(np.uint8)


def test_the_true_composite_has_no_error():
    assert truth.halo(TRUE, ORIGINAL, NEW, DISTANCE) == 0
    assert truth.errors_by_distance(TRUE, TRUE, DISTANCE) == [0] * 6
    assert truth.gradient_at_edge(TRUE, TRUE, PAINTED) == 0
    assert truth.half_eaten(TRUE, ORIGINAL, DISTANCE) == 0
    assert truth.ring_change(TRUE, ORIGINAL, DISTANCE) == 0


def test_a_feather_is_no_halo_but_other_colours_are():
    soft = faded(ORIGINAL, NEW, 30)
    assert truth.halo(soft, ORIGINAL, NEW, DISTANCE) < 0.002
    tinted = [(NEW + levels).astype(np.uint8) for levels in (5, 10, 20)]
    halos = [truth.halo(faded(ORIGINAL, image, 30), ORIGINAL, NEW, DISTANCE) for image in tinted]
    assert halos[0] > 0.01
    assert halos[1] == pytest.approx(2 * halos[0], rel=0.1)
    assert halos[2] == pytest.approx(4 * halos[0], rel=0.1)


def test_errors_are_told_by_their_distance_from_the_edge():
    inside, outside = TRUE.copy(), faded(ORIGINAL, NEW, 24)
    inside[PAINTED] += 10
    assert truth.errors_by_distance(inside, TRUE, DISTANCE) == pytest.approx([10 / 255] * 3 + [0] * 3)
    errors = truth.errors_by_distance(outside, TRUE, DISTANCE)
    assert errors[:3] == [0, 0, 0]
    assert errors[3] > errors[4] > errors[5] > 0


def test_eaten_neighbours_are_neither_kept_nor_gone():
    faint = np.rint(ORIGINAL * 0.5 + 60).astype(np.uint8)
    gone = np.full_like(ORIGINAL, 120)
    beside = ~PAINTED[..., None]
    for result, share in ((TRUE, 0), (np.where(beside, faint, NEW), 1), (np.where(beside, gone, NEW), 0)):
        assert truth.half_eaten(result, ORIGINAL, DISTANCE) == pytest.approx(share, abs=0.1)
    assert np.isnan(truth.half_eaten(NEW, NEW, DISTANCE))


def test_figures_keep_their_meaning_at_twice_the_size():
    def doubled(image):
        return image.repeat(2, 0).repeat(2, 1)
    images = faded(ORIGINAL, NEW, 30), ORIGINAL
    large, distance = [doubled(image) for image in images], truth.signed_distance(doubled(PAINTED))
    assert truth.ring_change(*large, distance) == pytest.approx(truth.ring_change(*images, DISTANCE), rel=0.05)
    assert truth.halo(*large, doubled(NEW), distance) == pytest.approx(truth.halo(*images, NEW, DISTANCE), abs=1e-3)


def test_each_content_on_a_photograph_has_all_figures():
    codec = composites.codecs()["second"]
    images = [image[::2, ::2] for _, image, _ in itertools.islice(photos.photographs(), 2)]
    assert all(image.shape == (SIDE, SIDE, 3) for image in images)
    cases = list(photos.cases(codec, images, 4))
    assert len(cases) == len(images) * len(photos.BOXES) * len(photos.CONTENTS)
    for case in cases[:3]:
        assert (case.new == images[0]).all() == (case.kind == photos.IDENTITY)
        row = dict(zip(photos.COLUMNS, photos.figures(case, composites.METHODS["**ours**"](case)), strict=True))
        assert row["changed outside, px"] == 0
        assert np.isfinite(list(row.values())).all()


def test_photos_need_an_autoencoder():
    assert list(photos.tables(Options())) == [
        "bench photos needs --autoencoder FOLDER with taef2_encoder.pth and taef2_decoder.pth (madebyollin/taesd)."]


def test_an_autoencoder_is_built_from_its_weights(tmp_path):
    def saved(layers, name):
        torch.save(nn.Sequential(*layers).half().state_dict(), tmp_path / name)
    conv = taef2._conv
    saved([conv(3, 8), taef2.Block(8), conv(8, 8, bias=False), taef2.Block(8, 16), conv(8, 4)], taef2.ENCODER)
    saved([nn.Identity(), conv(4, 8), nn.Identity(), taef2.Block(8), nn.Identity(), conv(8, 3)], taef2.DECODER)
    codec = taef2.codec(tmp_path)
    latents = codec.encode(torch.from_numpy(gaussian_filter(np.random.default_rng(0).normal(size=(1, 3, 32, 32)), 2)).float())
    assert latents.shape == (1, 4, 16, 16)
    assert codec.decode(latents).shape == (1, 3, 32, 32)
    with pytest.raises(OSError, match="taef2_encoder"):
        taef2.codec(tmp_path / "none")
