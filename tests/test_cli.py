"""The command line, through its real entry point and in this process."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.cli import files, inpaint, jobs, masks, progress, requested
from lib_softinpaint.cli import main as cli
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.files import read_image, read_mask
from lib_softinpaint.images.painted import strengths
from lib_softinpaint.images.sheet import GAP_PX, LABEL_PX
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.mask_tools import EXAMPLES
from lib_softinpaint.settings.request import FIELDS
from lib_softinpaint.settings.settings import saved_fields
from tests.test_image_files import SRGB
from tests.tolerances import default_reach

ROOT = Path(__file__).parent.parent
IMAGE, MASK = ROOT / "tests/image.png", ROOT / "tests/mask.png"  # half the demo's size, so that painting is fast
DEMO_IMAGE, DEMO_MASK = ROOT / "demo/image.png", ROOT / "demo/mask.png"
README = (ROOT / "README.md").read_text(encoding="utf8")


def run(folder, *words):
    """Runs the entry point in its own folder, as a user would."""
    command = [sys.executable, ROOT / "softinpaint.py", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def outside(mask, blur):
    return distance_transform_edt(np.asarray(Image.open(mask)) == 0) > default_reach(blur)


@pytest.fixture
def error_message(tmp_path, monkeypatch, capsys):
    """The message that the command prints for bad input. It must not write a file."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(IMAGE, "image.png")
    shutil.copy(MASK, "mask.png")

    def message_for(*words):
        before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        assert cli.main(list(words)) == cli.BAD_INPUT
        assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before
        message = capsys.readouterr().err
        assert message.count("softinpaint: ") == 1, message
        return message
    return message_for


def test_the_demo_shows_what_it_claims_and_can_run_twice(tmp_path):
    for number in ("", "-2"):
        done = run(tmp_path, "demo")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert str(tmp_path / "outputs" / f"demo{number}.png") in done.stdout
    sheet, result = pixels(tmp_path / "outputs/demo-compared.png"), pixels(tmp_path / "outputs/demo.png")
    tiles = np.split(sheet[LABEL_PX:, :4 * (512 + GAP_PX)], [(512 + GAP_PX) * number for number in (1, 2, 3)], axis=1)
    original, mask, hard, soft = (tile[:, :512] for tile in tiles)
    assert (original == pixels(DEMO_IMAGE)).all()
    assert (mask == pixels(DEMO_MASK)).all()
    assert (soft == result).all()
    away = outside(DEMO_MASK, int(infotext.parse((ROOT / "demo/infotext.txt").read_text())["Mask blur"]))
    assert (soft[away] == original[away]).all()
    for made in (hard, soft):
        assert np.abs(made - original)[mask[..., 0] == 255].mean() > 10
    red = [(made[..., 0] > 150) & (made[..., 1:] < 90).all(-1) for made in (original, hard, soft)]
    before, by_hard, by_soft = (found[~away].sum() for found in red)
    assert before == 0
    assert by_hard > 1000  # there is a house ...
    assert by_soft > 2 * by_hard  # ... for which the mask alone leaves little room
    assert (pixels(tmp_path / "outputs/demo-2.png") == result).all()


def test_an_image_can_be_reproduced_from_its_infotext(tmp_path):
    first = run(tmp_path, "inpaint", IMAGE, MASK, "--prompt", "a moon, night", "--steps", 4, "--schedule-bias", 0.5,
                "--sampler", "UniPC", "--masked-content", "latent noise", "--no-enabled", "-o", "first.png")
    again = run(tmp_path, "inpaint", IMAGE, MASK, "--like", "first.png", "-o", "again.webp")
    other = run(tmp_path, "inpaint", IMAGE, MASK, "--like", "first.png", "--enabled", "-o", "made/other.png")
    assert [done.returncode for done in (first, again, other)] == [0, 0, 0], first.stderr + again.stderr + other.stderr
    assert infotext_files.read(tmp_path / "first.png") == infotext_files.read(tmp_path / "again.webp")
    assert (pixels(tmp_path / "first.png") == pixels(tmp_path / "again.webp")).all()
    assert (pixels(tmp_path / "first.png") != pixels(tmp_path / "made/other.png")).any()
    assert "Soft inpainting schedule bias: 1," in infotext_files.read(tmp_path / "made/other.png")
    assert "Soft inpainting drift applied: " in infotext_files.read(tmp_path / "made/other.png")
    assert "Soft inpainting" not in infotext_files.read(tmp_path / "first.png")


