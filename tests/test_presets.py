import json
import multiprocessing
import os
import tempfile
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from lib_softinpaint.settings import presets
from lib_softinpaint.settings.presets import Preset, PresetFile, bundled
from lib_softinpaint.settings.settings import Settings, as_builtin

MINE = Preset("Mine", "Mine.", {"grain": 0.5}, {"mask_blur": 12, "sampler": "Euler"})
NOBODY = 65534


@pytest.fixture
def common_folder():
    """A folder with effective permissions. Root ignores them, so the test then runs as another user."""
    if os.name == "nt":
        pytest.skip("Windows has no such permissions")
    as_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if as_root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if as_root:
                os.seteuid(0)
            folder.chmod(0o700)


def named(name):
    return Preset(name, "", {}, {})


def test_the_guides_squiggle_is_bundled():
    squiggle = bundled()["Squiggle"]
    assert squiggle.all_settings() == Settings(True, 0.2, 0.05, 1, 0, 1.25, 1.25, edge_awareness=0)
    assert squiggle.request == {
        "denoising_strength": 1, "mask_blur": 64, "masked_content": "latent noise", "inpaint_area": "Whole picture",
        "masked_area_padding": 0, "sampler": "Euler a", "steps": 20, "cfg_scale": 7, "batch_count": 9}


def test_the_built_in_preset_equals_the_builtins_defaults():
    assert bundled()["Built-in defaults"].all_settings() == as_builtin()


def test_each_bundled_preset_has_its_own_sentence():
    sentences = [preset.about for preset in bundled().values()]
    assert all(sentence.endswith(".") and len(sentence) < 110 for sentence in sentences)
    assert len(set(sentences)) == len(sentences) == 11


def test_task_buttons_say_what_the_prompt_should_hold():
    tasks = [preset for preset in bundled().values() if preset.task]
    assert [preset.task for preset in tasks] == ["Remove", "Add", "Replace", "Retouch", "Recolour", "Extend"]
    assert all(preset.prompt.endswith(".") and preset.request for preset in tasks)
    assert all(not preset.prompt for preset in bundled().values() if not preset.task)


def test_bundled_presets_only_set_values_that_forge_neos_sliders_can_take():
    for preset in bundled().values():
        assert preset.request.get("mask_blur", 0) % 4 == 0
        assert preset.request.get("masked_area_padding", 0) % 8 == 0


def test_own_presets_are_saved_renamed_and_deleted(tmp_path):
    path = tmp_path / "new" / "presets.json"
    own = PresetFile(path)
    assert own.presets() == {}
    own.save(MINE)
    assert PresetFile(path).presets() == {"Mine": MINE}
    own.save(Preset("Mine", "Other.", {}, {}))
    own.rename("Mine", "Ours, größer")
    assert PresetFile(path).presets() == {"Ours, größer": Preset("Ours, größer", "Other.", {}, {})}
    own.delete("Ours, größer")
    assert PresetFile(path).presets() == {}
    assert {file.name for file in path.parent.iterdir()} <= {"presets.json", "presets.json.lock"}


@pytest.mark.parametrize(("do", "sentence"), [
    (lambda own: own.save(Preset("Squiggle", "", {}, {})), "not have the name of a bundled one, got 'Squiggle'"),
    (lambda own: own.rename("Squiggle", "x"), "Only your own presets .* got 'Squiggle'"),
    (lambda own: own.rename("Mine", "Recolour"), "new name must not be taken, got 'Recolour'"),
    (lambda own: own.rename("Mine", " "), "must have 1 to 60 characters, got ' '"),
    (lambda own: own.delete("none"), "Only your own presets .* got 'none'"),
    (lambda own: Preset("a", "", {"grains": 1}, {}), "A preset may set .* got 'grains'"),
    (lambda own: Preset("a", "", {"grain": 2}, {}), "grain must be a number from 0 to 1, got 2"),
    (lambda own: Preset("a", "", {}, {"prompt": "x"}), "A preset may set .* got 'prompt'"),
    (lambda own: Preset("a", "", [], {}), r"objects `settings` and `request`, got '', \[\] and {}"),
    (lambda own: Preset("a", 1, {}, {}), "must hold a text `about`"),
    (lambda own: Preset("\ud83c", "", {}, {}), "must hold whole Unicode characters")])
