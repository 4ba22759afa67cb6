"""The last runs' pictures, within a bounded memory, found by those who have the picture."""
from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from os import PathLike, fspath
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # the WebUI's start waits for this module
    from lib_softinpaint.generation.kept import KeptImage

BYTES_PER_MB = 2 ** 20
ID_BYTES = 16

USUAL_LIMIT_MB = 256
"""Fourteen pictures of 1024 x 1024, or eighty of one batch."""


class History:
    """Kept pictures by the hash of their result: who has no copy of a result cannot name it, so jobs never mix.

    The oldest are dropped when all of them hold more than the limit. Safe to use from several threads.
    """

    def __init__(self):
        self._pictures: OrderedDict[str, KeptImage] = OrderedDict()
        self._files: dict[str, str] = {}
        self._lock = threading.Lock()

    def put(self, picture: KeptImage, result: np.ndarray, limit_mb: float) -> str:
        """Keeps a picture, where it fits the limit; its id."""
        identity = identify(result)
        with self._lock:
            self._pictures[identity] = picture
            self._pictures.move_to_end(identity)
        self.shrink(limit_mb)
        return identity

    def set_file(self, identity: str, path: str | PathLike) -> None:
        """Associates a saved file with a kept result. The file may be of a format that changes its pixels."""
        with self._lock:
            if identity in self._pictures:
                self._files[fspath(path)] = identity

    def shrink(self, limit_mb: float) -> None:
        """Drops the oldest until the others fit. What re-rendering has added to them is counted, and goes first."""
        with self._lock:
            for picture in self._pictures.values():
                if self._bytes() <= limit_mb * BYTES_PER_MB:
                    break
                picture.forget_rendered()
            while self._pictures and self._bytes() > limit_mb * BYTES_PER_MB:
                self._pictures.popitem(last=False)
            self._files = {path: identity for path, identity in self._files.items() if identity in self._pictures}

    def get(self, identity: str) -> KeptImage:
        """The image of this id, which from now on counts as the newest. Raises KeyError if it is not kept."""
        with self._lock:
            self._pictures.move_to_end(identity)
            return self._pictures[identity]

    def take_over(self, other: History) -> None:
        """Also keeps what another history keeps."""
        with self._lock:
            self._pictures.update(other._pictures)
            self._files.update(other._files)

    def find(self, path: str | PathLike | None = None, result: np.ndarray | None = None) -> str | None:
        """The id of a result, by the file that it was saved as or by its pixels; None where it is not kept."""
        with self._lock:
            if path is not None and fspath(path) in self._files:
                return self._files[fspath(path)]
            identity = None if result is None else identify(result)
            return identity if identity in self._pictures else None

    def _bytes(self) -> int:
        # Pictures of one batch share their original and masks.
        arrays = {id(array): array.nbytes for picture in self._pictures.values() for array in picture.arrays()}
        return sum(arrays.values())

    def __len__(self) -> int:
        return len(self._pictures)


def identify(result: np.ndarray) -> str:
    """Hash of a result's pixels, (H, W, 3 or 4) uint8."""
    digest = hashlib.blake2b(repr(result.shape).encode(), digest_size=ID_BYTES)
    digest.update(np.ascontiguousarray(result).data)
    return digest.hexdigest()
