"""The accordion of sliders in img2img's inpaint tab."""
from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from lib_softinpaint.bundled import bundled
from lib_softinpaint.settings.fields import Field
from lib_softinpaint.settings.mask_tools import EXAMPLES, SOURCES
from lib_softinpaint.settings.presets import PresetFile
from lib_softinpaint.settings.settings import CANDIDATES, FIELDS
from lib_softinpaint.ui import presets, recomposite, staging, ui_config
from lib_softinpaint.ui.events import QUIETLY

UPLOAD_HEIGHT_PX = 140
FILE = "_file"
"""End of the elem_id of an image setting's upload."""

INTRODUCTION = ("What you paint is repainted in full. Around it, the change fades out and stops at the outlines of "
                "neighbours. Pixels beyond that do not change.")

DOCUMENTATION = bundled("docs/settings.md")
IMAGE = re.compile(r"^!\[.*\n*", re.MULTILINE)

BASICS, ADVANCED = "Basics", ("Mask", "Sampling", "Coherence", "Composite")
"""Groups of fields: the one that is always shown, and those in the closed section below it."""

SHOWN_AFTER = {"automatic_threshold": "difference_threshold"}
"""Fields shown out of API order, and the field each one follows."""

PREVIEW = """<div id="softinpaint_preview" hidden>
<canvas class="mask" role="img" aria-label="The painted mask, its feather, and how far it reaches"></canvas>
<canvas class="curves" role="img" aria-label="How strongly each step repaints grey areas"></canvas>
<p class="status" role="status"></p>
<ul class="advice"></ul>
<p class="changed" role="status" data-fields="{fields}"></p>
</div>"""
"""Filled in by javascript/softInpainting/preview.mjs."""

WITHOUT_EFFECT = '<p id="softinpaint_without_effect" role="status"></p>'
"""Filled in by javascript/softInpainting/notes.mjs."""


@dataclass(frozen=True)
class Accordion:
    """The accordion's components.

    settings
        One component for each setting, by name, in the settings' order.
    advanced
        The section that is closed at first.
    """

    settings: dict[str, Any]
    advanced: Any
    chooser: presets.Chooser
    panel: recomposite.Panel
    staging: staging.Panel | None
    """None on the stand-alone page."""


@dataclass(frozen=True)
class KeepSize:
    """Reads and sets whether the host keeps width and height when an image is sent to the tab."""

    get: Callable[[], bool]
    set: Callable[[bool], None]


def build(input_accordion: Callable[..., AbstractContextManager], own_presets: PresetFile,
          keep_size: KeepSize | None = None, limits: Sequence[str] = ()) -> Accordion:
    """Builds the accordion at the current place in the layout.

    Parameters
    ----------
    input_accordion
        The host's accordion with a checkbox.
    keep_size
        None on the stand-alone page, which has no other tabs, and sorts and keeps its results itself.
    limits
        A sentence on each thing that does not work in this host.
    """
    switch, *settings = FIELDS.values()
    components = {}
    in_webui = keep_size is not None
    with input_accordion(switch.default, label=switch.label, elem_id=switch.elem_id) as enabled:
        components[switch.name] = enabled
        gr.Markdown(INTRODUCTION)
        if limits:
            gr.Markdown(" ".join(limits), elem_id="softinpaint_limits")
        chooser = presets.build(own_presets)
        components |= _group(BASICS)
        gr.HTML(PREVIEW.format(fields=html.escape(json.dumps(advanced_fields()))))
        with gr.Accordion("Advanced", open=False, elem_id="softinpaint_advanced") as advanced:
            if keep_size is not None:
                _keep_size(keep_size)
            for group in ADVANCED:
                gr.Markdown(f"### {group}")
                if group == "Composite":
                    gr.HTML(WITHOUT_EFFECT)
                components |= _group(group)
        with gr.Accordion("Candidates", open=False, elem_id="softinpaint_candidates", visible=in_webui):
            components |= _group(CANDIDATES)
        panel = recomposite.build()
        stages = staging.build() if in_webui else None
    return Accordion({field.name: components[field.name] for field in (switch, *settings)}, advanced, chooser, panel,
                     stages)


