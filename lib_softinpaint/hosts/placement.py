"""Where a local model runs, how much of it is on the GPU at a time, and in which precision."""
from __future__ import annotations

from typing import NamedTuple

OFFLOADS = WHOLE, BY_MODEL, BY_LAYER = "none", "model", "layer"
"""What is on the GPU at a time: everything, one of the pipeline's models, or one layer."""

PRECISIONS = AUTOMATIC, FLOAT32, FLOAT16, BFLOAT16 = "automatic", "float32", "float16", "bfloat16"


class Placement(NamedTuple):
    """Arguments of `hosts.diffusers.models.load` that do not name the model.

    device
        PyTorch device name; None chooses one.
    offload
        One of OFFLOADS.
    precision
        One of PRECISIONS.
    """

    device: str | None = None
    offload: str = WHOLE
    precision: str = AUTOMATIC


USUAL = Placement()
"""All of the model on the chosen device."""
