import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lib_softinpaint.geometry import Box
from lib_softinpaint.method import drift

SIZE = 128
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE
TEXTURE = np.random.default_rng(0).normal(0, 12, (SIZE, SIZE, 3))
ORIGINAL = np.clip(np.stack([80 + 60 * ROWS, 120 + 40 * COLUMNS, 140 - 50 * ROWS], -1) + TEXTURE, 0, 255).astype(np.uint8)
MASK = np.zeros((SIZE, SIZE), np.float32)
MASK[40:88, 40:88] = 1
SHIFT = np.float32([6, -4, 3])


def truth():
    """The original with a red square inside the mask."""
    new = ORIGINAL.astype(np.float32)
    new[52:76, 52:76] = 200, 30, 30
    return new


def error(image):
    return np.abs((image - truth())[MASK == 1].mean(0)).max()


@pytest.mark.parametrize("shift", [SHIFT, SHIFT * (0.5 + ROWS)[..., None]], ids=["even", "sloping"])
def test_a_shift_measured_outside_is_removed_inside(shift):
    decoded = truth() + shift
    assert error(decoded) > 4
    assert error(drift.corrected(ORIGINAL, decoded, MASK)) < 0.6


def test_half_the_drift_can_be_removed():
    decoded = truth() + SHIFT
    half = drift.corrected(ORIGINAL, decoded, MASK, 0.5)
    np.testing.assert_allclose(half, (decoded + drift.corrected(ORIGINAL, decoded, MASK)) / 2, atol=1e-3)
    np.testing.assert_array_equal(drift.corrected(ORIGINAL, decoded, MASK, 0), decoded)


def test_new_content_at_the_masks_edge_is_not_drift():
    decoded = truth()
    decoded[36:92, 36:92] = 250, 250, 0  # spread by the decoder four pixels over the mask's edge
    corrected = drift.corrected(ORIGINAL, decoded, MASK)
    assert np.abs(corrected - decoded).max() < 2


def test_only_decoded_pixels_are_measured_and_corrected():
    box = Box(24, 24, 80, 80)
    decoded = np.zeros_like(truth())
    inside = np.s_[24:104, 24:104]
    decoded[inside] = (truth() + SHIFT)[inside]
    corrected = drift.corrected(ORIGINAL, decoded, MASK, box=box)
    assert error(corrected) < 0.6
    outside = np.ones(MASK.shape, bool)
    outside[inside] = False
    assert not corrected[outside].any()


def test_a_tight_crop_gets_one_colour_map():
    box = Box(36, 36, 56, 56)
    decoded = 0.9 * truth() + 20
    assert error(decoded) > 4
    assert error(drift.corrected(ORIGINAL, decoded, MASK, box=box)) < 4


def test_without_an_outside_nothing_is_corrected():
    decoded = truth() + SHIFT
    np.testing.assert_array_equal(drift.corrected(ORIGINAL, decoded, np.ones_like(MASK)), decoded)


@pytest.mark.parametrize("size", [(131, 90), (64, 200)])
def test_sizes_that_are_not_multiples_of_a_block(size):
    original = np.full((*size, 3), 100, np.uint8)
    mask = np.zeros(size, np.float32)
    mask[20:40, 20:40] = 1
    corrected = drift.corrected(original, original + SHIFT, mask)
    np.testing.assert_allclose(corrected[mask > 0], 100, atol=0.01)
    assert corrected.dtype == np.float32


def test_unobserved_tones_are_shifted_like_the_nearest_observed_ones():
    """The darkest and the brightest hundredth of the known pixels count as unobserved."""
    known = np.ones((100, 102), bool)
    known[:, 100:] = False
    decoded = np.full((*known.shape, 3), 0, np.float32)
    decoded[known] = np.linspace(50, 150, 10_000)[:, None]
    decoded[:, 101] = 255
    correction = drift.colour_map(0.9 * decoded, decoded, known)
    np.testing.assert_allclose(correction[0, 100:, 0], [-0.1 * 51, -0.1 * 149], atol=0.01)


