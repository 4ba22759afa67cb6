from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, features
from PIL.PngImagePlugin import PngInfo

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.colours import Colours
from lib_softinpaint.geometry import Size
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images import read as image_files
from lib_softinpaint.settings import infotext

IMAGE = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
TEXT = "a house\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, Size: 8x8"


def test_text_in_the_webuis_form():
    assert infotext.dump({"Prompt": "a house", "Negative prompt": "blur", "Steps": 20, "Sampler": "Euler a",
                          "Size": "8x8"}) == TEXT
    assert infotext.dump({"Prompt": "", "Negative prompt": "", "Steps": 20}) == "Steps: 20"


@pytest.mark.parametrize("value", ["plain", "with, comma", 'a "quoted": one', "two\nlines", "", "snow, 雪", "back\\ , slash"])
def test_any_value_comes_back(value):
    params = {"Prompt": "p", "Negative prompt": "", "Key": value, "Steps": "20", "Seed": "1"}
    assert infotext.parse(infotext.dump(params)) == params


def test_a_prompt_alone_has_no_settings():
    assert infotext.parse("a house: red, big") == {"Prompt": "a house: red, big", "Negative prompt": ""}


def test_values_are_replaced_and_the_rest_is_unchanged():
    text = 'a hill,\nred: blue\nNegative prompt: x\nSteps: 4, Hashes: "a: b, c: d", Grain: 0, Odd:  "un, closed, Version: v1'
    assert infotext.replaced(text, {"Grain": 0.5, "Note": "one, two"}) == text.replace(
        "Grain: 0", "Grain: 0.5") + ', Note: "one, two"'
    assert infotext.replaced(text, {}) == text
    assert infotext.replaced(text, {"Version": "2: a"}) == text.replace("v1", '"2: a"')
    assert infotext.replaced("", {"Grain": 1}) == "Grain: 1"


def test_prompts_of_several_lines():
    parsed = infotext.parse("one\ntwo\nNegative prompt: three\nfour\nSteps: 1, Seed: 2, Size: 8x8")
    assert (parsed["Prompt"], parsed["Negative prompt"], parsed["Seed"]) == ("one\ntwo", "three\nfour", "2")


@pytest.mark.parametrize("suffix", sorted(infotext_files.SAVE_OPTIONS))
@pytest.mark.parametrize("text", [TEXT, "Schnee, 雪\nSteps: 1, Seed: 2, Size: 8x8"])
def test_infotext_is_saved_and_read_in_every_format(tmp_path, suffix, text):
    path = tmp_path / f"image{suffix}"
    infotext_files.save(IMAGE, path, text)
    assert infotext_files.read(path) == text
    with Image.open(path) as saved:
        if suffix in (".png", ".webp"):
            assert (np.asarray(saved) == np.asarray(IMAGE)).all()


WIDE = "ein Fuß, 雪, é\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, Size: 8x8"


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", *([".avif"] if features.check("avif") else [])])
@pytest.mark.parametrize("comment", [
    b"UNICODE\0" + WIDE.encode("utf-16-be"), b"UNICODE\0" + WIDE.encode("utf-16-le"), b"UNICODE\0" + WIDE.encode("utf-16"),
    b"UNICODE\0" + WIDE.encode("utf-16-be") + b"\0", b"UNICODE\0" + WIDE.encode(), b"ASCII\0\0\0" + WIDE.encode(),
    b"JIS\0\0\0\0\0" + WIDE.replace("ß", "ss").replace("é", "e").encode("shift_jis"), bytes(8) + WIDE.encode(), WIDE.encode(),
    b"ASCII\0\0\0" + WIDE.replace("雪", "").encode("cp1252")])
def test_every_encoding_of_a_user_comment_is_read(tmp_path, suffix, comment):
    exif = Image.Exif()
    exif[infotext_files.EXIF_IFD] = {infotext_files.USER_COMMENT: comment}
    IMAGE.save(tmp_path / f"other{suffix}", exif=exif.tobytes())
    found = infotext_files.read(tmp_path / f"other{suffix}")
    assert found in (WIDE, WIDE.replace("ß", "ss").replace("é", "e"), WIDE.replace("雪", ""))


def test_every_text_chunk_of_a_png_is_read(tmp_path):
    whole = {"zTXt": ("add_text", WIDE.replace("雪", ""), {"zip": True}), "iTXt": ("add_itxt", WIDE, {"zip": True}),
             "tEXt": ("add_text", WIDE.replace("雪", ""), {})}
    for name, (add, text, how) in whole.items():
        chunk = PngInfo()
        getattr(chunk, add)("parameters", text, **how)
        IMAGE.save(tmp_path / f"{name}.png", pnginfo=chunk)
        assert infotext_files.read(tmp_path / f"{name}.png") == text
    chunk = PngInfo()
    chunk.add(b"tEXt", b"parameters\0" + WIDE.encode())  # some programs write UTF-8 there
    IMAGE.save(tmp_path / "utf8.png", pnginfo=chunk)
    assert infotext_files.read(tmp_path / "utf8.png") == WIDE
    chunk = PngInfo()
    chunk.add(b"tEXt", b"parameters\0" + TEXT.encode(), after_idat=True)
    IMAGE.save(tmp_path / "behind.png", pnginfo=chunk)
    assert infotext_files.read(tmp_path / "behind.png") == TEXT


def test_gif_and_jpeg_comments_are_read(tmp_path):
    for name in ("a.gif", "a.jpg"):
        IMAGE.save(tmp_path / name, comment=WIDE.encode())
        assert infotext_files.read(tmp_path / name) == WIDE


