"""Regions one by one and exports on the command line."""
import importlib.util
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.cli import main as cli
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.images import infotext_files
from tests import tiny_models
from tests.test_cli import IMAGE, error_message, pixels
from tests.test_regions import dots

pytestmark = tiny_models.KNOWN_WARNINGS

__all__ = ["error_message"]  # a fixture

STROKES = (40, 40), (200, 60)
FAST = "--steps", "2", "--width", "128", "--height", "128", "--seed", "1"
SUFFIXES = {"change.png", "painted.png", "repaint.png", "opacity.png", "difference.png", "layers.ora"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an image and a mask of two strokes."""
    monkeypatch.chdir(tmp_path)
    Image.open(IMAGE).convert("RGB").resize((256, 256)).save("image.png")
    dots(256, 24, *STROKES).save("mask.png")
    return tmp_path


def run(*words):
    assert cli.main(list(words)) == 0


def layers_over_one_another(path):
    """Names of an OpenRaster file's images, and what they give."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist(), np.asarray(Image.open(io.BytesIO(archive.read("mergedimage.png"))).convert("RGB"))


def test_regions_are_inpainted_and_exported_and_the_infotext_reproduces_them(folder, capsys):
    run("inpaint", "image.png", "mask.png", "--regions-one-by-one", "--prompt", "a red house [SEP] an oak", *FAST, "-o",
        "made.png", "--export", "layers", "--keep")
    assert {path.name for path in (folder / "layers").iterdir()} == {f"made-{suffix}" for suffix in SUFFIXES}
    assert str(folder / "layers") not in capsys.readouterr().err
    result, original = pixels("made.png"), pixels("image.png")
    names, merged = layers_over_one_another("layers/made-layers.ora")
    assert {"data/layer0.png", "data/layer1.png", "data/layer2.png"} <= set(names)
    np.testing.assert_array_equal(merged, result)
    change = Image.open("layers/made-change.png")
    over = Image.alpha_composite(Image.open("image.png").convert("RGBA"), change)
    assert np.abs(np.asarray(over.convert("RGB")).astype(int) - result).max() <= 1
    for x, y in STROKES:
        assert (original[y - 20:y + 20, x - 10:x + 10] != result[y - 20:y + 20, x - 10:x + 10]).any()
    text = infotext_files.read("made.png")
    assert text.startswith("a red house [SEP] an oak\n")
    assert "Soft inpainting regions: 2" in text
    run("inpaint", "image.png", "mask.png", "--like", "made.png", "-o", "again.png")
    np.testing.assert_array_equal(pixels("again.png"), result)
    run("recomposite", "made.npz", "-o", "other.png", "--least-opacity", "0", "--difference-threshold", "8",
        "--export", "other")
    names, merged = layers_over_one_another("other/other-layers.ora")
    np.testing.assert_array_equal(merged, pixels("other.png"))
    assert (merged != result).any()


def test_batch_exports_each_image(folder):
    (folder / "photos").mkdir()
    for name in ("a", "b"):
        Image.open("image.png").save(folder / "photos" / f"{name}.png")
    words = ("batch", "photos", "--mask", "mask.png", "--prompt", "an oak", *FAST, "-o", "made", "--export", "layers")
    run(*words, "--regions-one-by-one")
    assert {path.name for path in (folder / "layers").iterdir()} == {
        f"{name}-{suffix}" for name in ("a", "b") for suffix in SUFFIXES}
    np.testing.assert_array_equal(layers_over_one_another("layers/a-layers.ora")[1], pixels("made/a.png"))
    lines = [json.loads(line) for line in (folder / "made/manifest.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["done", "done"]


@pytest.mark.skipif(importlib.util.find_spec("psd_tools") is None, reason="psd-tools is not installed")
def test_a_photoshop_file_is_written(folder):
    run("inpaint", "image.png", "mask.png", *FAST, "-o", "made.png", "--export", "layers", "--photoshop")
    with Image.open("layers/made-layers.psd") as merged:
        np.testing.assert_array_equal(np.asarray(merged.convert("RGB")), pixels("made.png"))


def test_bad_input_is_found_before_anything_is_generated(error_message, tmp_path):
    assert "--photoshop needs --export FOLDER" in error_message("inpaint", "image.png", "mask.png", "--photoshop")
    assert "--export needs soft inpainting on this machine; it cannot be combined with --no-enabled" in error_message(
        "inpaint", "image.png", "mask.png", "--export", "layers", "--no-enabled")
    assert "--export needs soft inpainting on this machine; it cannot be combined with --webui" in error_message(
        "batch", ".", "--mask", "mask.png", "--export", "layers", "--webui", "http://127.0.0.1:9")
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers/made-change.png").write_text("")
    assert "made-change.png already exists; use --force to overwrite it" in error_message(
        "inpaint", "image.png", "mask.png", "--export", "layers", "-o", "made.png")


def test_after_an_interruption_the_finished_regions_are_saved(folder, monkeypatch, capsys):
    inpainted, calls = models._inpainted, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return inpainted(*arguments)
    monkeypatch.setattr(models, "_inpainted", interrupted)
    assert cli.main(["inpaint", "image.png", "mask.png", "--regions-one-by-one", *FAST, "-o", "made.png"]) == cli.BAD_INPUT
    assert "interrupted; made.png has the regions that were finished" in capsys.readouterr().err
    changed = (pixels("made.png") != pixels("image.png")).any(-1)
    assert changed[20:60, 20:60].any()
    assert not changed[:, 128:].any()
    assert "Soft inpainting regions: 1 of 2" in infotext_files.read("made.png")
