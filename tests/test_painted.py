"""Painted masks as pictures of every kind hold them."""
import io

import numpy as np
import pytest
from PIL import Image

from lib_softinpaint.encoded import encoded
from lib_softinpaint.painted import as_picture, painted_or_sent, strengths

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def as_png(picture):
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return Image.open(io.BytesIO(stream.getvalue()))


def test_greys_are_strengths():
    for picture in (Image.fromarray(RAMP), Image.fromarray(RAMP).convert("RGB"), Image.fromarray(RAMP).convert("RGBA")):
        np.testing.assert_array_equal(strengths(as_png(picture)), RAMP / np.float32(255))
    np.testing.assert_array_equal(strengths(Image.fromarray(RAMP > 127)), (RAMP > 127).astype(np.float32))


def test_sixteen_bits_keep_their_precision():
    fine = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    read = strengths(as_png(Image.fromarray(fine)))
    np.testing.assert_allclose(read, fine / 65535, atol=1e-7)
    assert len(np.unique(read)) == 4096


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 0, 0), (255, 255, 255)])
def test_of_a_picture_with_transparency_the_alpha_channel_counts(colour):
    painted = Image.new("RGB", (16, 16), colour)
    painted.putalpha(Image.fromarray(RAMP))
    np.testing.assert_array_equal(strengths(as_png(painted)), RAMP / np.float32(255))


def test_grey_with_alpha_and_palettes():
    grey = Image.fromarray(RAMP).convert("LA")
    np.testing.assert_array_equal(strengths(as_png(grey)), RAMP / np.float32(255))
    grey.putalpha(Image.fromarray(255 - RAMP))
    np.testing.assert_array_equal(strengths(as_png(grey)), (255 - RAMP) / np.float32(255))
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 200, 200, 200])
    palette.putdata([0, 1])
    palette.info["transparency"] = 0
    np.testing.assert_array_equal(strengths(palette), [[0, 1]])


def test_floats_are_refused():
    with pytest.raises(ValueError, match="a mask must have whole numbers for pixels"):
        strengths(Image.new("F", (2, 2)))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_mask_as_a_picture_and_back(bits):
    white = 2 ** bits - 1
    mask = np.arange(0, white + 1, max(1, white // 500), dtype=np.float32)[None] / np.float32(white)
    np.testing.assert_array_equal(strengths(as_picture(mask, bits)), mask)


def test_what_is_painted_counts_before_what_is_sent():
    sent = encoded(Image.fromarray(RAMP))
    drawn, nothing = np.eye(16, dtype=np.float32), np.zeros((16, 16), np.float32)
    assert painted_or_sent(drawn, sent, (16, 16)) is drawn
    assert painted_or_sent(nothing, "", (16, 16)) is nothing
    for painted in (nothing, None):
        np.testing.assert_array_equal(painted_or_sent(painted, sent, (16, 16)), RAMP / np.float32(255))


@pytest.mark.parametrize(("sent", "sentence"), [
    (encoded(Image.new("L", (8, 16))), "^Mask image must be as large as the picture"),
    ("bm8gcGljdHVyZQ==", "^Mask image must be a picture as base64, got 'bm8g"),
    ("no base64!", "^Mask image must be a picture")])
def test_what_is_sent_and_is_no_such_mask(sent, sentence):
    with pytest.raises(ValueError, match=sentence):
        painted_or_sent(None, sent, (16, 16))
