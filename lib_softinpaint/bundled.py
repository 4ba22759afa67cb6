"""Files that come with the project: beside the library in a checkout, inside it where it was installed."""
from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "bundled"
"""Where the wheel holds them."""


def bundled(path: str) -> Path:
    """A file or folder that comes with the project, by its path in the repository."""
    return (INSTALLED if INSTALLED.exists() else PACKAGE.parent) / path
