import numpy as np
import pytest
import torch

from lib_softinpaint.geometry import Size
from lib_softinpaint.method.mask import (
    Canvas,
    PaintedMask,
    blur_reach,
    cell_side,
    edge_taper,
    feather_outward,
    feather_reach,
    host_blur,
    match_latent,
    padding_left,
    repaint_mask,
    resized,
    shrink,
    to_latent,
)
from lib_softinpaint.settings.settings import Settings


def disc(size=64, radius=8):
    offset = np.arange(size) - size // 2
    return (offset[:, None] ** 2 + offset[None] ** 2 <= radius ** 2).astype(np.float32)


@pytest.mark.parametrize("reach", [0, 4, 20, 200])
def test_painted_areas_stay_at_full_strength(reach):
    painted = disc()
    feathered = feather_outward(painted, reach)
    assert (feathered[painted == 1] == 1).all()
    assert feathered.min() >= 0
    assert feathered.max() == 1


def test_the_feather_falls_to_zero_at_its_reach():
    row = feather_outward(np.eye(1, 20, 5, dtype=np.float32), 4)[0]
    wanted = [0, 0.1035156, 0.5, 0.8964844, 1, 0.8964844, 0.5, 0.1035156, 0, 0]  # 1 - t^3 (6 t^2 - 15 t + 10)
    assert row[1:11] == pytest.approx(wanted, abs=1e-6)
    assert (row[10:] == 0).all()


def test_greys_fade_from_their_own_strength():
    painted = np.zeros((1, 20), np.float32)
    painted[0, 5] = 0.5
    row = feather_outward(painted, 4)[0]
    assert row[5] == 0.5
    assert row[7] == pytest.approx(0.25)


def test_an_antialiased_rim_does_not_halve_the_feather():
    painted = np.zeros((1, 30), np.float32)
    painted[0, :6], painted[0, 6] = 1, 0.1
    assert feather_outward(painted, 10)[0, 10] == pytest.approx(0.5, abs=0.01)


def test_each_of_two_areas_fades_from_its_own_strength():
    painted = np.zeros((1, 90), np.float32)
    painted[0, 5:15], painted[0, 4], painted[0, 15] = 0.5, 0.05, 0.05
    painted[0, 60:70] = 1
    row = feather_outward(painted, 10)[0]
    assert row[19] == pytest.approx(0.25, abs=0.01)
    assert row[74] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("how", ["stretch", "cover", "contain"])
