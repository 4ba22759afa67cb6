"""Reading image files of every kind."""
import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from PIL.PngImagePlugin import PngInfo

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.colours import COLOUR_CHUNKS, USUAL_CICP_CHUNK, USUAL_GAMMA_CHUNK, Colours
from lib_softinpaint.geometry import Size
from lib_softinpaint.images.files import painted_in
from lib_softinpaint.images.read import as_original, at_own_scale, gamma_note, opened, upright_size, without_idle_alpha
from lib_softinpaint.settings.request import Request

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 10, 3)).astype(np.uint8)
IMAGE = Image.fromarray(COLOURS)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def stored(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    stream.seek(0)
    return stream


def read(image, kind="PNG", **options):
    """The image as a run reads it, and the notes."""
    notes = []
    return as_original(opened(stored(image, kind, **options)), notes), notes


def grey_profile(gamma):
    """An ICC profile (version 2) for grey with a power law."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"text" + bytes(4) + b"none\0" + bytes(3)
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(78) + bytes(1)
    tags = {b"kTRC": curve, b"wtpt": white, b"cprt": text, b"desc": description}
    offset, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4s4s4s4s4s12s4s", 128 + len(table) + len(body), bytes(4), b"\2\x20\0\0", b"mntr", b"GRAY", b"XYZ ",
                       struct.pack(">6H", 2020, 1, 1, 0, 0, 0), b"acsp")
    return head + bytes(68 - len(head)) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48) + table + body


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "CMYK", "1"])
def test_every_mode_is_read_correctly(mode):
    image = IMAGE.convert(mode)
    original, _ = read(image, "TIFF" if mode == "CMYK" else "PNG")
    assert original.mode == ("RGBA" if mode.endswith("A") else "RGB")
    np.testing.assert_array_equal(np.asarray(original.convert("RGB")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(("values", "kind", "expected_notes"), [
    (np.uint16(COLOURS[..., 0]) * 257, "PNG", []), (np.uint16(COLOURS[..., 0]) * 257, "TIFF", []),
    (np.int32(COLOURS[..., 0]) * 257, "TIFF", []), (np.float32(COLOURS[..., 0]) / 255, "TIFF", []),
    (np.float32(COLOURS[..., 0]), "TIFF",
     [f"The image's largest value is {COLOURS[..., 0].max()}, so 255 was read as white."])])
def test_16_bit_and_float_images_keep_their_brightness(values, kind, expected_notes):
    original, notes = read(Image.fromarray(values), kind)
    np.testing.assert_array_equal(np.asarray(original), np.repeat(COLOURS[..., :1], 3, -1))
    assert notes == expected_notes


@pytest.mark.parametrize(("peak", "white"), [(1, 1), (254, 255), (255, 255), (256, 65535), (65535, 65535)])
def test_a_deep_image_with_few_levels_has_its_own_white(peak, white):
    values, notes = np.full((20, 20), peak, np.uint16), []
    np.testing.assert_allclose(at_own_scale(values, "I;16", "the mask", notes), peak / white, rtol=1e-6)
    assert notes == ([f"The mask's largest value is {peak}, so {white} was read as white."] if white <= 255 else [])


@pytest.mark.parametrize("bad", [np.nan, -1])
def test_nan_and_negative_floats_are_rejected(bad):
    with pytest.raises(ValueError, match="^the image's values must be numbers from 0 up"):
        as_original(Image.fromarray(np.array([[0, bad]], np.float32)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_rotated_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = stored(IMAGE, exif=exif)
    image = opened(file)
    assert upright_size(file) == Size.of(image) == ((6, 10) if orientation < 5 else (10, 6))
    assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("image", [
    IMAGE.convert("RGBA"), IMAGE.convert("LA"), IMAGE.convert("RGBA").quantize(8)])
def test_transparency_becomes_a_channel(image):
    if image.mode == "P":
        original, _ = read(image, transparency=0)
        assert (np.asarray(original.getchannel("A")) == 255 * (np.asarray(image) != 0)).all()
    else:
        image.putalpha(128)
        original, _ = read(image)
        assert original.getchannel("A").getextrema() == (128, 128)


def test_the_a_of_lab_is_no_alpha_channel():
    original, notes = read(Image.frombytes("LAB", (2, 1), bytes([128, 60, 40, 128, 0, 0])), "TIFF")
    assert (original.mode, notes) == ("RGB", [])
    (red, green, blue), grey = np.asarray(original)[0].astype(int)
    assert red > green + 60 > blue + 60 and np.ptp(grey) < 3


def test_a_colour_marked_transparent_is_transparent():
    original, _ = read(IMAGE.convert("L"), transparency=int(np.asarray(IMAGE.convert("L"))[0, 0]))
    assert original.mode == "RGBA" and original.getpixel((0, 0))[3] == 0


# Colours

@pytest.mark.parametrize("image", [IMAGE, IMAGE.convert("RGBA"), IMAGE.quantize(32)])
def test_an_rgb_profile_is_kept_even_for_palettes(image):
    original, notes = read(image, icc_profile=SRGB)
    assert original.info["icc_profile"] == SRGB and notes == []
    np.testing.assert_array_equal(np.asarray(original.convert("RGB")), np.asarray(image.convert("RGB")))


def test_a_grey_profile_is_applied():
    greys = Image.fromarray(np.array([[0, 64, 128, 255]], np.uint8))
    original, notes = read(greys, icc_profile=grey_profile(1.0))
    assert "icc_profile" not in original.info and notes == []
    linear = np.array([0, 64, 128, 255]) / 255
    as_srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    np.testing.assert_allclose(np.asarray(original)[0, :, 0], as_srgb, atol=2)


def test_a_grey_image_with_a_profile_keeps_its_alpha():
    grey = Image.merge("LA", (IMAGE.convert("L"), Image.new("L", IMAGE.size, 77)))
    original, _ = read(grey, icc_profile=grey_profile(1.0))
    assert original.mode == "RGBA" and original.getchannel("A").getextrema() == (77, 77)


def test_grey_bits_with_a_profile_stay_black_and_white():
    bits = IMAGE.convert("1")
    original, notes = read(bits, icc_profile=grey_profile(1.0))
    np.testing.assert_allclose(np.asarray(original), np.asarray(bits.convert("RGB")), atol=1)
    assert notes == []


@pytest.mark.parametrize(("image", "profile", "note"), [
    (IMAGE, b"no profile at all", "The image's colour profile cannot be read and was dropped: "),
    (IMAGE.convert("CMYK"), SRGB, "The image's colour profile is for RGB and was not used."),
    (IMAGE, grey_profile(1.0), "The image's colour profile is for GRAY and was not used."),
    (IMAGE.convert("CMYK"), None, "The image is CMYK without a colour profile, so its colours were converted approximately.")])
def test_dropped_colour_information_is_noted(image, profile, note):
    original, notes = read(image, "TIFF" if image.mode == "CMYK" else "PNG", **({"icc_profile": profile} if profile else {}))
    assert original.mode == "RGB" and "icc_profile" not in original.info
    assert len(notes) == 1 and notes[0].startswith(note)


def test_png_colour_chunks_are_found():
    chunks = PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 100000))
    chunks.add(b"cICP", bytes([9, 16, 0, 1]))
    if b"cICP" not in stored(IMAGE, pnginfo=chunks).getvalue():
        pytest.skip("this version of Pillow writes no cICP chunk")
    original, notes = read(IMAGE, pnginfo=chunks)
    assert dict(original.info[COLOUR_CHUNKS]) == {b"gAMA": struct.pack(">I", 100000), b"cICP": bytes([9, 16, 0, 1])}
    assert notes == []


@pytest.mark.parametrize(("info", "noted"), [
    ({}, False), ({"gamma": 1 / 2.2}, False), ({"gamma": 1.0}, True), ({"gamma": 1.0, "srgb": 0}, False),
    ({"gamma": 1.0, "icc_profile": SRGB}, False), ({"gamma": 1 / 2.2, "icc_profile": SRGB}, False)])
def test_a_gamma_that_a_host_drops_is_noted(info, noted):
    image = IMAGE.copy()
    image.info.update(info)
    assert (gamma_note(image) is not None) is noted


# Sizes and limits

def with_chunk(name, content):
    png = stored(IMAGE).getvalue()
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return io.BytesIO(png[:33] + chunk + png[33:])


@pytest.mark.parametrize(("name", "content"), [
    (b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3 << 20))),
    (b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"a" * (3 << 20))),
    (b"tEXt", b"workflow\0" + b"a" * (3 << 20)),
    (b"iCCP", b"large\0\0" + zlib.compress(SRGB + bytes(3 << 20)))])
def test_texts_and_profiles_of_several_megabytes_are_accepted(name, content):
    usual = PngImagePlugin.MAX_TEXT_CHUNK
    np.testing.assert_array_equal(np.asarray(opened(with_chunk(name, content))), COLOURS)
    assert usual == PngImagePlugin.MAX_TEXT_CHUNK


def test_only_the_first_frame_of_an_animation_is_used_and_noted():
    original, notes = read(IMAGE.quantize(16), "GIF", save_all=True, append_images=[IMAGE.quantize(16).rotate(180)])
    assert notes == ["The image has 2 frames; the first one was used."]
    assert original.size == IMAGE.size


@pytest.mark.parametrize(("size", "accepted"), [((8, 8), True), ((7, 300), False), ((300, 7), False)])
def test_a_small_image_is_rejected(size, accepted):
    image, mask = Image.new("RGB", size), Image.new("L", size, 255)
    with contextlib.nullcontext() if accepted else pytest.raises(BadInput, match="at least 8 pixels wide and high; a.png is"):
        assert (painted_in(mask, Path("b.png"), image, Path("a.png"), Request(), []) == 1).all()


def test_the_size_is_read_without_decoding():
    cut_short = stored(Image.new("L", (3000, 2000))).getvalue()[:60]
    assert upright_size(io.BytesIO(cut_short)) == (2000, 3000)
    with pytest.raises(Image.DecompressionBombError):
        header = stored(Image.new("L", (8, 8))).getvalue()
        size = struct.pack(">II", 20000, 10000)
        ihdr = header[12:16] + size + header[24:29]
        upright_size(io.BytesIO(header[:12] + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + header[33:]))


@pytest.mark.parametrize(("profile", "chunks", "needs_png"), [
    (None, {}, []), (None, {b"gAMA": USUAL_GAMMA_CHUNK, b"cICP": USUAL_CICP_CHUNK}, []),
    (None, {b"gAMA": bytes(4)}, ["gAMA"]), (SRGB, {b"gAMA": bytes(4)}, []), (None, {b"gAMA": bytes(4), b"sRGB": b"0"}, []),
    (SRGB, {b"cICP": bytes(4), b"sRGB": b"0", b"gAMA": bytes(4)}, ["cICP"]),
    (None, {b"cICP": bytes(4), b"gAMA": bytes(4)}, ["cICP", "gAMA"])])
def test_chunks_that_change_the_colours_need_a_png(profile, chunks, needs_png):
    """A profile or sRGB chunk comes before the gamma, and cICP before all."""
    assert Colours(profile, tuple(chunks.items())).kept_by_png_alone == needs_png


@pytest.mark.parametrize(("least", "hides"), [(254, False), (253, True)])
def test_an_alpha_channel_that_hides_nothing_is_left_out(least, hides):
    image = IMAGE.convert("RGBA")
    image.putpixel((2, 3), (1, 2, 3, least))
    assert without_idle_alpha(image).mode == ("RGBA" if hides else "RGB")


@pytest.mark.parametrize(("size", "is_own"), [((10, 10), True), ((10, 11), False)])
def test_a_dark_image_has_its_own_scale_if_a_hundredth_is_at_its_peak(size, is_own):
    values, notes = np.full(size, 3, np.uint16), []
    values[0, 0] = 200
    assert at_own_scale(values, "I;16", "the mask", notes).max() == pytest.approx(200 / (255 if is_own else 65535))
    assert len(notes) == is_own


@pytest.mark.parametrize(("size", "is_large_enough"), [
    ((8, 8), True), ((9, 30), True), ((30, 9), True), ((7, 8), False), ((8, 7), False)])
def test_the_smallest_image(size, is_large_enough):
    image, mask = Image.new("RGB", size), Image.new("L", size, 255)
    rule = "^images must be at least 8 pixels wide and high"
    with contextlib.nullcontext() if is_large_enough else pytest.raises(BadInput, match=rule):
        assert (painted_in(mask, Path("mask.png"), image, Path("image.png"), Request(), []) == 1).all()
