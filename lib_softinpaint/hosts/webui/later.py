"""Modules that are loaded when they are first used, so that the WebUI's start does not wait for them."""
from __future__ import annotations

import importlib
from functools import cached_property
from types import ModuleType
from typing import Any


class Later:
    """Stands in for a module of this folder and loads it on first use. It keeps that module even if the library is reloaded.

    Parameters
    ----------
    name
        Module name without the package.
    """

    def __init__(self, name: str):
        self._name = f"{__package__}.{name}"

    @cached_property
    def module(self) -> ModuleType:
        """Loads the module on first access."""
        return importlib.import_module(self._name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.module, attribute)
