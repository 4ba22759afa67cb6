"""Scores on constructed images with a known ranking."""
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.color import rgb2lab

from lib_softinpaint.generation import score
from lib_softinpaint.generation.ghosts import mixture
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.mask import feather_outward
from training.scenes import HELD_OUT, Scene

SIDE = 512
SCENE, OTHER = Scene.from_seed(HELD_OUT + 1), Scene.from_seed(HELD_OUT + 3)
REACH_PX = 24


def disc(row=250, column=240, radius=80, side=SIDE):
    rows, columns = np.ogrid[:side, :side]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius ** 2


PAINTED = disc()
HARD = PAINTED.astype(np.float32)
SOFT = 0.5 + 0.5 * np.cos(np.pi * np.minimum(distance_transform_edt(~PAINTED) / REACH_PX, 1), dtype=np.float32)


def mixed(original, new, opacity):
    return np.rint(original + opacity[..., None] * (new.astype(float) - original)).astype(np.uint8)


def tinted(levels, opacity):
    """The scene, redder by this many levels where the opacity is 1."""
    image = SCENE.draw(SIDE)
    return np.clip(image + levels * opacity[..., None] * (1, 0.5, -0.5), 0, 255).astype(np.uint8)


def scored(result, repaint=SOFT, decoded=None, original=None, painted=PAINTED):
    return score.score(SCENE.draw(SIDE) if original is None else original, result, repaint, painted, decoded)


def rising(values):
    return all(lesser < greater for lesser, greater in zip(values, values[1:]))


def test_a_stronger_seam_scores_worse():
    seams = [scored(tinted(levels, HARD), HARD) for levels in (0, 4, 8, 16, 32, 64)]
    assert seams[0].jump == 0
    assert seams[0].gradient_ratio == 1
    assert rising([each.jump for each in seams])
    assert rising([each.gradient_ratio for each in seams])
    assert rising([-score.blend_score(each) for each in seams])
    assert seams[3].jump == pytest.approx(9.7, rel=0.1)  # the step itself, in CIELAB


def test_the_same_tint_with_a_feather_is_hardly_a_seam():
    hard, soft = scored(tinted(16, HARD), HARD), scored(tinted(16, SOFT))
    assert soft.jump < hard.jump / 9
    assert soft.outline < 0.05 < 0.9 < hard.outline
    assert soft.gradient_ratio < 1.1
    assert soft.effect == pytest.approx(hard.effect)


def test_ghosts_score_worse_the_more_the_fainter_image_shows():
    new = OTHER.draw(SIDE)
    ghosts = [scored(mixed(SCENE.draw(SIDE), new, np.where(PAINTED, 1, np.where(SOFT > 0, share, 0))), decoded=new)
              for share in (0, 0.15, 0.2, 0.25, 0.3, 0.5)]
    assert ghosts[0].ghost < 0.07
    assert all(lesser.ghost <= greater.ghost for lesser, greater in zip(ghosts, ghosts[1:]))
    assert ghosts[-1].ghost > 0.3
    assert ghosts[0].contrast_retention > ghosts[3].contrast_retention > ghosts[-1].contrast_retention


def test_a_flat_mixture_has_lost_its_contrast():
    stripes = np.indices((96, 96))[1] // 3 % 2
    light, dark = (np.float32(40 + 20 * each)[None] * np.float32((1, 0, 0))[:, None, None] for each in (stripes, 1 - stripes))
    flat = (light + dark) / 2 + np.float32(0.1)
    flat[0, :9, :9] = 90
    ghost_px, contrast = mixture(*(torch.from_numpy(each) for each in (light, flat, dark)))
    assert ghost_px > 0.8 * 96 ** 2
    assert contrast < 0.05


def test_a_wider_feather_has_more_ghosts():
    new = OTHER.draw(SIDE)
    masks = [feather_outward(HARD, reach) for reach in (8, 24, 64, 120)]
    assert rising([scored(mixed(SCENE.draw(SIDE), new, mask), mask, new).ghost for mask in masks])


