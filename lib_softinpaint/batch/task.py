"""What one image needs, and what became of it. All of it can be sent to another process."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib_softinpaint.settings.request import Request


@dataclass(frozen=True)
class Task:
    """One result to generate. The paths are absolute, because workers have other current folders.

    mask
        None: the mask tools make one from the image or, if they do not, its transparent areas are repainted.
    candidates
        How many to generate, each with the next seed. The one with the highest blend score is saved.
    may_fit
        Whether the image's own size is used if the request's would stretch it.
    export
        Folder for layers and masks; None writes none.
    photoshop
        Whether they include a Photoshop file.
    """

    image: Path
    mask: Path | None
    target: Path
    request: Request
    candidates: int = 1
    may_fit: bool = False
    export: Path | None = None
    photoshop: bool = False


@dataclass(frozen=True)
class Made:
    """A saved result, with its blend score and the time that reading, generating and saving took."""

    seed: int
    score: float
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """Why there is no result, in one sentence.

    retry
        Whether another try could succeed.
    doubtful
        Whether the worker itself may be broken.
    """

    error: str
    retry: bool = False
    doubtful: bool = False
    traceback: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a task, after how many tries, and on which worker."""

    task: Task
    result: Made | Failed
    tries: int
    worker: str
