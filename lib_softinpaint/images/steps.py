"""Accepted images in a folder: a history with undo and redo that outlives the page and the program."""
from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib_softinpaint.atomic_file import replacing
from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.files import reading

FOLDER, INDEX = "softinpaint-steps", "steps.json"
MOST_STEPS = 200
"""The oldest steps are deleted beyond this: about 300 MB at 1024 pixels."""


@dataclass(frozen=True)
class Step:
    """One image of the history.

    Parameters
    ----------
    file
        Name of its file in the folder.
    about
        What the image is, in a few words.
    mask
        Name in `PaintedMasks` of what was painted on this image to make the next one; "" if unknown.
    """

    file: str
    about: str
    mask: str = ""


@dataclass(frozen=True)
class Chain:
    """The steps, oldest first, and the place of the current one; -1 without any."""

    steps: tuple[Step, ...] = ()
    current: int = -1


class Steps:
    """The history in a folder. Safe to use from several threads; pages that use it at once share it.

    Each method raises OSError if a file cannot be read or written, and then changes nothing.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()

    def read(self) -> Chain:
        """The history. Raises BadInput if its file is damaged."""
        path = self._folder / INDEX
        if not path.exists():
            return Chain()
        try:
            entry = json.loads(path.read_text(encoding="utf8"))
            steps = tuple(Step(**step) for step in entry["steps"])
            if any(Path(step.file).name != step.file for step in steps) or not -1 <= int(entry["current"]) < len(steps):
                raise ValueError("a step is not in the folder")
            return Chain(steps, int(entry["current"]))
        except (ValueError, KeyError, TypeError) as fault:
            raise BadInput(f"The history of accepted images must be as it was written, {path} is not: {fault}") from fault

    def accept(self, original: Image.Image | None, mask: str, result: Image.Image, infotext: str, about: str) -> Chain:
        """Puts a result behind the current step and makes it the current one. Steps that were undone are deleted.

        Parameters
        ----------
        original
            The image that the result was made of; added first if it is not the current step. None if it is unknown.
        mask
            Name of the mask that was painted on it; "" if unknown.
        result, infotext, about
        """
        with self._lock:
            before = self.read()
            steps = list(before.steps[:before.current + 1])
            if original is not None and not (steps and self._is(steps[-1], original)):
                steps.append(self._written(original, "", "original"))
            if steps:
                steps[-1] = replace(steps[-1], mask=mask)
            steps.append(self._written(result, infotext, about))
            return self._write(Chain(tuple(steps[-MOST_STEPS:]), min(len(steps), MOST_STEPS) - 1), before)

    def go_to(self, place: int) -> Chain:
        """Makes another step the current one. Raises LookupError with a sentence if there is none at this place."""
        with self._lock:
            before = self.read()
            if not before.steps:
                raise LookupError("No image has been accepted yet.")
            if not 0 <= place < len(before.steps):
                raise LookupError(f"There is nothing to {'undo' if place < 0 else 'redo'}.")
            return self._write(replace(before, current=place), before)

    def clear(self) -> Chain:
        """Deletes all steps."""
        with self._lock:
            return self._write(Chain(), self.read())

    def image(self, step: Step) -> Image.Image:
        """The image of a step, with its infotext and colour profile."""
        path = self._folder / step.file
        with reading(path), Image.open(path) as image:
            image.load()
            return image

    def _is(self, step: Step, image: Image.Image) -> bool:
        stored = self.image(step)
        return stored.size == image.size and np.array_equal(np.asarray(stored.convert("RGBA")),
                                                            np.asarray(image.convert("RGBA")))

    def _written(self, image: Image.Image, infotext: str, about: str) -> Step:
        self._folder.mkdir(parents=True, exist_ok=True)
        step = Step(f"{secrets.token_hex(8)}.png", about)
        infotext_files.save(image, self._folder / step.file, infotext, colours_of(image))
        return step

    def _write(self, history: Chain, before: Chain) -> Chain:
        content: dict[str, Any] = {"current": history.current, "steps": [asdict(step) for step in history.steps]}
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._folder / INDEX) as file:
            file.write(json.dumps(content, indent=1).encode())
        self._delete(before.steps, {step.file for step in history.steps})
        return history

    def _delete(self, steps: Sequence[Step], kept: set[str]) -> None:
        for step in steps:
            if step.file not in kept:
                (self._folder / step.file).unlink(missing_ok=True)