def test_an_unchanged_image_has_no_flaw_but_shows_nothing_new():
    unchanged = scored(SCENE.draw(SIDE), decoded=OTHER.draw(SIDE))
    assert unchanged == score.Scores(0, 0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    assert score.blend_score(unchanged) == 0
    without_new = scored(SCENE.draw(SIDE))
    assert score.blend_score(without_new) == 100
    assert score.blend_score(without_new, core_effect=0) == 0


@pytest.mark.parametrize("wider_px", [10, 20, 40])
def test_promising_a_wider_mask_changes_no_score(wider_px):
    new = OTHER.draw(SIDE)
    result = mixed(SCENE.draw(SIDE), new, SOFT)
    wider = np.maximum(SOFT, 0.01 * (distance_transform_edt(SOFT == 0) <= wider_px))
    assert scored(result, SOFT, new) == scored(result, wider, new)


def on_a_plain_sky(texture, step, where):
    """A tint with a sharp edge on an even surface with some grain."""
    sky = 150 + texture * np.random.default_rng(0).normal(0, 1, (SIDE, SIDE, 1)) * np.ones(3)
    return sky.clip(0, 255).astype(np.uint8), (sky + step * where[..., None]).clip(0, 255).astype(np.uint8)


def test_a_faint_closed_outline_is_seen_on_a_smooth_surface_and_hidden_by_texture():
    smooth, textured = (scored(result, HARD, original=original) for original, result in (
        on_a_plain_sky(1, 7, PAINTED), on_a_plain_sky(25, 7, PAINTED)))
    assert smooth.jump == pytest.approx(2.6, abs=0.3)  # what an autoencoder's drift leaves
    assert smooth.outline > 0.65
    assert textured.outline < 0.2
    assert textured.jump == pytest.approx(smooth.jump, rel=0.3)


def test_a_faint_outline_all_round_costs_more_than_a_plain_one_on_a_short_stretch():
    short = PAINTED & (np.arange(SIDE) > 310)
    around, on_a_stretch = (scored(on_a_plain_sky(1, step, where)[1], HARD, original=on_a_plain_sky(1, step, where)[0])
                            for step, where in ((7, PAINTED), (14, short)))
    assert around.outline > 2 * on_a_stretch.outline
    assert score.blend_score(around) < score.blend_score(on_a_stretch)


@pytest.mark.parametrize("offset_px", [3, 6, 9, 12, 15, 18])
def test_a_hard_cut_anywhere_in_the_feather_is_seen(offset_px):
    new, away = OTHER.draw(SIDE), distance_transform_edt(~PAINTED)
    cut = gaussian_filter((away < offset_px).astype(np.float32), 1.5)
    opacity = np.where(PAINTED, 1, np.where(away > REACH_PX, 0, cut))
    by_cut, by_feather = (scored(mixed(SCENE.draw(SIDE), new, each), SOFT, new) for each in (opacity, SOFT))
    assert by_cut.jump > 3 * by_feather.jump
    assert by_cut.foreign_edges > 2 * by_feather.foreign_edges


def test_a_missing_object_never_pays():
    """Without the object that was asked for there is less to see a seam in."""
    for without, within, room, _ in objects():
        mask = feather_outward(room.astype(np.float32), 16)
        there, gone = scored(within, mask, within, without, room), scored(without, mask, within, without, room)
        assert score.blend_score(there, found=True) > 1.5 * score.blend_score(there, found=False)
        assert score.blend_score(gone) < 0.1 * score.blend_score(there)


def test_the_drift_of_an_autoencoder_is_no_effect():
    latent = torch.zeros(4, 8, 8)
    drifted = latent + 0.3
    painted = torch.ones(8, 8, dtype=torch.bool)
    assert score.latent_effect([latent, drifted], drifted, painted) == 0
    assert score.latent_effect([latent], drifted, painted) == pytest.approx(0.6)
    assert score.latent_effect([latent, drifted], latent + 3, painted) == pytest.approx(5.4)


def objects():
    """Scenes with and without a thing, its mask with a margin, and the part of that mask left of the thing's centre."""
    for seed in range(HELD_OUT, HELD_OUT + 12):
        full = Scene.from_seed(seed)
        near = [thing for thing in full.things if thing.kind in ("house", "tree", "person")]
        if near and full.mask(near[-1], SIDE).sum() > 4000:
            thing = near[-1]
            room = distance_transform_edt(~full.mask(thing, SIDE)) < 14
            left = room & (np.arange(SIDE) < thing.x * SIDE)
            yield replace(full, things=tuple(each for each in full.things if each != thing)).draw(SIDE), full.draw(SIDE), \
                room, left


@pytest.mark.parametrize(("without", "within", "room", "left"), list(objects()))
def test_the_true_image_has_no_seam_and_a_cut_one_has(without, within, room, left):
    for original, result in ((without, within), (within, without)):
        true = scored(result, feather_outward(room.astype(np.float32), 16), result, original, room)
        assert true.jump < 0.2
        assert true.gradient_ratio < 1.1
        assert true.ghost == 0
    cut = scored(np.where(left[..., None], within, without), left.astype(np.float32), within, without, left)
    assert cut.jump > 4
    assert cut.gradient_ratio > 1.3


def test_a_real_edge_across_the_masks_edge_is_not_a_seam():
    """A horizon crosses the mask in the original and in the new image."""
    sky, ground, field = ((120, 170, 230), (80, 150, 80), (200, 170, 60))
    rows = np.arange(SIDE)[:, None, None]
    grain = np.random.default_rng(0).normal(0, 1.2, (SIDE, SIDE, 1))
    original = (np.where(rows < 250, sky, ground) + grain).clip(0, 255).astype(np.uint8)
    same_horizon = (np.where(rows < 250, sky, field) + grain).clip(0, 255).astype(np.uint8)
    soft, hard = scored(mixed(original, same_horizon, SOFT), original=original), \
        scored(mixed(original, same_horizon, HARD), HARD, original=original)
    assert soft.jump < 0.15 * hard.jump
    assert soft.gradient_ratio < 1.4 < 1.8 < hard.gradient_ratio


def test_an_outline_near_the_edge_counts_less_than_a_seam():
    circle = SCENE.draw(SIDE)
    circle[disc(radius=76)] = (250, 200, 60)  # 4 px inside
    cut = SCENE.draw(SIDE)
    cut[PAINTED] = (250, 200, 60)
    assert scored(circle).jump < 0.5 * scored(cut, HARD).jump


def test_changes_outside_are_counted_exactly():
    result = SCENE.draw(SIDE)
    result[3, 5] ^= 7
    result[SIDE - 1, 0, 2] ^= 1
    assert score.outside_change(SCENE.draw(SIDE), result, SOFT) == (7, 2)
    changed = scored(result)
    assert (changed.outside_largest, changed.outside_changed) == (7, 2)
    assert score.blend_score(changed) == pytest.approx(100, abs=0.1)
    decayed = scored(np.clip(SCENE.draw(SIDE).astype(int) + 12, 0, 255).astype(np.uint8))
    assert decayed.outside_mean > 3
    assert score.blend_score(decayed) < 50


@pytest.mark.parametrize("case", ["seam", "feather", "ghost"])
@pytest.mark.parametrize("change", ["twice as large", "JPEG 95"])
def test_scores_are_stable_under(change, case):
    new = OTHER.draw(SIDE)
    result, repaint = {"seam": (tinted(16, HARD), HARD), "feather": (tinted(32, SOFT), SOFT),
                       "ghost": (mixed(SCENE.draw(SIDE), new, SOFT), SOFT)}[case]
    images = [SCENE.draw(SIDE), result, new]
    before = score.score(images[0], images[1], repaint, PAINTED, images[2])
    painted = PAINTED
    if change == "JPEG 95":
        images = [as_jpeg(image) for image in images]
    else:
        images = [np.asarray(Image.fromarray(image).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC))
                  for image in images]
        repaint, painted = (each.repeat(2, 0).repeat(2, 1) for each in (repaint, painted))
    after = score.score(images[0], images[1], repaint, painted, images[2])
    assert after.jump == pytest.approx(before.jump, rel=0.2, abs=0.6)
    assert after.gradient_ratio == pytest.approx(before.gradient_ratio, rel=0.15)
    assert after.ghost == pytest.approx(before.ghost, abs=0.05)
    assert after.contrast_retention == pytest.approx(before.contrast_retention, abs=0.05)
    assert after.effect == pytest.approx(before.effect, rel=0.1)


