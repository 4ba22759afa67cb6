"""Soft inpainting: grey repaint masks, a blend at each sampling step, and an exact composite."""
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lib_softinpaint.hosts.diffusers.models import soft_inpaint
    from lib_softinpaint.settings.settings import Settings

__version__ = "1.0.0"
__all__ = ["Settings", "soft_inpaint"]

_HOMES = {"Settings": "lib_softinpaint.settings.settings", "soft_inpaint": "lib_softinpaint.hosts.diffusers.models"}


def __getattr__(name: str) -> Any:
    """The public names, found on first use: the WebUI has no diffusers."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
