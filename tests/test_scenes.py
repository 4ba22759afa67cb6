from dataclasses import replace

import numpy as np
import pytest

from training.evaluation import LARGER, find_trials, scaled_box, with_other_kind
from training.judge import recognised
from training.scenes import HELD_OUT, SIZE, Scene, main_colour, vocabulary

SEEDS = range(40)


def test_a_seed_always_gives_the_same_scene():
    image = Scene.from_seed(7).draw()
    assert image.shape == (SIZE, SIZE, 3)
    assert image.dtype == np.uint8
    assert (image == Scene.from_seed(7).draw()).all()
    assert (image != Scene.from_seed(8).draw()).any()


def test_captions_keep_to_the_vocabulary():
    words = set(vocabulary())
    assert len(words) <= 100
    for seed in SEEDS:
        scene = Scene.from_seed(seed)
        for caption in (scene.caption(), scene.caption(np.random.default_rng(seed))):
            assert set(caption.replace(",", "").split()) <= words


def test_a_thing_is_drawn_in_its_box_and_colour():
    for seed in SEEDS:
        scene = Scene.from_seed(seed)
        image = scene.draw().astype(int)
        for thing in scene.things:
            seen = scene.mask(thing, main=True)
            if thing.kind not in ("house", "tree", "person", "cloud") or seen.sum() < 400:
                continue
            left, top, right, bottom = (round(SIZE * side) for side in thing.box)
            assert seen[max(0, top):bottom, max(0, left):right].sum() > 0.85 * seen.sum()
            assert np.abs(np.median(image[seen], axis=0) - main_colour(thing, scene.light)).max() < 60


@pytest.mark.parametrize("kind", ["sun", "cloud", "tree", "house", "person"])
def test_the_judge_recognises_only_drawn_things(kind):
    drawn, blank = [], []
    for seed in range(400):
        scene = Scene.from_seed(seed)
        for thing in scene.things:
            mask = scene.mask(thing)
            if thing.kind == kind and mask.sum() > 800 and len(drawn) < 6:
                without = replace(scene, things=tuple(other for other in scene.things if other is not thing))
                rows, columns = np.nonzero(mask)
                repaint = np.zeros((SIZE, SIZE), bool)
                repaint[max(0, rows.min() - 8):rows.max() + 9, max(0, columns.min() - 8):columns.max() + 9] = True
                drawn.append(recognised(scene.draw(), thing, without, repaint))
                blank.append(recognised(without.draw(), thing, without, repaint))
    assert sum(drawn) >= len(drawn) - 1
    assert not any(blank)


def test_an_object_of_another_kind_is_no_success():
    """Here, the oval that stands in for the cloud or the tree agrees with its colour and size."""
    for kind, seed in (("cloud", 23), ("tree", 8)):
        trial = next(trial for trial in find_trials(kind, 24) if trial.scene.seed == HELD_OUT + seed)
        image = with_other_kind(trial)
        assert recognised(image, trial.thing, trial.scene, trial.repaint, rivals=False)
        assert not recognised(image, trial.thing, trial.scene, trial.repaint)
        assert recognised(trial.answer, trial.thing, trial.scene, trial.repaint)


@pytest.mark.parametrize("side", LARGER)
def test_a_larger_image_is_repainted_in_the_same_place(side):
    for trial in find_trials("house", 4):
        box = scaled_box(trial.repaint, side)
        assert not (box[::8, ::8].repeat(8, 0).repeat(8, 1) != box).any()
        edges = [np.array([(hits.min(), hits.max() + 1) for hits in np.nonzero(mask)]) for mask in (trial.repaint, box)]
        growth = (edges[1] - edges[0] * side / SIZE) * (-1, 1)
        assert (growth >= 0).all()
        assert (growth <= 8).all()
