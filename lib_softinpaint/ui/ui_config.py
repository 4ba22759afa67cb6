"""The WebUI's ui-config.json, which holds the initial value of each component."""
from __future__ import annotations

from typing import Any


def leave_out(component: Any) -> None:
    """Keeps a component out of ui-config.json: the WebUI looks for this attribute, which Gradio does not know."""
    component.do_not_save_to_config = True
