"""Gives the WebUI's script file the library as it is on disk, if the host has what it needs.

"Reload UI" runs the script files again, but keeps every module that they import.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE, FOLDER = __name__.partition(".")[0], Path(__file__).parents[2]


def files() -> dict[str, tuple[int, int]]:
    """Modification time in ns and size in bytes of each of the library's files."""
    found, folders = {}, [os.fspath(FOLDER)]
    while folders:
        for entry in os.scandir(folders.pop()):
            if entry.name.endswith((".py", ".json")):
                found[entry.path] = entry.stat().st_mtime_ns, entry.stat().st_size
            elif entry.is_dir() and entry.name != "__pycache__":
                folders.append(entry.path)
    return found


_loaded: dict[str, tuple[int, int]] = {}
"""The files when the library was loaded."""


def drop_outdated() -> dict[str, ModuleType]:
    """The library's modules by name, dropped if any file has changed since they were loaded. Empty if none has.

    The next import reloads them. A run in progress keeps using the old modules.
    """
    if not _loaded or files() == _loaded:  # the first load, or nothing new
        return {}
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == PACKAGE}


def current() -> tuple[Any, Any, Callable[[type], type | None]]:
    """The hooks module, the page module and the function `register`. The modules are None if the host lacks something."""
    outdated = drop_outdated()
    # Reloads itself as well, because it remembers which files the others were loaded from.
    from lib_softinpaint.hosts.webui import start
    return start.loaded(outdated)


def loaded(outdated: dict[str, ModuleType]) -> tuple[Any, Any, Callable[[type], type | None]]:
    """As `current`, for the library now loaded. `outdated` are the modules that were dropped before."""
    _loaded.update(files())
    from lib_softinpaint.hosts.webui import detect
    if not detect.can_run():
        return None, None, lambda script_class: None
    from lib_softinpaint.hosts.webui import register
    if outdated:
        from lib_softinpaint.hosts.webui import kept
        kept.keep_history_of(outdated)
    return register.hooks, register.page, register.register
