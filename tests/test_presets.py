import json

import pytest

from lib_softinpaint.presets import Preset, PresetFile, bundled
from lib_softinpaint.settings import Settings, as_builtin

MINE = Preset("Mine", "Mine.", {"grain": 0.5}, {"mask_blur": 12, "sampler": "Euler"})


def test_the_guides_squiggle_comes_along():
    squiggle = bundled()["Squiggle"]
    assert squiggle.all_settings() == Settings(True, 0.2, 0.05, 1, 0, 1.25, 1.25)
    assert squiggle.request == {
        "denoising_strength": 1, "mask_blur": 64, "masked_content": "latent noise", "inpaint_area": "Whole picture",
        "masked_area_padding": 0, "sampler": "Euler a", "steps": 20, "cfg_scale": 7, "batch_count": 9}


def test_the_builtins_defaults_are_its_equivalents():
    assert bundled()["Built-in defaults"].all_settings() == as_builtin()


def test_each_says_what_it_is_for_in_a_sentence_of_its_own():
    sentences = [preset.about for preset in bundled().values()]
    assert all(sentence.endswith(".") and len(sentence) < 110 for sentence in sentences)
    assert len(set(sentences)) == len(sentences) == 9


def test_own_presets_are_saved_renamed_and_deleted(tmp_path):
    path = tmp_path / "new" / "presets.json"
    mine = PresetFile(path)
    assert mine.presets() == {}
    mine.save(MINE)
    assert PresetFile(path).presets() == {"Mine": MINE}
    mine.save(Preset("Mine", "Other.", {}, {}))
    mine.rename("Mine", "Ours, größer")
    assert PresetFile(path).presets() == {"Ours, größer": Preset("Ours, größer", "Other.", {}, {})}
    mine.delete("Ours, größer")
    assert PresetFile(path).presets() == {}
    assert [file.name for file in path.parent.iterdir()] == ["presets.json"]


@pytest.mark.parametrize(("do", "sentence"), [
    (lambda mine: mine.save(Preset("Squiggle", "", {}, {})), "another name than those that come along, got 'Squiggle'"),
    (lambda mine: mine.rename("Squiggle", "x"), "Only presets of your own .* got 'Squiggle'"),
    (lambda mine: mine.rename("Mine", "Recolour"), "new name must not be taken, got 'Recolour'"),
    (lambda mine: mine.rename("Mine", " "), "must have 1 to 60 characters, got ' '"),
    (lambda mine: mine.delete("none"), "Only presets of your own .* got 'none'"),
    (lambda mine: Preset("a", "", {"grains": 1}, {}), "A preset may set .* got 'grains'"),
    (lambda mine: Preset("a", "", {"grain": 2}, {}), "grain must be a number from 0 to 1, got 2"),
    (lambda mine: Preset("a", "", {}, {"prompt": "x"}), "A preset may set .* got 'prompt'")])
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(tmp_path, do, sentence):
    mine = PresetFile(tmp_path / "presets.json")
    mine.save(MINE)
    with pytest.raises(ValueError, match=sentence):
        do(mine)
    assert PresetFile(tmp_path / "presets.json").presets() == {"Mine": MINE}


@pytest.mark.parametrize("text", ["{", "[]", "\x00", '"a"'])
def test_a_damaged_file_is_put_aside_and_told(tmp_path, text):
    path = tmp_path / "presets.json"
    path.write_text(text)
    mine = PresetFile(path)
    assert mine.presets() == {}
    assert mine.complaints[0].startswith("The presets could not be read and were put aside as presets.damaged-1.json: ")
    assert (tmp_path / "presets.damaged-1.json").read_text() == text
    mine.save(MINE)
    assert PresetFile(path).presets() == {"Mine": MINE}


def test_a_preset_of_a_later_version_stays_in_the_file(tmp_path):
    path = tmp_path / "presets.json"
    later = {"about": "", "settings": {"unknown": 1}, "request": {}}
    path.write_text(json.dumps({"Later": later}))
    mine = PresetFile(path)
    mine.save(MINE)
    assert mine.presets() == {"Mine": MINE}
    assert "'Later' could not be read" in mine.complaints[0]
    assert json.loads(path.read_text())["Later"] == later
