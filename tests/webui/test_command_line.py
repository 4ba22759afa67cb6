"""The command line with a running WebUI, and the same model in both hosts."""

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.cli import main as cli
from lib_softinpaint.images import infotext_files
from lib_softinpaint.settings import infotext
from tests.test_cli import IMAGE, MASK, outside, pixels

pytestmark = [pytest.mark.usefixtures("clean_log")]

WORDS = ("inpaint", str(IMAGE), str(MASK), "--prompt", "an orange tree", "--denoising-strength", "1", "--mask-blur", "8",
         "--masked-content", "fill", "--cfg-scale", "5", "--seed", "3", "--preservation-strength", "0.25")


def made(tmp_path, name, *words):
    assert cli.main([*WORDS, *words, "-o", str(tmp_path / name)]) == 0
    return pixels(tmp_path / name), infotext_files.read(tmp_path / name)


@pytest.mark.parametrize("words", [
    ("--sampler", "Euler a"), ("--sampler", "Euler"), ("--sampler", "Euler a", "--no-enabled"),
    ("--sampler", "Euler", "--inpaint-area", "Only masked", "--width", "256", "--height", "256"),
    ("--sampler", "Euler", "--prompt", "(orange:1.4) [tree] BREAK \\(night\\)", "--clip-skip", "2")], ids=" ".join)
def test_a_running_webui_matches_diffusers(webui, tmp_path, words):
    by_webui, text = made(tmp_path, "webui.png", "--webui", webui.url, *words)
    here, own_text = made(tmp_path, "here.png", *words)
    original = pixels(IMAGE)
    assert np.abs(here - original).mean() > 1
    assert np.abs(by_webui - here).mean() < 0.25 * np.abs(here - original).mean()
    if "--no-enabled" not in words:
        assert (by_webui == original)[outside(MASK, 8)].all()
        soft, own = ({key: value for key, value in infotext.parse(each).items() if key.startswith("Soft inpainting")}
                     for each in (text, own_text))
        applied, own_applied = (float(each.pop("Soft inpainting drift applied")) for each in (soft, own))
        assert len(soft.pop("Soft inpainting painted mask")) == 16  # the WebUI keeps it in its data folder
        assert soft == own
        assert abs(applied - own_applied) < 0.2
        assert soft["Soft inpainting preservation strength"] == "0.25"


def test_an_image_from_the_webui_is_reproduced_by_diffusers(webui, tmp_path):
    by_webui, _ = made(tmp_path, "webui.png", "--webui", webui.url, "--sampler", "Euler")
    words = ["inpaint", str(IMAGE), str(MASK), "--like", str(tmp_path / "webui.png"), "-o", str(tmp_path / "like.png")]
    assert cli.main(words) == 0
    assert np.abs(by_webui - pixels(tmp_path / "like.png")).mean() < 1


def test_a_sampler_that_the_webui_lacks_is_reported(webui, tmp_path, capsys):
    words = [*WORDS, "--webui", webui.url, "--sampler", "No such", "-o", str(tmp_path / "none.png")]
    assert cli.main(words) == cli.BAD_INPUT
    assert "Sampler must be one of DPM++ 2M" in capsys.readouterr().err


def test_grey_masks_and_a_size_that_8_does_not_divide(webui, tmp_path):
    Image.open(IMAGE).crop((0, 0, 250, 203)).save(tmp_path / "image.png")
    Image.open(MASK).crop((0, 0, 250, 203)).point(lambda value: value // 2).save(tmp_path / "mask.png")
    words = ["inpaint", str(tmp_path / "image.png"), str(tmp_path / "mask.png"), "--steps", "4", "--webui", webui.url,
             "-o", str(tmp_path / "made.png")]
    assert cli.main(words) == 0
    assert Image.open(tmp_path / "made.png").size == (248, 200)
