"""Judges by colour and shape whether the requested object is in the repainted area. Nothing is learned.

Analysis by synthesis: where the object's main colour is found, the scene generator draws that object
into the same box. The image must agree with the drawing, both in the main colour and in the object's
other parts (roof, head, trunk, snow), and disagree just outside the outline. No other kind of object,
drawn into that box, may come closer to the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import chain

import numpy as np
from PIL import Image
from scipy import ndimage

from lib_softinpaint.method.cielab import lab
from training.scenes import PALETTE, SIZE, SUPERSAMPLE, Kind, Light, Scene, Thing, main_colour, paint, parts

NEAR = 24.0  # CIE76 distance: about twice the spread of one colour within a scene's shade and varied light
LEAST_AREA_PX = 120  # smaller spots of the colour do not count as objects
LEAST_MAIN = 0.7  # share of the drawn object's main colour that must agree
LEAST_REST = 0.4  # the same for its other parts, which are small or vary (skin, hair, roof)
SMALLEST_REST = 0.15  # share of the main colour's area; smaller parts, such as trunks, are thinner than a latent pixel
MOST_AROUND = 0.45  # share of the ring around the outline that may carry the object's colour, such as grass around a pine
RING_PX = 4
MARGIN_PX = 8  # around a found object, where the image is compared with drawings of other kinds
JUDGED: tuple[Kind, ...] = ("sun", "moon", "cloud", "mountain", "tree", "pine", "house", "person")
VARIANTS: dict[Kind, int] = {"cloud": 3, "mountain": 3, "house": 6, "person": 24}  # kinds with several drawings

Drawing = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The thing alone, (H, W, 3) Lab, and the areas of its main colour and of its other parts, (H, W) bool."""


def recognised(image: np.ndarray, thing: Thing, scene: Scene, repaint: np.ndarray, rivals: bool = True) -> bool:
    """Whether the repainted area shows an object of the thing's kind and colour, at any size.

    Parameters
    ----------
    image : (H, W, 3) uint8
    thing : the requested object
    scene : the scene around it, for its light
    repaint : (H, W) bool, True = search here
    rivals : whether an object of another kind must not fit better
    """
    seen, empty = _lab(image), _lab(scene.draw())
    colours = {part.colour for part in parts(thing, scene.light) if part.main}
    distance = _distance(seen, colours)
    # New paint is nearer to the object's colour than to what the scene shows there without the object.
    found = (distance < NEAR) & (distance < np.linalg.norm(seen - empty, axis=-1))
    labels, _ = ndimage.label(ndimage.binary_opening(found & repaint))
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        drawn = [*_drawn_into(thing, box, scene.light)]
        if (labels == label).sum() < LEAST_AREA_PX or not any(_agrees(seen, found, *drawing) for drawing in drawn):
            continue
        area = repaint & _around(box)
        others = (_drawn_into(rival, box, scene.light, any_shape=True) for rival in _rivals(thing, scene.light))
        if not rivals or _misfit(seen, empty, drawn, area) <= _misfit(seen, empty, chain.from_iterable(others), area):
            return True
    return False


def _drawn_into(thing: Thing, box: tuple[slice, slice], light: Light, any_shape: bool = False) -> Iterator[Drawing]:
    """Each variant of the thing, with its main colour in the box. None if that needs other proportions, unless `any_shape`."""
    top, bottom, left, right = (edge / SIZE for edge in (box[0].start, box[0].stop, box[1].start, box[1].stop))
    main_left, main_top, main_right, main_bottom = _main_box(replace(thing, x=0.5, y=0.75))
    width = thing.width * (right - left) / (main_right - main_left)
    height = thing.height * (bottom - top) / (main_bottom - main_top)
    if not any_shape and not 0.45 < (width / height) / (thing.width / thing.height) < 2.2:
        return
    x = (left + right) / 2 - ((main_left + main_right) / 2 - 0.5) * width / thing.width
    y = bottom + (0.75 - main_bottom) * height / thing.height
    for variant in range(VARIANTS.get(thing.kind, 1)):
        yield _draw(replace(thing, x=x, y=y, width=width, height=height, variant=variant), light)