def test_folders_of_images_and_masks_with_several_results(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index, name in enumerate(("one.png", "two.jpg")):
        Image.open(IMAGE).crop((0, 0, 64, 64 + 8 * index)).save(tmp_path / "images" / name)
        Image.open(MASK).crop((100, 140, 164, 204 + 8 * index)).save(tmp_path / "masks" / Path(name).with_suffix(".png"))
    words = ["inpaint", "images", "masks", "--steps", "2", "--count", "2", "--seed", "5", "-o", "made"]
    assert cli.main(words) == 0
    assert sorted(path.name for path in Path("made").iterdir()) == ["one-1.png", "one-2.png", "two-1.png", "two-2.png"]
    assert [infotext.parse(infotext_files.read(Path(f"made/one-{number}.png")))["Seed"] for number in (1, 2)] == ["5", "6"]
    assert cli.main(words) == cli.BAD_INPUT
    assert "already exists; use --force to overwrite it" in capsys.readouterr().err
    assert cli.main([*words, "--force"]) == 0


def test_every_image_in_a_folder_is_used_and_other_files_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kinds = ["bmp", "gif", "jpg", "png", "tiff", "webp", *(["avif"] if features.check("avif") else [])]
    for folder in ("images", "masks"):
        Path(folder, "inner").mkdir(parents=True)
        for hidden in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "._bmp.png"):
            Path(folder, hidden).write_bytes(b"\0\5\x16\7")
    for kind in kinds:
        Image.open(IMAGE).convert("RGB").save(f"images/{kind}.{kind}")
        Image.open(MASK).save(f"masks/{kind}.png" if kind != "bmp" else "masks/bmp.bmp")
    Path("images/notes.txt").write_text("a note")
    Path("masks/bmp.txt").write_text("a note")
    planned, mask_of = jobs.plan_jobs(jobs.images_in([Path("images")]), Path("made"), 1), masks.by_name(Path("masks"))
    assert [job.image.name for job in planned] == sorted(f"{kind}.{kind}" for kind in kinds)
    assert [mask_of(job.image).name for job in planned] == ["avif.png"][:len(kinds) - 6] + [
        "bmp.bmp", "gif.png", "jpg.png", "png.png", "tiff.png", "webp.png"]
    assert capsys.readouterr().err == \
        "softinpaint: images also contains files that are not images; skipped: inner, notes.txt.\n"


def test_the_mask_may_be_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["inpaint", str(IMAGE), "--steps", "1", "--seed", "1"]
    assert cli.main([*words, str(MASK), "-o", "made.png"]) == 0
    assert cli.main([*words, "--mask", str(MASK), "-o", "by-option.png"]) == 0
    assert Path("made.png").read_bytes() == Path("by-option.png").read_bytes()


def test_a_folder_with_hidden_files_is_inpainted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    Image.open(IMAGE).save("images/a.bmp")
    Path("images/._a.bmp").write_bytes(b"\0\5\x16\7")
    assert cli.main(["inpaint", "images", str(MASK), "--steps", "1", "-o", "made"]) == 0
    assert capsys.readouterr().err == ""
    assert [path.name for path in Path("made").iterdir()] == ["a.png"]


def test_a_mask_is_found_by_its_exact_name(tmp_path):
    for name in ("x.a.png", "x.png", "photo[1].png"):
        shutil.copy(MASK, tmp_path / name)
    assert masks.by_name(tmp_path)(Path("x.jpg")).name == "x.png"
    assert masks.by_name(tmp_path)(Path("photo[1].jpg")).name == "photo[1].png"


