"""Takes the built-in's place in the host's list of scripts."""
from __future__ import annotations

import os
import threading
import types
from typing import Any

from modules import script_callbacks, scripts, shared

from lib_softinpaint.hosts.webui.later import Later
from lib_softinpaint.hosts.webui.names import KEEP_BUILTIN, TITLE

BUILTIN_SCRIPT = os.path.join("extensions-builtin", "soft-inpainting", "scripts", "soft_inpainting.py")
CONTROLNET_SCRIPT = "controlnet.py"

axes, hooks, options, page, routes, sampling = map(Later, ("axes", "hooks", "options", "page", "routes", "sampling"))


def register(script_class: type) -> type | None:
    """Puts the script into the host's list. Returns the class if the host's loader should still append it, else None.

    The built-in's entry is replaced in place, because other scripts read the mask in the same hooks and the order matters.
    In the Forge family, ControlNet comes before it, and would see a crop and a mask that are not ours. So ours goes first.
    It happens while scripts load, because without a page there is no later moment. Called on each load, even after
    "Reload UI", which clears all callbacks.
    """
    script_callbacks.on_ui_settings(lambda: options.add_options())
    builtin = next((place for place, entry in enumerate(scripts.scripts_data)
                    if os.path.normpath(entry.path).endswith(BUILTIN_SCRIPT)), None)
    if builtin is not None and shared.opts.data.get(KEEP_BUILTIN, False):
        return None
    script_callbacks.on_cfg_denoiser(lambda params: sampling.on_cfg_denoiser(params))
    script_callbacks.on_cfg_after_cfg(lambda params: sampling.on_cfg_after_cfg(params))
    script_callbacks.on_before_ui(lambda: axes.add_axes())
    script_callbacks.on_app_started(lambda demo, app: axes.add_axes())  # without a page
    script_callbacks.on_app_started(lambda demo, app: page.keep_floats())
    script_callbacks.on_app_started(lambda demo, app: routes.add_routes(app))
    script_callbacks.on_app_started(_load_hooks)
    script_class.title, script_class.section = lambda script: TITLE, "inpaint"
    if builtin is None:
        return script_class
    module = types.ModuleType(script_class.__module__)  # the loader's own module object is not accessible yet
    vars(module).update(script_class.ui.__globals__)
    del scripts.scripts_data[builtin]
    controlnet = next((place for place, entry in enumerate(scripts.scripts_data[:builtin])
                       if os.path.basename(entry.path) == CONTROLNET_SCRIPT), builtin)
    scripts.scripts_data.insert(controlnet, scripts.ScriptClassData(script_class, module.__file__, scripts.basedir(), module))
    return None


def _load_hooks(demo: Any, app: Any) -> None:
    """Loads what the first image needs once the WebUI has started, so an update on disk cannot mix versions."""
    def load() -> tuple[types.ModuleType, str]:
        from lib_softinpaint.version import version
        return hooks.module, version()
    threading.Thread(target=load, daemon=True).start()
