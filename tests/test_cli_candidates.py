"""Several results of one image on the command line: their order, what is saved, and the contact sheet."""
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.cli import main as cli
from lib_softinpaint.cli import results
from lib_softinpaint.images import infotext_files
from lib_softinpaint.settings import infotext
from tests.test_cli import IMAGE, MASK, pixels

WORDS = "inpaint", str(IMAGE), str(MASK), "--steps", "2", "--count", "3", "--seed", "5"


def seed_of(path):
    return infotext.parse(infotext_files.read(path))["Seed"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder. Returns the exit status, the printed lines and the errors."""
    monkeypatch.chdir(tmp_path)

    def run_with(*words):
        status = cli.main([*WORDS, *words])
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err
    return run_with


def test_the_best_gets_the_first_name(run):
    _, usual, _ = run("-o", "usual")
    status, lines, _ = run("-o", "sorted", "--best-first", "--keep", "--sheet")
    assert (status, usual) == (0, [f"usual/image-{number}.png" for number in (1, 2, 3)])
    scores = [float(line.partition("  score ")[2].partition(",")[0]) for line in lines if "score" in line]
    assert scores == sorted(scores, reverse=True)
    names = [f"sorted/image-{number}.png" for number in (1, 2, 3)]
    assert [line.partition("  score")[0] for line in lines if line.endswith(".npz") is False] == [
        *names, "sorted/image-sheet.png"]
    by_seed = {seed_of(path): pixels(path) for path in usual}
    assert sorted(map(seed_of, names)) == sorted(by_seed)
    for name in names:
        np.testing.assert_array_equal(pixels(name), by_seed[seed_of(name)])
        assert Path(name).with_suffix(".npz").exists()
    sheet = pixels("sorted/image-sheet.png")
    assert sheet.shape == (2 * (256 + 22), 2 * 256 + 8, 3)
    np.testing.assert_array_equal(sheet[22:278, :256], pixels(names[0]))


def test_only_the_best_are_saved(run):
    _, every, _ = run("-o", "sorted", "--best-first")
    _, lines, _ = run("-o", "best", "--keep-best", "2")
    assert [line.partition("  score")[0] for line in lines] == ["best/image-1.png", "best/image-2.png"]
    assert sorted(path.name for path in Path("best").iterdir()) == ["image-1.png", "image-2.png"]
    kept = [seed_of(Path("best") / name) for name in ("image-1.png", "image-2.png")]
    assert kept == sorted(seed_of(line.partition("  score")[0]) for line in every[:2])  # in the order of their seeds


def test_images_in_which_nothing_changed_are_named(run):
    _, lines, errors = run("--best-first", "--denoising-strength", "0.02", "--steps", "50")
    assert all(line.endswith(", unchanged") for line in lines)
    assert "Almost nothing changed in images 1, 2 and 3. Raise denoising strength (now 0.02)" in errors


def test_what_was_made_before_a_fault_is_saved(run, monkeypatch):
    made = []

    def failing(original):
        def add(self, result):
            if made:
                raise RuntimeError("broken by the test")
            made.append(result)
            original(self, result)
        return add
    monkeypatch.setattr(results.Results, "add", failing(results.Results.add))
    status, _, errors = run("--best-first", "-o", "made")
    assert status == 1
    assert "broken by the test" in errors
    assert [seed_of(path) for path in Path("made").iterdir()] == ["5"]


def test_a_result_that_cannot_be_written_does_not_cost_the_others(run, monkeypatch):
    def full(image, target, *others):
        if target.stem == "image-1":
            raise OSError("no space left")
        image.save(target)
    monkeypatch.setattr(results, "save_result", full)
    status, _, errors = run("--best-first", "-o", "made")
    assert status == cli.BAD_INPUT
    assert "could not write made/image-1.png: no space left; the result was saved to" in errors
    assert sorted(path.name for path in Path("made").iterdir()) == ["image-2.png", "image-3.png"]


@pytest.mark.parametrize("words", [["--best-first"], ["--keep-best", "2"], ["--sheet"]])
def test_one_result_cannot_be_compared(run, words):
    status, _, errors = run(*words, "--count", "1")
    assert status == cli.BAD_INPUT
    assert "--best-first, --keep-best and --sheet need --count 2 or more, got 1" in errors


def test_a_contact_sheet_is_not_overwritten(run):
    run("--sheet", "-o", "made")
    for path in Path("made").glob("image-?.png"):
        path.unlink()
    status, _, errors = run("--sheet", "-o", "made")
    assert status == cli.BAD_INPUT
    assert "made/image-sheet.png already exists; use --force to overwrite it" in errors


def test_hard_inpainting_is_compared_by_its_result(run):
    status, lines, _ = run("--best-first", "--no-enabled", "-o", "made")
    assert status == 0
    assert len(lines) == 3
    assert Image.open("made/image-1.png").size == (256, 256)
