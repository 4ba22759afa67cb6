"""The list of choices by eye: its pages, its answers, and the weights that are fitted to it."""
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from benchmarks import judged, peers, quality
from benchmarks.options import Options
from benchmarks.tasks import REPORTED_SCENES, TUNING_SCENES
from lib_softinpaint.generation import score

NAMES = list(score.WEIGHTS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three pairs whose images are plain colours, and a list of their own."""
    monkeypatch.setattr(judged, "LIST", tmp_path / "judged.json")
    three = judged.pairs()[:3]
    monkeypatch.setattr(judged, "pairs", lambda: three)

    def painted(method, run):
        image = np.full((8, 8, 3), list(peers.METHODS).index(method) * 20, np.uint8)
        return peers.Outcome(image[None], image[None], np.ones((8, 8), np.float32))
    monkeypatch.setattr(quality, "cached_outcome", painted)
    return tmp_path


def test_pairs_are_many_half_of_them_held_out_and_always_the_same():
    pairs = judged.pairs()
    assert [pair.name for pair in pairs] == [pair.name for pair in judged.pairs.__wrapped__()]
    assert len({pair.name for pair in pairs}) == len(pairs) >= 200
    tuning = sum(pair.scene in TUNING_SCENES for pair in pairs)
    assert tuning == sum(pair.scene in REPORTED_SCENES for pair in pairs) == len(pairs) / 2
    assert all(pair.methods[0] != pair.methods[1] for pair in pairs)
    assert {pair.run.task.side for pair in pairs} == {256, 512}


def test_each_pair_is_shown_twice_with_its_sides_swapped_and_without_names(folder):
    judged.write_sheets(folder)
    key = json.loads((folder / "key.json").read_text())
    rows = [tuple(row) for page in key.values() for row in page]
    shown = Counter(name for name, _, _ in rows)
    assert set(shown.values()) == {2}
    assert len(set(rows)) == 6
    assert len(list(folder.glob("*.png"))) == 2
    with Image.open(folder / "0.png") as page:
        left, right = (np.asarray(page)[300, column, 0] for column in (judged.TILE_PX * 3 // 2, judged.TILE_PX * 5 // 2))
    assert [left, right] == [list(peers.METHODS).index(method) * 20 for method in rows[0][1:]]


def test_only_choices_that_were_made_both_times_count(folder, monkeypatch):
    judged.write_sheets(folder)
    key = json.loads((folder / "key.json").read_text())
    first, second, third = (pair.name for pair in judged.pairs())
    better = {first: judged.pairs()[0].methods[1], second: None, third: "="}
    answers = {page: ["=" if better[name] == "=" else "L" if better[name] in (None, left) else "R" for name, left, _ in rows]
               for page, rows in key.items()}
    (folder / "answers.json").write_text(json.dumps(answers))
    judged.enter(folder)
    monkeypatch.setattr(quality, "measures", lambda runs, methods: (
        {"method": method, "flaws": dict.fromkeys(NAMES, float(number))} for number, method in enumerate(methods, 1)))
    judged.measure()
    chosen, = judged.choices()
    assert chosen.pair.name == first
    assert chosen.better["jump"] == 2  # the second of the pair's methods
    first_line = next(judged.tables(Options()))
    assert "3 pairs" in first_line
    assert "1 were judged both ways, 1 were even" in first_line


def test_the_fit_finds_what_decided():
    rng = np.random.default_rng(0)
    wanted = np.linspace(0, 2, len(NAMES))
    pair = judged.Pair(None, (peers.HARD, peers.OURS))
    chosen = []
    for _ in range(2000):
        one, other = (dict(zip(NAMES, rng.random(len(NAMES)).tolist())) for _ in range(2))
        margin = sum(weight * (other[name] - one[name]) for name, weight in zip(NAMES, wanted))
        better, worse = (one, other) if rng.random() < 1 / (1 + np.exp(-4 * margin)) else (other, one)
        chosen.append(judged.Choice(pair, better, worse))
    weights = np.array(list(judged.fitted(chosen).values()))
    assert (weights >= 0).all()
    assert np.corrcoef(weights, wanted)[0, 1] > 0.95
