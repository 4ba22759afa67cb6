"""The change from one image to another as a layer with an alpha channel."""
from __future__ import annotations

import numpy as np

from lib_softinpaint.method.composite import LEAST_ALPHA

WHITE = 255


def layer_between(below: np.ndarray, result: np.ndarray, opacity_px: np.ndarray) -> np.ndarray:
    """The layer that, laid over an image, gives a result made from it.

    Parameters
    ----------
    below, result : (H, W, 3 or 4) uint8
        Colours not multiplied by alpha.
    opacity_px : (H, W) float32, 0 to 1
        Opacity of the new content in the result. Where it is 0, the layer is empty.

    Returns
    -------
    (H, W, 4) uint8, colours not multiplied by alpha
        Rounded so that "over" gives the result within one level. Over a clear image, colours are as precise as alpha allows.

    Source: own; "over" (Porter and Duff, SIGGRAPH 1984), solved for the layer. Alpha is rounded up: then the colour lies
    between the new content's and the old one's. It is raised where the new content is out of range, as a drift correction may
    leave it, so that the colour needs no clipping.
    """
    layer = np.zeros((*opacity_px.shape, 4), np.uint8)
    inside = opacity_px > 0
    (old, old_alpha), (new, new_alpha) = _parts(below[inside]), _parts(result[inside])
    room = np.where(new > old, WHITE - old, old)
    needed = np.max(np.abs(new - old) / np.maximum(room, 1), axis=1) * (old_alpha[:, 0] == 1)
    alpha = np.ceil(WHITE * np.clip(np.maximum(opacity_px[inside], needed), 0, 1)).astype(np.float32)[:, None] / WHITE
    colour = (new * new_alpha - old * old_alpha * (1 - alpha)) / np.maximum(alpha, LEAST_ALPHA)
    layer[inside] = np.rint(np.concatenate([colour, WHITE * alpha], axis=1)).clip(0, WHITE)
    return layer


def _parts(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours, 0 to 255, and alpha, 0 to 1, of (N, 3 or 4) uint8, as float32."""
    values = pixels.astype(np.float32)
    return values[:, :3], values[:, 3:] / WHITE if values.shape[1] == 4 else np.ones((len(values), 1), np.float32)
