"""Masked contents "fill" and "local fill": the surroundings' colours, spread over the masked area."""
from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from lib_softinpaint.geometry import Box

SPREADS_PX = (256, 64, 16, 4)
"""Pixels, deviations of Gaussians: the widest reaches every masked pixel, the narrower ones stay local."""

SMALLEST_WEIGHT = 1e-6
"""Below this weight, a Gaussian has not reached the pixel, and a quotient of its tails would be noise."""

LEAST_SHARE = 1e-5
"""Guards the division where the mask is 0. Such a pixel weighs 5,000 times as much as a neighbour, so its colour stays."""

GREY_WEIGHT = 0.05
"""Weight of a pixel with mask value 0.5. It decides how far into a feather the original's colours are trusted."""

COARSEST_PX, CORRECTIONS, RELAXATIONS = 48, 2, 4
"""Longest side up to which the membrane is solved directly; corrections by the coarser grid, and sweeps after each. They keep
the fill within a level of the exact solution."""


def fill_from_outside(image: np.ndarray, repaint: np.ndarray) -> np.ndarray:
    """The image with its masked area filled with blurred colours of its surroundings.

    Parameters
    ----------
    image : (H, W, 3) uint8
    repaint : (H, W) float, 0 to 1

    Returns
    -------
    (H, W, 3) uint8

    Source: own, by normalised convolution.
    """
    known = (1 - repaint.astype(np.float32))[..., None]
    if not (known > 0).any():
        return image.copy()
    filled = np.broadcast_to((image * known).sum((0, 1)) / known.sum(), image.shape)
    for spread in SPREADS_PX:
        weight = gaussian_filter(known, (spread, spread, 0), mode="nearest")
        colour = gaussian_filter(image * known, (spread, spread, 0), mode="nearest") / np.maximum(weight, SMALLEST_WEIGHT)
        trust = np.clip(4 * weight, 0, 1)
        filled = filled + trust * (colour - filled)
    return np.rint(image * known + filled * (1 - known)).clip(0, 255).astype(np.uint8)


def fill_from_rim(image: np.ndarray, repaint: np.ndarray) -> np.ndarray:
    """The image with its masked area filled by a membrane that is fixed at the rim: the colours there, spread inward.

    Parameters
    ----------
    image : (H, W, 3) uint8
    repaint : (H, W) float, 0 to 1
        In greys, the membrane is drawn to the original, and the two are mixed.

    Returns
    -------
    (H, W, 3) uint8

    Source: the membrane interpolant of Perez, Gangnet and Blake, Poisson Image Editing (SIGGRAPH 2003), section 2, with a data
    term for greys; solved from coarse to fine.
    """
    if not (repaint > 0).any() or (repaint == 1).all():
        return image.copy()
    box = Box.around(repaint > 0, 1).inside
    near, share = image[box].astype(np.float32), repaint[box].astype(np.float32)[..., None]
    weight = GREY_WEIGHT * (1 - share) / np.maximum(share, LEAST_SHARE)
    filled = image.copy()
    filled[box] = np.rint(near + share * (_membrane(weight * near, weight) - near)).clip(0, 255)
    return filled


def _membrane(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The surface with the least sum of squared slopes and squared distances from the colours, (H, W, C) float32.

    Parameters
    ----------
    weighted : (H, W, C) float32
        Colours times their weight.
    weight : (H, W, 1) float32
    """
    height, width = weight.shape[:2]
    if max(height, width) <= COARSEST_PX:
        return _solved(weighted, weight)
    row, column = np.mgrid[:height, :width]
    total = weight + _beside(np.ones_like(weight))
    surface = np.zeros_like(weighted)
    for _ in range(CORRECTIONS):
        residual = weighted + _beside(surface) - total * surface
        surface = surface + _membrane(_halved(residual), _halved(weight)).repeat(2, 0).repeat(2, 1)[:height, :width]
        for sweep in range(2 * RELAXATIONS):
            surface = np.where(((row + column + sweep) % 2)[..., None], surface, (weighted + _beside(surface)) / total)
    return surface


def _halved(values: np.ndarray) -> np.ndarray:
    """Sums over squares of 2 by 2 pixels, (H, W, C) to (H / 2, W / 2, C), rounded up."""
    height, width, bands = values.shape
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, bands).sum((1, 3))


def _beside(values: np.ndarray) -> np.ndarray:
    """Sum of each pixel's four neighbours, (H, W, C), without those beyond the border."""
    total = np.zeros_like(values)
    total[1:] += values[:-1]
    total[:-1] += values[1:]
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    return total


def _solved(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The same surface, solved directly."""
    height, width = weight.shape[:2]
    places = np.arange(height * width).reshape(height, width)
    one = np.concatenate([places[1:].ravel(), places[:, 1:].ravel()])
    other = np.concatenate([places[:-1].ravel(), places[:, :-1].ravel()])
    links = coo_matrix((np.ones(one.size), (one, other)), (places.size, places.size))
    links = links + links.T
    matrix = diags(weight.ravel().astype(float) + np.asarray(links.sum(0)).ravel()) - links
    solved = np.asarray(spsolve(matrix.tocsc(), weighted.reshape(places.size, -1).astype(float)))
    return solved.reshape(weighted.shape).astype(np.float32)
