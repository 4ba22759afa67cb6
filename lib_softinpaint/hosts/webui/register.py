"""Taking the built-in's place in the host's list of scripts."""
from __future__ import annotations

import os
import types

from modules import script_callbacks, scripts, shared

from lib_softinpaint.hosts.webui.axes import add_axes
from lib_softinpaint.hosts.webui.names import KEEP_BUILTIN, TITLE
from lib_softinpaint.hosts.webui.options import add_options
from lib_softinpaint.hosts.webui.page import keep_floats
from lib_softinpaint.hosts.webui.routes import add_route
from lib_softinpaint.hosts.webui.sampling import on_cfg_after_cfg, on_cfg_denoiser

BUILTIN_SCRIPT = os.path.join("extensions-builtin", "soft-inpainting", "scripts", "soft_inpainting.py")


def register(script_class: type) -> type | None:
    """Puts the script into the host's list, and answers what the host's loader should still append.

    The built-in's entry is replaced where it stands: other scripts read the mask in the same hooks, so the place
    matters, and later than while scripts load is too late where there is no page. Called on each load, also after
    "Reload UI", which clears all callbacks.
    """
    script_callbacks.on_ui_settings(add_options)
    builtin = next((place for place, entry in enumerate(scripts.scripts_data)
                    if os.path.normpath(entry.path).endswith(BUILTIN_SCRIPT)), None)
    if builtin is not None and shared.opts.data.get(KEEP_BUILTIN, False):
        return None
    script_callbacks.on_cfg_denoiser(on_cfg_denoiser)
    script_callbacks.on_cfg_after_cfg(on_cfg_after_cfg)
    script_callbacks.on_before_ui(add_axes)
    script_callbacks.on_app_started(keep_floats)
    script_callbacks.on_app_started(add_route)
    add_axes()
    script_class.title, script_class.section = lambda script: TITLE, "inpaint"
    if builtin is None:
        return script_class
    module = types.ModuleType(script_class.__module__)  # the loader's own module object cannot be reached while it loads
    vars(module).update(script_class.ui.__globals__)
    scripts.scripts_data[builtin] = scripts.ScriptClassData(script_class, module.__file__, scripts.basedir(), module)
    return None