@pytest.mark.parametrize("comment", [
    b"ASCII\0\0\0a house", "a house", b"ASCII\0\0\0f: 2.8, ISO: 100, Mode: auto, Scene: night", bytes(64), b"\xff" * 63])
def test_a_camera_comment_is_not_infotext(tmp_path, comment):
    exif = Image.Exif()
    exif[infotext_files.EXIF_IFD] = {infotext_files.USER_COMMENT: comment}
    IMAGE.save(tmp_path / "photo.jpg", exif=exif)
    assert infotext_files.read(tmp_path / "photo.jpg") is None


def test_a_negative_prompt_starts_a_line():
    text = 'a sign that reads "Negative prompt: none"\nNegative prompt: blur\nSteps: 1, Seed: 2, Size: 8x8'
    parsed = infotext.parse(text)
    assert (parsed["Prompt"], parsed["Negative prompt"]) == ('a sign that reads "Negative prompt: none"', "blur")
    assert infotext.parse("Negative prompt: blur\nSteps: 1, Seed: 2, Size: 8x8")["Negative prompt"] == "blur"


@pytest.mark.parametrize(("name", "size", "letters", "profile", "sentence"), [
    ("a.webp", (16384, 8), 0, 0, "a.webp can have at most 16383 pixels a side, the image has 16384x8; .png has no "),
    ("a.JPG", (8, 65536), 0, 0, "at most 65535 pixels a side"), ("a.jpg", (8, 8), 33000, 0, "bytes of infotext, this has"),
    ("a.jpeg", (65536, 8), 0, 0, "at most 65535 pixels a side"),
    ("a.jpeg", (8, 8), 0, 255 * 65519 + 1, "can hold a colour profile of at most 16707345 bytes")])
def test_exceeding_a_formats_limits_is_one_sentence(name, size, letters, profile, sentence):
    with pytest.raises(BadInput, match="^[^\n]*$") as refused:
        infotext_files.demand_room(Path(name), Size(*reversed(size)), "a" * letters, Colours(bytes(profile)))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(("name", "size"), [("a.webp", (16383, 8)), ("a.jpg", (8, 65535)), ("a.jpeg", (65535, 8))])
def test_a_formats_largest_size_is_accepted(name, size):
    infotext_files.demand_room(Path(name), Size(*reversed(size)), TEXT, Colours(b""))
    infotext_files.demand_room(Path("a.jpg"), Size(8, 8), TEXT, Colours(bytes(255 * 65519)))


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.jpg"])
def test_text_within_a_formats_limits_is_read_back(tmp_path, name):
    text = "a" * (32000 if name == "a.jpg" else 200_000) + "\nSteps: 1, Seed: 2, Size: 8x8"
    infotext_files.save(IMAGE, tmp_path / name, text)
    assert infotext_files.read(tmp_path / name) == text


def test_a_failed_save_keeps_the_existing_file(tmp_path):
    (tmp_path / "a.jpg").write_text("mine")
    with pytest.raises(BadInput):
        infotext_files.save(IMAGE, tmp_path / "a.jpg", "a" * 40_000)
    with pytest.raises(OSError):  # JPEG has no alpha
        infotext_files.save(IMAGE.convert("RGBA"), tmp_path / "a.jpg", TEXT)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_files_have_quality_95_and_colours_in_full_size(tmp_path, suffix):
    IMAGE.save(tmp_path / "wanted.jpg", quality=95, subsampling=0)
    infotext_files.save(IMAGE, tmp_path / f"a{suffix}", TEXT)
    with Image.open(tmp_path / "wanted.jpg") as wanted, Image.open(tmp_path / f"a{suffix}") as saved:
        assert saved.quantization == wanted.quantization
        assert JpegImagePlugin.get_sampling(saved) == JpegImagePlugin.get_sampling(wanted) == 0


def test_a_colour_profile_is_kept(tmp_path):
    for suffix in infotext_files.SAVE_OPTIONS:
        infotext_files.save(IMAGE, tmp_path / f"image{suffix}", TEXT, Colours(b"a profile"))
        with Image.open(tmp_path / f"image{suffix}") as saved:
            assert saved.info["icc_profile"] == b"a profile"


def test_png_colour_chunks_are_kept(tmp_path):
    chunks = (b"cICP", bytes([9, 16, 0, 1])), (b"gAMA", bytes([0, 1, 134, 160])), (b"cHRM", bytes(range(32)))
    infotext_files.save(IMAGE, tmp_path / "a.png", TEXT, Colours(None, chunks))
    kept = dict(chunks)
    if features.version("pil") < "11.2":
        del kept[b"cICP"]  # which Pillow did not write
    with open(tmp_path / "a.png", "rb") as file:
        assert dict(image_files.opened(file).info[image_files.COLOUR_CHUNKS]) == kept
    assert infotext_files.read(tmp_path / "a.png") == TEXT


@pytest.mark.parametrize(("colours", "lost"), [
    (Colours(), []), (Colours(None, ((b"sRGB", b"\0"), (b"gAMA", bytes([0, 0, 177, 143])))), []),
    (Colours(None, ((b"gAMA", bytes([0, 1, 134, 160])),)), ["gAMA"]),
    (Colours(b"profile", ((b"gAMA", bytes([0, 1, 134, 160])),)), []),
    (Colours(None, ((b"cICP", bytes([1, 13, 0, 1])),)), []),
    (Colours(None, ((b"cICP", bytes([9, 16, 0, 1])),)), ["cICP"])])
def test_colour_chunks_that_only_png_can_keep(colours, lost):
    assert colours.kept_by_png_alone == lost


def test_an_image_without_infotext(tmp_path):
    IMAGE.save(tmp_path / "plain.png")
    assert infotext_files.read(tmp_path / "plain.png") is None
