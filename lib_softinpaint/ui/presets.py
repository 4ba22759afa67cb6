"""Choosing, saving, renaming and deleting presets in the accordion."""
from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.context import Context

from lib_softinpaint.settings.fields import Field, Value, read
from lib_softinpaint.settings.presets import REQUEST_FIELDS, Preset, PresetFile, bundled
from lib_softinpaint.settings.settings import Settings, saved_fields
from lib_softinpaint.ui import ui_config
from lib_softinpaint.ui.events import QUIETLY

MENU = gr.Dropdown
"""Component for an option that names a preset."""

NOTHING_BESIDES = "No other fields to set"
WITH_REQUEST = "Also save denoising strength, mask fields, sampler, schedule type, steps, CFG scale and batch"


@dataclass(frozen=True)
class Chooser:
    """The preset components."""

    name: Any
    about: Any
    request: Any
    own_name: Any
    with_request: Any
    save: Any
    rename: Any
    delete: Any
    status: Any
    tasks: Mapping[str, Any]
    """The task buttons by the names of their presets."""


def build(own: PresetFile) -> Chooser:
    name = gr.Dropdown(choices=list(own.with_bundled()), value=None, label="Preset", elem_id="softinpaint_preset",
                       info="Sets the controls below and under Advanced. What it does not set goes back to its default.")
    with gr.Row(elem_id="softinpaint_tasks"):
        tasks = {preset.name: gr.Button(preset.task, size="sm", elem_id=f"softinpaint_task_{preset.task.lower()}")
                 for preset in bundled().values() if preset.task}
    about = gr.Markdown("", elem_id="softinpaint_preset_about")
    request = gr.Button(NOTHING_BESIDES, elem_id="softinpaint_preset_request", size="sm", interactive=False)
    with gr.Accordion("Your own presets", open=False, elem_id="softinpaint_own_presets"):
        own_name = gr.Textbox(label="Name", elem_id="softinpaint_preset_name", max_lines=1)
        with_request = gr.Checkbox(False, label=WITH_REQUEST, elem_id="softinpaint_preset_with_request")
        with gr.Row():
            save = gr.Button("Save as preset", elem_id="softinpaint_preset_save")
            rename = gr.Button("Rename selected preset", elem_id="softinpaint_preset_rename")
            delete = gr.Button("Delete selected preset", elem_id="softinpaint_preset_delete")
        status = gr.Markdown(_complaints(own), elem_id="softinpaint_preset_status")
    for component in (name, own_name, with_request):
        ui_config.leave_out(component)
    return Chooser(name, about, request, own_name, with_request, save, rename, delete, status, tasks)


def connect(chooser: Chooser, settings: Mapping[str, Any], request: Mapping[str, Any], own: PresetFile,
            first: Callable[[], str] = str) -> None:
    """Gives the components their events.

    Parameters
    ----------
    settings, request
        Components of the settings, and the host's own components by the names of REQUEST_FIELDS.
    first
        Name of the preset to select when the page loads; "" for none.
    """
    fields = {field.name: field for field in saved_fields() if field.name in settings}

    def choose(name: str) -> list[Any]:
        preset = own.with_bundled().get(name)
        if preset is None:
            return ["", gr.update(), *(gr.update() for _ in fields)]
        values = preset.all_settings()
        values_besides = ", ".join(f"{REQUEST_FIELDS[key].label} {_shown(value)}" for key, value in preset.request.items()
                                   if key in request)
        label = f"Also set {values_besides}" if values_besides else NOTHING_BESIDES
        button = gr.update(value=label, interactive=bool(values_besides))
        about = f"{preset.about} {preset.prompt}".strip()
        return [about, button, *(gr.update(value=getattr(values, key)) for key in fields)]

    def set_request(name: str) -> list[Any]:
        preset = own.with_bundled().get(name)
        wanted = preset.request if preset else {}
        return [gr.update(value=wanted[key]) if key in wanted else gr.update() for key in request]

    def after(change: Callable[[], str | None], message: Callable[[str | None], str]) -> tuple[Any, str]:
        """Applies `change`, which returns the name of the preset to select."""
        try:
            chosen = change()
        except (ValueError, OSError) as fault:
            return gr.update(), html.escape(str(fault))
        return gr.update(choices=list(own.with_bundled()), value=chosen), html.escape(message(chosen))

    def save(name: str, with_request: bool, *values: Value) -> tuple[Any, str]:
        def saved() -> str:
            request_values = _read(request, values[len(fields):]) if with_request else {}
            return own.save(Preset(name.strip(), "Your own preset.", _differing(fields, values[:len(fields)]), request_values))
        return after(saved, lambda shown: f"Saved as {shown}.")

    def rename(name: str, new_name: str) -> tuple[Any, str]:
        return after(lambda: own.rename(name, new_name.strip()), lambda shown: f"Renamed {name} to {shown}.")

    def delete(name: str) -> tuple[Any, str]:
        return after(lambda: own.delete(name), lambda _: f"Deleted {name}.")

    components = [settings[key] for key in fields]
    chooser.name.change(choose, chooser.name, [chooser.about, chooser.request, *components], **QUIETLY)
    if request:
        chooser.request.click(set_request, chooser.name, list(request.values()), **QUIETLY)
    for name, button in chooser.tasks.items():
        button.click(lambda name=name: [name, *choose(name), *set_request(name)], None,
                     [chooser.name, chooser.about, chooser.request, *components, *request.values()], **QUIETLY)

    def loaded() -> tuple[Any, str]:
        """Refreshes the list, because presets may have been saved since the page was built."""
        names, chosen = list(own.with_bundled()), first()
        update = gr.update(choices=names, value=chosen) if chosen in names else gr.update(choices=names)
        return update, _complaints(own)

    assert Context.root_block is not None, "a page is being built"
    Context.root_block.load(loaded, None, [chooser.name, chooser.status], **QUIETLY)
    chooser.save.click(save, [chooser.own_name, chooser.with_request, *components, *request.values()],
                       [chooser.name, chooser.status], **QUIETLY)
    chooser.rename.click(rename, [chooser.name, chooser.own_name], [chooser.name, chooser.status], **QUIETLY)
    chooser.delete.click(delete, chooser.name, [chooser.name, chooser.status], **QUIETLY)


def _complaints(own: PresetFile) -> str:
    """Problems found when the presets were last read, as Markdown."""
    return html.escape(" ".join(own.complaints))


def _differing(fields: Mapping[str, Field], values: tuple[Value, ...]) -> dict[str, Value]:
    """Values that differ from their defaults."""
    usual = Settings(enabled=True)
    read_values = {key: read(field, value, []) for (key, field), value in zip(fields.items(), values)}
    return {key: value for key, value in read_values.items() if key != "enabled" and value != getattr(usual, key)}


def _read(request: Mapping[str, Any], values: tuple[Any, ...]) -> dict[str, Value]:
    """Values of the host's components. A choice may come as its index."""
    found = {}
    for (key, component), value in zip(request.items(), values):
        field = REQUEST_FIELDS[key]
        if getattr(component, "type", None) == "index" and isinstance(value, int):
            value = field.choices[value]
        found[key] = read(field, value, [])
    return found


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