@pytest.mark.parametrize("stroke", [1, 2, 6])
@pytest.mark.parametrize(("old", "new"), [(2048, 512), (1024, 512), (300, 512), (256, 512)])
def test_a_resized_core_survives_and_nothing_rings(how, stroke, old, new):
    mask = np.zeros((64, old), np.float32)
    mask[:, old // 2:old // 2 + stroke] = 1
    got = resized(mask, Size(64 * new // old, new), how)
    assert got.shape == (64 * new // old, new)
    assert (got.max(axis=1) == 1).all()
    assert (got[:, :new // 2 - 4] == 0).all()
    assert (got[:, new // 2 + 4 + stroke * new // old:] == 0).all()


def test_resizing_covers_or_contains_as_the_webui_does():
    mask = np.tile(np.float32([0, 0.5, 0.5, 0]).repeat(8), (16, 1))
    covered = resized(mask, Size(16, 16), "cover")
    assert covered.shape == (16, 16)
    assert covered[:, 1:-1] == pytest.approx(np.full((16, 14), 0.5), abs=0.01)
    contained = resized(np.full((16, 32), 0.5, np.float32), Size(32, 32), "contain")
    assert contained == pytest.approx(np.full((32, 32), 0.5))


def test_an_empty_mask_stays_empty():
    assert not feather_outward(np.zeros((8, 8), np.float32), 20, 5).any()
    assert not shrink(np.zeros((8, 8), np.float32), 2).any()


def test_growing_moves_the_feather_outward():
    row = feather_outward(np.eye(1, 20, 5, dtype=np.float32), 4, 3)[0]
    assert row[2:9].tolist() == [1] * 7
    assert row[9:13] == pytest.approx(feather_outward(np.eye(1, 20, 5, dtype=np.float32), 4)[0, 6:10], abs=1e-6)
    assert feather_outward(disc(64, 8), 0, 5).sum() == pytest.approx(disc(64, 13).sum(), rel=0.05)


def test_greys_keep_their_strength_when_grown():
    painted = np.zeros((1, 60), np.float32)
    painted[0, 10:20], painted[0, 40:50] = 0.5, 1
    row = feather_outward(painted, 0, 4)[0]
    assert row[6:24].tolist() == [0.5] * 18
    assert row[36:54].tolist() == [1] * 18


def test_shrinking_removes_the_rim_but_no_stroke():
    painted = disc(64, 12)
    assert (shrink(painted, 5) == disc(64, 7)).mean() > 0.99
    painted[2, 3:30] = 1
    thin = shrink(painted, 40)
    assert thin[2, 3:30].all()
    assert 0 < thin[20:44].sum() < 12
    assert (shrink(np.ones((8, 8), np.float32), 3) == 1).all()  # the image's border is not a rim


@pytest.mark.parametrize("gap", [2, 6, 10])
def test_no_weak_gap_between_close_strokes(gap):
    painted = np.zeros((40, 80), np.float32)
    painted[10:30, 20:30] = painted[10:30, 30 + gap:40 + gap] = 1
    together = feather_outward(painted, 38)
    assert together[20, 20:40 + gap].min() > 0.94
    assert (together >= feather_outward(np.where(np.arange(80) < 30, painted, 0), 38)).all()


@pytest.mark.parametrize("blur", [4, 64])
def test_a_mask_is_shaped_by_the_settings(blur):
    painted = disc(128, 16)
    by_blur = Settings(enabled=True, feather_source="Mask blur")
    assert (repaint_mask(painted, by_blur, Canvas(blur)) == feather_outward(painted, 2.4 * blur)).all()
    assert (repaint_mask(painted, by_blur, Canvas(blur, 20)) == feather_outward(painted, min(20, 2.4 * blur))).all()
    own = Settings(enabled=True, feather_source="own", feather_width=10, grow_px=3)
    assert (repaint_mask(painted, own, Canvas(blur)) == feather_outward(painted, 10, 3)).all()
    by_host = Settings(enabled=True, feather_source="host")
    assert (repaint_mask(painted, by_host, Canvas(blur)) == host_blur(painted, blur)).all()
    assert (repaint_mask(painted, Settings(enabled=False, grow_px=3), Canvas(blur)) == host_blur(painted, blur)).all()
    for pixels in (1, 3):
        shrunk = Settings(enabled=True, feather_source="own", feather_width=0, grow_px=-pixels)
        assert (repaint_mask(painted, shrunk, Canvas(blur)) == shrink(painted, pixels)).all()


@pytest.mark.parametrize(("size", "stretched_to"), [
    ((40, 60), None), ((40, 60), (40, 64)), ((30, 50), None), ((50, 70), None), ((80, 120), (80, 120))])
def test_a_painted_mask_is_aligned_with_its_image(size, stretched_to):
    painted = np.zeros((40, 60), np.float32)
    painted[10:20, 30:40] = 1
    over = PaintedMask(painted, Canvas(2), Size(*size), stretched_to and Size(*stretched_to))
    repaint = over.repaint_px(Settings(enabled=True))
    assert repaint.shape == size
    down, across = (1, 1) if stretched_to is None else (stretched_to[0] / 40, stretched_to[1] / 60)
    core = np.nonzero(repaint == 1)
    assert abs(core[0].mean() - (15 * down - 0.5)) < 1
    assert abs(core[1].mean() - (35 * across - 0.5)) < 1


def test_a_mask_is_cut_or_continued_at_the_lower_right():
    mask = np.arange(12, dtype=np.float32).reshape(3, 4)

    def placed(size, stretched_to=None):
        return PaintedMask(mask, Canvas(2), Size(*size), stretched_to and Size(*stretched_to)).placed(mask).tolist()
    assert placed((2, 3)) == placed((2, 3), (3, 4)) == [[0, 1, 2], [4, 5, 6]]
    assert placed((3, 3)) == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]
    assert placed((4, 3)) == [[0, 1, 2], [4, 5, 6], [8, 9, 10], [0, 0, 0]]
    assert placed((2, 5)) == [[0, 1, 2, 3, 0], [4, 5, 6, 7, 0]]


@pytest.mark.parametrize(("old", "new"), [(Size(8, 9), Size(8, 8)), (Size(9, 8), Size(8, 8)), (Size(8, 8), Size(7, 8)),
                                          (Size(8, 8), Size(8, 7)), (Size(8, 11), Size(8, 8)), (Size(11, 8), Size(8, 8))])
def test_what_covers_a_size_is_cut_to_it_and_what_is_contained_in_it_is_filled(old, new):
    """From the middle: of an odd excess, one pixel more at the lower right."""
    mask = np.random.default_rng(0).random(old).astype(np.float32)
    scaled_up = Size(*(max(sides) for sides in zip(old, new)))
    assert resized(mask, new, "cover").shape == resized(mask, new, "contain").shape == new
    if scaled_up == old:
        above, left = (there // 2 - here // 2 for there, here in zip(old, new))
        np.testing.assert_array_equal(resized(mask, new, "cover"), mask[above:above + new.height, left:left + new.width])


def test_an_own_feather_may_be_a_share_of_the_mask_and_at_most_the_image_width():
    painted = np.zeros((100, 200), np.float32)
    painted[10:50, 10:50] = 1

    def reach(width, unit="pixels", padding=None):
        return feather_reach(painted, Settings(enabled=True, feather_source="own", feather_width=width, feather_unit=unit),
                             Canvas(4, padding))
    assert reach(50, "% of the mask") == pytest.approx(20)
    assert reach(100) == 100
    assert reach(1000) == 200
    assert reach(100, padding=32) == 32


def automatic_reach(painted, blur, padding=None, cell=8.0):
    return feather_reach(painted, Settings(enabled=True, feather_source="Automatic"), Canvas(blur, padding, cell))


def test_an_automatic_reach_never_falls_with_the_blur_and_spans_four_latent_pixels():
    small, large = disc(512, 20), disc(512, 250)
    reaches = [automatic_reach(small, blur) for blur in (0, 1, 4, 13, 14, 64)]
    assert reaches == pytest.approx([0, 32, 32, 32, 33.6, 153.6])
    assert automatic_reach(large, 4) == pytest.approx(0.1 * 250 * np.pi ** 0.5, rel=0.01)
    assert automatic_reach(small, 4, padding=20, cell=2.0) == pytest.approx(9.6)
    assert automatic_reach(small, 4, padding=20, cell=6.0) == 20
    assert automatic_reach(small, 4, padding=0, cell=6.0) == 16


def test_a_latent_pixel_is_as_large_as_the_grid_that_is_sampled():
    painted = np.zeros((1000, 2000), np.float32)
    painted[100:200, 300:500] = 1
    assert cell_side(painted, Size(500, 1000), None) == 16
    assert cell_side(painted, Size(512, 512), 28) == 8 * 256 / 512
    assert cell_side(painted, Size(512, 512), 28, 16) == 16 * 256 / 512


def test_a_crop_has_its_padding_around_what_was_painted_on_every_side():
    painted, repaint = np.zeros((100, 100), np.float32), np.zeros((100, 100), np.float32)
    painted[40:60, 40:60] = 1
    repaint[30:70, 38:70] = 0.5  # a neighbour on the left holds the feather back
    assert padding_left(painted, repaint, 32) == 30
    repaint[30:70, 0:70] = 0.5  # on the left it reaches the image's border
    assert padding_left(painted, repaint, 32) == 22
    assert padding_left(painted, repaint, 6) == 0
    assert padding_left(np.zeros_like(painted), repaint, 32) == 32


def test_the_reach_follows_the_blur_and_is_limited_by_only_masked():
    assert blur_reach(64) == pytest.approx(153.6)
    assert blur_reach(64, padding_px=32) == 32
    assert blur_reach(64, padding_px=0) == 16
    assert blur_reach(4, padding_px=32) == pytest.approx(9.6)


def test_the_taper_is_0_outside_and_1_deep_inside_and_never_below_the_mask():
    mask = feather_outward(disc(96, 6), 30)
    taper = edge_taper(mask, 10)
    assert ((taper == 0) == (mask == 0)).all()
    assert (taper >= mask).all()
    assert taper[48, 48 + 6 + 12] == 1
    assert np.abs(np.diff(taper[48])).max() < 0.16


def test_without_a_taper_or_an_outside_everything_inside_may_show():
    assert (edge_taper(disc(), 0) == disc()).all()
    assert (edge_taper(np.full((4, 4), 0.5, np.float32), 10) == 1).all()


def test_a_hard_mask_keeps_its_hard_edge():
    assert (edge_taper(disc(), 12) == disc()).all()


def test_a_stroke_of_one_pixel_survives_into_the_latent():
    painted = np.zeros((64, 64), np.float32)
    painted[:, 13] = 1
    assert to_latent(painted, 8, 8)[:, 1].tolist() == [1] * 8


def test_greys_are_averaged_and_stay_in_range():
    ramp = np.tile(np.linspace(0, 0.999, 64, dtype=np.float32), (64, 1))
    latent = to_latent(ramp, 8, 8)
    assert latent[0] == pytest.approx(ramp[0].reshape(8, 8).mean(1), abs=1e-6)
    assert latent.dtype == np.float32


def test_the_remainder_of_the_division_is_cut_off():
    assert to_latent(np.ones((250, 260), np.float32), 31, 32).shape == (31, 32)


@pytest.mark.parametrize("size", [(4, 4), (7, 8), (8, 7)])
def test_a_mask_smaller_than_the_latent_is_rejected(size):
    with pytest.raises(ValueError, match=rf"at least as large as the latent \(8, 8\), got \({size[0]}, {size[1]}\)"):
        to_latent(np.ones(size, np.float32), 8, 8)
    assert to_latent(np.ones((8, 8), np.float32), 8, 8).min() == 1


@pytest.mark.parametrize(("mask_shape", "latent_shape", "wanted"), [
    ((4, 6, 5), (2, 4, 6, 5), (1, 1, 6, 5)),
    ((1, 16, 6, 5), (2, 16, 6, 5), (1, 1, 6, 5)),
    ((2, 4, 6, 5), (2, 4, 6, 5), (2, 1, 6, 5)),
    ((32, 6, 5), (1, 32, 3, 6, 5), (1, 1, 1, 6, 5)),
    ((1, 16, 6, 5), (1, 16, 3, 6, 5), (1, 1, 1, 6, 5)),
    ((1, 16, 1, 6, 5), (1, 16, 3, 6, 5), (1, 1, 1, 6, 5))])
def test_masks_of_any_dimension_match_the_latent(mask_shape, latent_shape, wanted):
    mask = match_latent(torch.full(mask_shape, 0.5, dtype=torch.float16), torch.zeros(latent_shape))
    assert mask.shape == wanted
    assert mask.dtype == torch.float32
    assert (mask == 0.5).all()


@pytest.mark.parametrize(("shape", "sentence"), [
    ((6, 5), r"3, 4 or 5 dimensions, got \(6, 5\)"), ((4, 3, 5), r"height and width \(6, 5\), got \(3, 5\)")])
def test_masks_that_cannot_match_are_rejected(shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        match_latent(torch.zeros(shape), torch.zeros(1, 4, 6, 5))
