"""The panel that accepts, compares and discards results, and goes back to earlier ones."""
from __future__ import annotations

import html
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context
from PIL import Image

from lib_softinpaint.images.steps import Chain, Step, Steps
from lib_softinpaint.ui import compared, ui_config
from lib_softinpaint.ui.events import QUIETLY, javascript

INTRODUCTION = ("Select an image in the gallery. Accept makes it the next image to inpaint; prompt, size and all other "
                "fields stay. Accepted images are kept on disk, so Undo also works after a reload or restart.")
CLEARED, KEPT = "cleared", "kept"
SLIDER, DIFFERENCE = "Slider", "Difference"

UPLOAD_HEIGHT_PX = 100

FAULTS = LookupError, ValueError, OSError
"""What a click may raise, with a sentence."""


@dataclass(frozen=True)
class Selected:
    """An image of the gallery.

    Parameters
    ----------
    number
        Its number in the gallery, from 1. A grid or contact sheet does not count.
    image
    infotext
    mask
        Name of its painted mask; "" if unknown.
    original
        The image that it was made of; None if it is no longer kept.
    """

    number: int
    image: Image.Image
    infotext: str
    mask: str
    original: Image.Image | None


@dataclass(frozen=True)
class Host:
    """What the host does for the panel.

    Parameters
    ----------
    steps
    selected
        Takes the gallery, its generation info and an index. Raises LookupError with a sentence if there is no such image.
    without
        Returns the gallery and its generation info without the image at an index.
    mask_file
        Returns the file of a painted mask by its name. Raises LookupError with a sentence if there is none.
    mask_of_file
        Returns the name of the painted mask of an image file; "" if unknown.
    save_mask
        Saves the mask of an image where the host saves its own images. Returns the file name.
    about
        What an infotext says, in a few words.
    index
        JavaScript for the index of the image that is selected in the gallery.
    show_canvas
        JavaScript that opens the tab with the image to inpaint.
    """

    steps: Steps
    selected: Callable[[Any, str, int], Selected]
    without: Callable[[Any, str, int], tuple[Any, str]]
    mask_file: Callable[[str], Path]
    mask_of_file: Callable[[Path], str]
    save_mask: Callable[[Selected], str]
    about: Callable[[str], str]
    index: str
    show_canvas: str


@dataclass(frozen=True)
class Panel:
    """The panel's components."""

    accept: Any
    discard: Any
    mask: Any
    undo: Any
    redo: Any
    step: Any
    go_to: Any
    clear: Any
    strip: Any
    load_mask: Any
    save_mask: Any
    mask_of: Any
    compare: Any
    hold: Any
    held: Any
    """Number and image of the gallery image that is held, or None."""
    next: Any
    """Hidden text: file of the step that the canvas shows next, and a time."""
    view: Any
    status: Any
    compared: Any


