"""Files that come with the project: next to the library in a checkout, inside it when installed."""
from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "bundled"
"""Their folder in the wheel."""


def bundled(path: str) -> Path:
    """A file or folder that comes with the project, by its path in the repository."""
    return (INSTALLED if INSTALLED.exists() else PACKAGE.parent) / path
