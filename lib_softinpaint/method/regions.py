"""Splits a painted mask into its separate areas, which can then be inpainted one by one."""
from __future__ import annotations

from typing import cast

import numpy as np
from scipy.ndimage import find_objects, label, maximum_filter

from lib_softinpaint.errors import BadInput
from lib_softinpaint.geometry import Box
from lib_softinpaint.settings.request import LATENT_PX

GAP_PX = LATENT_PX
"""Areas with at most this many pixels between them are one region: they share latent pixels."""

MOST_REGIONS = 64
"""More are dust or noise rather than strokes. Each would be a generation."""


def regions(painted: np.ndarray) -> list[np.ndarray]:
    """The connected areas of a painted mask, each as a mask of its own, in reading order.

    Rows go from top to bottom, and regions in a row from left to right. A region belongs to a row if its middle is above the
    bottom of the row's highest region.

    Parameters
    ----------
    painted : (H, W) float32, 0 to 1

    Returns
    -------
    list of (H, W) float32, 0 to 1
        Each pixel above 0 is in exactly one of them. Empty if nothing is painted.

    Raises
    ------
    BadInput
        If there are too many.
    """
    numbers, count = cast(tuple[np.ndarray, int], label(maximum_filter(painted > 0, GAP_PX + 1), np.ones((3, 3))))
    if count > MOST_REGIONS:
        raise BadInput(f"a mask for regions one by one must have at most {MOST_REGIONS} separate areas, got {count}")
    if count == 1:
        return [painted]
    numbers[painted == 0] = 0
    boxes = {number: Box(place[1].start, place[0].start, place[1].stop - place[1].start, place[0].stop - place[0].start)
             for number, place in enumerate(find_objects(numbers), start=1)}
    return [np.where(numbers == number, painted, np.float32(0)) for number in _in_reading_order(boxes)]


def _in_reading_order(boxes: dict[int, Box]) -> list[int]:
    left, ordered = sorted(boxes, key=lambda number: boxes[number].top), []
    while left:
        bottom = boxes[left[0]].bottom
        row = [number for number in left if boxes[number].top + boxes[number].height / 2 < bottom]
        ordered += sorted(row, key=lambda number: boxes[number].left)
        left = [number for number in left if number not in row]
    return ordered
