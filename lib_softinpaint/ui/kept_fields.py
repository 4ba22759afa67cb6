"""Keeps fields of the stand-alone page over a reload, in the browser and for each tab."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from gradio.context import Context

from lib_softinpaint.ui.events import QUIETLY, javascript

RESTORE = """(...values) => {
    document.documentElement.dataset.softinpaintFields = "restored";
    return JSON.parse(sessionStorage.getItem(KEY)) ?? values;
}"""
KEEP = """(...values) => {
    if (document.documentElement.dataset.softinpaintFields) sessionStorage.setItem(KEY, JSON.stringify(values));
}"""
"""JavaScript. Some versions of Gradio announce changes while the page is built, before there is anything to keep."""


def keep_over_reload(components: Sequence[Any]) -> None:
    """Keeps the components' values in the tab, and restores them when the page loads with the same components.

    A page that was started with other values or choices, as after an update, shows those.
    """
    built = json.dumps([component.get_config() for component in components], default=str, sort_keys=True)
    key = json.dumps(f"softinpaint-fields {hashlib.blake2b(built.encode(), digest_size=8).hexdigest()}")
    root = Context.root_block
    assert root is not None, "a page is being built"
    root.load(None, components, components, **javascript(root.load, RESTORE.replace("KEY", key)), **QUIETLY)
    for component in components:
        component.change(None, components, None, **javascript(component.change, KEEP.replace("KEY", key)), **QUIETLY)