def test_images_of_any_mode_are_read_correctly(tmp_path):
    deep = np.array([[0, 257 * 100, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.asarray(read_image(tmp_path / "deep.png"))[..., 0].tolist() == [[0, 100, 255]]
    np.testing.assert_allclose(strengths(read_mask(tmp_path / "deep.png")), deep / 65535)
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([255, 255, 255, 255, 255, 255])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert strengths(read_mask(tmp_path / "palette.png")).tolist() == [[0, 1]]


def test_transparency_and_the_colour_profile_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = Image.open(IMAGE).convert("RGBA")
    image.putalpha(Image.open(MASK).convert("L"))
    image.save("layer.png", icc_profile=SRGB)
    by_blur = "--feather-source", "Mask blur"
    assert cli.main(["inpaint", "layer.png", str(MASK), "--steps", "2", *by_blur, "-o", "made.png"]) == 0
    with Image.open("made.png") as made:
        alpha, before, far = np.asarray(made.getchannel("A")), np.asarray(Image.open(MASK).convert("L")), outside(MASK, 4)
        assert (alpha >= before).all() and (alpha[far] == before[far]).all() and (alpha[~far] > before[~far]).any()
        assert made.info["icc_profile"] == SRGB
    np.testing.assert_array_equal(np.asarray(Image.open("made.png"))[:80], np.asarray(image)[:80])


def test_a_kept_job_is_recomposited_without_a_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = Image.open(IMAGE).convert("RGBA")
    image.putalpha(Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1))))
    image.save("layer.png", icc_profile=SRGB)
    words = ["inpaint", "layer.png", str(MASK), "--prompt", "a tree", "--steps", "4", "--keep", "-o", "made.png"]
    assert cli.main(words) == 0
    assert "made.npz" in capsys.readouterr().out
    assert cli.main(words) == cli.BAD_INPUT
    assert cli.main(["recomposite", "made.npz", "-o", "same.png"]) == 0
    monkeypatch.setitem(sys.modules, "lib_softinpaint.hosts.diffusers.models", None)  # importing it would fail
    assert cli.main(["recomposite", "made.npz", "-o", "thin.jpg", "--feather-source", "own", "--feather-width", "2"]) == 0
    assert cli.main(["recomposite", "made.npz", "-o", "again"]) == 0
    with Image.open("made.png") as made, Image.open("same.png") as same, Image.open("thin.jpg") as thin:
        np.testing.assert_array_equal(np.asarray(made), np.asarray(same))
        assert same.info["parameters"] == made.info["parameters"]
        assert same.info["icc_profile"] == SRGB
        assert (thin.mode, thin.size) == ("RGB", made.size)
    assert "Re-composited with Feather source own, Feather width 2." in infotext_files.read(Path("thin.jpg"))
    assert Path("again/made.png").exists()


@pytest.mark.parametrize(("words", "sentence"), [
    ("recomposite", "Missing argument 'JOB...'"), ("recomposite none.npz", "none.npz is not: it does not exist"),
    ("recomposite image.png", "a job file must be from inpaint --keep, image.png is not: it is not an archive"),
    ("recomposite none.npz --grain 2", "2.0 is not in the range 0<=x<=1"),
    ("recomposite none.npz --schedule-bias 2", "--schedule-bias"),
    ("inpaint image.png mask.png --keep --no-enabled", "--keep needs soft inpainting"),
    ("inpaint image.png mask.png --keep --webui http://127.0.0.1:9", "--keep needs soft inpainting")])
