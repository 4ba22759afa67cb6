"""Files that are written completely or not at all."""
from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".unfinished"
"""End of the names of files that are being written. They are hidden."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file open for writing bytes. It replaces `path` when the block ends.

    If the block raises, or the process is killed, `path` keeps its old content. Its folder must exist.
    Raises OSError if the file cannot be written.
    """
    path = Path(path).resolve()  # a link stays a link
    unfinished = path.with_name(f".{secrets.token_hex(8)}{UNFINISHED}")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
