import numpy as np
import pytest

from lib_softinpaint.method import fill
from lib_softinpaint.method.fill import fill_from_outside, fill_from_rim


def two_colours():
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48], image[:, 48:] = (200, 40, 40), (20, 60, 220)
    mask = np.zeros((64, 96), np.float32)
    mask[16:48, 24:72] = 1
    return image, mask


def test_the_outside_stays_and_the_inside_takes_its_neighbours_colours():
    image, mask = two_colours()
    filled = fill_from_outside(image, mask)
    assert filled.dtype == np.uint8
    assert (filled[mask == 0] == image[mask == 0]).all()
    assert np.abs(filled[32, 25].astype(int) - (200, 40, 40)).max() < 40
    assert np.abs(filled[32, 70].astype(int) - (20, 60, 220)).max() < 40


def test_the_inside_has_no_effect_on_the_fill():
    image, mask = two_colours()
    other = image.copy()
    other[mask == 1] = (0, 255, 0)
    assert (fill_from_outside(image, mask) == fill_from_outside(other, mask)).all()


def test_a_fully_masked_image_is_unchanged():
    image, _ = two_colours()
    assert (fill_from_outside(image, np.ones((64, 96))) == image).all()


def test_greys_mix():
    image, mask = two_colours()
    filled = fill_from_outside(image, mask)
    half = fill_from_outside(image, mask / 2)
    assert np.abs(half.astype(int) - (image.astype(int) + filled) / 2).max() < 40


@pytest.mark.parametrize("side", [30, 100, 300])
def test_the_local_fill_is_the_membrane_over_the_rim(side):
    """A plane is its own membrane, so its fill is exact but for rounding, at any depth of the pyramid."""
    row, column = np.mgrid[:side, :side] / side
    image = np.rint(np.stack([200 * row, 220 * column, 100 + 50 * row - 80 * column], -1)).astype(np.uint8)
    mask = np.zeros((side, side))
    mask[side // 5:-side // 5, side // 6:-side // 6] = 1
    hidden = np.where(mask[..., None] == 1, 255, image).astype(np.uint8)
    assert np.abs(fill_from_rim(hidden, mask).astype(int) - image).max() <= 2


def test_the_local_fill_is_solved_to_a_level(monkeypatch):
    image = np.random.default_rng(1).integers(0, 256, (10, 10, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    mask = np.zeros((160, 160))
    mask[30:130, 40:120] = 1
    quick = fill_from_rim(image, mask).astype(int)
    monkeypatch.setattr(fill, "COARSEST_PX", 1000)
    exact = fill_from_rim(image, mask).astype(int)
    assert np.abs(quick - exact).max() <= 2
    assert np.abs(quick - exact)[mask == 1].mean() < 0.3


def test_the_local_fill_takes_nothing_from_inside_and_leaves_the_outside():
    image, mask = two_colours()
    other = image.copy()
    other[mask == 1] = (0, 255, 0)
    filled = fill_from_rim(image, mask)
    assert (filled == fill_from_rim(other, mask)).all()
    assert (filled[mask == 0] == image[mask == 0]).all()
    assert np.abs(filled[32, 25].astype(int) - (200, 40, 40)).max() < 20
    assert np.abs(filled[32, 70].astype(int) - (20, 60, 220)).max() < 20


def test_the_local_fill_of_everything_or_nothing_is_the_image():
    image, _ = two_colours()
    for value in (0, 1):
        assert (fill_from_rim(image, np.full((64, 96), value)) == image).all()


def test_the_local_fill_of_greys_without_a_white_or_black_pixel_smooths():
    image, _ = two_colours()
    greys = np.full((64, 96), 0.2)
    greys[:, 40:60] = 0.9
    filled = fill_from_rim(image, greys)
    assert np.abs(filled[:, 47].astype(int) - image[:, 47]).max() > 20
    assert np.abs(filled[:, :20].astype(int) - image[:, :20]).max() < 8


def test_the_local_fill_of_greys_lies_between():
    image, mask = two_colours()
    image[mask == 1] = (0, 255, 0)
    changes = [np.abs(fill_from_rim(image, mask * share).astype(int) - image)[mask == 1].mean() for share in (0.2, 0.6, 1)]
    assert 0 < changes[0] < changes[1] < changes[2]