def as_jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("painted", [np.ones((40, 60), bool), disc(0, 0, 20, 64), disc(3, 60, 1, 64),
                                     np.pad([[True]], ((7, 9), (11, 2)))])
def test_border_thin_and_full_masks_give_finite_scores(painted):
    random = np.random.default_rng(0)
    original, result = random.integers(0, 256, (2, *painted.shape, 3), dtype=np.uint8)
    result[~painted] = original[~painted]
    for repaint in (painted.astype(np.float32), feather_outward(painted.astype(np.float32), 9)):
        given = score.score(original, result, repaint, painted, result)
        assert all(math.isfinite(number) for name, number in vars(given).items() if name != "half_eaten")
        assert given.outside_changed == 0


def test_without_the_decoded_image_the_ghost_score_is_nan():
    unknown = scored(tinted(16, SOFT))
    assert math.isnan(unknown.ghost)
    assert math.isnan(unknown.contrast_retention)
    assert math.isfinite(score.blend_score(unknown))


def test_a_large_image_without_an_outside_at_viewing_size_changed_nothing_there():
    original, repaint = np.full((8, 1030, 3), 90, np.uint8), np.ones((8, 1030), np.float32)
    repaint[0, 0] = 0
    found = score.score(original, original + np.uint8(9), repaint, np.ones((8, 1030), bool))
    assert (found.outside_largest, found.outside_changed, found.outside_mean) == (9, 1, 0)


def test_mismatched_images_are_rejected():
    image = SCENE.draw(SIDE)
    with pytest.raises(ValueError, match=r"images and masks must have the same size, got \[\(500, 512\), \(512, 512\)\]"):
        score.score(image, image[:500], SOFT, PAINTED)
    with pytest.raises(ValueError, match="painted must have at least one True pixel, got none"):
        score.score(image, image, SOFT, np.zeros_like(PAINTED))


def test_score_does_not_modify_its_arguments():
    given = [SCENE.draw(SIDE), tinted(16, SOFT), SOFT.copy(), PAINTED.copy(), OTHER.draw(SIDE)]
    copies = [each.copy() for each in given]
    score.score(*given)
    assert all((one == other).all() for one, other in zip(given, copies))


def test_the_core_effect_is_the_mean_latent_distance():
    original = torch.zeros(4, 8, 8)
    result = original.clone()
    result[0, :4], result[1, :4] = 3, 4
    painted = torch.zeros(8, 8, dtype=torch.bool)
    painted[2:6] = True
    assert score.latent_effect([original], result, painted) == pytest.approx(2.5)


def test_colours_match_scikit_image():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[0, 0], image[0, 1] = 0, 255
    assert np.abs(lab(image).permute(1, 2, 0).numpy() - rgb2lab(image)).max() < 0.01
