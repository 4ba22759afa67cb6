"""Transparency and colours of the original are kept in a result's file."""
import numpy as np
from PIL import Image

from lib_softinpaint.generation.source import completed, with_transparency
from lib_softinpaint.method.composite import over_white
from tests.test_kept import RUN, SIZE, kept

CLEAR = Image.merge("RGBA", [Image.linear_gradient("L").resize((SIZE, SIZE))] * 4)


def test_unchanged_pixels_keep_their_transparency_and_colour():
    made = over_white(CLEAR)
    assert (np.asarray(with_transparency(made, CLEAR)) == np.asarray(CLEAR)).all()
    assert with_transparency(made, made) is made
    assert with_transparency(made, CLEAR.resize((8, 8))) is made


def test_a_kept_image_is_completed_by_its_source():
    whole = completed(kept(), "a hill", CLEAR)
    assert whole.infotext == "a hill"
    assert (whole.source == np.asarray(CLEAR)).all()
    assert whole.composited(RUN).shape == (SIZE, SIZE, 4)
    assert completed(kept(), "a hill", over_white(CLEAR)).source is None