def build() -> Panel:
    def button(label: str, name: str) -> Any:
        return gr.Button(label, elem_id=f"softinpaint_staging_{name}", size="sm")
    with gr.Accordion("Accept, compare, undo", open=False, elem_id="softinpaint_staging"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            accept, discard = button("Accept", "accept"), button("Discard", "discard")
            undo, redo = button("Undo", "undo"), button("Redo", "redo")
        mask = gr.Radio([CLEARED, KEPT], value=CLEARED, label="Mask on the next image", elem_id="softinpaint_staging_mask",
                        info="Kept: it is loaded as Mask image, which is used until you paint.")
        status = gr.Markdown("", elem_id="softinpaint_staging_status")
        strip = gr.HTML(elem_id="softinpaint_staging_strip")
        with gr.Row():
            step = gr.Dropdown(choices=[], value=None, label="Accepted images", elem_id="softinpaint_staging_step")
            go_to, clear = button("Go to", "go_to"), button("Clear history", "clear")
        gr.Markdown("### Compare")
        with gr.Row():
            compare, hold = button("Compare", "compare"), button("Hold for comparison", "hold")
        view = gr.Radio([SLIDER, DIFFERENCE], value=SLIDER, label="View", elem_id="softinpaint_staging_view",
                        info="With the held image, or with the original if none is held.")
        compared = gr.HTML(elem_id="softinpaint_staging_compared")
        gr.Markdown("### Painted mask")
        with gr.Row():
            load_mask, save_mask = button("Use its mask", "load_mask"), button("Save its mask", "save_mask")
        mask_of = gr.File(label="Use the mask of a saved result", file_types=["image"], height=UPLOAD_HEIGHT_PX,
                          elem_id="softinpaint_staging_mask_of")
        following = gr.Textbox("", visible=False, elem_id="softinpaint_staging_next")
    for component in (mask, step, view, following):
        ui_config.leave_out(component)
    return Panel(accept, discard, mask, undo, redo, step, go_to, clear, strip, load_mask, save_mask, mask_of, compare, hold,
                 gr.State(None), following, view, status, compared)


def connect(panel: Panel, canvas: Sequence[Any], mask_image: Any, gallery: Any, generation_info: Any, host: Host) -> None:
    """Gives the panel's components their events.

    Parameters
    ----------
    canvas
        The host's component with the image to inpaint and, if it is another one, that with the paint.
    mask_image
        The file of the setting *Mask image*.
    gallery, generation_info
        The host's gallery, and the text box with the infotexts of its images.
    """
    steps = host.steps
    position = [panel.step, panel.strip, panel.status]
    onto_canvas = [panel.next, mask_image, *position]

    def shown(chain: Chain, sentence: str) -> list[Any]:
        names = [f"{place}: {step.about}" for place, step in enumerate(chain.steps)]
        tiles = compared.strip(((name, _readable(steps, step)) for name, step in zip(names, chain.steps)), chain.current)
        return [gr.update(choices=names, value=names[chain.current] if names else None), tiles, sentence]

    def mask_update(name: str) -> Any:
        return gr.update(value=_copied(host.mask_file(name)))

    def asked_for(step: Step, mask: str, keeps: str) -> list[Any]:
        """Updates of the file that the canvas shows next, and of *Mask image*. The time makes the same file another value."""
        return [f"{step.file} {time.time_ns()}", mask_update(mask) if keeps == KEPT else gr.update(value=None)]

    def emptied(*_: Any) -> Any:
        # No gr.update: in Gradio 4, it builds Forge's canvas anew with other options.
        return [None for _ in canvas] if len(canvas) > 1 else None

    def place(asked: str) -> Image.Image | None:
        """The image for the empty canvas. Put over another image, it would keep the paint in Gradio 3."""
        try:
            return steps.image(Step(Path(asked.partition(" ")[0]).name, ""))
        except FAULTS:  # the history was cleared meanwhile
            return None

    def nothing(outputs: Sequence[Any], fault: Exception) -> list[Any]:
        return [*(gr.update() for _ in outputs[1:]), _sentence(fault)]

    def accept(gallery: Any, info: str, index: int, keeps: str) -> list[Any]:
        try:
            found = host.selected(gallery, info, index)
            if keeps == KEPT:
                host.mask_file(found.mask)  # if it is gone, nothing is accepted
            chain = steps.accept(found.original, found.mask, found.image, found.infotext, host.about(found.infotext))
            update = asked_for(chain.steps[chain.current], found.mask, keeps)
        except FAULTS as fault:
            return nothing(onto_canvas, fault)
        lost = "" if found.original else " Its original is no longer kept, so it cannot be undone to that."
        return [*update, *shown(chain, f"Accepted image {found.number} as step {chain.current}. {_about_mask(keeps)}{lost}")]

    def go(choose: Callable[[Chain], int], keeps: str) -> list[Any]:
        try:
            chain = steps.go_to(choose(steps.read()))
            step = chain.steps[chain.current]
            update = asked_for(step, step.mask, keeps if step.mask else CLEARED)
        except FAULTS as fault:
            return nothing(onto_canvas, fault)
        return [*update, *shown(chain, f"Step {chain.current} is the image to inpaint. "
                                       f"{_about_mask(keeps if step.mask else CLEARED)}")]

    def discard(gallery: Any, info: str, index: int) -> list[Any]:
        try:
            found = host.selected(gallery, info, index)
            return [*host.without(gallery, info, index), f"Image {found.number} was removed from the gallery. Its file stays."]
        except FAULTS as fault:
            return nothing([gallery, info, panel.status], fault)

    def clear() -> list[Any]:
        try:
            return shown(steps.clear(), "The history is empty. Files in the output folder stay.")
        except FAULTS as fault:
            return nothing(position, fault)

    def load_mask(gallery: Any, info: str, index: int) -> list[Any]:
        try:
            found = host.selected(gallery, info, index)
            return [mask_update(found.mask), f"The mask of image {found.number} is now Mask image."]
        except FAULTS as fault:
            return nothing([mask_image, panel.status], fault)

    def load_mask_of(file: Any) -> list[Any]:
        if not file:
            return [gr.update(), gr.update()]
        path = Path(getattr(file, "name", file))
        try:
            return [mask_update(host.mask_of_file(path)), f"The mask of {html.escape(path.name)} is now Mask image."]
        except FAULTS as fault:
            return nothing([mask_image, panel.status], fault)

    def save_mask(gallery: Any, info: str, index: int) -> str:
        try:
            return f"Saved as {host.save_mask(host.selected(gallery, info, index))}."
        except FAULTS as fault:
            return _sentence(fault)

    def hold(gallery: Any, info: str, index: int, held: Any) -> tuple[Any, Any, str]:
        if held is not None:
            return None, gr.update(value="Hold for comparison"), "Images are compared with their original."
        try:
            found = host.selected(gallery, info, index)
        except FAULTS as fault:
            return None, gr.update(), _sentence(fault)
        return (found.number, found.image), gr.update(value=f"Let go of image {found.number}"), (
            f"Image {found.number} is held. Select another one and click Compare.")

    def compare(gallery: Any, info: str, index: int, held: Any, view: str) -> tuple[Any, str]:
        try:
            found = host.selected(gallery, info, index)
            name, other = ("the original", found.original) if held is None else (f"image {held[0]}", held[1])
            if other is None:
                raise LookupError("The original of this image is no longer kept. Hold another image to compare with it.")
            if other.size != found.image.size:
                raise LookupError(f"Images to compare must have the same size, got {other.width}x{other.height} and "
                                  f"{found.image.width}x{found.image.height}.")
            show = compared.slider if view == SLIDER else compared.difference
            return show(other, found.image, name, f"image {found.number}"), ""
        except FAULTS as fault:
            return gr.update(), _sentence(fault)

    def listen(event: Callable, function: Callable, others: Sequence[Any], outputs: Sequence[Any], before: str = "") -> None:
        """Calls the function with the gallery, its generation info, the selected image's index and the others."""
        inputs = [gallery, generation_info, panel.status, *others]
        # Gradio also passes the outputs. They are cut off, because Gradio 4 would misalign the inputs if they were returned.
        code = (f"(gallery, info, index, ...others) => {{ {before} "
                f"return [gallery, info, {host.index}, ...others].slice(0, {len(inputs)}); }}")
        event(function, inputs, list(outputs), **javascript(event, code), **QUIETLY)

    panel.next.change(emptied, None, list(canvas), **QUIETLY).then(place, panel.next, canvas[0], **QUIETLY)
    listen(panel.accept.click, accept, [panel.mask], onto_canvas, host.show_canvas)
    for button, choose in ((panel.undo, lambda chain: chain.current - 1), (panel.redo, lambda chain: chain.current + 1)):
        button.click(lambda keeps, choose=choose: go(choose, keeps), panel.mask, onto_canvas, **QUIETLY)
    panel.go_to.click(lambda name, keeps: go(lambda _: int(str(name).partition(":")[0]) if name else -1, keeps),
                      [panel.step, panel.mask], onto_canvas, **QUIETLY)
    panel.clear.click(clear, None, position, **QUIETLY)
    listen(panel.discard.click, discard, [], [gallery, generation_info, panel.status])
    listen(panel.load_mask.click, load_mask, [], [mask_image, panel.status])
    listen(panel.save_mask.click, save_mask, [], [panel.status])
    panel.mask_of.change(load_mask_of, panel.mask_of, [mask_image, panel.status], **QUIETLY)
    listen(panel.hold.click, hold, [panel.held], [panel.held, panel.hold, panel.status])
    listen(panel.compare.click, compare, [panel.held, panel.view], [panel.compared, panel.status])
    listen(panel.view.change, compare, [panel.held, panel.view], [panel.compared, panel.status])

    def loaded() -> list[Any]:
        try:
            return shown(steps.read(), "")
        except FAULTS as fault:
            return nothing(position, fault)
    assert Context.root_block is not None, "a page is being built"
    Context.root_block.load(loaded, None, position, **QUIETLY)


def component_named(elem_id: str) -> Any:
    """The component of the page being built that has this elem_id."""
    return next(block for block in _blocks() if getattr(block, "elem_id", None) == elem_id)


def canvas_of(elem_id: str) -> list[Any]:
    """The component with the image on the canvas of this elem_id and, on Forge's canvas, the one with its paint."""
    canvas = component_named(elem_id)
    if not isinstance(canvas, gr.HTML):
        return [canvas]
    parts = _blocks()[_blocks().index(canvas):]
    return [next(part for part in parts if f"logical_image_{layer}" in (getattr(part, "elem_classes", None) or ()))
            for layer in ("background", "foreground")]


def _blocks() -> list[Any]:
    assert Context.root_block is not None, "a page is being built"
    return list(Context.root_block.blocks.values())


def _readable(steps: Steps, step: Step) -> Image.Image | None:
    try:
        return steps.image(step)
    except FAULTS:
        return None


def _about_mask(keeps: str) -> str:
    return "Its mask is loaded as Mask image; paint to use another one." if keeps == KEPT else "Nothing is painted on it."


def _copied(mask: Path) -> str:
    """A copy of the mask in a folder that every Gradio may serve."""
    copy = Path(tempfile.mkdtemp(prefix="softinpaint-")) / "mask.png"
    copy.write_bytes(mask.read_bytes())
    return str(copy)


def _sentence(fault: Exception) -> str:
    return html.escape(str(fault.args[0] if isinstance(fault, LookupError) and fault.args else fault))