def test_a_failed_recomposite_prints_one_sentence(tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    shutil.copy(IMAGE, "image.png")
    shutil.copy(MASK, "mask.png")
    assert cli.main(words.split()) == cli.BAD_INPUT
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1


@pytest.fixture
def lora(tmp_path):
    """A LoRA of one layer of the bundled model."""
    drawn = torch.Generator().manual_seed(0)
    with safe_open(ROOT / "demo/model/unet/diffusion_pytorch_model.safetensors", "pt") as file:
        name = next(key for key in sorted(file.keys()) if key.endswith("attn2.to_v.weight"))
        rows, columns = file.get_slice(name).get_shape()
    layer = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
    save_file({f"{layer}.lora_down.weight": torch.randn(2, columns, generator=drawn),
               f"{layer}.lora_up.weight": torch.randn(rows, 2, generator=drawn)}, tmp_path / "style.safetensors")
    return tmp_path / "style.safetensors"


def test_a_lora_by_option_and_by_prompt(tmp_path, monkeypatch, lora):
    monkeypatch.chdir(tmp_path)

    def made(name, *words):
        assert cli.main(["inpaint", str(IMAGE), str(MASK), "--steps", "2", "--seed", "1", "-o", name, *words]) == 0
        return pixels(name)
    plain = made("plain.png", "--prompt", "a tree")
    styled = made("styled.png", "--prompt", "a tree", "--lora", f"{lora.name}:0.5")
    assert (styled != plain).any()
    params = infotext.parse(infotext_files.read(Path("styled.png")))
    assert params["Prompt"] == "a tree <lora:style:0.5>"
    assert re.fullmatch("style: [0-9a-f]{12}", params["Lora hashes"])
    assert (made("again.png", "--like", "styled.png", "--lora-dir", ".") == styled).all()
    assert (made("plain-again.png", "--prompt", "a tree") == plain).all()


def test_a_long_weighted_prompt_and_clip_skip_are_used_and_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prompt = "an orange tree, " * 20 + "(moon:1.3) BREAK \\(night\\)"
    words = ["inpaint", str(IMAGE), str(MASK), "--steps", "2", "--seed", "1"]
    assert cli.main([*words, "--prompt", prompt, "--clip-skip", "2", "-o", "long.png"]) == 0
    assert cli.main([*words, "--prompt", "an orange tree", "-o", "short.png"]) == 0
    params = infotext.parse(infotext_files.read(Path("long.png")))
    assert (params["Prompt"], params["Clip skip"]) == (prompt, "2")
    assert (pixels("long.png") != pixels("short.png")).any()


def test_like_names_the_fields_that_it_ignores(tmp_path, capsys):
    text = ("a tree\nSteps: 2, Seed: 1, Size: 8x8, Clip skip: 2, Variation seed: 5, ADetailer model: f.pt, "
            "Soft inpainting enabled: True")
    infotext_files.save(Image.open(IMAGE), tmp_path / "first.png", text)
    assert requested._from_image(tmp_path / "first.png", None).clip_skip == 2
    assert capsys.readouterr().err == "softinpaint: Ignored in the infotext: Variation seed, ADetailer model.\n"


def test_like_rejects_a_camera_comment(error_message):
    exif = Image.Exif()
    exif[infotext_files.EXIF_IFD] = {infotext_files.USER_COMMENT: b"ASCII\0\0\0Holiday, f: 2.8, ISO: 100, Mode: auto"}
    Image.open(IMAGE).convert("RGB").save("photo.jpg", exif=exif)
    assert "--like needs an image with infotext; photo.jpg has none" in error_message(
        "inpaint", "image.png", "mask.png", "--like", "photo.jpg")


@pytest.mark.parametrize("prompt", ["a [tree:house:0.5]", "a tree AND a house", "a tree <lora:none:1>", "<hypernet:a:1>"])
def test_an_unsupported_prompt_is_rejected_before_sampling(error_message, prompt):
    message = error_message("inpaint", "image.png", "mask.png", "--prompt", prompt)
    assert "prompt must" in message or "needs a file none.safetensors in models/Lora" in message


# Files that cannot be written

def test_format_limits_are_checked_before_sampling(error_message, monkeypatch):
    monkeypatch.setattr(inpaint, "local_maker", None)  # calling it would fail
    assert "bytes of infotext" in error_message("inpaint", "image.png", "mask.png", "-o", "a.jpg", "--prompt", "a" * 40_000)
    for name in ("wide.png", "wide-mask.png"):
        Image.new("L", (16384, 8), 255).save(name)
    assert "16383 pixels a side" in error_message("inpaint", "wide.png", "wide-mask.png", "-o", "a.webp")


@pytest.mark.parametrize(("output", "sentence"), [
    ("/proc/self/made.png", "cannot write to the folder /proc/self"),
    ("a" * 300 + ".png", ".png: File name too long"), ("folder.png/image.png", "it is a folder")])
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and Linux' limit of a name")
def test_an_unwritable_output_path_is_reported_before_sampling(error_message, monkeypatch, output, sentence):
    monkeypatch.setattr(inpaint, "local_maker", None)
    Path("folder.png/image.png").mkdir(parents=True)
    output = "folder.png" if output.startswith("folder") else output
    assert sentence in error_message("inpaint", "image.png", "mask.png", "-o", output, "--force")


def test_a_result_that_cannot_be_written_is_saved_elsewhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inpaint, "make_folders", lambda targets: None)  # as if the folder was deleted during the run
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    words = ["inpaint", str(IMAGE), str(MASK), "--steps", "1", "--seed", "1", "--prompt", "a tree"]
    assert cli.main([*words, "-o", "gone/made.jpg"]) == cli.BAD_INPUT
    place = tmp_path / "softinpaint-made.png"
    assert capsys.readouterr().err == (
        f"softinpaint: could not write gone/made.jpg: No such file or directory; the result was saved to {place}\n")
    assert cli.main([*words, "-o", "made.png"]) == 0
    assert (pixels(place) == pixels("made.png")).all()
    assert infotext_files.read(place) == infotext_files.read(Path("made.png"))


def test_a_result_is_saved_if_a_step_after_sampling_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "none"))  # so that the current folder is used
    saved = []
    with pytest.raises(ZeroDivisionError), files.rescuing(Path("made.npz"), saved.append):
        1 / 0  # noqa: B018
    assert saved == [tmp_path / "none/softinpaint-made.npz"]

    def save(place):
        Image.new("L", (1, 1)).save(place)
    with (pytest.raises(cli.BadInput, match="the result was saved to .*softinpaint-made.png"),
          files.rescuing(Path("made.webp"), save)):
        raise OSError("No space left on device")
    assert (tmp_path / "softinpaint-made.png").exists()


# Bugs and bad input

