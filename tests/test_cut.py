"""Seams that run where old and new content look alike."""
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.generation.sampled import Findings, SampledImage
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method import cut
from lib_softinpaint.method.mask import feather_outward
from lib_softinpaint.settings.settings import Settings

SIDE, REACH = 192, 40
PAINTED = np.zeros((SIDE, SIDE), np.float32)
PAINTED[70:122, 40:92] = 1
CORE = PAINTED == 1
SKY = (np.linspace(110, 170, SIDE)[:, None, None] + np.zeros((SIDE, SIDE, 3))).astype(np.uint8)
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
SEARCHED = Settings(enabled=True, drift_correction=0.0)
FADED = replace(SEARCHED, seam_search=0.0)


def with_disc(column, radius=12, colour=(200, 60, 40), row=96):
    image, disc = SKY.copy(), (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius ** 2
    image[disc] = colour
    return image, disc


def sampled(original=SKY, painted=PAINTED, distance=0.0, repaint_px=None, **fields):
    """An image whose latent changed by a distance, so that without a seam search the opacity is at least the mask."""
    latent = np.ones((SIDE // 8, SIDE // 8), np.float32)
    repaint_px = feather_outward(painted, REACH) if repaint_px is None else repaint_px
    return SampledImage(original, repaint_px, latent * 0.5, latent * distance, Size.of(original), None, 1,
                        **{"painted_px": painted, **fields})


def shown(image, decoded, settings=SEARCHED):
    """Opacity of the new image."""
    return image.with_seam(settings, image.opacity_px(settings), decoded)


def test_the_painted_area_is_new_and_the_outside_is_not():
    image, decoded = sampled(), with_disc(105)[0]
    opacity, fade = shown(image, decoded), image.opacity_px(SEARCHED)
    assert (opacity[CORE] == fade[CORE]).all()
    assert (opacity[image.repaint_px == 0] == 0).all()
    assert np.abs(opacity - fade).max() > 0.3


@pytest.mark.parametrize("column", [104, 112, 116])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_whole_object_in_the_feather_is_old_or_new_but_never_both(column, is_new):
    scene, disc = with_disc(column)
    image, decoded = (sampled(), scene) if is_new else (sampled(scene), SKY)
    faded, cut_there = (shown(image, decoded, settings)[disc] for settings in (FADED, SEARCHED))
    mixed = np.minimum(cut_there, 1 - cut_there)
    assert np.minimum(faded, 1 - faded).mean() > 0.1
    assert mixed.mean() < 0.02


def test_an_object_of_the_original_that_the_painted_area_touches_is_not_mixed():
    scene, disc = with_disc(92, 14)
    beside = disc & (distance_transform_edt(~CORE) > 8)
    opacity = shown(sampled(scene), SKY)[beside]
    assert opacity.min() > 0.8  # the new sky covers all of it, as half of a disc would be seen


def test_where_every_path_would_be_seen_it_fades():
    """New content of another colour everywhere: a cut would be a hard edge."""
    image = sampled()
    decoded = np.where(image.repaint_px[..., None] > 0, SKY * 0.1, SKY)
    opacity, fade = shown(image, decoded), image.opacity_px(SEARCHED)
    assert np.abs(opacity - fade).max() < 0.1


def test_the_setting_blends_between_fade_and_cut():
    image, decoded = sampled(), with_disc(105)[0]
    fade, half, full = (shown(image, decoded, replace(SEARCHED, seam_search=value)) for value in (0.0, 0.5, 1.0))
    assert (fade == image.opacity_px(SEARCHED)).all()
    np.testing.assert_allclose(half, (fade + full) / 2, atol=1e-6)


def test_content_that_the_difference_threshold_hides_stays_hidden():
    image, decoded = sampled(distance=0.01), with_disc(105)[0]
    hidden = shown(image, decoded, replace(SEARCHED, least_opacity=0.0, difference_threshold=4.0))
    assert hidden.max() < 0.01
    assert shown(image, decoded).max() == 1


def test_a_grey_area_keeps_its_opacity_and_the_feather_begins_at_it():
    painted = PAINTED * np.float32(0.5)
    image, decoded = sampled(painted=painted), with_disc(66)[0]
    opacity, fade = shown(image, decoded), image.opacity_px(SEARCHED)
    assert (opacity[CORE] == fade[CORE]).all()
    assert fade[CORE].max() == 0.5
    rim = ~CORE & (distance_transform_edt(~CORE) < 1.5)
    assert np.abs(opacity[rim] - 0.5).max() < 0.1


def test_a_painted_gradient_is_kept_as_painted():
    painted = np.where(CORE, (COLUMNS - 39) / 53, 0).astype(np.float32)
    image, decoded = sampled(painted=painted), with_disc(66)[0]
    inside = CORE & (image.repaint_px == painted)
    assert inside.sum() > CORE.sum() / 2
    assert (shown(image, decoded)[inside] == image.opacity_px(SEARCHED)[inside]).all()


def test_the_path_is_searched_once_for_all_composite_settings(monkeypatch):
    searched = []
    search = cut.search
    monkeypatch.setattr(cut, "search", lambda *given: searched.append(1) or search(*given))
    image, decoded = sampled(), with_disc(105)[0]
    for changes in ({}, {"difference_threshold": 3.0}, {"least_opacity": 0.3}, {"seam_search": 0.4}, {"edge_taper_px": 3.0}):
        shown(image, decoded, replace(SEARCHED, **changes))
    assert len(searched) == 1


def test_what_was_found_in_an_image_counts_as_memory():
    image, decoded = sampled(), with_disc(105)[0]
    assert Findings(decoded).arrays() == []
    image.composited(replace(SEARCHED, drift_correction=1.0), decoded)
    found, = image.findings
    assert list(map(id, found.arrays())) == list(map(id, [found.drift.correction, *found.cut.arrays()]))
    assert found.cut.share.nbytes > 0


def test_an_object_does_not_flip_when_the_mask_is_reshaped_a_little():
    """Without the run's own path, it would be old in some of these masks and new in others."""
    flips = {False: 0, True: 0}
    for column in range(104, 118, 2):
        scene, disc = with_disc(column, 10)
        run = sampled()
        sides = {False: [], True: []}
        for reach in (REACH, REACH - 1, REACH - 2, REACH - 3, REACH - 4):
            mask = feather_outward(PAINTED, reach)
            for linked in sides:
                image = run.shown_within(mask) if linked else replace(run.shown_within(mask), run=None, findings=[])
                sides[linked].append(shown(image, scene)[disc].mean() > 0.5)
        for linked, each in sides.items():
            flips[linked] += len(set(each)) > 1
    assert flips[True] == 0
    assert flips[False] > 0


def test_a_result_that_a_host_enlarged_has_the_same_seam():
    image, decoded = sampled(), with_disc(105)[0]
    larger = decoded.repeat(2, 0).repeat(2, 1).astype(np.float32)
    usual, enlarged = image.composited(SEARCHED, decoded.astype(np.float32)), sampled().composited(SEARCHED, larger)
    assert np.abs(enlarged[::2, ::2].astype(int) - usual).mean() < 0.5


def test_pixels_that_a_decoder_lost_stay_original():
    image, decoded = sampled(), with_disc(105)[0].astype(np.float32)
    decoded[90:100, 60:70] = np.nan
    assert (image.composited(SEARCHED, decoded)[90:100, 60:70] == SKY[90:100, 60:70]).all()


@pytest.mark.parametrize("painted", [np.zeros_like(PAINTED), np.ones_like(PAINTED), None])
def test_without_a_feather_or_a_known_mask_nothing_is_searched(painted):
    image = sampled(painted_px=painted) if painted is None else sampled(painted=painted)
    decoded = with_disc(105)[0]
    np.testing.assert_array_equal(shown(image, decoded), image.opacity_px(SEARCHED))


def test_a_large_image_takes_larger_cells_and_the_same_sides():
    factor = 4
    scene, disc = with_disc(105)
    large_painted = PAINTED.repeat(factor, 0).repeat(factor, 1)
    mask, large_mask = feather_outward(PAINTED, REACH), feather_outward(large_painted, factor * REACH)
    small = cut.search(SKY, scene, mask, PAINTED, Box.whole(Size.of(mask)), 0.5)
    large = cut.search(SKY.repeat(factor, 0).repeat(factor, 1), scene.repeat(factor, 0).repeat(factor, 1), large_mask,
                       large_painted, Box.whole(Size.of(large_mask)), 0.5)
    assert large.cell_px > small.cell_px
    assert large.known.sum() <= 1.1 * cut.MOST_CELLS
    sides = [np.asarray(found.share)[disc.repeat(scale, 0).repeat(scale, 1)[found.box.inside]].mean() > 0.5
             for found, scale in ((small, 1), (large, factor))]
    assert sides[0] == sides[1]


def test_at_the_images_corner_the_seam_runs_only_where_the_feather_is():
    painted = np.zeros_like(PAINTED)
    painted[:40, -50:] = 1
    image = sampled(painted=painted)
    opacity = shown(image, with_disc(126, row=20)[0])
    assert (opacity[image.repaint_px == 0] == 0).all()
    assert (opacity[painted == 1] == 1).all()
    assert np.abs(opacity - image.repaint_px).max() > 0.3


@pytest.mark.parametrize("rim", [0.1, 0.5])
def test_an_antialiased_rim_is_no_grey_area(rim):
    """The pixel beside a brush stroke is grey. Its own strength must not limit the feather of the stroke."""
    softer = np.maximum(PAINTED, np.float32(rim) * (distance_transform_edt(~CORE) <= 1))
    decoded = with_disc(105)[0]
    beside = ~CORE & (distance_transform_edt(~CORE) < 6)
    sharp, soft = (shown(sampled(painted=painted), decoded)[beside].mean() for painted in (PAINTED, softer))
    assert soft > sharp - 0.02


def test_a_mask_without_an_outside_has_no_rim():
    painted = np.full_like(PAINTED, 0.4)
    painted[CORE] = 1
    image = sampled(painted=painted, repaint_px=np.maximum(painted, 0.5))
    opacity = shown(image, with_disc(105)[0])
    assert np.abs(opacity[:6, :6] - opacity[:6, 20:26]).max() < 0.1


@pytest.mark.parametrize("reach", [6, 20, 40, 90])
def test_cells_of_a_reshaped_mask_are_those_of_the_run(reach):
    mask, area = feather_outward(PAINTED, reach), Box.whole(Size.of(PAINTED))
    found = cut.search(SKY, with_disc(105)[0], mask, PAINTED, area, 0.5)
    for factor in (1, 2, 5):
        run = replace(found, cell_px=found.cell_px * factor)
        again = cut.search(SKY, with_disc(105)[0], mask, PAINTED, area, 0.5, run)
        assert again is None or again.cell_px == run.cell_px + run.cell_px % 2 * (run.cell_px > 2)


def test_a_mask_of_less_than_two_cells_is_not_cut():
    painted = np.zeros((3, 40), np.float32)
    painted[1, 20] = 1
    mask, image = np.where(painted > 0, 1, 0.5).astype(np.float32), np.zeros((3, 40, 3), np.uint8)
    wide = cut.search(SKY, SKY, feather_outward(PAINTED, REACH), PAINTED, Box.whole(Size.of(PAINTED)), 0.5)
    assert cut.search(image, image, mask, painted, Box.whole(Size.of(mask)), 0.5, replace(wide, cell_px=8)) is None


def test_what_keeps_its_strength_to_half_a_level_is_core():
    strengths, less = np.full((1, 4), 0.5), np.array([[0, 1 / 510.5, 1 / 509.5, 0.3]])
    assert cut.core_of(strengths - less, strengths).tolist() == [[True, True, False, False]]
    assert not cut.core_of(strengths, 0 * strengths).any()
