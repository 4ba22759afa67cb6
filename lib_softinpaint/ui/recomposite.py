"""The panel that re-composites a finished image under the accordion's sliders."""
from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from lib_softinpaint.generation.colours import with_colours
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.turns import Busy, Overtaken, recomposites
from lib_softinpaint.generation.views import VIEWS
from lib_softinpaint.images import export
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.settings import Settings
from lib_softinpaint.ui import ui_config
from lib_softinpaint.ui.events import QUIETLY, javascript

PREVIEW_QUALITY = 90
"""JPEG quality. Writing a PNG takes longer than compositing."""

INTRODUCTION = ("Select an image in the gallery and click Use selected image. Then move Feather source and Edge awareness "
                "above, or Mask grow and the Composite sliders under Advanced. The preview updates at once, without "
                "sampling. The next image that you generate uses these sliders too.")
TICKET = "`${performance.timeOrigin} ${performance.now()}`"
"""JavaScript for a ticket: which page sent the request, and when. A page's requests may reach the server in any order."""

NOTHING_TAKEN = "No image selected."

EXPORTED = "softinpaint"
"""Start of the names of exported files."""

FOLDERS = 4
"""Exports whose temporary files are kept. Gradio copies them before it offers them."""

EXPORTED_HELP = ("Click a file to download it. Krita and GIMP open the layers (.ora). The layer change is the new content "
                 "with its opacity; the masks have 16 bits.")


@dataclass(frozen=True)
class Panel:
    """The panel's components."""

    identity: Any
    """Id of the selected image; empty for none."""
    take: Any
    view: Any
    preview: Any
    status: Any
    save: Any
    export: Any
    files: Any


@dataclass(frozen=True)
class Results:
    """What the host does for the panel.

    Parameters
    ----------
    find
        Returns the id of the gallery's image that `selected` names. Raises LookupError with a sentence if it is not kept.
    get
        Returns the kept image with this id. Raises LookupError with a sentence if it is no longer kept.
    save
        Saves a result. Returns its file name, and the gallery and generation info with the result added.
    selected
        JavaScript for the index of the image that is selected in the gallery, or for its name.
    """

    find: Callable[[Any, Any], str]
    get: Callable[[str], KeptImage]
    save: Callable[[Image.Image, str, Any, str], tuple[str, Any, str]]
    selected: str


