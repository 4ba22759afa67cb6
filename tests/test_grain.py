import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lib_softinpaint.method import grain

SIZE = 128
MASK = np.zeros((SIZE, SIZE), np.float32)
MASK[32:96, 32:96] = 1
INSIDE, OUTSIDE = MASK > 0, MASK == 0
SMOOTH = np.full((SIZE, SIZE, 3), 120, np.float32)
SMOOTH[:, SIZE // 2:] = 60


def grainy(deviation):
    return SMOOTH + np.random.default_rng(1).normal(0, 1, SMOOTH.shape).astype(np.float32) * np.float32(deviation)


def fine_deviation(image, where):
    return (image - gaussian_filter(image, (1, 1, 0)))[where].std(0)


@pytest.mark.parametrize("deviation", [(6, 6, 6), (2, 5, 9)])
def test_smooth_new_content_gets_the_originals_grain(deviation):
    original = grainy(deviation)
    matched = grain.matched(original, SMOOTH, MASK, 1.0, 0)
    away = INSIDE & (np.abs(np.arange(SIZE) - SIZE // 2) > 3)  # away from the edge between the tones
    np.testing.assert_allclose(fine_deviation(matched, away), fine_deviation(original, OUTSIDE & (
        np.abs(np.arange(SIZE) - SIZE // 2) > 3)), rtol=0.15)


def test_each_tone_gets_its_own():
    original = SMOOTH + (grainy(8) - SMOOTH) * np.where(SMOOTH > 100, 1, 0.2)
    matched = grain.matched(original, SMOOTH, MASK, 1.0, 0)
    bright, dark = (fine_deviation(matched, INSIDE & side).mean() for side in (
        np.arange(SIZE)[None] < SIZE // 2 - 4 + 0 * MASK, np.arange(SIZE)[None] > SIZE // 2 + 4 + 0 * MASK))
    assert bright > 3 * dark


def test_grainy_content_gets_no_grain():
    original = grainy(6)
    added = grain.matched(original, original, MASK, 1.0, 0) - original
    assert np.abs(added).max() < 6 * 0.5 * 4


def test_off_and_seeds():
    original = grainy(6)
    np.testing.assert_array_equal(grain.matched(original, SMOOTH, MASK, 0, 0), SMOOTH)
    one, again, other = (grain.matched(original, SMOOTH, MASK, 1.0, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_without_an_outside_there_is_nothing_to_match():
    np.testing.assert_array_equal(grain.matched(grainy(6), SMOOTH, np.ones_like(MASK), 1.0, 0), SMOOTH)


def test_finite_pixels_get_grain_despite_an_overflow():
    original, broken = grainy((6, 6, 6)), SMOOTH.copy()
    broken[40:43, 40:43] = np.nan
    sound = INSIDE & np.isfinite(broken).all(-1)
    matched = grain.matched(original, broken, MASK, 1.0, 0)
    np.testing.assert_allclose(matched[sound], grain.matched(original, SMOOTH, MASK, 1.0, 0)[sound], atol=0.5)
    broken[INSIDE] = np.nan
    np.testing.assert_array_equal(grain.matched(original, broken, MASK, 1.0, 0)[OUTSIDE], broken[OUTSIDE])


@pytest.mark.parametrize(("count", "is_enough"), [(255, False), (256, True)])
def test_grain_is_measured_on_so_many_pixels(count, is_enough):
    repaint = np.ones_like(MASK)
    repaint.ravel()[:count] = 0
    assert (grain.matched(grainy(6), SMOOTH, repaint, 1.0, 0) != SMOOTH).any() == is_enough