def test_an_invalid_change_raises_one_sentence_and_changes_nothing(tmp_path, do, sentence):
    own = PresetFile(tmp_path / "presets.json")
    own.save(MINE)
    with pytest.raises(ValueError, match=sentence):
        do(own)
    assert PresetFile(tmp_path / "presets.json").presets() == {"Mine": MINE}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00" * 50, b'"a"', b"[" * 100_000, '{"größer": '.encode("cp1252"),
                                     b"1" * 10_000])
def test_a_damaged_file_is_reported_and_kept_when_another_is_written(tmp_path, content):
    path = tmp_path / "presets.json"
    path.write_bytes(content)
    own = PresetFile(path)
    for _ in range(2):
        assert own.presets() == {}
        assert own.complaints[0].startswith("Your presets in presets.json cannot be read: ")
        assert own.complaints[0].endswith("the damaged file is kept as presets.damaged-1.json.")
    with pytest.raises(ValueError, match="Only your own presets"):
        own.delete("Mine")
    assert path.read_bytes() == content
    own.save(MINE)
    assert (tmp_path / "presets.damaged-1.json").read_bytes() == content
    assert PresetFile(path).presets() == {"Mine": MINE}
    assert own.presets() and own.complaints == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_of_text_editors_are_read(tmp_path, encoding):
    path = tmp_path / "presets.json"
    PresetFile(path).save(named("größer"))
    path.write_text(path.read_text(encoding="utf8"), encoding=encoding)
    own = PresetFile(path)
    own.save(MINE)
    assert own.presets() == {"größer": named("größer"), "Mine": MINE}


def test_changes_by_other_programs_are_kept(tmp_path):
    path = tmp_path / "presets.json"
    one, other = PresetFile(path), PresetFile(path)
    one.presets()
    other.presets()
    one.save(named("A"))
    other.save(named("B"))
    by_hand = json.loads(path.read_text())
    path.write_text(json.dumps({**by_hand, "C": by_hand["A"]}))
    one.rename("B", "D")
    assert list(PresetFile(path).presets()) == ["A", "D", "C"]
    other.delete("C")
    assert list(one.presets()) == ["A", "D"]


def save_some(path, names):
    for name in names:
        PresetFile(path).save(named(name))


def test_concurrent_processes_and_threads_lose_nothing(tmp_path):
    path = tmp_path / "presets.json"
    names = [[f"{number} of {writer}" for number in range(20)] for writer in range(4)]
    spawn = multiprocessing.get_context("spawn")
    writers = [kind(target=save_some, args=(path, each))
               for kind, each in zip((spawn.Process, spawn.Process, threading.Thread, threading.Thread), names)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert set(PresetFile(path).presets()) == set(sum(names, []))


def test_nothing_is_written_while_another_program_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "LONGEST_WAIT_S", 0.1)
    own = PresetFile(tmp_path / "presets.json")
    own.save(MINE)
    with FileLock(tmp_path / "presets.json.lock"), pytest.raises(OSError, match="cannot be written right now"):
        own.save(named("A"))
    own.save(named("B"))
    assert list(own.presets()) == ["Mine", "B"]


def test_a_temporarily_unreadable_file_is_not_treated_as_damaged(common_folder):
    path = common_folder / "presets.json"
    own = PresetFile(path)
    own.save(MINE)
    assert own.presets() == {"Mine": MINE}
    path.chmod(0)
    assert own.presets() == {"Mine": MINE}  # as last read
    assert PresetFile(path).presets() == {}
    assert own.complaints == [f"Your presets cannot be read right now and will be tried again: Permission denied: {path}."]
    with pytest.raises(OSError, match="are unchanged: Permission denied"):
        own.save(named("A"))
    path.chmod(0o600)
    assert PresetFile(path).presets() == own.presets() == {"Mine": MINE}
    assert own.complaints == []
    assert not list(common_folder.glob("*damaged*"))


