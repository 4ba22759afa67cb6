"""The version that infotext names: with the commit, where the library runs from a git checkout."""
from __future__ import annotations

import functools
import subprocess

from lib_softinpaint import __version__
from lib_softinpaint.bundled import INSTALLED, PACKAGE

LONGEST_WAIT_S = 5

DESCRIBE = "git", "--no-optional-locks", "describe", "--always", "--exclude=*", "--abbrev=7", "--dirty=.changed"
"""Prints the commit alone, whatever the tags."""


@functools.cache
def version() -> str:
    """Such as "1.0.0+3542c76", with ".changed" if files differ from the commit; the plain version without a checkout.

    Asks git on the first call, which takes some milliseconds.
    """
    # An installed library or an unpacked archive may lie in another project's checkout.
    if INSTALLED.exists() or not (PACKAGE.parent / ".git").exists():
        return __version__
    try:
        done = subprocess.run(DESCRIBE, cwd=PACKAGE.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LONGEST_WAIT_S)
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{done.stdout.strip()}" if done.returncode == 0 else __version__
