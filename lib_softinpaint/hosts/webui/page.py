"""The accordion on the host's page."""
from __future__ import annotations

import functools
import weakref
from typing import Any

from modules import scripts, shared, ui_components

from lib_softinpaint.hosts.webui import detect, staging
from lib_softinpaint.hosts.webui.gallery import find_shown, kept_image, save_to_gallery
from lib_softinpaint.hosts.webui.names import DEFAULT_PRESET, TITLE
from lib_softinpaint.hosts.webui.preset_file import own_presets
from lib_softinpaint.settings.settings import FIELDS, composite_fields, from_infotext, infotext_key, saved_fields
from lib_softinpaint.ui import accordion, presets, recomposite
from lib_softinpaint.ui import staging as staging_panel
from lib_softinpaint.ui.elements import CANVAS, GALLERY, GENERATION_INFO, REQUEST, SIZES
from lib_softinpaint.ui.events import redraw_on_change

_pages: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
"""Components of the page by elem_id, for each script that is being set up."""


def build_ui(script: Any) -> list[Any]:
    """The script's Gradio components. Also tells the host which of them to fill from a pasted infotext."""
    preset_file = own_presets()
    built = accordion.build(ui_components.InputAccordion, preset_file, accordion.KeepSize(_keeps_size, _set_keep_size),
                            detect.limits())
    components = built.settings
    saved = saved_fields()
    script.infotext_fields = [(components[field.name], functools.partial(from_infotext, field)) for field in saved]
    script.paste_field_names = [infotext_key(field) for field in saved]

    def connect(created: Any) -> None:
        page = _pages[script]
        again = {field.name: components[field.name] for field in composite_fields()}
        recomposite.connect(built.panel, again, page[GALLERY], page[GENERATION_INFO],
                            recomposite.Results(find_shown, kept_image, save_to_gallery, "selected_gallery_index()"))
        request = {name: page[elem_id] for name, elem_id in REQUEST.items() if elem_id in page}
        if built.staging is not None:
            mask_file = staging_panel.component_named(FIELDS["mask_image"].elem_id + accordion.FILE)
            staging_panel.connect(built.staging, staging_panel.canvas_of(CANVAS), mask_file, page[GALLERY],
                                  page[GENERATION_INFO], staging.host())
        presets.connect(built.chooser, components, request, preset_file, lambda: shared.opts.data.get(DEFAULT_PRESET) or "")
        redraw_on_change([*components.values(), *request.values(), *(page[elem_id] for elem_id in SIZES if elem_id in page)])
    if hasattr(script, "on_after_component"):
        script.on_after_component(connect, elem_id=GENERATION_INFO)
    return list(components.values())


def _keeps_size() -> bool:
    return not shared.opts.send_size


def _set_keep_size(keep: bool) -> None:
    if shared.opts.send_size == keep:
        shared.opts.set("send_size", not keep)
        shared.opts.save(shared.config_filename)


def show(script: Any, is_img2img: bool) -> Any:
    """Where the host shows the script. Also collects the host's components that the script works with, as they are made."""
    page = _pages[script] = {}
    watched = GALLERY, GENERATION_INFO, *SIZES, *REQUEST.values()
    for elem_id in watched if hasattr(script, "on_after_component") else ():
        script.on_after_component(lambda created: page.update({created.component.elem_id: created.component}), elem_id=elem_id)
    return scripts.AlwaysVisible if is_img2img else False


def keep_floats() -> None:
    """Converts the default values of float settings to floats, including whole numbers."""
    # A ui-config.json written by the built-in holds 1 and 4 for floats. The host converts pasted values to the type that
    # it finds here, and int("0.2") would fail with error 500.
    for script in scripts.scripts_img2img.alwayson_scripts:
        if getattr(script, "name", None) == TITLE.lower():
            for component, setting in zip(script.controls, FIELDS.values()):
                if isinstance(setting.default, float):
                    component.value = float(component.value)
