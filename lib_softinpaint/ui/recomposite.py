"""The panel that makes the composite of a finished picture again, under the accordion's own sliders."""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from lib_softinpaint.composite import over_white
from lib_softinpaint.encoded import encoded
from lib_softinpaint.fields import Value
from lib_softinpaint.kept import KeptPicture
from lib_softinpaint.recompositing import Busy, recomposites
from lib_softinpaint.settings import Settings
from lib_softinpaint.ui.events import ASK_RECOMPOSITE, QUIETLY, RECOMPOSITED, javascript
from lib_softinpaint.views import VIEWS

PREVIEW_QUALITY = 90
"""Of a JPEG: a PNG takes longer to write than the composite to make."""

INTRODUCTION = ("Choose a picture in the gallery, take it, and move the sliders under _Composite_, or the feather and grow "
                "under _Mask_: it changes at once, without sampling.")
NOTHING_TAKEN = "No picture is taken."


@dataclass(frozen=True)
class Panel:
    """The panel's components."""
    identity: Any
    """Of the taken picture; empty for none."""
    take: Any
    render: Any
    """Hidden; javascript/softInpainting.mjs clicks it once the last answer has come, so none can overtake another."""
    view: Any
    preview: Any
    told: Any
    save: Any


@dataclass(frozen=True)
class Host:
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
    get: Callable[[str], KeptPicture]
    save: Callable[[Image.Image, str, Any, str], tuple[str, Any, str]]
    selected: str


def build() -> Panel:
    render = gr.Button("Re-composite", elem_id="softinpaint_recomposite_render")
    with gr.Accordion("Composite again, without generating", open=False, elem_id="softinpaint_recomposite"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            take = gr.Button("Take the chosen picture", elem_id="softinpaint_recomposite_take")
            save = gr.Button("Save and add to the gallery", elem_id="softinpaint_recomposite_save")
        view = gr.Radio(list(VIEWS), value=next(iter(VIEWS)), label="View", elem_id="softinpaint_recomposite_view")
        view.do_not_save_to_config = True
        told = gr.Markdown(NOTHING_TAKEN, elem_id="softinpaint_recomposite_told")
        preview = gr.HTML(elem_id="softinpaint_recomposite_preview")
    return Panel(gr.State(""), take, render, view, preview, told, save)


def connect(panel: Panel, settings: Mapping[str, Any], gallery: Any, generation_info: Any, host: Host) -> None:
    """Gives the panel's components their events.

    Parameters
    ----------
    settings
        Components of the composite's settings by name.
    gallery, generation_info
        The host's gallery, and the text box that holds the infotext of each of its pictures.
    """
    def chosen(identity: str, values: tuple[Value, ...]) -> tuple[KeptPicture, Settings]:
        picture = host.get(identity)
        return picture, picture.settings_with(dict(zip(settings, values)))

    def render(identity: str, view: str, *values: Value) -> tuple[Any, Any]:
        if not identity:
            return _unchanged(), _unchanged()
        start = time.perf_counter()
        make, reading = VIEWS[view]
        try:
            with recomposites.turn():
                result = make(*chosen(identity, values))
        except (LookupError, ValueError, Busy) as fault:
            return _unchanged(), _sentence(fault)
        taken_ms = 1000 * (time.perf_counter() - start)
        return _shown(Image.fromarray(result), view), f"Composited again in {taken_ms:.0f} ms; not saved. {reading}"

    def take(pictures: Any, index: int) -> tuple[str, str, str]:
        try:
            return host.find(pictures, index), "", ""
        except LookupError as fault:
            return "", "", _sentence(fault)

    def save(identity: str, pictures: Any, info: str, *values: Value) -> tuple[Any, ...]:
        if not identity:
            return _unchanged(), _unchanged(), NOTHING_TAKEN
        try:
            picture, under = chosen(identity, values)
            with recomposites.turn():
                result = image(picture, under)
            name, pictures, info = host.save(result, picture.infotext_with(under), pictures, info)
        except (LookupError, ValueError, OSError, Busy) as fault:
            return _unchanged(), _unchanged(), _sentence(fault)
        return pictures, info, f"Saved as {name}."

    inputs = list(settings.values())
    with_index = javascript(panel.take.click, f"(pictures, index) => [pictures, {host.selected}]")
    ask, answered = javascript(panel.take.click, ASK_RECOMPOSITE), javascript(panel.take.click, RECOMPOSITED)
    panel.take.click(take, [gallery, panel.told], [panel.identity, panel.preview, panel.told], **with_index, **QUIETLY).then(
        None, None, None, **ask)
    for component in (panel.view, *inputs):
        component.change(None, None, None, **ask)
    panel.render.click(render, [panel.identity, panel.view, *inputs], [panel.preview, panel.told], **QUIETLY).then(
        None, None, None, **answered)
    panel.save.click(save, [panel.identity, gallery, generation_info, *inputs], [gallery, generation_info, panel.told],
                     **QUIETLY)


def image(picture: KeptPicture, settings: Settings) -> Image.Image:
    """The result under other settings, with the colour profile of the original."""
    result = Image.fromarray(picture.composited(settings))
    if picture.colour_profile:
        result.info["icc_profile"] = picture.colour_profile
    return result


def _unchanged() -> Any:
    return gr.update()


def _sentence(fault: Exception) -> str:
    return str(fault.args[0] if fault.args else fault)


def _shown(picture: Image.Image, view: str) -> str:
    source = encoded(over_white(picture), "JPEG", quality=PREVIEW_QUALITY)
    return f'<img alt="{view}, composited again" src="data:image/jpeg;base64,{source}">'
