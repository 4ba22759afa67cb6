"""The command line: once through its real entry point, its sentences in this process."""
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

from lib_softinpaint import cli, infotext
from lib_softinpaint.painted import strengths
from lib_softinpaint.request import FIELDS
from lib_softinpaint.settings import saved_fields
from lib_softinpaint.sheet import GAP_PX, LABEL_PX

ROOT = Path(__file__).parent.parent
PICTURE, MASK = ROOT / "demo/picture.png", ROOT / "demo/mask.png"
README = (ROOT / "README.md").read_text(encoding="utf8")


def run(folder, *words):
    """The entry point, in a folder of its own as a user's would be."""
    command = [sys.executable, ROOT / "softinpaint.py", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def outside(mask, blur):
    return distance_transform_edt(np.asarray(Image.open(mask)) == 0) > 2.4 * blur


@pytest.fixture
def complaint(tmp_path, monkeypatch, capsys):
    """What the command says of bad input; no file is written then."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PICTURE, "picture.png")
    shutil.copy(MASK, "mask.png")

    def complain(*words):
        before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        assert cli.main(list(words)) == cli.BAD_INPUT
        assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before
        said = capsys.readouterr().err
        assert said.count("softinpaint: ") == 1, said
        return said
    return complain


def test_the_demo_shows_what_it_claims_twice_in_a_row(tmp_path):
    for number in ("", "-2"):
        done = run(tmp_path, "demo")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert str(tmp_path / "outputs" / f"demo{number}.png") in done.stdout
    sheet, result = pixels(tmp_path / "outputs/demo-compared.png"), pixels(tmp_path / "outputs/demo.png")
    tiles = np.split(sheet[LABEL_PX:, :4 * (256 + GAP_PX)], [(256 + GAP_PX) * number for number in (1, 2, 3)], axis=1)
    original, mask, hard, soft = (tile[:, :256] for tile in tiles)
    assert (original == pixels(PICTURE)).all()
    assert (mask == pixels(MASK)).all()
    assert (soft == result).all()
    away = outside(MASK, int(infotext.parse((ROOT / "demo/infotext.txt").read_text())["Mask blur"]))
    assert (soft[away] == original[away]).all()
    for made in (hard, soft):
        assert np.abs(made - original)[mask[..., 0] == 255].mean() > 10
    orange = [(made[..., 0] > made[..., 1] + 40) & (made[..., 1] > made[..., 2]) for made in (original, hard, soft)]
    before, by_hard, by_soft = (found[~away].sum() for found in orange)
    assert by_hard > 5 * before + 500  # a tree stands there ...
    assert by_soft > 1.1 * by_hard  # ... and whole, where the mask's edge cuts the hard one
    assert (pixels(tmp_path / "outputs/demo-2.png") == result).all()


def test_a_picture_is_made_again_from_its_own_infotext(tmp_path):
    first = run(tmp_path, "inpaint", PICTURE, MASK, "--prompt", "a moon, night", "--steps", 4, "--schedule-bias", 0.5,
                "--sampler", "UniPC", "--masked-content", "latent noise", "--no-enabled", "-o", "first.png")
    again = run(tmp_path, "inpaint", PICTURE, MASK, "--like", "first.png", "-o", "again.webp")
    other = run(tmp_path, "inpaint", PICTURE, MASK, "--like", "first.png", "--enabled", "-o", "made/other.png")
    assert [done.returncode for done in (first, again, other)] == [0, 0, 0], first.stderr + again.stderr + other.stderr
    assert infotext.of_picture(tmp_path / "first.png") == infotext.of_picture(tmp_path / "again.webp")
    assert (pixels(tmp_path / "first.png") == pixels(tmp_path / "again.webp")).all()
    assert (pixels(tmp_path / "first.png") != pixels(tmp_path / "made/other.png")).any()
    assert "Soft inpainting schedule bias: 1," in infotext.of_picture(tmp_path / "made/other.png")


def test_folders_of_pictures_and_of_masks_and_several_results(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("pictures", "masks"):
        (tmp_path / folder).mkdir()
    for index, name in enumerate(("one.png", "two.jpg")):
        Image.open(PICTURE).crop((0, 0, 64, 64 + 8 * index)).save(tmp_path / "pictures" / name)
        Image.open(MASK).crop((100, 140, 164, 204 + 8 * index)).save(tmp_path / "masks" / Path(name).with_suffix(".png"))
    words = ["inpaint", "pictures", "masks", "--steps", "2", "--count", "2", "--seed", "5", "-o", "made"]
    assert cli.main(words) == 0
    assert sorted(path.name for path in Path("made").iterdir()) == ["one-1.png", "one-2.png", "two-1.png", "two-2.png"]
    assert [infotext.parse(infotext.of_picture(Path(f"made/one-{number}.png")))["Seed"] for number in (1, 2)] == ["5", "6"]
    assert cli.main(words) == cli.BAD_INPUT
    assert "--force is needed to overwrite" in capsys.readouterr().err
    assert cli.main([*words, "--force"]) == 0


def test_a_mask_folder_is_asked_for_the_very_name(tmp_path):
    for name in ("x.a.png", "x.png", "photo[1].png"):
        shutil.copy(MASK, tmp_path / name)
    assert cli._mask_for(Path("x.jpg"), tmp_path).name == "x.png"
    assert cli._mask_for(Path("photo[1].jpg"), tmp_path).name == "photo[1].png"


def test_pictures_of_any_mode_are_read_as_they_look(tmp_path):
    deep = np.array([[0, 257 * 100, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.asarray(cli._opened(tmp_path / "deep.png")).tolist() == [[0, 100, 255]]
    np.testing.assert_allclose(strengths(cli._opened_mask(tmp_path / "deep.png")), deep / 65535)
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([255, 255, 255, 255, 255, 255])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert strengths(cli._opened_mask(tmp_path / "palette.png")).tolist() == [[0, 1]]


def test_transparency_and_colour_profile_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = Image.open(PICTURE).convert("RGBA")
    picture.putalpha(Image.open(MASK).convert("L"))
    picture.save("layer.png", icc_profile=b"a profile")
    assert cli.main(["inpaint", "layer.png", str(MASK), "--steps", "2", "-o", "made.png"]) == 0
    with Image.open("made.png") as made:
        assert (np.asarray(made.getchannel("A")) == np.asarray(Image.open(MASK).convert("L"))).all()
        assert made.info["icc_profile"] == b"a profile"
    np.testing.assert_array_equal(np.asarray(Image.open("made.png"))[:80], np.asarray(picture)[:80])


def test_a_kept_job_is_composited_again_without_a_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture = Image.open(PICTURE).convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1))))
    picture.save("layer.png", icc_profile=b"a profile")
    words = ["inpaint", "layer.png", str(MASK), "--prompt", "a tree", "--steps", "4", "--keep", "-o", "made.png"]
    assert cli.main(words) == 0
    assert "made.npz" in capsys.readouterr().out
    assert cli.main(words) == cli.BAD_INPUT
    assert cli.main(["recomposite", "made.npz", "-o", "same.png"]) == 0
    monkeypatch.setitem(sys.modules, "lib_softinpaint.hosts.diffusers_models", None)  # importing it would fail
    assert cli.main(["recomposite", "made.npz", "-o", "thin.jpg", "--feather-source", "own", "--feather-width", "2"]) == 0
    assert cli.main(["recomposite", "made.npz", "-o", "again"]) == 0
    with Image.open("made.png") as made, Image.open("same.png") as same, Image.open("thin.jpg") as thin:
        np.testing.assert_array_equal(np.asarray(made), np.asarray(same))
        assert same.info["parameters"] == made.info["parameters"]
        assert same.info["icc_profile"] == b"a profile"
        assert (thin.mode, thin.size) == ("RGB", made.size)
    assert "Composited again with Feather source own, Feather width 2." in infotext.of_picture(Path("thin.jpg"))
    assert Path("again/made.png").exists()


@pytest.mark.parametrize(("words", "sentence"), [
    ("recomposite", "Missing argument 'JOB...'"), ("recomposite none.npz", "none.npz is not: it does not exist"),
    ("recomposite picture.png", "a job file must be one that inpaint --keep wrote, picture.png is not: it is no archive"),
    ("recomposite none.npz --grain 2", "2.0 is not in the range 0<=x<=1"),
    ("recomposite none.npz --schedule-bias 2", "--schedule-bias"),
    ("inpaint picture.png mask.png --keep --no-enabled", "--keep keeps soft inpaintings"),
    ("inpaint picture.png mask.png --keep --webui http://127.0.0.1:9", "--keep keeps soft inpaintings")])
def test_what_cannot_be_composited_again_is_one_sentence(tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PICTURE, "picture.png")
    shutil.copy(MASK, "mask.png")
    assert cli.main(words.split()) == cli.BAD_INPUT
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


def test_another_shape_than_the_likened_pictures_keeps_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--steps", "2", "-o", "first.png"]
    assert cli.main(["inpaint", str(PICTURE), str(MASK), "--width", "128", "--height", "128", *words]) == 0
    for path in (PICTURE, MASK):
        Image.open(path).crop((80, 100, 208, 204)).save(path.name)
    assert cli.main(["inpaint", "picture.png", "mask.png", "--like", "first.png", "-o", "made.png"]) == 0
    assert "picture.png has another shape than 128x128, its own size is taken" in capsys.readouterr().err
    assert "Size: 128x104" in infotext.of_picture(Path("made.png"))


def test_the_bar_is_full_at_the_end():
    for steps in (7, 30, 150):
        progress = cli._Progress(2)
        with progress as advance:
            for _ in range(2):
                for step in range(steps):
                    advance((step + 1) / steps)
        assert progress._bar.pos == progress._bar.length


def test_every_verb_of_the_entry_points_help_exists(tmp_path):
    verbs = re.findall(r"python3 softinpaint.py (\w+)", run(tmp_path).stdout)
    assert {"demo", "inpaint", "page", "recomposite", "checkpoint", "test", "bench"} == set(verbs)
    done = run(tmp_path, "checkpoint", "models")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "softinpaint-scenes.yaml").exists()
    assert run(tmp_path, "checkpoint", "models").returncode == cli.BAD_INPUT
    for verb in ("demo", "inpaint", "bench"):
        assert "--help" in run(tmp_path, verb, "--help").stdout


def test_a_mask_painted_on_a_transparent_layer(tmp_path):
    white, alpha = Image.new("L", (2, 1), 255), Image.fromarray(np.array([[0, 255]], np.uint8))
    Image.merge("RGBA", [white, white, white, alpha]).save(tmp_path / "mask.png")
    assert strengths(cli._opened_mask(tmp_path / "mask.png")).tolist() == [[0, 1]]


def test_every_setting_is_an_option_by_its_name():
    names = {option.name for option in cli.inpaint.params}
    assert {*(field.name for field in saved_fields()), *(field.name for field in FIELDS)} <= names


@pytest.mark.parametrize(("words", "sentence"), [
    ("inpaint", "PICTURE and MASK must both be given, got neither"),
    ("inpaint picture.png", "PICTURE and MASK must both be given, got picture.png"),
    ("inpaint picture.png folder/picture.png mask.png -o made", "results must have names of their own, 2 of them would be"),
    ("inpaint speck.png speck.png", "a picture must be 8 pixels wide and high at least, speck.png is (7, 9)"),
    ("inpaint floats.tiff mask.png", "a picture must have whole numbers for pixels, floats.tiff has floats"),
    ("inpaint picture.png mask.png -o text.png/made.png --force", "text.png must be a folder that can be written to"),
    ("inpaint picture.png mask.png --device nonsense", "device must be one that this PyTorch has, got 'nonsense'"),
    ("inpaint nothing.png mask.png", "a picture must exist, nothing.png does not"),
    ("inpaint picture.png nothing.png", "a picture must exist, nothing.png does not"),
    ("inpaint picture.png text.png", "a picture must be readable, text.png is not: cannot identify image file"),
    ("inpaint picture.png small.png", "a mask must be as large as its picture (256, 256), small.png is (64, 64)"),
    ("inpaint picture.png empty.png", "a mask must have something to repaint, empty.png has nothing"),
    ("inpaint picture.png mask.png --schedule-bias 9", "Invalid value for '--schedule-bias': 9.0 is not in the range"),
    ("inpaint picture.png mask.png --no-such 9", "No such option '--no-such'."),
    ("inpaint picture.png mask.png --model .", "model must be a diffusers folder, a .safetensors file"),
    ("inpaint picture.png mask.png --model text.png", "model must be a diffusers folder, a .safetensors file"),
    ("inpaint picture.png mask.png --sampler Restart", "Sampler must be one of Euler, Euler a"),
    ("inpaint picture.png mask.png --schedule-type Karras --sampler DDIM", "Schedule type must be Automatic with"),
    ("inpaint picture.png mask.png --like mask.png", "--like needs a picture with infotext, mask.png has none"),
    ("inpaint picture.png mask.png -o picture.png", "--force is needed to overwrite picture.png, which exists"),
    ("inpaint picture.png mask.png -o made.gif", "--output must be a folder or end in .png, .webp, .jpg, .jpeg, got made.gif"),
    ("inpaint picture.png picture.png mask.png -o made.png", "--output must be a folder for more than one result"),
    ("inpaint folder mask.png", "PICTURE must be a picture or a folder of"),
    ("inpaint picture.png twice", "MASK must hold one mask named picture, the folder twice has 2"),
    ("inpaint picture.png mask.png --webui http://127.0.0.1:9", "a WebUI must answer at http://127.0.0.1:9"),
    ("inpaint picture.png mask.png --width 4 --height 4", "Width and height must be 8 pixels or more, got 4x4"),
    ("paint", "No such command 'paint'.")])
def test_bad_input_gets_one_sentence(complaint, words, sentence):
    Path("text.png").write_text("no picture")
    for folder in ("folder", "twice"):
        Path(folder).mkdir()
    for path in ("twice/picture.png", "twice/picture.webp"):
        shutil.copy("mask.png", path)
    Image.new("L", (64, 64), 255).save("small.png")
    Image.new("L", (7, 9), 255).save("speck.png")
    Image.new("F", (256, 256)).save("floats.tiff")
    Image.new("L", (256, 256)).save("empty.png")
    assert f"softinpaint: {sentence}" in complaint(*words.split())


def test_the_exit_code_of_bad_input_passes_through_the_entry_point(tmp_path):
    done = run(tmp_path, "inpaint", "nothing.png", "nothing.png")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "softinpaint: a picture must exist, nothing.png does not\n")


# The README's examples, as written

def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def checkout(tmp_path):
    """The demo's files where the README's examples look for them."""
    for name in ("picture.png", "mask.png"):
        (tmp_path / "demo").mkdir(exist_ok=True)
        shutil.copy(ROOT / "demo" / name, tmp_path / "demo")
    return tmp_path


def test_the_readmes_commands(checkout):
    commands = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()
                if re.match("python3 softinpaint.py (inpaint|recomposite)", line) and "--webui" not in line]
    assert len(commands) >= 3
    for command in commands:
        done = run(checkout, *shlex.split(command)[2:])
        assert done.returncode == 0, done.stderr
        made = next(line for line in done.stdout.splitlines() if line.endswith(".png"))
        assert (pixels(checkout / made) != pixels(PICTURE)).any()


def test_the_readmes_library_example(checkout):
    example = next(block for block in blocks("python") if "soft_inpaint" in block)
    assert len(example.strip().splitlines()) <= 7
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}\n{example}"], cwd=checkout,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = pixels(checkout / "result.png")
    away = outside(MASK, 64)
    assert (made[away] == pixels(PICTURE)[away]).all()
    assert (made != pixels(PICTURE)).any()