def test_lost_texture_is_not_lost_contrast():
    """The decoder smooths a tight crop of dark grainy surroundings. A bright object in it must not shift."""
    grainy = np.clip(40 + np.random.default_rng(0).normal(0, 6, ORIGINAL.shape), 0, 255)
    grainy[52:76, 52:76] = 200
    decoded = gaussian_filter(grainy, (1, 1, 0))
    corrected = drift.corrected(grainy.astype(np.uint8), decoded, MASK, box=Box(36, 36, 56, 56))
    assert abs(corrected[60:68, 60:68].mean() - 200) < 3


@pytest.mark.parametrize("box", [(60, 60, 3, 3), (30, 30, 7, 20), (200, 0, 40, 40)])
def test_crops_too_small_to_measure_are_unchanged(box):
    decoded = truth() + SHIFT
    np.testing.assert_array_equal(drift.corrected(ORIGINAL, decoded, MASK, box=Box(*box)), decoded)


def test_a_nan_pixel_stays_nan():
    decoded = truth() + SHIFT
    decoded[0, 0] = np.nan
    corrected = drift.corrected(ORIGINAL, decoded, MASK)
    assert np.isnan(corrected).sum() == 3
    assert error(corrected) < 0.6


@pytest.mark.parametrize("size", [SIZE, 24])
def test_finite_pixels_are_corrected_despite_an_overflow(size):
    inside = np.s_[:size, 30:30 + size]
    decoded = truth()[inside] + SHIFT
    decoded[3:6, 3:6] = np.nan
    decoded[8, 8] = np.inf
    mask = MASK[inside] if size == SIZE else np.zeros((size, size), np.float32)
    corrected = drift.corrected(ORIGINAL[inside], decoded, mask)
    broken = ~np.isfinite(decoded)
    np.testing.assert_array_equal(np.isfinite(corrected), ~broken)
    repainted = mask > 0 if mask.any() else mask == 0  # a tight crop gets one colour map everywhere
    assert np.abs((corrected - truth()[inside])[~broken.any(-1) & repainted].mean(0)).max() < 0.6


@pytest.mark.parametrize("box", [None, Box(9, 14, 90, 101)])
@pytest.mark.parametrize("area", [Box(0, 0, 20, 30), Box(33, 50, 61, 7), Box(100, 100, 28, 28)])
def test_a_part_is_corrected_as_in_the_whole_image(box, area):
    decoded = ORIGINAL + SHIFT * ROWS[..., None]
    part = drift.corrected(ORIGINAL, decoded, MASK, 1, box, area)
    np.testing.assert_allclose(part, drift.corrected(ORIGINAL, decoded, MASK, 1, box)[area.inside], atol=1e-3)


CONTINUED = np.float32(ORIGINAL)
FOREIGN = np.random.default_rng(1).permuted(255 - CONTINUED.reshape(-1, 3), axis=0).reshape(CONTINUED.shape)
FOREIGN[..., 2] = 250
RELIT = CONTINUED * np.float32([0.8, 1.2, 1.1])


def drifted(new, compensated=0.0):
    """A new image inside the mask, with drift outside and the negative share of it inside."""
    return np.where(MASK[..., None] == 1, new - compensated * SHIFT, CONTINUED + SHIFT)


def test_continued_content_keeps_the_whole_gain():
    decoded = drifted(CONTINUED, -1)
    assert drift.measured(ORIGINAL, decoded, MASK).trust == pytest.approx(1, abs=0.02)
    corrected = drift.corrected(ORIGINAL, decoded, MASK)
    assert np.abs((corrected - CONTINUED)[MASK == 1].mean(0)).max() < 0.1


