import numpy as np
import pytest

from lib_softinpaint.errors import BadInput
from lib_softinpaint.method import mask_tools
from lib_softinpaint.settings.mask_tools import EXAMPLES, MEANINGS, RULES, SOURCES, Step, source_of, steps_of
from lib_softinpaint.settings.settings import Settings


def drawn(rows):
    """A mask from lines of text: # is painted."""
    return np.array([[float(sign == "#") for sign in row] for row in rows.split()], np.float32)


RING = drawn("""
    .......
    .#####.
    .#...#.
    .#...#.
    .#####.
    .......""")


def edited(mask, tools, image=None):
    image = np.zeros((*mask.shape, 3), np.uint8) if image is None else image
    return mask_tools.edited(mask, Settings(enabled=True, mask_tools=tools), image)


def test_steps_are_read_in_their_order_and_in_any_spelling():
    assert steps_of("Color #FF8000 20,fill holes , grow -10, smooth 4px") == (
        Step("colour", (20.0,), (255, 128, 0)), Step("fill holes"), Step("grow", (-10.0,)), Step("smooth", (4.0,)))
    assert [steps_of(example)[0].tool for example in EXAMPLES.values()] == list(EXAMPLES)
    assert steps_of("") == () == steps_of(" , ")
    assert source_of("transparency, grow 5 %") == Step("transparency")
    assert source_of("grow 5 %") is None


@pytest.mark.parametrize("text", ["fill", "smoth 4", "grown 5"])
def test_an_unknown_step_gets_one_sentence_with_all_steps(text):
    with pytest.raises(BadInput, match=rf"^Mask tools must be steps such as .*, got '{text}'$"):
        steps_of(f"fill holes, {text}")


@pytest.mark.parametrize(("text", "rule"), [
    ("grow", "grow takes a percentage from -100 to 100, such as 'grow 10 %'"), ("grow 101 %", "grow takes a percentage"),
    ("smooth -1", "smooth takes a number of pixels up to 512, such as 'smooth 4'"), ("drop specks 1e9", "drop specks takes a"),
    ("luminance", "luminance takes a range of lightness between 0 and 100, darker first, such as 'luminance 70-100'"),
    ("luminance 90-10", "luminance takes a range"), ("color red 5", "colour takes a colour in hexadecimal and a distance"),
    ("colour #12345 5", "colour takes a colour in hexadecimal"), ("invert 3", "invert takes no value, such as 'invert'")])
def test_a_step_that_cannot_be_read_gets_its_rule(text, rule):
    with pytest.raises(BadInput, match=rf"^Mask tools: {rule}.*, got '{text}'$"):
        steps_of(f"fill holes, {text}")


def test_every_step_has_an_example_a_rule_and_a_meaning():
    assert list(EXAMPLES) == list(RULES) == list(MEANINGS)


def test_steps_reach_up_to_their_largest_values():
    largest = "luminance 0-100, drop specks 512, smooth 512, grow -100, grow 100 %"
    assert [step.values for step in steps_of(largest)] == [(0, 100), (512,), (512,), (-100,), (100,)]
    assert steps_of("colour #ffffff 100")[0].values == (100,)
    for text in ("luminance 0-100.5", "drop specks 512.5", "smooth 512.5", "grow 100.5", "grow -100.5",
                 "colour #ffffff 100.5"):
        with pytest.raises(BadInput):
            steps_of(text)


@pytest.mark.parametrize("text", ["smooth 2, transparency", "transparency, colour #ffffff 5"])
def test_a_mask_is_made_from_the_image_once_and_first(text):
    with pytest.raises(BadInput, match=f"^Mask tools may name one of {', '.join(SOURCES)}, and only as the first step, got "):
        Settings(mask_tools=text)


def test_an_image_without_alpha_is_nowhere_transparent():
    assert edited(0 * RING, "transparency").tolist() == (0 * RING).tolist()


def test_holes_are_filled_and_the_outline_stays():
    filled = edited(RING, "fill holes")
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled, drawn("""
        .......
        .#####.
        .#####.
        .#####.
        .#####.
        ......."""))
    np.testing.assert_array_equal(edited(0.4 * RING, "fill holes"), np.float32(0.4) * filled)
    open_ring = RING.copy()
    open_ring[1, 3] = 0
    np.testing.assert_array_equal(edited(open_ring, "fill holes"), open_ring)