def _agrees(seen: np.ndarray, found: np.ndarray, drawing: np.ndarray, main: np.ndarray, rest: np.ndarray) -> bool:
    ring = ndimage.binary_dilation(main | rest, iterations=RING_PX) & ~ndimage.binary_dilation(main | rest)
    close = np.linalg.norm(seen - drawing, axis=-1) < NEAR
    return (
        _share(close & found, main) >= LEAST_MAIN
        and (rest.sum() < SMALLEST_REST * main.sum() or _share(close, rest) >= LEAST_REST)
        and _share(found, ring) <= MOST_AROUND
    )


def _rivals(thing: Thing, light: Light) -> Iterator[Thing]:
    """The thing as every other kind, in the colours that could be mistaken for its own. A sun is no rival of a moon."""
    own = _lab(np.array([[main_colour(thing, light)]], np.uint8))
    for kind in (kind for kind in JUDGED if kind != thing.kind and {kind, thing.kind} != {"sun", "moon"}):
        for colour in PALETTE[kind]:
            rival = replace(thing, kind=kind, colour=colour)
            if np.linalg.norm(_lab(np.array([[main_colour(rival, light)]], np.uint8)) - own) < 2 * NEAR:
                yield rival


def _misfit(seen: np.ndarray, empty: np.ndarray, drawings: Iterable[Drawing], area: np.ndarray) -> float:
    """Mean distance between the image and the scene with the best of the drawings. Far colours count as twice NEAR."""
    with_drawing = (np.where((main | rest)[..., None], drawing, empty) for drawing, main, rest in drawings)
    distances = (np.linalg.norm((seen - expected)[area], axis=-1) for expected in with_drawing)
    return min((np.minimum(distance, 2 * NEAR).mean() for distance in distances), default=np.inf)


def _around(box: tuple[slice, slice]) -> np.ndarray:
    """(H, W) bool: the box with a margin."""
    area = np.zeros((SIZE, SIZE), bool)
    area[tuple(slice(max(span.start - MARGIN_PX, 0), span.stop + MARGIN_PX) for span in box)] = True
    return area


def _draw(thing: Thing, light: Light) -> Drawing:
    """The thing alone, (H, W, 3) Lab, and the areas of its main colour and of its other parts."""
    side = SIZE * SUPERSAMPLE
    colour, main, rest = Image.new("RGB", (side, side)), Image.new("L", (side, side)), Image.new("L", (side, side))
    for part in parts(thing, light):
        paint(colour, part)
        paint(main, part, 255 if part.main else 0)
        paint(rest, part, 0 if part.main else 255)
    shares = (np.asarray(mask.reduce(SUPERSAMPLE)) > 127 for mask in (main, rest))
    return _lab(np.asarray(colour.reduce(SUPERSAMPLE))), *shares


@lru_cache(maxsize=64)
def _main_box(thing: Thing) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the parts in the thing's main colour, in shares of the image."""
    _, main, _ = _draw(thing, Scene.from_seed(0).light)
    rows, columns = np.nonzero(main)
    return columns.min() / SIZE, rows.min() / SIZE, (columns.max() + 1) / SIZE, (rows.max() + 1) / SIZE


def _distance(seen: np.ndarray, colours: set[tuple[int, int, int]]) -> np.ndarray:
    """(H, W) CIE76 distance to the nearest of the colours."""
    targets = _lab(np.array(sorted(colours), np.uint8)[None])[0]
    return np.linalg.norm(seen[..., None, :] - targets, axis=-1).min(-1)


def _share(hit: np.ndarray, where: np.ndarray) -> float:
    return float(hit[where].mean()) if where.any() else 0.0


def _lab(image: np.ndarray) -> np.ndarray:
    """CIELAB (H, W, 3) float32 of an sRGB image (H, W, 3) uint8."""
    return lab(image).permute(1, 2, 0).numpy()