def build() -> Panel:
    with gr.Accordion("Re-composite (no sampling)", open=False, elem_id="softinpaint_recomposite"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            take = gr.Button("Use selected image", elem_id="softinpaint_recomposite_take")
            save = gr.Button("Save and add to the gallery", elem_id="softinpaint_recomposite_save")
            export = gr.Button("Export layers and masks", elem_id="softinpaint_recomposite_export")
        view = gr.Radio(list(VIEWS), value=next(iter(VIEWS)), label="View", elem_id="softinpaint_recomposite_view")
        ui_config.leave_out(view)
        status = gr.Markdown(NOTHING_TAKEN, elem_id="softinpaint_recomposite_status")
        files = gr.File(label="Layers and masks", file_count="multiple", interactive=False, visible=False,
                        elem_id="softinpaint_recomposite_files")
        ui_config.leave_out(files)
        preview = gr.HTML(elem_id="softinpaint_recomposite_preview")
    return Panel(gr.State(""), take, view, preview, status, save, export, files)


def connect(panel: Panel, settings: Mapping[str, Any], gallery: Any, generation_info: Any, results: Results) -> None:
    """Gives the panel's components their events.

    Parameters
    ----------
    settings
        Components of the composite's settings by name.
    gallery, generation_info
        The host's gallery, and the text box with the infotexts of its images. A host that has none passes what it needs to
        save a result.
    """
    def chosen(identity: str, values: tuple[Value, ...]) -> tuple[KeptImage, Settings]:
        kept = results.get(identity)
        return kept, kept.settings_with(dict(zip(settings, values)))

    def render(ticket: str, identity: str, view: str, *values: Value) -> tuple[Any, Any]:
        if not identity:
            return _unchanged(), _unchanged()
        page, number = map(float, ticket.split(" "))
        make, reading = VIEWS[view]
        try:
            with recomposites.turn(page, number):
                start = time.perf_counter()
                result = make(*chosen(identity, values))
                taken_ms = 1000 * (time.perf_counter() - start)
                shown = _shown(Image.fromarray(result), view)
        except Overtaken:
            return _unchanged(), _unchanged()
        except (LookupError, ValueError, Busy) as fault:
            return _unchanged(), _sentence(fault)
        if not recomposites.is_newest(page, number):
            return _unchanged(), _unchanged()
        return shown, f"Re-composited in {taken_ms:.0f} ms. Not saved yet. {reading}"

    def take(gallery: Any, index: Any, ticket: str, view: str, *values: Value) -> tuple[Any, ...]:
        try:
            identity = results.find(gallery, index)
        except LookupError as fault:
            return "", "", _sentence(fault)
        return identity, *render(ticket, identity, view, *values)

    def save(identity: str, gallery: Any, info: str, *values: Value) -> tuple[Any, ...]:
        if not identity:
            return _unchanged(), _unchanged(), NOTHING_TAKEN
        try:
            kept, new_settings = chosen(identity, values)
            with recomposites.turn():
                result = with_colours(Image.fromarray(kept.composited(new_settings)), kept.colours)
            name, gallery, info = results.save(result, kept.infotext_with(new_settings), gallery, info)
        except (LookupError, ValueError, OSError, Busy) as fault:
            return _unchanged(), _unchanged(), _sentence(fault)
        return gallery, info, f"Saved as {name}."

    folders: list[tempfile.TemporaryDirectory[str]] = []

    def export_files(identity: str, *values: Value) -> tuple[Any, Any]:
        if not identity:
            return _unchanged(), NOTHING_TAKEN
        try:
            kept, new_settings = chosen(identity, values)
            with recomposites.turn():
                if len(folders) == FOLDERS:
                    folders.pop(0).cleanup()
                folders.append(tempfile.TemporaryDirectory(prefix="softinpaint-"))
                paths = export.save(kept, new_settings, Path(folders[-1].name), EXPORTED)
        except (LookupError, ValueError, OSError, Busy) as fault:
            return _unchanged(), _sentence(fault)
        return gr.update(value=[str(path) for path in paths], visible=True), EXPORTED_HELP

    inputs = list(settings.values())
    # JavaScript replaces unused inputs with the index and the ticket. Gradio also passes it the outputs. They are cut off,
    # because Gradio 4 would misalign the inputs if they were returned.
    values = f"...values.slice(0, {1 + len(inputs)})"
    with_index = javascript(panel.take.click, f"(gallery, index, ticket, ...values) => "
                                              f"[gallery, {results.selected}, {TICKET}, {values}]")
    panel.take.click(take, [gallery, panel.status, panel.status, panel.view, *inputs],
                     [panel.identity, panel.preview, panel.status], **with_index, **QUIETLY)
    for component in (panel.view, *inputs):
        component.change(render, [panel.status, panel.identity, panel.view, *inputs], [panel.preview, panel.status],
                         **javascript(component.change, f"(ticket, identity, ...values) => [{TICKET}, identity, {values}]"),
                         **QUIETLY)
    panel.save.click(save, [panel.identity, gallery, generation_info, *inputs], [gallery, generation_info, panel.status],
                     **QUIETLY)
    panel.export.click(export_files, [panel.identity, *inputs], [panel.files, panel.status], **QUIETLY)


def _unchanged() -> Any:
    return gr.update()


def _sentence(fault: Exception) -> str:
    return str(fault.args[0] if fault.args else fault)


def _shown(image: Image.Image, view: str) -> str:
    source = encoded(over_white(image), "JPEG", quality=PREVIEW_QUALITY)
    return f'<img alt="{view}, re-composited" src="data:image/jpeg;base64,{source}">'
