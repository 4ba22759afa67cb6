"""The panel that makes the composite of a finished picture again, under the accordion's own sliders."""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from lib_softinpaint.generation.colours import with_colours
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.turns import Busy, Overtaken, recomposites
from lib_softinpaint.generation.views import VIEWS
from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.settings import Settings
from lib_softinpaint.ui import ui_config
from lib_softinpaint.ui.events import QUIETLY, javascript

PREVIEW_QUALITY = 90
"""Of a JPEG: a PNG takes longer to write than the composite to make."""

INTRODUCTION = ("Choose a picture in the gallery, take it, and move the sliders under _Composite_, or the feather and grow "
                "under _Mask_: it changes at once, without sampling.")
TICKET = "`${performance.timeOrigin} ${performance.now()}`"
"""JavaScript: which page asks, and when. Requests of one page may reach the server in any order."""

NOTHING_TAKEN = "No picture is taken."


@dataclass(frozen=True)
class Panel:
    """The panel's components."""
    identity: Any
    """Of the taken picture; empty for none."""
    take: Any
    view: Any
    preview: Any
    told: Any
    save: Any


@dataclass(frozen=True)
class Results:
    """What the program around the page does for the panel.

    Parameters
    ----------
    find
        Id of the gallery's picture of this index; LookupError with a sentence where it is not kept.
    get
        Kept picture of an id; LookupError with a sentence where it is kept no longer.
    save
        Writes a result, made with these settings, and answers its name, the gallery and the generation info with it.
    selected
        JavaScript that answers the index of the picture that is chosen in the gallery.
    """
    find: Callable[[Any, int], str]
    get: Callable[[str], KeptImage]
    save: Callable[[Image.Image, str, Any, str], tuple[str, Any, str]]
    selected: str


def build() -> Panel:
    with gr.Accordion("Composite again, without generating", open=False, elem_id="softinpaint_recomposite"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            take = gr.Button("Take the chosen picture", elem_id="softinpaint_recomposite_take")
            save = gr.Button("Save and add to the gallery", elem_id="softinpaint_recomposite_save")
        view = gr.Radio(list(VIEWS), value=next(iter(VIEWS)), label="View", elem_id="softinpaint_recomposite_view")
        ui_config.leave_out(view)
        told = gr.Markdown(NOTHING_TAKEN, elem_id="softinpaint_recomposite_told")
        preview = gr.HTML(elem_id="softinpaint_recomposite_preview")
    return Panel(gr.State(""), take, view, preview, told, save)


def connect(panel: Panel, settings: Mapping[str, Any], gallery: Any, generation_info: Any, results: Results) -> None:
    """Gives the panel's components their events.

    Parameters
    ----------
    settings
        Components of the composite's settings by name.
    gallery, generation_info
        The host's gallery, and the text box that holds the infotext of each of its pictures.
    """
    def chosen(identity: str, values: tuple[Value, ...]) -> tuple[KeptImage, Settings]:
        picture = results.get(identity)
        return picture, picture.settings_with(dict(zip(settings, values)))

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
        return shown, f"Composited again in {taken_ms:.0f} ms; not saved. {reading}"

    def take(pictures: Any, index: int, ticket: str, view: str, *values: Value) -> tuple[Any, ...]:
        try:
            identity = results.find(pictures, index)
        except LookupError as fault:
            return "", "", _sentence(fault)
        return identity, *render(ticket, identity, view, *values)

    def save(identity: str, pictures: Any, info: str, *values: Value) -> tuple[Any, ...]:
        if not identity:
            return _unchanged(), _unchanged(), NOTHING_TAKEN
        try:
            picture, under = chosen(identity, values)
            with recomposites.turn():
                result = with_colours(Image.fromarray(picture.composited(under)), picture.colours)
            name, pictures, info = results.save(result, picture.infotext_with(under), pictures, info)
        except (LookupError, ValueError, OSError, Busy) as fault:
            return _unchanged(), _unchanged(), _sentence(fault)
        return pictures, info, f"Saved as {name}."

    inputs = list(settings.values())
    # JavaScript puts the index and the ticket in place of inputs that are not needed.
    with_index = javascript(panel.take.click, f"(pictures, index, ticket, ...values) => "
                                              f"[pictures, {results.selected}, {TICKET}, ...values]")
    panel.take.click(take, [gallery, panel.told, panel.told, panel.view, *inputs],
                     [panel.identity, panel.preview, panel.told], **with_index, **QUIETLY)
    for component in (panel.view, *inputs):
        component.change(render, [panel.told, panel.identity, panel.view, *inputs], [panel.preview, panel.told],
                         **javascript(component.change, f"(ticket, ...values) => [{TICKET}, ...values]"), **QUIETLY)
    panel.save.click(save, [panel.identity, gallery, generation_info, *inputs], [gallery, generation_info, panel.told],
                     **QUIETLY)


def _unchanged() -> Any:
    return gr.update()


def _sentence(fault: Exception) -> str:
    return str(fault.args[0] if fault.args else fault)


def _shown(picture: Image.Image, view: str) -> str:
    source = encoded(over_white(picture), "JPEG", quality=PREVIEW_QUALITY)
    return f'<img alt="{view}, composited again" src="data:image/jpeg;base64,{source}">'