def test_specks_vanish_and_the_largest_area_stays():
    mask = drawn("""
        #...###
        ....###
        .#..###
        ..#....""")
    np.testing.assert_array_equal(edited(mask, "drop specks 2"), drawn("""
        ....###
        ....###
        ....###
        ......."""))
    np.testing.assert_array_equal(edited(mask, "drop specks 1"), mask)  # two pixels that touch at a corner are one area
    np.testing.assert_array_equal(edited(mask, "drop specks 100"), edited(mask, "drop specks 2"))


def test_smoothing_removes_notches_and_spikes():
    mask = np.zeros((40, 40), np.float32)
    mask[10:30, 10:30] = 0.5
    mask[19:21, 10:16] = 0  # a notch
    mask[18:20, 30:38] = 0.5  # a spike
    smooth = edited(mask, "smooth 3")
    assert set(np.unique(smooth)) == {0, 0.5}
    assert (smooth[19:21, 13:16] == 0.5).all()
    assert not smooth[:, 33:].any()
    assert (smooth[13:27, 13:27] == 0.5).all()
    dot = np.zeros((9, 9), np.float32)
    dot[4, 4] = 1
    np.testing.assert_array_equal(edited(dot, "smooth 3"), dot)  # nothing that is painted disappears


def test_growth_is_a_share_of_the_painted_side():
    mask = np.zeros((60, 60), np.float32)
    mask[20:40, 20:40] = 1
    assert edited(mask, "grow 10 %").sum(0)[30] == 24
    assert edited(mask, "grow -10 %").sum(0)[30] == 16
    assert edited(mask, "grow 0").sum() == mask.sum()


def test_steps_run_from_left_to_right():
    assert (edited(RING, "fill holes, invert") != edited(RING, "invert, fill holes")).any()
    np.testing.assert_array_equal(edited(RING, "invert"), 1 - RING)


COLOURS = np.array([[[255, 0, 0, 255], [250, 10, 5, 255], [0, 0, 255, 0]],
                    [[255, 255, 255, 128], [0, 0, 0, 255], [119, 119, 119, 255]]], np.uint8)


@pytest.mark.parametrize(("tools", "mask"), [
    ("colour #ff0000 10", [[1, 1, 0], [0, 0, 0]]), ("colour #ff0000 1", [[1, 0, 0], [0, 0, 0]]),
    ("luminance 49-51", [[0, 0, 0], [0, 0, 1]]), ("luminance 90-100", [[0, 0, 0], [1, 0, 0]]),
    ("transparency", [[0, 0, 1], [127 / 255, 0, 0]]), ("transparency, invert", [[1, 1, 0], [128 / 255, 1, 1]])])
def test_a_mask_is_made_from_the_image_if_nothing_is_painted(tools, mask):
    np.testing.assert_allclose(edited(np.zeros((2, 3)), tools, COLOURS), mask, atol=1e-6)
    painted = np.array([[0, 0, 0], [0, 1, 0]], np.float32)
    expected = 1 - painted if "invert" in tools else painted
    np.testing.assert_array_equal(edited(painted, tools, COLOURS), expected)


def test_an_image_without_transparency_gives_an_empty_mask():
    assert not edited(np.zeros((2, 3)), "transparency", COLOURS[..., :3]).any()


def test_nothing_is_edited_while_soft_inpainting_is_off_or_without_tools():
    off = mask_tools.edited(RING, Settings(mask_tools="invert"), np.zeros((6, 7, 3), np.uint8))
    np.testing.assert_array_equal(off, RING)
    np.testing.assert_array_equal(edited(RING, ""), RING)


@pytest.mark.parametrize("tools", EXAMPLES.values())
def test_arguments_are_not_changed_and_an_empty_mask_is_no_error(tools):
    mask, image = RING.copy(), np.full((6, 7, 4), 200, np.uint8)
    edited(mask, tools, image)
    np.testing.assert_array_equal(mask, RING)
    assert edited(np.zeros((6, 7)), tools, image).shape == (6, 7)
