import numpy as np
import pytest

from lib_softinpaint.method.smootherstep import rise, smootherstep


def test_both_rise_from_0_to_1_as_their_formulas_say():
    way = np.float32([0, 0.25, 0.5, 0.75, 1])
    assert rise(way) == pytest.approx([0, 0.15625, 0.5, 0.84375, 1])  # 3 t^2 - 2 t^3
    assert smootherstep(way) == pytest.approx([0, 0.10351562, 0.5, 0.89648438, 1])  # 6 t^5 - 15 t^4 + 10 t^3


def test_beyond_both_ends_the_rise_stays():
    assert rise(np.float32([-9, -0.5, 1.5, 9])).tolist() == [0, 0, 1, 1]
