import itertools

import numpy as np
import pytest
import torch

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.composite import composite, enlarge, mask_opacity, opacity, place, with_alpha


def shown(distance, repaint=1.0, influence=0.0, strength=0.5, threshold=0.5, contrast=2.0):
    return opacity(torch.tensor([[[distance]]]), torch.tensor([[[repaint]]]), influence, strength, threshold, contrast).item()


def test_half_is_shown_where_the_distance_is_the_threshold():
    assert shown(0.5) == pytest.approx(0.5, abs=1e-4)
    assert shown(0.0) == 0
    assert shown(5.0) > 0.999


def test_with_mask_influence_the_mask_decides():
    assert shown(0.5, repaint=0.01, influence=1.0) < shown(0.5, repaint=0.99, influence=1.0)
    assert shown(0.5, repaint=0.0, influence=1.0) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("influence", "strength", "threshold", "contrast", "repaint", "distance"), list(itertools.product(
    [0.0, 1.0], [0.0, 8.0], [0.0, 8.0], [0.0, 8.0], [0.0, 0.5, 1.0], [0.0, 0.3, 20.0])))
def test_no_slider_limit_gives_nan(influence, strength, threshold, contrast, repaint, distance):
    got = shown(distance, repaint, influence, strength, threshold, contrast)
    assert 0 <= got <= 1
    if distance == 0:
        assert got == 0


def test_a_threshold_of_0_shows_all_that_changed_and_a_contrast_of_0_half_of_it():
    assert shown(0.01, threshold=0.0) == 1
    assert shown(0.01, contrast=0.0) == 0.5


def test_the_mask_alone_shows_its_root_and_nothing_outside():
    got = mask_opacity(torch.tensor([0.0, 0.25, 1.0]), 1.0)
    assert got.tolist() == [0, 0.5, 1]
    assert mask_opacity(torch.zeros(1), 0.0).item() == 0


def test_enlarging_keeps_a_constant_and_the_range():
    assert enlarge(np.ones((4, 5), np.float32), Size(32, 40)) == pytest.approx(np.ones((32, 40)), abs=1e-6)
    step = enlarge(np.tile(np.float32([0, 0, 1, 1]), (4, 1)), Size(32, 32))
    assert step.min() >= 0
    assert step.max() <= 1
    assert np.diff(step[16]).min() > -0.01  # a trace of Lanczos ringing


def test_a_crop_is_placed_where_it_was_cut():
    placed = place(np.ones((8, 8), np.float32), Box(3, 2, 4, 4), Size(10, 12))
    wanted = np.zeros((10, 12), np.float32)
    wanted[2:6, 3:7] = 1
    assert (placed == wanted).all()


def test_a_crop_of_other_proportions_covers_its_box_and_is_cut_evenly():
    columns = np.tile(np.float32([0, 1, 1, 0]), (4, 1)).repeat(8, 0).repeat(8, 1)  # 32x32 for a box of 16x32
    placed = place(columns, Box(0, 0, 16, 32), Size(32, 16))
    assert placed[16] == pytest.approx(np.ones(16), abs=0.1)  # the outer quarters are cut off


def test_outside_is_byte_exact_and_inside_is_rounded_once():
    random = np.random.default_rng(0)
    original, decoded = random.integers(0, 256, (2, 16, 16, 3), np.uint8)
    share = np.zeros((16, 16), np.float32)
    share[:4], share[4:8] = 1, 0.25
    got = composite(original, decoded, share)
    assert got.dtype == np.uint8
    assert (got[8:] == original[8:]).all()
    assert (got[:4] == decoded[:4]).all()
    assert (got[4:8] == np.rint(0.75 * original[4:8].astype(float) + 0.25 * decoded[4:8])).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_never_shown(value):
    original = np.full((4, 4, 3), 200, np.uint8)
    decoded = np.full((4, 4, 3), 100, np.float32)
    share = np.float32([[0, 0.5, 1, 1]] * 4)
    decoded[:, 0] = decoded[1, 1] = value
    decoded[2, 2, 1] = value
    share[3, 3] = np.nan
    got = composite(original, decoded, share)
    np.testing.assert_array_equal(got[..., 0], [[200, 150, 100, 100], [200, 200, 100, 100], [200, 150, 200, 100],
                                                [200, 150, 100, 200]])
    assert (got == got[..., :1]).all()


def test_images_of_different_sizes_are_rejected():
    with pytest.raises(ValueError, match=r"must have the same size, got \(4, 4\), \(4, 5\) and \(4, 4\)"):
        composite(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4)))


def test_alpha_is_restored_and_unchanged_pixels_are_exact():
    drawn = np.random.default_rng(0)
    source = drawn.integers(0, 256, (32, 32, 4), dtype=np.uint8)
    source[:8, :, 3] = 0
    source[8:16, :, 3] = 255
    alpha = source[..., 3:] / 255
    flat = np.rint(alpha * source[..., :3] + (1 - alpha) * 255).astype(np.uint8)
    opacity_px = np.zeros((32, 32), np.float32)
    opacity_px[4:28, 4:28] = 1
    opacity_px[4:28, 20:28] = 0.5
    new = drawn.integers(0, 256, (32, 32, 3))
    result = np.rint(flat + opacity_px[..., None] * (new - flat.astype(float))).astype(np.uint8)
    back = with_alpha(result, source, flat, opacity_px)
    np.testing.assert_array_equal(back[opacity_px == 0], source[opacity_px == 0])
    full = opacity_px == 1
    np.testing.assert_array_equal(back[full][:, 3], 255)
    np.testing.assert_array_equal(back[full][:, :3], result[full])
    half = opacity_px == 0.5
    np.testing.assert_allclose(back[half][:, 3], 127.5 + source[half][:, 3] / 2, atol=0.51)
    over = back[..., :3] * (back[..., 3:] / 255) + 255 * (1 - back[..., 3:] / 255)
    np.testing.assert_allclose(over[half], result[half], atol=1)


def test_new_content_in_a_hole_has_its_own_colours_at_its_own_opacity():
    hole = np.zeros((1, 3, 4), np.uint8)
    flat = np.full((1, 3, 3), 255, np.uint8)
    opacity_px = np.array([[0, 0.5, 1]], np.float32)
    result = np.array([[[255, 255, 255], [227, 177, 152], [200, 100, 50]]], np.uint8)
    back = with_alpha(result, hole, flat, opacity_px)
    assert back[0, 0].tolist() == [0, 0, 0, 0] and back[0, 2].tolist() == [200, 100, 50, 255]
    np.testing.assert_allclose(back[0, 1], [200, 100, 50, 127.5], atol=2)
