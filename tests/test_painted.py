"""Reading painted masks from images of every kind."""
import io

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, features
from scipy.ndimage import gaussian_filter

from lib_softinpaint.geometry import Size
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.images.painted import cleaned, fitted, grey_image, painted_or_sent, strengths

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
READ_RAMP = np.where(RAMP <= 8, 0, np.where(RAMP >= 250, 1, RAMP / np.float32(255))).astype(np.float32)
DISC = Image.new("L", (256, 256))
ImageDraw.Draw(DISC).ellipse((96, 96, 160, 160), fill=255)
PAINTED = np.asarray(DISC) > 0
NOISE = np.random.default_rng(0).integers(0, 9, PAINTED.shape).astype(np.uint8)


def as_file(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return Image.open(io.BytesIO(stream.getvalue()))


def read(image):
    """The strengths and the notes."""
    notes = []
    return strengths(image, notes), notes


def test_greys_are_strengths_from_9_to_249():
    for image in (Image.fromarray(RAMP), Image.fromarray(RAMP).convert("RGB"), Image.fromarray(RAMP).convert("RGBA")):
        np.testing.assert_array_equal(strengths(as_file(image)), READ_RAMP)
    np.testing.assert_array_equal(strengths(Image.fromarray(RAMP > 127)), (RAMP > 127).astype(np.float32))


def test_sixteen_bits_keep_their_precision():
    fine = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    mask, notes = read(as_file(Image.fromarray(fine)))
    greys = (fine > 8.5 * 257) & (fine < 249.5 * 257)
    np.testing.assert_allclose(mask[greys], fine[greys] / 65535, atol=1e-7)
    assert len(np.unique(mask[greys])) == greys.sum()
    assert not mask[fine < 8.5 * 257].any() and (mask[fine > 249.5 * 257] == 1).all()
    assert notes == []


# Faint and nearly white levels

@pytest.mark.parametrize("black", [NOISE, np.ones_like(NOISE), np.full_like(NOISE, 2)])
@pytest.mark.parametrize("as_kind", [lambda image: image, lambda image: image.convert("RGB"),
                                     lambda image: Image.merge("RGBA", [Image.new("L", (256, 256), 255)] * 3 + [image])])
def test_nearly_black_is_unpainted_and_noted(black, as_kind):
    mask, notes = read(as_file(as_kind(Image.fromarray(np.where(PAINTED, 255, black).astype(np.uint8)))))
    np.testing.assert_array_equal(mask, PAINTED)
    assert [note.split(";")[0] for note in notes] == ["Levels up to 8 of 255 count as unpainted"]


def test_a_mask_without_paint_is_blank():
    assert not strengths(Image.fromarray(NOISE)).any()
    assert not strengths(Image.new("L", (8, 8), 1)).any()


@pytest.mark.parametrize("white", [250, 252, 254])
def test_nearly_white_is_white(white):
    mask, notes = read(Image.fromarray(np.where(PAINTED, white, 0).astype(np.uint8)))
    np.testing.assert_array_equal(mask, PAINTED)
    assert notes == [f"The mask's white is {white} of 255 and was read as 255."]


@pytest.mark.parametrize("kind", ["L", "RGB"])
@pytest.mark.parametrize(("coded", "options"), [
    ("JPEG", {"quality": 95}), ("JPEG", {"quality": 75}), ("JPEG", {"quality": 30}), ("WEBP", {"quality": 80}),
    ("WEBP", {"quality": 30}), ("AVIF", {"quality": 75}), ("AVIF", {"quality": 40})])
def test_compression_noise_is_not_paint(kind, coded, options):
    if coded == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    strokes = DISC.copy()
    ImageDraw.Draw(strokes).line([(20, 30), (90, 60), (230, 40)], fill=255, width=3)
    ImageDraw.Draw(strokes).line([(20, 200), (230, 230)], fill=255)
    image = as_file(strokes.convert(kind), coded, **options)
    assert coded == "AVIF" or len(np.unique(np.asarray(image))) > 3  # AVIF may spot a drawing and lose nothing
    np.testing.assert_array_equal(strengths(image), np.asarray(strokes) > 0)


@pytest.mark.parametrize(("grey", "is_noise"), [(31, True), (32, False), (223, False), (224, True)])
def test_a_noisy_mask_with_many_greys_is_grey(grey, is_noise):
    """Up to level 31 and from 224 on, pixels of a noisy mask are not grey."""
    levels = np.zeros((64, 64), np.uint8)
    levels[:, ::8], levels[:, 2::4], levels[50:, 50:] = 20, grey, 255
    mask, notes = read(Image.fromarray(levels))
    assert bool(notes) is is_noise
    assert bool(np.isin(mask, (0, 1)).all()) is is_noise


def test_compressed_noise_is_not_paint():
    image = Image.fromarray(np.where(PAINTED, 255 - NOISE, NOISE).astype(np.uint8))
    np.testing.assert_array_equal(strengths(as_file(image, "JPEG", quality=75)), PAINTED)


def test_soft_grey_and_antialiased_masks_are_unchanged():
    soft = np.rint(gaussian_filter(np.where(PAINTED, 255.0, 0), 4)).astype(np.uint8)
    text = Image.new("L", (256, 256))
    ImageDraw.Draw(text).text((20, 100), "soft inpainting", fill=255)
    ImageDraw.Draw(text).ellipse((30, 30, 31.5, 31.5), fill=90)
    enlarged = text.resize((640, 640), Image.Resampling.BICUBIC)
    patches = np.zeros((256, 256), np.uint8)
    for number, grey in enumerate((20, 64, 128, 192, 255)):
        patches[60:200, 40 * number:40 * number + 40] = grey
    small = DISC.resize((99, 99), Image.Resampling.BOX)
    for image in map(np.asarray, (soft, text, enlarged, patches, small)):
        mask, notes = read(Image.fromarray(image))
        np.testing.assert_array_equal(mask, np.where(image <= 8, 0, np.where(image >= 250, 1, image / np.float32(255))))
        assert notes == []


def test_a_grey_patch_survives_compression():
    patch = np.zeros((256, 256), np.uint8)
    patch[64:192, 64:128], patch[64:192, 128:192] = 255, 96
    mask = strengths(as_file(Image.fromarray(patch), "JPEG", quality=85))
    np.testing.assert_allclose(mask[80:176, 136:184], 96 / 255, atol=0.03)
    assert (mask[80:176, 72:120] == 1).all() and not mask[:48].any()


@pytest.mark.parametrize(("peak", "expected_notes"), [(230, []), (128, []), (127, [
    "The strongest level in the mask is 127 of 255, so nothing is repainted at more than 50% strength."])])
def test_a_mask_of_one_weak_grey_is_noted(peak, expected_notes):
    assert read(Image.fromarray(np.where(PAINTED, peak, 0).astype(np.uint8)))[1] == expected_notes


def test_a_feather_without_a_full_strength_core_is_noted():
    wide = np.rint(gaussian_filter(np.where(PAINTED, 255.0, 0), 16)).astype(np.uint8)
    assert read(Image.fromarray(wide))[1] == [
        "The strongest level in the mask is 222 of 255, so nothing is repainted at more than 87% strength."]


@pytest.mark.parametrize(("share", "is_rare"), [(0.009, True), (0.011, False)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_strongest_level_that_is_rare_is_noted(share, is_rare, depth):
    levels = np.full((100, 100), 130, depth)
    levels.ravel()[:round(share * 7500)] = 230
    levels[50:, 50:] = 0
    note = "The strongest level in the mask is 230 of 255, so nothing is repainted at more than 90% strength."
    assert read(Image.fromarray(levels * depth(np.iinfo(depth).max // 255)))[1] == [note] * is_rare


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize(("count", "is_most"), [(50, False), (51, True)])
def test_nearly_white_is_noted_if_most_of_the_paint_is(depth, count, is_most):
    levels = np.zeros((20, 20), depth)
    levels.ravel()[:100] = 120
    levels.ravel()[:count] = 253
    notes = read(Image.fromarray(levels * depth(np.iinfo(depth).max // 255)))[1]
    assert notes == ["The mask's white is 253 of 255 and was read as 255."] * is_most


@pytest.mark.parametrize(("least", "most", "is_used"), [(8, 255, True), (9, 255, False), (0, 9, True), (0, 8, False)])
def test_an_alpha_channel_with_a_shape_is_the_mask(least, most, is_used):
    white, alpha = Image.new("RGB", (20, 20), "white"), np.full((20, 20), least, np.uint8)
    alpha[5:9, 3:15] = most
    white.putalpha(Image.fromarray(alpha))
    mask, notes = read(white)
    np.testing.assert_allclose(mask, np.where(alpha > 8, alpha / np.float32(255), 0) if is_used else 1)
    assert ("The mask's alpha channel holds no shape, so the mask's lightness was used." in notes) is not is_used


@pytest.mark.parametrize(("size", "is_stray"), [((20, 50), False), ((20, 51), True)])
def test_a_few_transparent_pixels_are_no_shape(size, is_stray):
    levels = np.zeros(size, np.uint8)
    levels[:, :20] = 255
    image, alpha = Image.fromarray(levels).convert("RGB"), np.full(size, 255, np.uint8)
    alpha[3, 4] = 0
    image.putalpha(Image.fromarray(alpha))
    np.testing.assert_array_equal(strengths(image), levels == 255 if is_stray else alpha == 255)


@pytest.mark.parametrize(("difference", "count", "is_coloured"), [(64, 11, True), (63, 11, False), (64, 10, False)])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_colour_counts_from_a_difference_and_a_share_on(difference, count, is_coloured, channel):
    colours = np.zeros((40, 50, 3), np.uint8)
    colours[:20] = 60
    colours[0, :count, channel] = 60 + difference
    mask, notes = read(Image.fromarray(colours))
    assert ("The mask is coloured; its strongest channel was read as its strength." in notes) is is_coloured
    assert (mask.max() == np.float32((60 + difference) / 255)) == is_coloured


@pytest.mark.parametrize(("rows", "is_background"), [(5, True), (4, False)])
def test_black_is_a_background_from_a_quarter_on(rows, is_background):
    colours = np.full((20, 30, 3), (200, 0, 0), np.uint8)
    colours[:rows] = 8
    mask, notes = read(Image.fromarray(colours))
    assert (mask.max() == np.float32(200 / 255)) == is_background
    assert ("The mask has colours and no black background; its lightness was read." in notes) is not is_background


# Scales

@pytest.mark.parametrize(("values", "kind", "note"), [
    (PAINTED.astype(np.uint8), "PNG", "The mask's values are 0 and 1; 1 was read as white."),
    (PAINTED.astype(np.uint16), "PNG", "The mask's largest value is 1, so 1 was read as white."),
    (PAINTED.astype(np.uint16) * 255, "PNG", "The mask's largest value is 255, so 255 was read as white."),
    (PAINTED.astype(np.int32) * 255, "TIFF", "The mask's largest value is 255, so 255 was read as white."),
    (PAINTED.astype(np.int32) * 65535, "TIFF", None), (PAINTED.astype(np.float32), "TIFF", None),
    (PAINTED.astype(np.float32) * 255, "TIFF", "The mask's largest value is 255, so 255 was read as white.")])
def test_a_mask_is_read_at_its_own_scale(values, kind, note):
    mask, notes = read(as_file(Image.fromarray(values), kind))
    np.testing.assert_array_equal(mask, PAINTED)
    assert notes == ([note] if note else [])


def test_a_dark_mask_of_16_bits_with_few_pixels_at_its_peak_is_dark():
    faint = np.zeros((64, 64), np.uint16)
    faint[3, 3] = 255
    assert not strengths(Image.fromarray(faint)).any()


@pytest.mark.parametrize(("values", "found"), [
    ([[0, np.nan]], "infinity or NaN"), ([[0, np.inf]], "infinity or NaN"), ([[0, -1]], "negative ones")])
def test_values_that_are_not_levels_are_rejected(values, found):
    with pytest.raises(ValueError, match=f"^the mask's values must be numbers from 0 up, got {found}"):
        strengths(Image.fromarray(np.array(values, np.float32)))


def test_float_masks_are_cleaned():
    values = np.array([[0, 0.03, 0.04, 0.5, 0.97, 0.98, 1]])
    np.testing.assert_array_equal(cleaned(values), np.array([[0, 0, 0.04, 0.5, 0.97, 1, 1]], np.float32))


# Channels

@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 0, 0), (255, 255, 255)])
def test_the_alpha_channel_is_used_if_it_holds_a_shape(colour):
    painted = Image.new("RGB", (16, 16), colour)
    painted.putalpha(Image.fromarray(RAMP))
    mask, notes = read(as_file(painted))
    np.testing.assert_array_equal(mask, READ_RAMP)
    assert notes == []


def test_grey_with_alpha_and_palettes():
    grey = Image.fromarray(RAMP).convert("LA")
    np.testing.assert_array_equal(strengths(as_file(grey)), READ_RAMP)
    grey.putalpha(Image.fromarray(255 - RAMP))
    np.testing.assert_array_equal(strengths(as_file(grey)), READ_RAMP[::-1, ::-1])
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 200, 200, 200])
    palette.putdata([0, 1])
    palette.info["transparency"] = 0
    np.testing.assert_array_equal(strengths(palette), [[0, 1]])


def stray(value):
    image = DISC.convert("RGBA")
    for place in ((0, 0), (5, 9), (250, 4)):
        image.putpixel(place, (*image.getpixel(place)[:3], value))
    return image


@pytest.mark.parametrize(("image", "painted"), [
    (stray(254), PAINTED), (stray(0), PAINTED), (stray(128), PAINTED),
    *((Image.merge("LA", (DISC, Image.new("L", DISC.size, alpha))), PAINTED) for alpha in (0, 8))])
def test_stray_pixels_and_shapeless_transparency_are_ignored(image, painted):
    mask, notes = read(as_file(image))
    np.testing.assert_array_equal(mask, painted)
    assert notes == ["The mask's alpha channel holds no shape, so the mask's lightness was used."]


@pytest.mark.parametrize("kind", ["L", "RGB"])
def test_white_marked_transparent_is_still_painted(kind):
    image = as_file(DISC.convert(kind), transparency=255 if kind == "L" else (255, 255, 255))
    assert "transparency" in image.info
    mask, notes = read(image)
    np.testing.assert_array_equal(mask, PAINTED)
    assert notes == ["The mask's alpha channel holds no shape, so the mask's lightness was used."]


def test_white_made_transparent_in_a_layer_is_still_painted():
    layer = DISC.convert("LA")
    layer.putalpha(ImageChops.invert(DISC))
    np.testing.assert_array_equal(strengths(as_file(layer)), PAINTED)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (0, 160, 255)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_any_colour_on_black_is_paint(colour, kind):
    image = Image.composite(Image.new("RGB", DISC.size, colour), Image.new("RGB", DISC.size), DISC)
    mask, notes = read(as_file(image, kind))
    if kind == "PNG":
        np.testing.assert_array_equal(mask, PAINTED)
    assert (mask[PAINTED] > 0.9).mean() > 0.99
    assert "The mask is coloured; its strongest channel was read as its strength." in notes


def test_nearly_black_is_the_background_of_a_colour():
    image = Image.composite(Image.new("RGB", DISC.size, (255, 0, 0)), Image.new("RGB", DISC.size, (8, 8, 8)), DISC)
    mask, notes = read(image)
    assert (mask[PAINTED] == 1).all()
    assert "The mask is coloured; its strongest channel was read as its strength." in notes


def test_every_palette_label_is_paint():
    labels = Image.new("P", DISC.size)
    labels.putpalette([0, 0, 0, 128, 0, 0, 0, 64, 0])
    labels.paste(1, (20, 20, 60, 60))
    labels.paste(2, (100, 100, 140, 140))
    mask, notes = read(as_file(labels))
    np.testing.assert_array_equal(mask, np.asarray(labels) > 0)
    assert notes == ["The mask is coloured; every colour but black was read as white."]


def test_colours_without_a_black_background_are_noted():
    image = Image.composite(Image.new("RGB", DISC.size, (255, 0, 0)), Image.new("RGB", DISC.size, (0, 128, 0)), DISC)
    assert "The mask has colours and no black background; its lightness was read." in read(image)[1]


# Sizes

def test_a_mask_of_the_same_shape_is_scaled_to_its_image_and_noted():
    notes = []
    mask = fitted(PAINTED.astype(np.float32), Size(512, 512), "The mask", notes)
    assert mask.shape == (512, 512)
    assert (mask[::2, ::2] == PAINTED).mean() > 0.99
    assert notes == ["The mask is 256x256 and was scaled to the image's 512x512."]
    assert fitted(mask, Size(512, 512), "The mask", notes) is mask and len(notes) == 1


def test_a_mask_of_another_shape_is_rejected():
    with pytest.raises(ValueError, match="^The mask must have the aspect ratio of its image, 512x300, got 256x256.$"):
        fitted(PAINTED.astype(np.float32), Size(300, 512), "The mask", [])


@pytest.mark.parametrize("bits", [8, 16])
def test_a_mask_makes_the_round_trip_through_an_image(bits):
    white = 2 ** bits - 1
    mask = cleaned(np.arange(0, white + 1, max(1, white // 500), dtype=np.float32)[None] / np.float32(white))
    np.testing.assert_array_equal(strengths(grey_image(mask, bits)), mask)


def test_a_painted_mask_comes_before_the_mask_image():
    sent = encoded(Image.fromarray(RAMP))
    drawn, nothing = np.eye(16, dtype=np.float32), np.zeros((16, 16), np.float32)
    assert painted_or_sent(drawn, sent, Size(16, 16)) is drawn
    assert painted_or_sent(nothing, "", Size(16, 16)) is nothing
    for painted in (nothing, None):
        np.testing.assert_array_equal(painted_or_sent(painted, sent, Size(16, 16)), READ_RAMP)


@pytest.mark.parametrize(("sent", "sentence"), [
    (encoded(Image.new("L", (8, 16))), "^Mask image must have the aspect ratio of its image, 16x16, got 8x16.$"),
    ("bm8gcGljdHVyZQ==", "^Mask image must be an image as base64, got 'bm8g"),
    ("no base64!", "^Mask image must be an image")])
def test_an_invalid_mask_image_is_rejected(sent, sentence):
    with pytest.raises(ValueError, match=sentence):
        painted_or_sent(None, sent, Size(16, 16))
