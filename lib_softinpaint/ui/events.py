"""JavaScript in Gradio's events."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

CHANGED = "() => { document.dispatchEvent(new Event('softinpaint-changed')); }"
"""The event that javascript/softInpainting/events.mjs listens for. Browsers fire none if a script sets a value."""

QUIETLY = {"show_progress": "hidden", "queue": False}
"""Arguments for events that take hardly any time."""


def javascript(event: Callable, code: str) -> dict[str, str]:
    """The keyword argument for an event's JavaScript. Its name differs between Gradio 3 and 4."""
    return {"js" if "js" in inspect.signature(event).parameters else "_js": code}


def redraw_on_change(components: Iterable[Any]) -> None:
    """Redraws the page's preview when one of the components changes."""
    for component in components:
        component.change(fn=None, inputs=None, outputs=None, **javascript(component.change, CHANGED))
