import numpy as np
import pytest
from PIL import Image

from lib_softinpaint import infotext

PICTURE = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
TEXT = "a house\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, Size: 8x8"


def test_text_in_the_webuis_form():
    assert infotext.dump({"Prompt": "a house", "Negative prompt": "blur", "Steps": 20, "Sampler": "Euler a",
                          "Size": "8x8"}) == TEXT
    assert infotext.dump({"Prompt": "", "Negative prompt": "", "Steps": 20}) == "Steps: 20"


@pytest.mark.parametrize("value", ["plain", "with, comma", 'a "quoted": one', "two\nlines", "", "snow, 雪", "back\\ , slash"])
def test_any_value_comes_back(value):
    params = {"Prompt": "p", "Negative prompt": "", "Key": value, "Steps": "20", "Seed": "1"}
    assert infotext.parse(infotext.dump(params)) == params


def test_a_prompt_alone_is_no_settings():
    assert infotext.parse("a house: red, big") == {"Prompt": "a house: red, big", "Negative prompt": ""}


def test_values_are_replaced_and_all_else_stands():
    text = 'a hill,\nred: blue\nNegative prompt: x\nSteps: 4, Hashes: "a: b, c: d", Grain: 0, Odd:  "un, closed, Version: v1'
    assert infotext.replaced(text, {"Grain": 0.5, "Note": "one, two"}) == text.replace(
        "Grain: 0", "Grain: 0.5") + ', Note: "one, two"'
    assert infotext.replaced(text, {}) == text
    assert infotext.replaced(text, {"Version": "2: a"}) == text.replace("v1", '"2: a"')
    assert infotext.replaced("", {"Grain": 1}) == "Grain: 1"


def test_prompts_of_several_lines():
    parsed = infotext.parse("one\ntwo\nNegative prompt: three\nfour\nSteps: 1, Seed: 2, Size: 8x8")
    assert (parsed["Prompt"], parsed["Negative prompt"], parsed["Seed"]) == ("one\ntwo", "three\nfour", "2")


@pytest.mark.parametrize("suffix", sorted(infotext.SAVE_OPTIONS))
@pytest.mark.parametrize("text", [TEXT, "Schnee, 雪\nSteps: 1, Seed: 2, Size: 8x8"])
def test_files_carry_it(tmp_path, suffix, text):
    path = tmp_path / f"picture{suffix}"
    infotext.save(PICTURE, path, text)
    assert infotext.of_picture(path) == text
    with Image.open(path) as saved:
        if suffix in (".png", ".webp"):
            assert (np.asarray(saved) == np.asarray(PICTURE)).all()


@pytest.mark.parametrize(("comment", "text"), [
    (b"ASCII\0\0\0a house", "a house"), (b"UNICODE\0" + TEXT.encode("utf-16-be") + b"\0", None), ("a house", "a house")])
def test_comments_of_other_programs_do_no_harm(tmp_path, comment, text):
    exif = Image.Exif()
    exif.get_ifd(infotext.EXIF_IFD)[infotext.USER_COMMENT] = comment
    PICTURE.save(tmp_path / "other.jpg", exif=exif)
    found = infotext.of_picture(tmp_path / "other.jpg")
    assert found == text if text else found.startswith(TEXT)


def test_a_colour_profile_stays(tmp_path):
    for suffix in infotext.SAVE_OPTIONS:
        infotext.save(PICTURE, tmp_path / f"picture{suffix}", TEXT, b"a profile")
        with Image.open(tmp_path / f"picture{suffix}") as saved:
            assert saved.info["icc_profile"] == b"a profile"


def test_a_picture_without_it(tmp_path):
    PICTURE.save(tmp_path / "plain.png")
    assert infotext.of_picture(tmp_path / "plain.png") is None
