"""JavaScript in Gradio's events."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

CHANGED = "() => { document.dispatchEvent(new Event('softinpaint-changed')); }"
"""What javascript/softInpainting/events.mjs listens for: the browser has no event for values that a program sets."""

QUIETLY = {"show_progress": "hidden", "queue": False}
"""Arguments of events that take no time to speak of."""


def javascript(event: Callable, code: str) -> dict[str, str]:
    """The argument by which an event takes JavaScript: its name differs between Gradio 3 and 4."""
    return {"js" if "js" in inspect.signature(event).parameters else "_js": code}


def redraw_on_change(components: Iterable[Any]) -> None:
    """Has the page's preview drawn anew when one of the components changes."""
    for component in components:
        component.change(fn=None, inputs=None, outputs=None, **javascript(component.change, CHANGED))
