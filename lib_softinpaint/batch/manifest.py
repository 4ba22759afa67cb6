"""The record of a batch: one JSON line for each image that ended. The last line of an image counts."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lib_softinpaint.atomic_file import UNFINISHED
from lib_softinpaint.batch.task import Failed, Made, Outcome, Task
from lib_softinpaint.errors import BadInput

NAME = "manifest.jsonl"
DONE, FAILED = "done", "failed"
KEY_BYTES = 8
"""Enough to tell settings and files apart."""


class Manifest:
    """The manifest in a folder of results, for appending. Use `opened`. The first line creates the file."""

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.is_new = not self.path.exists()
        self._keys = dict(_done(self.path))
        self._file: int | None = None

    def key_of(self, target: Path) -> str | None:
        """The key of the task that made this result, or None if there is none."""
        return self._keys.get(target.name)

    def add(self, outcome: Outcome, image: Path, mask: Path | None, key: str) -> None:
        """Appends what became of a task, in one write. It is on the disk when this returns.

        Parameters
        ----------
        image, mask
            As the user named them.
        key
            From `key_of_task`.
        """
        result = outcome.result
        entry: dict[str, Any] = {"result": outcome.task.target.name, "image": os.fspath(image),
                                 "mask": None if mask is None else os.fspath(mask)}
        if isinstance(result, Made):
            entry |= {"status": DONE, "seed": result.seed, "score": round(result.score, 2),
                      "seconds": round(result.seconds, 3)}
            self._keys[outcome.task.target.name] = key
        else:
            entry |= {"status": FAILED, "error": result.error}
        entry |= {"tries": outcome.tries, "worker": outcome.worker, "key": key,
                  "ended": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        if isinstance(result, Made) and result.notes:
            entry["notes"] = result.notes
        if isinstance(result, Failed) and result.traceback:
            entry["traceback"] = result.traceback
        file = self._opened()
        os.write(file, (json.dumps(entry, ensure_ascii=False) + "\n").encode())
        os.fsync(file)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            if _is_torn(self.path):
                os.write(self._file, b"\n")
        return self._file


@contextmanager
def opened(folder: Path) -> Iterator[Manifest]:
    """The manifest of a folder, for this process alone. Removes what a killed run left unfinished.

    If the block adds no line to a new manifest, nothing of it is left. Raises BadInput if another run uses the folder.
    """
    lock = FileLock(folder / f".{NAME}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as fault:
        raise BadInput(f"each batch needs its own --output, but another one is running in {folder}") from fault
    try:
        for unfinished in folder.glob(f".*{UNFINISHED}"):
            unfinished.unlink(missing_ok=True)
        manifest = Manifest(folder)
        try:
            yield manifest
        finally:
            manifest.close()
            if not manifest.path.exists():
                with suppress(OSError):  # Windows removes it when it is released
                    os.unlink(lock.lock_file)
    finally:
        lock.release()


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a manifest. A line that a crash cut short is left out."""
    if not path.exists():
        return
    with open(path, encoding="utf8") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry


def key_of_task(task: Task, model: str | None) -> str:
    """A short hash of all that decides a result: the settings, the model and the states of the files."""
    files = [(path.name, stat.st_size, stat.st_mtime_ns) for path in (task.image, task.mask) if path is not None
             for stat in [path.stat()]]
    exported = [] if task.export is None else [str(task.export), task.photoshop]
    text = json.dumps([asdict(task.request), task.candidates, task.may_fit, model, files, *exported])
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()


def _done(path: Path) -> Iterator[tuple[str, str | None]]:
    """Name and key of each entry; the key is None if the result failed."""
    for entry in entries(path):
        if isinstance(entry.get("result"), str):
            yield entry["result"], entry.get("key") if entry.get("status") == DONE else None


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end."""
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