def in_group(group: str) -> list[Field]:
    """The fields of a group in the order in which they are shown."""
    names = list(FIELDS)
    return sorted((field for field in FIELDS.values() if field.group == group),
                  key=lambda field: names.index(SHOWN_AFTER.get(field.name, field.name)))


def advanced_fields() -> list[dict[str, Any]]:
    """What the page needs to know to tell which fields of the closed section differ from their defaults."""
    return [{"label": field.label, "id": field.elem_id, "default": field.default,
             "isText": field.check is not None}
            for group in ADVANCED for field in in_group(group)]


def _group(group: str) -> dict[str, Any]:
    """The components of a group by field name, with an explanation below them."""
    components = {}
    for field in in_group(group):
        components[field.name] = component(field, field.elem_id)
        if field.name == "mask_tools":
            _tool_buttons(components[field.name])
    with gr.Accordion(f"More about {group.lower()}", open=False, elem_id=f"softinpaint_about_{group.lower()}"):
        gr.Markdown(documented(group))
    return components


def documented(group: str) -> str:
    """The section of docs/settings.md about one group, as Markdown, without its images.

    No full stop is in bold, so that a setting's name is its label and is translated.
    """
    section = DOCUMENTATION.read_text(encoding="utf8").partition(f"\n## {group}\n")[2].partition("\n## ")[0]
    return IMAGE.sub("", section).replace(".**", "**.").strip()


def _tool_buttons(text: Any) -> None:
    """A button for each mask tool, which adds its step to the text."""
    with gr.Row(elem_id="softinpaint_mask_tool_buttons"):
        for tool, example in EXAMPLES.items():
            button = gr.Button(tool.capitalize(), size="sm", elem_id=f"softinpaint_tool_{tool.replace(' ', '_')}")
            button.click(functools.partial(_with_step, example), text, text, **QUIETLY)
        clear = gr.Button("Clear", size="sm", elem_id="softinpaint_mask_tools_clear")
        clear.click(lambda: "", None, text, **QUIETLY)


def _with_step(step: str, text: str) -> str:
    """The mask tools with one more step. One that makes a mask from the image goes first, in place of another."""
    steps = [part.strip() for part in text.split(",") if part.strip()]
    if not step.startswith(SOURCES):
        return ", ".join([*steps, step])
    return ", ".join([step, *(each for each in steps if not each.startswith((*SOURCES, "color")))])


def _keep_size(keep_size: KeepSize) -> None:
    box = gr.Checkbox(keep_size.get, label="Keep width and height when sending an image to another tab",
                      elem_id="softinpaint_keep_size")
    ui_config.leave_out(box)
    box.change(keep_size.set, box, **QUIETLY)


def component(field: Field, elem_id: str) -> Any:
    """Input component for a field. A text field that is not saved gets an image upload."""
    common = {"label": field.label, "info": field.help or None, "value": field.default, "elem_id": elem_id}
    if field.choices:
        return gr.Radio(choices=list(field.choices), **common)
    if isinstance(field.default, bool):
        return gr.Checkbox(**common)
    if isinstance(field.default, str):
        return gr.Textbox(max_lines=1, **common) if field.saved else _image_upload(common)
    assert field.range is not None, f"{field.name} is not a number"
    return gr.Slider(minimum=field.range.low, maximum=field.range.high, step=field.range.step, **common)


def _image_upload(common: dict[str, Any]) -> Any:
    """A file upload, and a hidden text box with its base64 text, since arguments may be written as JSON.

    Gradio's image component would reduce the image to 8 bits and drop its alpha channel.
    """
    chosen = gr.File(label=common["label"], file_types=["image"], height=UPLOAD_HEIGHT_PX, elem_id=common["elem_id"] + FILE)
    gr.Markdown(common["info"])
    encoded = gr.Textbox(**{**common, "visible": False})
    ui_config.leave_out(encoded)
    chosen.change(_encoded, chosen, encoded, show_progress="hidden")
    return encoded


def _encoded(file: Any) -> str:
    """Gradio's file as base64, or "" if none is chosen. Gradio 3 passes an open file, Gradio 4 a path."""
    return base64.b64encode(Path(getattr(file, "name", file)).read_bytes()).decode() if file else ""