@pytest.mark.parametrize("new", [FOREIGN, RELIT], ids=["foreign", "relit"])
def test_content_that_does_not_continue_is_left_alone(new):
    """A decoder that looks at the whole image shifts new content against the outside. Correcting it would double the fault."""
    decoded = drifted(new, 1)
    assert drift.measured(ORIGINAL, decoded, MASK).trust < 0.02
    assert np.abs(drift.corrected(ORIGINAL, decoded, MASK) - decoded).max() < 0.2


def test_a_colour_does_not_take_on_the_drift_of_another():
    """Red surroundings drift and grey ones do not. A grey figure on red stays grey."""
    original = np.full((SIZE, SIZE, 3), 128, np.uint8)
    original[:, :96] = 180, 40, 40
    new = original.astype(np.float32)
    new[56:72, 56:72] = 128
    decoded = new + np.where(new[..., :1] > 150, np.float32([5, 0, -5]), 0)
    corrected = drift.corrected(original, decoded, MASK)
    red = (MASK == 1) & (new[..., 0] > 150)
    assert np.abs((corrected - new)[red].mean(0)).max() < 1
    assert np.abs((corrected - new)[60:68, 60:68].mean(0)).max() < 1


def test_the_trusted_share_is_none_without_anything_unchanged_and_all_without_anything_to_check():
    nothing_known = np.ones_like(MASK)
    assert drift.measured(ORIGINAL, CONTINUED, np.zeros_like(MASK)).trust == 1
    assert not drift.measured(ORIGINAL, CONTINUED + SHIFT, nothing_known).correction.any()


@pytest.mark.parametrize("part", [
    Box(0, 0, 40, 24), Box(8, 16, 3, 2), Box(11, 19, 20, 4), Box(15, 7, 1, 1), Box(17, 12, 23, 12)])
def test_a_part_is_interpolated_as_in_the_whole(part):
    field = np.random.default_rng(0).random((3, 3, 5)).astype(np.float32)
    whole = drift._enlarged(field, Box(0, 0, 40, 24), 8)
    np.testing.assert_allclose(drift._enlarged(field, part, 8), whole[part.inside], atol=1e-6)


@pytest.mark.parametrize(("count", "is_enough"), [(255, False), (256, True)])
def test_a_colour_map_needs_so_many_pixels(count, is_enough):
    known = np.zeros((20, 30), bool)
    known.ravel()[:count] = True
    decoded = np.random.default_rng(0).uniform(0, 255, (20, 30, 3)).astype(np.float32)
    assert drift.colour_map(decoded + 5, decoded, known).any() == is_enough
    decoded.reshape(-1, 3)[0, 1] = np.inf
    assert drift.colour_map(decoded + 5, decoded, known).any() == (count - 1 >= 256)


@pytest.mark.parametrize(("gain", "limited"), [(0.5, 0.8), (0.9, 0.9), (2.0, 1.25)])
def test_the_gain_of_a_colour_map_is_limited(gain, limited):
    decoded = np.random.default_rng(0).uniform(100, 150, (30, 30, 3)).astype(np.float32)
    correction = drift.colour_map(gain * decoded, decoded, np.ones((30, 30), bool), Box(3, 5, 8, 9))
    part = decoded[5:14, 3:11]
    slope = np.polyfit(part[..., 0].ravel(), (part + correction)[..., 0].ravel(), 1)[0]
    assert slope == pytest.approx(limited, abs=0.02)


@pytest.mark.parametrize(("blocks", "trust"), [(13, 1), (14, 0)])
def test_drift_is_predicted_and_checked_from_twelve_blocks_clear_of_the_mask_on(blocks, trust):
    """With fewer, all of a colour map is trusted."""
    original = np.random.default_rng(0).integers(40, 90, (8, 8 * blocks, 3), dtype=np.uint8)
    mask = np.zeros(original.shape[:2], np.float32)
    mask[:, :8] = 1
    decoded = np.where(mask[..., None] == 1, 250, original + SHIFT)
    for turned in (False, True):
        given = [each.swapaxes(0, 1) if turned else each for each in (original, decoded, mask)]
        assert drift.measured(*given).trust == pytest.approx(trust, abs=0.01)
