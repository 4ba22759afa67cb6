"""Accepted images on disk, and painted masks on disk."""
import json

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.images import steps
from lib_softinpaint.images.painted import strengths
from lib_softinpaint.images.painted_masks import PaintedMasks
from lib_softinpaint.images.steps import Steps


def image(level):
    return Image.new("RGB", (20, 16), (level, 80, 40))


def accept(history, number, original=None):
    """Accepts image `number`, made from the one before it or from another original."""
    return history.accept(image(number - 1) if original is None else original, f"mask {number - 1}", image(number),
                          f"a hill\nSeed: {number}", f"seed {number}")


def levels(folder):
    history = Steps(folder)
    return [history.image(step).getpixel((0, 0))[0] for step in history.read().steps]


def test_steps_are_accepted_undone_and_redone_and_survive_a_restart(tmp_path):
    for number in (1, 2, 3):
        chain = accept(Steps(tmp_path), number)
    assert chain.current == 3
    assert levels(tmp_path) == [0, 1, 2, 3]
    assert [step.mask for step in chain.steps] == ["mask 0", "mask 1", "mask 2", ""]
    assert [step.about for step in chain.steps] == ["original", "seed 1", "seed 2", "seed 3"]
    assert Steps(tmp_path).image(chain.steps[2]).info["parameters"] == "a hill\nSeed: 2"
    assert Steps(tmp_path).go_to(1).current == 1
    assert Steps(tmp_path).read().current == 1
    assert Steps(tmp_path).go_to(0) == Steps(tmp_path).read()
    assert levels(tmp_path) == [0, 1, 2, 3]
    for place, word in ((-1, "undo"), (4, "redo")):
        with pytest.raises(LookupError, match=f"There is nothing to {word}."):
            Steps(tmp_path).go_to(place)


def test_without_a_folder_there_is_no_step(tmp_path):
    chain = Steps(tmp_path / "none").read()
    assert (chain.steps, chain.current) == ((), -1)


def test_the_folder_is_made_with_those_above_it(tmp_path):
    accept(Steps(tmp_path / "data" / "steps"), 1)
    assert levels(tmp_path / "data" / "steps") == [0, 1]


def test_what_was_undone_is_replaced_and_a_new_image_is_added(tmp_path):
    for number in (1, 2, 3):
        accept(Steps(tmp_path), number)
    Steps(tmp_path).go_to(1)
    accept(Steps(tmp_path), 9, image(1))
    assert levels(tmp_path) == [0, 1, 9]
    accept(Steps(tmp_path), 60, image(50))
    assert levels(tmp_path) == [0, 1, 9, 50, 60]
    Steps(tmp_path).accept(None, "", image(70), "", "image")
    assert levels(tmp_path) == [0, 1, 9, 50, 60, 70]
    assert len(list(tmp_path.glob("*.png"))) == 6  # what left the history is deleted
    assert Steps(tmp_path).clear().steps == Steps(tmp_path).read().steps == ()
    assert Steps(tmp_path).read().current == -1
    assert [path.name for path in tmp_path.iterdir()] == [steps.INDEX]


def test_there_is_nothing_to_undo_at_first(tmp_path):
    assert Steps(tmp_path / "new").read().steps == ()
    with pytest.raises(LookupError, match="No image has been accepted yet."):
        Steps(tmp_path / "new").go_to(0)


def test_the_oldest_steps_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "MOST_STEPS", 3)
    for number in (1, 2, 3, 4):
        chain = accept(Steps(tmp_path), number)
    assert levels(tmp_path) == [2, 3, 4]
    assert chain.current == 2
    assert len(list(tmp_path.glob("*.png"))) == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": [], "current": -2}', '{"steps": [], "current": 0}',
                                  '{"steps": [{"file": "../secret.png", "about": ""}], "current": 0}',
                                  '{"steps": [], "current": 5}', '{"steps": [{"folder": ""}], "current": 0}'])
def test_a_damaged_history_is_said_in_one_sentence_and_not_overwritten(tmp_path, text):
    (tmp_path / steps.INDEX).write_text(text)
    for act in (Steps(tmp_path).read, Steps(tmp_path).clear, lambda: accept(Steps(tmp_path), 1)):
        with pytest.raises(ValueError, match="The history of accepted images must be as it was written"):
            act()
    assert (tmp_path / steps.INDEX).read_text() == text


def test_a_failed_write_keeps_the_history(tmp_path, monkeypatch):
    accept(Steps(tmp_path), 1)
    before = (tmp_path / steps.INDEX).read_text()

    def fail(*args, **named):
        raise OSError("full")
    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="full"):
        accept(Steps(tmp_path), 2)
    assert (tmp_path / steps.INDEX).read_text() == before
    assert levels(tmp_path) == [0, 1]


def test_colour_profiles_and_transparency_are_kept(tmp_path):
    source = Image.new("RGBA", (8, 8), (10, 20, 30, 40))
    source.info["icc_profile"] = b"profile"
    chain = Steps(tmp_path).accept(None, "", source, "", "image")
    stored = Steps(tmp_path).image(chain.steps[0])
    assert (stored.mode, stored.getpixel((0, 0)), stored.info["icc_profile"]) == ("RGBA", (10, 20, 30, 40), b"profile")


@pytest.mark.parametrize(("greys", "modes"), [([0, 1, 77 / 255], ["L"]), ([0, 1, 0.3333], ["I;16", "I"])])  # "I": old Pillow
def test_a_painted_mask_comes_back_as_it_was(tmp_path, greys, modes):
    painted = np.zeros((12, 20), np.float32)
    painted[2:5, 3:9], painted[8:, 3:9] = greys[1], greys[2]
    masks = PaintedMasks(tmp_path / "masks")
    name = masks.put(painted)
    assert masks.put(painted.copy()) == name
    assert masks.put(painted.T) != name
    with Image.open(masks.path_of(name)) as stored:
        assert stored.mode in modes
        np.testing.assert_allclose(strengths(stored), painted, atol=1e-5)


@pytest.mark.parametrize("name", ["", "0123456789abcdef", "../steps"])
def test_a_mask_that_is_gone_is_said_in_one_sentence(tmp_path, name):
    with pytest.raises(LookupError, match="is not in the folder softinpaint-masks"):
        PaintedMasks(tmp_path).path_of(name)
