"""The last results, kept for re-composites."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules import shared

from lib_softinpaint.generation.history import USUAL_LIMIT_MB, History
from lib_softinpaint.hosts.webui.names import HISTORY_MB

KEPT_KEY = "Soft inpainting kept"
"""Key among the generation parameters of the API's response: ids of the images that can be re-composited."""

history = History()


def history_mb() -> float:
    return max(0, shared.opts.data.get(HISTORY_MB, USUAL_LIMIT_MB))


def keep_history_of(outdated: Mapping[str, Any]) -> None:
    """Takes over the images kept before "Reload UI". `outdated` is from `start.drop_outdated`."""
    before = outdated.get(__name__)
    if before is not None:
        history.take_over(before.history)