@pytest.mark.parametrize("content", [None, "{", '{"Mine": {"about": "Mine.", "settings": {"grain": 0.5}, "request": {}}}'])
def test_an_unwritable_folder_raises_one_sentence(common_folder, content):
    path = common_folder / "presets.json"
    if content:
        path.write_text(content)
    common_folder.chmod(0o500)
    own = PresetFile(path)
    assert {*bundled(), *own.presets()} == set(own.with_bundled())
    with pytest.raises(OSError, match="Your presets cannot be written right now and are unchanged: Permission denied: "):
        own.save(named("A"))
    assert [file.read_text() for file in common_folder.glob("*.json")] == [content] * (content is not None)


def folder(path):
    path.mkdir()


def below_a_file(path):
    path.parent.rmdir()
    path.parent.write_text("")


def huge(path):
    path.write_bytes(b'{"Mine": "' + bytes(presets.LARGEST_FILE_BYTES) + b'"}')


@pytest.mark.parametrize("made", [folder, below_a_file, huge, getattr(os, "mkfifo", folder)], ids=lambda made: made.__name__)
def test_a_path_that_is_not_a_presets_file_is_left_alone(tmp_path, made):
    path = tmp_path / "user" / "presets.json"
    path.parent.mkdir()
    made(path)
    own = PresetFile(path)
    assert own.with_bundled() == bundled()
    assert len(own.complaints) == 1 and str(path) in own.complaints[0]
    with pytest.raises(OSError, match="Your presets cannot be written right now and are unchanged"):
        own.save(MINE)
    assert not list(tmp_path.glob("*/*damaged*"))


def test_an_own_preset_named_like_a_bundled_one_stays_usable(tmp_path):
    path = tmp_path / "presets.json"
    entry = {"about": "Mine.", "settings": {"grain": 0.5}, "request": {}}
    path.write_text(json.dumps({"Squiggle": entry, "Recolour": entry, "Recolour (own)": entry}))
    own = PresetFile(path)
    assert list(own.presets()) == ["Squiggle (own)", "Recolour (own) (own)", "Recolour (own)"]
    assert own.with_bundled()["Squiggle"] == bundled()["Squiggle"]
    assert own.with_bundled()["Squiggle (own)"].settings == {"grain": 0.5}
    assert own.save(Preset("Squiggle (own)", "", {"grain": 1}, {})) == "Squiggle (own)"
    assert own.save(Preset("Squiggle", "", {"grain": 0.2}, {})) == "Squiggle (own)"
    assert json.loads(path.read_text())["Squiggle"]["settings"] == {"grain": 0.2}
    assert own.rename("Squiggle (own)", "Zigzag") == "Zigzag"
    own.delete("Recolour (own) (own)")
    assert list(own.presets()) == ["Zigzag", "Recolour (own)"]


@pytest.mark.parametrize("entry", [1, [], None, {"about": ""}, {"about": 1, "settings": {}, "request": {}},
                                   {"about": "", "settings": [], "request": {}}, {"about": "", "settings": {}, "request": 1},
                                   {"about": "", "settings": {"grain": float("nan")}, "request": {}},
                                   {"about": "\ud800", "settings": {}, "request": {}},
                                   {"about": "", "settings": {"of a later version": 1}, "request": {}}])
def test_an_unreadable_entry_stays_in_the_file(tmp_path, entry):
    path = tmp_path / "presets.json"
    path.write_text(json.dumps({"Odd": entry}))
    own = PresetFile(path)
    own.save(MINE)
    assert own.presets() == {"Mine": MINE}
    assert "The preset 'Odd' could not be read: " in own.complaints[0]
    assert json.dumps(json.loads(path.read_text())["Odd"]) == json.dumps(entry)
