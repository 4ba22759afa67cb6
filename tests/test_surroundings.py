"""Feathers that stop at the outlines of neighbours."""
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.geometry import Size
from lib_softinpaint.method import surroundings
from lib_softinpaint.method.mask import Canvas, feather_outward, repaint_mask
from lib_softinpaint.settings.settings import Settings

REACH = 40
PAINTED = np.zeros((256, 256), np.float32)
PAINTED[100:156, 60:116] = 1
OWN = {"enabled": True, "feather_source": "own", "feather_width": REACH}


def plain():
    """A smooth sky."""
    rows = np.linspace(90, 170, 256)[:, None, None]
    return (rows + np.zeros((256, 256, 3))).astype(np.uint8)


def with_neighbour(left=130, colour=(200, 60, 40)):
    image = plain()
    image[90:170, left:left + 50] = colour
    return image


def shaped(image, awareness=1.0, painted=PAINTED, **changes):
    canvas = Canvas(4, edges=surroundings.edges(image))
    return repaint_mask(painted, Settings(**{**OWN, "edge_awareness": awareness, **changes}), canvas)


def test_on_a_smooth_surface_and_at_awareness_0_the_feather_goes_straight():
    straight = feather_outward(PAINTED, REACH)
    assert (shaped(with_neighbour(), 0.0) == straight).all()
    assert np.abs(shaped(plain()) - straight).max() < 0.01
    assert (repaint_mask(PAINTED, Settings(**OWN), Canvas(4)) == straight).all()


def test_the_feather_stops_at_a_neighbours_outline_and_nowhere_else():
    straight, aware = feather_outward(PAINTED, REACH), shaped(with_neighbour())
    inside = np.s_[95:165, 134:176]
    assert straight[inside].max() > 0.5
    assert aware[inside].max() < 0.02
    left = np.s_[:, :100]
    assert np.abs(aware - straight)[left].max() < 0.05
    between = np.s_[110:146, 118:127]
    assert (aware[between] / straight[between]).min() > 0.95


def test_the_painted_area_keeps_its_strength_whatever_is_in_it():
    painted = np.where(PAINTED > 0, np.float32(0.6), np.float32(0))
    for each in (PAINTED, painted):
        aware = shaped(with_neighbour(80), painted=each)
        assert (aware[each > 0] == each[each > 0]).all()
        assert aware.max() == each.max()


def test_a_feather_that_started_on_a_thing_stays_on_it():
    aware = shaped(with_neighbour(100))
    on_it = np.s_[110:146, 118:140]
    assert (aware[on_it] / feather_outward(PAINTED, REACH)[on_it]).min() > 0.9
    assert aware[110:146, 154:].max() < 0.02


def test_the_outline_of_what_was_painted_over_holds_nothing_back():
    image = plain()
    image[PAINTED > 0] = 200, 60, 40
    assert np.abs(shaped(image) - feather_outward(PAINTED, REACH)).max() < 0.1


def test_no_line_of_the_original_stays_behind():
    image = plain()
    image[:, 130:132] = 0  # a wire with the same sky on both sides, around which the feather finds a way
    image[60:64] = plain()[60:64]
    aware = shaped(image)
    row = aware[128, 120:142]
    assert (np.diff(row) <= 1e-6).all()


def test_at_the_images_edge_the_feather_also_goes_straight():
    for side in (np.s_[:56, 60:116], np.s_[-56:, 60:116], np.s_[100:156, :56], np.s_[100:156, -56:]):
        painted = np.zeros_like(PAINTED)
        painted[side] = 1
        assert np.abs(shaped(plain(), painted=painted) - feather_outward(painted, REACH)).max() < 0.01


@pytest.mark.parametrize("factor", [0.5, 2, 4])
def test_an_outline_means_the_same_at_every_size(factor):
    side = int(256 * factor)
    image = np.asarray(Image.fromarray(with_neighbour()).resize((side, side), Image.Resampling.NEAREST))
    painted = np.asarray(Image.fromarray(PAINTED).resize((side, side), Image.Resampling.NEAREST))
    aware = shaped(image, painted=painted, feather_width=REACH * factor)
    small = np.asarray(Image.fromarray(aware).resize((256, 256), Image.Resampling.BOX))
    assert np.abs(small - shaped(with_neighbour())).mean() < 0.01


def test_less_awareness_reaches_further_into_a_neighbour():
    faint = with_neighbour(130, (150, 135, 120))
    sums = [shaped(faint, awareness)[95:165, 134:176].sum() for awareness in (0.0, 0.1, 0.3, 1.0)]
    assert (np.diff(sums) < 0).all()


def test_detours_are_0_in_the_painted_area_and_never_negative():
    edges = surroundings.edges(with_neighbour())
    assert edges.shape == surroundings.grid_size(Size(256, 256)) == (512, 512)
    detour = surroundings.detours(PAINTED > 0, edges, 1.0, REACH)
    assert detour.shape == (256, 256)
    assert detour.min() >= 0
    assert detour[PAINTED > 0].max() == 0
    near = distance_transform_edt(PAINTED == 0) < REACH
    assert detour[95:165, 134:176][near[95:165, 134:176]].min() > 5
    assert surroundings.detours(np.ones((256, 256), bool), edges, 1.0, REACH).max() == 0


def test_no_pixel_of_a_thin_stroke_is_lost_on_the_grid():
    """In an image that is wider than the grid, and lower."""
    painted = np.zeros((300, 640), bool)
    painted[::7, ::11] = True
    cells = surroundings._on_grid(painted, surroundings.grid_size(Size(300, 640)))
    rows, columns = (np.arange(side)[::step] * 512 // 640 for side, step in zip(painted.shape, (7, 11)))
    assert cells.shape == (240, 512)
    assert cells[np.ix_(rows, columns)].all()
    assert cells.sum() < 2 * painted.sum()
