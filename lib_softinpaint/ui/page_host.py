"""What the stand-alone page needs from the program that generates images."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lib_softinpaint.generation.candidates import Candidate
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import Request
from lib_softinpaint.ui import recomposite
from lib_softinpaint.ui.painting import Step

MASKS = "masks"
"""Folder of the painted masks, in the output folder. A mask has its result's file name."""


@dataclass(frozen=True)
class Finished:
    """One finished image.

    Parameters
    ----------
    path
        PNG, with its infotext inside.
    compared
        What is compared of it; None for hard inpainting.
    notes
        Sentences about problems that the run recovered from.
    """

    path: Path
    infotext: str
    compared: Candidate | None
    notes: tuple[str, ...] = ()

    @property
    def seed(self) -> str:
        return infotext.parse(self.infotext).get("Seed", "")

    def candidate(self, mark: str = "") -> dict[str, Any]:
        """What the page's scripts show of it, with a mark from `candidates.marks`."""
        score = None if self.compared is None or math.isnan(self.compared.score) else self.compared.score
        return {"name": self.path.name, "infotext": self.infotext, "score": score, "seed": self.seed, "mark": mark,
                "unchanged": self.compared is not None and self.compared.unchanged}


@dataclass(frozen=True)
class PageHost:
    """What generates and keeps images for the page.

    Parameters
    ----------
    paint
        Yields a request's images. Each seed is one higher than the last. Takes the request, the image, the painted mask,
        the number of images, the model's name or "", and a function to call after each step. Raises ValueError with a
        sentence if the request cannot be run.
    samplers, schedule_types
        Names.
    """

    paint: Callable[[Request, Image.Image, Image.Image, int, str, Step], Iterator[Finished]]
    samplers: Sequence[str]
    schedule_types: Sequence[str]
    recomposite: recomposite.Results
