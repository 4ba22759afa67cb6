"""Edges beside the painted area that an inpainting has half eaten."""
import math

import numpy as np
import pytest
import torch

from lib_softinpaint.generation.neighbours import half_eaten

SIDE = 24


def ramp(slope):
    """An image whose lightness rises by `slope` per pixel to the right."""
    image = torch.zeros(3, SIDE, SIDE)
    image[0] = slope * torch.arange(SIDE)
    return image


@pytest.mark.parametrize(("kept", "share"), [(0.24, 0), (0.26, 1), (0.5, 1), (0.74, 1), (0.76, 0), (1, 0)])
def test_an_edge_is_half_eaten_between_a_quarter_and_three_quarters_of_its_gradient(kept, share):
    near = np.full((SIDE, SIDE), 20.0)
    assert half_eaten(ramp(2.0), ramp(2.0 * kept), near, 1) == share
    assert half_eaten(ramp(2.0).transpose(1, 2), ramp(2.0 * kept).transpose(1, 2), near, 1) == share


def test_only_edges_8_to_80_pixels_away_are_looked_at():
    result, distance = ramp(2.0), np.full((SIDE, SIDE), 7.9)
    result[0, 12:] /= 2
    distance[2:6] = 8  # whole there
    distance[16:18] = 79.9  # eaten there
    distance[20:22] = 80
    assert half_eaten(ramp(2.0), result, distance, 1) == pytest.approx(2 / 6)


def test_only_strong_edges_count_at_the_scale_of_the_image():
    near = np.full((SIDE, SIDE), 20.0)
    assert math.isnan(half_eaten(ramp(1.4), ramp(0.7), near, 1))
    assert half_eaten(ramp(1.4), ramp(0.7), near, 1.2) == 1
    assert math.isnan(half_eaten(ramp(2.0), ramp(1.0), near, 0.7))
    diagonal = ramp(1.2) + ramp(1.2).transpose(1, 2)  # 1.7 along the diagonal
    assert half_eaten(diagonal, diagonal / 2, near, 1) == 1