@pytest.mark.parametrize("fault", [ValueError("no bad input"), ZeroDivisionError("a bug")])
def test_a_bug_in_the_program_is_not_reported_as_bad_input(monkeypatch, capsys, fault):
    def broken(*arguments):
        raise fault
    monkeypatch.setattr(inpaint, "plan_jobs", broken)
    assert cli.main(["inpaint", "a.png", "b.png"]) == cli.OWN_FAULT
    message = capsys.readouterr().err
    assert "Traceback" in message
    assert f"softinpaint: this is a bug in the program, not in your input: {type(fault).__name__};" in message.splitlines()[-1]


@pytest.mark.parametrize("words", [
    "inpaint a.png b.png", "recomposite a.npz", "page a.png", "inpaint a.png b.png --width 4 --height 4"])
def test_bad_input_has_a_traceback_on_request(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words.split()) == cli.BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err
    assert cli.main([*words.split(), "--traceback"]) == cli.BAD_INPUT
    assert "Traceback" in capsys.readouterr().err


# Setup

@pytest.fixture
def entry(tmp_path, monkeypatch):
    """The entry point with its own environment, and the requirements files that it would install."""
    spec = importlib.util.spec_from_file_location("entry_point", ROOT / "softinpaint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    environment, installed = tmp_path / ".venv", []
    for name, value in (("VENV", environment), ("INSTALLED", environment / module.INSTALLED.name),
                        ("PYTHON", Path(sys.executable)), ("pip", lambda *words: installed.append(words[-1]))):
        monkeypatch.setattr(module, name, value)
    environment.mkdir()
    return module, installed


def test_going_back_to_older_requirements_installs_them(entry, tmp_path):
    module, installed = entry
    file = tmp_path / "page-requirements.txt"
    for text in ("gradio==5", "gradio==5", "gradio==6", "gradio==5"):
        file.write_text(text)
        module.prepare(file)
    assert installed == [str(file)] * 3


def test_several_requirements_files_are_installed_once_each(entry, tmp_path):
    module, installed = entry
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("a")
    other.write_text("b")
    for _ in range(2):
        module.prepare(one, other)
    assert installed == [str(one), str(other)]


@pytest.mark.parametrize(("words", "files"), [
    (["batch", "images"], []), (["batch", "images", "--ray", "auto"], ["ray-requirements.txt"]),
    (["batch", "--ray=auto", "images"], ["ray-requirements.txt"])])
def test_ray_is_installed_when_it_is_asked_for(entry, monkeypatch, words, files):
    module, installed = entry
    monkeypatch.setattr(module, "command", lambda arguments: 0)
    assert module.main(words) == 0
    assert [Path(file).name for file in installed if "requirements" in file] == ["standalone-requirements.txt", *files]


def test_a_foreign_environment_is_not_cleared(entry, monkeypatch, capsys):
    module, _ = entry
    (module.VENV / "mine.txt").write_text("mine")
    monkeypatch.setattr(module, "PYTHON", module.VENV / "bin/python")
    assert module.main(["demo"]) == cli.BAD_INPUT
    assert "was not made by this program and its Python does not start" in capsys.readouterr().err
    assert (module.VENV / "mine.txt").read_text() == "mine"


def test_an_image_of_another_aspect_ratio_than_like_keeps_its_own_size(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--steps", "2", "-o", "first.png"]
    assert cli.main(["inpaint", str(IMAGE), str(MASK), "--width", "128", "--height", "128", *words]) == 0
    for path in (IMAGE, MASK):
        Image.open(path).crop((80, 100, 208, 204)).save(path.name)
    assert cli.main(["inpaint", "image.png", "mask.png", "--like", "first.png", "-o", "made.png"]) == 0
    assert "image.png does not have the aspect ratio of 128x128, so its own size is used" in capsys.readouterr().err
    assert "Size: 128x104" in infotext_files.read(Path("made.png"))


def test_the_progress_bar_is_full_at_the_end():
    for steps in (7, 30, 150):
        bar = progress.Progress(2)
        with bar as advance:
            for _ in range(2):
                for step in range(steps):
                    advance((step + 1) / steps)
        assert bar._bar.pos == bar._bar.length


def test_every_command_in_the_entry_points_help_exists(tmp_path):
    verbs = re.findall(r"python3 softinpaint.py (\w+)", run(tmp_path).stdout)
    assert set(verbs) == {
        "demo", "inpaint", "batch", "mask", "page", "recomposite", "checkpoint", "test", "mutate", "bench", "docs"}
    for verb in ("demo", "inpaint", "bench"):
        assert "--help" in run(tmp_path, verb, "--help").stdout


@pytest.mark.parametrize(("word", "sentence"), [
    ("inpaints", "No such command 'inpaints'. Did you mean 'inpaint'?"),
    ("--model", "No such command '--model'. The commands are demo, inpaint, batch, mask, page, recomposite, checkpoint, ")])
def test_an_unknown_command_gets_one_sentence(entry, capsys, word, sentence):
    module, _ = entry
    assert module.main([word]) == cli.BAD_INPUT
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"softinpaint: {sentence}") and printed.err.count("\n") == 1


@pytest.mark.parametrize("command", [cli.inpaint, cli.batch, cli.mask])
def test_the_help_of_mask_tools_has_each_step(command):
    text = next(option.help for option in command.params if option.name == "mask_tools")
    assert all(f'"{example}" ' in text for example in EXAMPLES.values()) and "button" not in text


def test_the_checkpoint_is_written_into_an_existing_folder_only(tmp_path):
    done = run(tmp_path, "checkpoint", "models")
    assert (done.returncode, done.stdout, done.stderr) == (
        cli.BAD_INPUT, "", "softinpaint: FOLDER must be an existing folder, got models\n")
    assert not (tmp_path / "models").exists()
    (tmp_path / "models").mkdir()
    done = run(tmp_path, "checkpoint", "models")
    assert (done.returncode, done.stderr) == (0, "")
    names = [f"models/softinpaint-scenes{end}" for end in (".safetensors", ".yaml", "")]
    assert done.stdout.splitlines() == names
    assert all((tmp_path / name).exists() for name in names)
    assert run(tmp_path, "checkpoint", "models").returncode == cli.BAD_INPUT


def test_a_scaled_mask_is_noted_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.open(MASK).resize((512, 512)).save("mask.png")
    words = ["--steps=1", "--regions-one-by-one"]
    for count in range(2):
        assert cli.main(["inpaint", str(IMAGE), "mask.png", "-o", f"{count}.png", *words[:1 + count]]) == 0
        assert [line for line in capsys.readouterr().err.splitlines() if "scaled" in line] == [
            f"softinpaint: {IMAGE}: the mask mask.png is 512x512 and was scaled to the image's 256x256."]


def test_a_mask_painted_on_a_transparent_layer(tmp_path):
    white, alpha = Image.new("L", (2, 1), 255), Image.fromarray(np.array([[0, 255]], np.uint8))
    Image.merge("RGBA", [white, white, white, alpha]).save(tmp_path / "mask.png")
    assert strengths(read_mask(tmp_path / "mask.png")).tolist() == [[0, 1]]


def test_a_mask_is_written_without_inpainting(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = np.full((48, 64, 3), 90, np.uint8)
    image[10:30, 20:50] = 250, 240, 20
    image[15:20, 30:40] = 90
    Image.fromarray(image).save("flower.png")
    assert cli.main(["mask", "flower.png", "--mask-tools", "colour #faf014 10, fill holes", "-o", "flower-mask.png"]) == 0
    assert capsys.readouterr().out == "flower-mask.png\n"
    expected = np.zeros((48, 64), np.uint8)
    expected[10:30, 20:50] = 255
    assert (np.asarray(Image.open("flower-mask.png")) == expected).all()
    deep = np.full((48, 64), 12345, np.uint16)
    deep[:9] = 0
    Image.fromarray(deep).save("deep.png")
    assert cli.main(["mask", "flower.png", "--mask", "deep.png", "--mask-tools", "invert", "-o", "edited.png"]) == 0
    inverted = np.asarray(Image.open("edited.png")).astype(int)
    assert (inverted == np.where(deep == 0, 65535, 65535 - 12345)).all()
    assert cli.main(["mask", "flower.png", "--mask-tools", "luminance 80-100"]) == 0
    assert np.asarray(Image.open("outputs/masks/flower.png"))[12, 22] == 255


def test_an_image_makes_its_own_mask_and_the_infotext_repeats_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = np.asarray(Image.open(IMAGE).convert("RGB")).copy()
    image[40:80, 50:90] = 255, 0, 255
    Image.fromarray(image).save("image.png")
    words = ["--steps", "2", "--seed", "1", "--prompt", "a tree"]
    tools = ["--mask-tools", "colour #ff00ff 10", "--own-masked-content", "local fill", "--extra-noise", "0.2"]
    assert cli.main(["inpaint", "image.png", *words, *tools, "-o", "made.png"]) == 0
    params = infotext.parse(infotext_files.read(Path("made.png")))
    assert params["Soft inpainting mask tools"] == "colour #ff00ff 10"
    assert params["Soft inpainting own masked content"] == "local fill"
    assert params["Soft inpainting extra noise"] == "0.2"
    assert (pixels("made.png")[42:78, 52:88] != (255, 0, 255)).any(-1).all()
    assert cli.main(["inpaint", "image.png", "--like", "made.png", "-o", "again.png"]) == 0
    assert (pixels("again.png") == pixels("made.png")).all()
    assert cli.main(["mask", "image.png", *tools[:2], "-o", "mask.png"]) == 0
    assert cli.main(["inpaint", "image.png", "mask.png", *words, *tools[2:], "-o", "by-mask.png"]) == 0
    assert (pixels("by-mask.png") == pixels("made.png")).all()


def test_every_setting_is_an_option_of_the_same_name():
    names = {option.name for option in cli.inpaint.params}
    assert {*(field.name for field in saved_fields()), *(field.name for field in FIELDS)} <= names


@pytest.mark.parametrize(("words", "sentence"), [
    ("inpaint", "IMAGE and MASK are both needed, got neither"),
    ("inpaint image.png", "IMAGE and MASK are both needed, got image.png"),
    ("inpaint --mask-tools transparency", "IMAGE and MASK are both needed, got neither"),
    ("inpaint image.png --mask-tools transparency", "the mask of image.png has nothing to repaint after the mask tools "
                                                    "'transparency'"),
    ("inpaint image.png mask.png --mask-tools grown", "Mask tools must be steps such as 'fill holes',"),
    ("mask image.png -o made.png", "--mask is needed, or a --mask-tools that begins with transparency, luminance or colour"),
    ("mask image.png --mask mask.png -o made.jpg", "--output must be a folder or end in .png, got made.jpg"),
    ("mask image.png --mask mask.png -o empty.png", "empty.png already exists; use --force to overwrite it"),
    ("mask image.png --mask mask.png -o mask.png --force", "a result must not overwrite an input image or mask, got mask.png"),
    ("inpaint image.png folder/image.png mask.png -o made", "each result needs its own name, but 2 of them would be named"),
    ("inpaint speck.png speck.png", "images must be at least 8 pixels wide and high; speck.png is 7x9"),
    ("inpaint image.png mask.png --width 4 --height 4", "Width and height must be 8 pixels or more, got 4x4"),
    ("inpaint image.png mask.png --lora none.safetensors:0.5", "--lora must be an existing .safetensors file, got none"),
    ("inpaint image.png mask.png --lora mask.png", "--lora must be an existing .safetensors file, got mask.png"),
    ("inpaint image.png mask.png --clip-skip 12", "Clip skip must be at most"),
    ("inpaint image.png mask.png --lora a --webui http://127.0.0.1:9", "--lora cannot be combined with --webui"),
    ("inpaint floats.tiff mask.png", "floats.tiff cannot be read as an image: the image's values must be numbers"),
    ("inpaint image.png mask.png -o text.png/made.png --force", "cannot write to the folder text.png"),
    ("inpaint image.png mask.png --device nonsense", "device must be available to PyTorch, which has "),
    ("inpaint nothing.png mask.png", "nothing.png does not exist"),
    ("inpaint image.png nothing.png", "nothing.png does not exist"),
    ("inpaint image.png text.png", "text.png cannot be read as an image: cannot identify image file"),
    ("inpaint image.png small.png", "the mask small.png must have the aspect ratio of its image, 256x256, got 64x48."),
    ("inpaint image.png empty.png", "the mask empty.png has nothing to repaint"),
    ("inpaint image.png mask.png --schedule-bias 9", "Invalid value for '--schedule-bias': 9.0 is not in the range"),
    ("inpaint image.png mask.png --no-such 9", "No such option"),
    ("inpaint image.png mask.png --model .", "model must be a diffusers folder, a .safetensors file"),
    ("inpaint image.png mask.png --model text.png", "model must be a diffusers folder, a .safetensors file"),
    ("inpaint image.png mask.png --sampler Restart", "Sampler must be one of Euler, Euler a"),
    ("inpaint image.png mask.png --schedule-type Karras --sampler DDIM", "Schedule type must be Automatic with"),
    ("inpaint image.png mask.png --like mask.png", "--like needs an image with infotext; mask.png has none"),
    ("inpaint image.png mask.png -o image.png", "a result must not overwrite an input image or mask, got image.png"),
    ("inpaint image.png mask.png -o mask.png --force", "a result must not overwrite an input image or mask, got mask.png"),
    ("inpaint image.png mask.png -o . --force", "a result must not overwrite an input image or mask, got image.png"),
    ("inpaint image.png mask.png -o small.png", "small.png already exists; use --force to overwrite it"),
    ("inpaint image.png --mask mask.png -o mask.png", "a result must not overwrite an input image or mask, got mask.png"),
    ("inpaint --mask mask.png", "IMAGE and MASK are both needed, got neither"),
    ("inpaint image.png --mask mask.png --mask-tools transparency", "--mask cannot be combined with a --mask-tools that "
                                                                    "begins with transparency, luminance or colour"),
    ("inpaint image.png mask.png -o made.gif", "--output must be a folder or end in .png, .webp, .jpg, .jpeg, got made.gif"),
    ("inpaint image.png image.png mask.png -o made.png", "--output must be a folder if there is more than one result"),
    ("inpaint folder mask.png", "the folder folder has no images"),
    ("inpaint image.png twice", "the mask folder twice must contain exactly one mask named image, found 2"),
    ("inpaint image.png mask.png --webui http://127.0.0.1:9", "no WebUI answers at http://127.0.0.1:9"),
    ("inpaint image.png mask.png --width 4 --height 4", "Width and height must be 8 pixels or more, got 4x4"),
    ("paint", "No such command 'paint'.")])
def test_bad_input_gets_one_sentence(error_message, words, sentence):
    Path("text.png").write_text("no image")
    for folder in ("folder", "twice"):
        Path(folder).mkdir()
    for path in ("twice/image.png", "twice/image.webp"):
        shutil.copy("mask.png", path)
    Image.new("L", (64, 48), 255).save("small.png")
    Image.new("L", (7, 9), 255).save("speck.png")
    Image.fromarray(np.full((256, 256), np.inf, np.float32)).save("floats.tiff")
    Image.new("L", (256, 256)).save("empty.png")
    assert f"softinpaint: {sentence}" in error_message(*words.split())


def test_the_entry_point_returns_the_exit_code_for_bad_input(tmp_path):
    done = run(tmp_path, "inpaint", "nothing.png", "nothing.png")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "softinpaint: nothing.png does not exist\n")


# The README's examples, as written

def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def checkout(tmp_path):
    """The demo's files in the place that the README's examples use."""
    for name in ("image.png", "mask.png"):
        (tmp_path / "demo").mkdir(exist_ok=True)
        shutil.copy(ROOT / "demo" / name, tmp_path / "demo")
    return tmp_path


def test_a_signal_to_the_launcher_stops_the_program(tmp_path):
    if os.name != "posix":
        pytest.skip("Windows has no signals")
    with subprocess.Popen([sys.executable, ROOT / "softinpaint.py", "inpaint", "image.png", "mask.png"], cwd=tmp_path,
                          stderr=subprocess.PIPE, text=True) as running:
        _, message = running.communicate()
        assert message.endswith("image.png does not exist\n")
    with subprocess.Popen([sys.executable, ROOT / "softinpaint.py", "page", "--no-browser", "-o", tmp_path],
                          stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline().startswith("Page ready at ")
        running.terminate()
        assert running.wait(30) != 0
        assert running.stdout.read() == "", "the pipe is closed, so no child is left"


def test_the_readmes_commands(checkout):
    commands = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()
                if re.match("python3 softinpaint.py (mask|inpaint|recomposite)", line) and "--webui" not in line
                and " photo" not in line]  # the reader's own files
    assert len(commands) >= 5
    for command in commands:
        done = run(checkout, *shlex.split(command)[2:])
        assert done.returncode == 0, done.stderr
        made = next(line for line in done.stdout.splitlines() if line.endswith(".png"))
        assert (pixels(checkout / made) != pixels(DEMO_IMAGE)).any()


def test_the_readmes_library_example(checkout):
    example = next(block for block in blocks("python") if "soft_inpaint" in block)
    assert len(example.strip().splitlines()) <= 7
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}\n{example}"], cwd=checkout,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = pixels(checkout / "result.png")
    away = outside(DEMO_MASK, 64)
    assert (made[away] == pixels(DEMO_IMAGE)[away]).all()
    assert (made != pixels(DEMO_IMAGE)).any()


def test_the_readmes_pipeline_example(checkout):
    example = next(block for block in blocks("python") if "SoftInpaintPipeline" in block)
    local = example
    for named, here in (('"stable-diffusion-v1-5/stable-diffusion-v1-5"', f'"{ROOT / "demo/model"}", torch_dtype=float32'),
                        ("keep=True)", "keep=True, num_inference_steps=2)"),
                        ("import Path\n", "import Path; from torch import float32\n")):
        assert named in local
        local = local.replace(named, here)
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}\n{local}"], cwd=checkout,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (checkout / "house.npz").exists()


def test_a_broken_installation_is_reported(monkeypatch, capsys):
    def broken(*arguments):
        raise ImportError("diffusers needs another version of peft")
    monkeypatch.setattr(inpaint, "plan_jobs", broken)
    assert cli.main(["inpaint", "a.png", "b.png"]) == cli.BAD_INPUT
    assert capsys.readouterr().err == "softinpaint: diffusers needs another version of peft\n"
