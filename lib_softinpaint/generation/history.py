"""The latest results, in limited memory; only someone who has the image can find it."""
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
"""Room for fourteen images of 1024 x 1024, or eighty from one batch."""


class History:
    """Kept images by the hash of their result. Nobody can name a result without a copy of it, so jobs never mix.

    The oldest images are dropped when memory exceeds the limit. Safe to use from several threads.
    """

    def __init__(self):
        self._images: OrderedDict[str, KeptImage] = OrderedDict()
        self._files: dict[str, str] = {}
        self._lock = threading.Lock()

    def put(self, kept: KeptImage, result: np.ndarray, limit_mb: float) -> str:
        """Keeps an image if it fits the limit. Returns its id."""
        identity = identify(result)
        with self._lock:
            self._images[identity] = kept
            self._images.move_to_end(identity)
        self.shrink(limit_mb)
        return identity

    def set_file(self, identity: str, path: str | PathLike) -> None:
        """Associates a saved file with a kept result. The file may be of a format that changes its pixels."""
        with self._lock:
            if identity in self._images:
                self._files[fspath(path)] = identity

    def shrink(self, limit_mb: float) -> None:
        """Drops the oldest images until the rest fit. First drops what re-compositing has cached."""
        with self._lock:
            for kept in self._images.values():
                if self._bytes() <= limit_mb * BYTES_PER_MB:
                    break
                kept.forget_rendered()
            while self._images and self._bytes() > limit_mb * BYTES_PER_MB:
                self._images.popitem(last=False)
            self._files = {path: identity for path, identity in self._files.items() if identity in self._images}

    def get(self, identity: str) -> KeptImage:
        """The image with this id, which then counts as the newest. Raises KeyError if it is not kept."""
        with self._lock:
            self._images.move_to_end(identity)
            return self._images[identity]

    def take_over(self, other: History) -> None:
        """Adds all images of another history."""
        with self._lock:
            self._images.update(other._images)
            self._files.update(other._files)

    def find(self, path: str | PathLike | None = None, result: np.ndarray | None = None) -> str | None:
        """The id of a result, by its saved file or its pixels; None if it is not kept."""
        with self._lock:
            if path is not None and fspath(path) in self._files:
                return self._files[fspath(path)]
            identity = None if result is None else identify(result)
            return identity if identity in self._images else None

    def _bytes(self) -> int:
        # Images of one batch share their original and masks.
        arrays = {id(array): array.nbytes for kept in self._images.values() for array in kept.arrays()}
        return sum(arrays.values())

    def __len__(self) -> int:
        return len(self._images)


def identify(result: np.ndarray) -> str:
    """Hash of a result's pixels, (H, W, 3 or 4) uint8."""
    digest = hashlib.blake2b(repr(result.shape).encode(), digest_size=ID_BYTES)
    digest.update(np.ascontiguousarray(result).data)
    return digest.hexdigest()
