"""The stand-alone page: a canvas to paint on, the request, the accordion, and a gallery."""

from __future__ import annotations

import errno
import html
import inspect
import io
import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context
from gradio.themes import Default
from PIL import Image

from lib_softinpaint.bundled import bundled
from lib_softinpaint.geometry import Size
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.encoded import as_bytes, decoded, encoded
from lib_softinpaint.images.painted import LEAST_VALUE, grey_image, painted_or_sent, strengths
from lib_softinpaint.images.read import as_original
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.fields import Field, read
from lib_softinpaint.settings.presets import REQUEST_FIELDS, PresetFile
from lib_softinpaint.settings.request import FIELDS, INPAINT_NOT_MASKED, Request, from_infotext, with_seed
from lib_softinpaint.settings.settings import composite_fields, read_args
from lib_softinpaint.ui import accordion, presets, recomposite, scripts
from lib_softinpaint.ui.elements import (
    GALLERY,
    GENERATION_INFO,
    HEIGHT,
    NEGATIVE_PROMPT,
    PROMPT,
    REQUEST,
    SIZE_FROM_IMAGE,
    WIDTH,
)
from lib_softinpaint.ui.events import QUIETLY, javascript, redraw_on_change
from lib_softinpaint.ui.painting import Line, Step, streamed

STYLES = bundled("style.css"), Path(__file__).with_name("page.css")

CANVAS, MODEL, SEED, INFOTEXT = "softinpaint_paint", "softinpaint_model", "softinpaint_seed", "softinpaint_infotext"

PAINTED = (f"(image, mask, ...values) => [document.querySelector('#{CANVAS} img').src, "
           f"document.querySelector('#{CANVAS} canvas').toDataURL(), ...values]")
"""JavaScript that replaces an event's first two inputs by the image and the mask of the canvas."""

SELECTED = (f"[...document.querySelectorAll('#{GALLERY} .thumbnail-item')]"
            ".findIndex((item) => item.classList.contains('selected'))")

CANVAS_HTML = """<div id="{canvas}">
<div class="tools" role="toolbar" aria-label="Painting">
<label>Image <input type="file" accept="image/*"></label>
<label>Brush <input class="brush" type="range" min="1" max="40" value="8"></label>
<label>Strength <input class="strength" type="range" min="5" max="100" step="5" value="100"></label>
<label><input class="erase" type="checkbox"> Erase</label>
<button class="undo" type="button">Undo</button>
<button class="clear" type="button">Clear</button>
</div>
<p class="told" role="status"></p>
<div class="stage"><img alt="The image to inpaint" src="{image}">
<canvas key="mask" role="img" aria-label="The mask: paint what should change" data-mask="{mask}"></canvas>
<div class="ring"></div></div>
</div>"""

USUAL_COUNT = 4
"""Default number of images: enough to make sorting them useful."""

MOST_TABS = 16
"""Tabs that may wait for their turn, each in a thread of the web server. Further ones wait in its queue."""

PREVIEW_QUALITY = 85
"""JPEG quality."""

ADDRESS = "127.0.0.1"

FONTS = "system-ui", "sans-serif"

REQUEST_ROWS = (("denoising_strength", "mask_blur"), ("masked_content",), ("mask_mode", "inpaint_area"),
                ("masked_area_padding", "cfg_scale"), ("sampler", "schedule_type"), ("steps", "batch_count"),
                ("width", "height"), ("seed", "clip_skip"))
"""Rows of fields."""


@dataclass(frozen=True)
class Finished:
    """One finished image.

    path
        PNG, with its infotext inside.
    blend_score
        From `score.blend_score`; None for hard inpainting.

    Notes
    -----
        Sentences about problems that the run recovered from.
    """

    path: Path
    infotext: str
    blend_score: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageHost:
    """What generates and keeps images for the page.

    Parameters
    ----------
    paint
        Yields the images of a request, whose seeds rise by one. Takes the request, the image, the painted mask, the number
        of images, the model's name or "", and a function to call after each step. Raises ValueError with a sentence if
        the request cannot be run.
    samplers, schedule_types
        Names.
    """

    paint: Callable[[Request, Image.Image, Image.Image, int, str, Step], Iterator[Finished]]
    samplers: Sequence[str]
    schedule_types: Sequence[str]
    recomposite: recomposite.Results


class PortTaken(OSError):
    """Another program is using the port."""


def serve(host: PageHost, own_presets: PresetFile, start: Request, image: Image.Image, mask: Image.Image | None,
          output: Path, model: str, port: int | None, open_browser: bool, started: Callable[[str], None]) -> None:
    """Shows the page until it is interrupted. Raises PortTaken if the port is taken, OSError if it cannot be used.

    Parameters
    ----------
    start, image, mask
        Initial contents of the page.
    output
        Folder for the results.
    started
        Called with the page's address once it is up.
    """
    theme = Default(font=FONTS, font_mono=("monospace",)).set(
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300")  # Gradio's own greys are hard to read
    look = {"theme": theme, "head": scripts.inlined(),
            "css": "\n".join(path.read_text(encoding="utf8") for path in STYLES)}
    of_launch = look.keys() & inspect.signature(gr.Blocks.launch).parameters.keys()  # since Gradio 6
    with gr.Blocks(title="Soft inpainting", analytics_enabled=False,
                   **{name: value for name, value in look.items() if name not in of_launch}) as blocks:
        _connect(_lay_out(host, own_presets, start, image, mask, model), host, own_presets)
    if port is not None:
        _check_port(port)
    _, address, _ = blocks.launch(
        server_name=ADDRESS, server_port=port, inbrowser=open_browser, allowed_paths=[str(output.resolve())], quiet=True,
        prevent_thread_lock=True, **{name: look[name] for name in of_launch})
    started(address)
    blocks.block_thread()


def _check_port(port: int) -> None:
    """Raises the errors that `serve` documents. Gradio only says that no port is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Gradio's own socket does, which binds next
        try:
            probe.bind((ADDRESS, port))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {port} is already in use") from fault
            raise OSError(f"port {port} cannot be used: {fault.strerror or fault}") from fault


@dataclass(frozen=True)
class _Page:
    """Components. Those of the request go by the names of its fields."""

    prompt: Any
    negative_prompt: Any
    generate: Any
    stop: Any
    paste: Any
    status: Any
    live: Any
    gallery: Any
    infotext: Any
    download: Any
    generation_info: Any
    request: dict[str, Any]
    model: Any
    accordion: accordion.Accordion
    canvas: tuple[Any, Any]
    """Receive the image and the painted mask, which JavaScript reads from the canvas."""

    @property
    def fields(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "negative_prompt": self.negative_prompt, **self.request}


def _lay_out(host: PageHost, own_presets: PresetFile, start: Request, image: Image.Image, mask: Image.Image | None,
             model: str) -> _Page:
    with gr.Row():
        with gr.Column():
            gr.HTML(CANVAS_HTML.format(canvas=CANVAS, image=_data_url(image), mask=_data_url(_as_paint(mask))))
            prompt = gr.Textbox(start.prompt, label="Prompt", lines=2, elem_id=PROMPT)
            negative_prompt = gr.Textbox(start.negative_prompt, label="Negative prompt", elem_id=NEGATIVE_PROMPT)
            with gr.Row():
                generate = gr.Button("Generate", variant="primary", elem_id="img2img_generate")
                stop = gr.Button("Stop", elem_id="img2img_interrupt", interactive=False)
                paste = gr.Button("Read infotext", elem_id="paste")
            status = gr.Markdown("", elem_id="softinpaint_told")
        with gr.Column():
            live = gr.HTML(elem_id="softinpaint_live")
            gallery = gr.Gallery(label="Images by blend score (100: no visible seam or ghost)", elem_id=GALLERY, columns=3,
                                 height="auto", object_fit="contain", interactive=False)
            infotext_box = gr.Textbox(label="Infotext", elem_id=INFOTEXT, lines=4, interactive=False)
            with gr.Row():
                download = gr.DownloadButton("Download with infotext", elem_id="softinpaint_download", interactive=False)
                gr.Button("Inpaint this image again", elem_id="softinpaint_take_result")
            generation_info = gr.Textbox(visible=False, elem_id=GENERATION_INFO)
    with gr.Row():
        with gr.Column():
            request = _request(host, start)
            model_name = gr.Textbox(model, label="Model", elem_id=MODEL, placeholder="bundled: flat landscapes, 256 x 256",
                                    info="A diffusers folder, a .safetensors file, or a model name on the Hugging Face Hub.")
        with gr.Column():
            built = accordion.build(_switched, own_presets)
            for name, component in built.settings.items():
                component.value = getattr(start.settings, name)
    canvas = gr.Textbox(visible=False), gr.Textbox(visible=False)
    return _Page(prompt, negative_prompt, generate, stop, paste, status, live, gallery, infotext_box, download,
                 generation_info, request, model_name, built, canvas)


def _connect(page: _Page, host: PageHost, own_presets: PresetFile) -> None:
    """Connects the components' events."""
    settings, fields = page.accordion.settings, page.fields
    running: dict[str | None, threading.Event] = {}
    line = Line()

    def begin(browser: gr.Request) -> dict:
        running[browser.session_hash] = threading.Event()
        return {page.status: "", page.live: "Waiting for another tab's images to finish.",
                page.generate: gr.update(interactive=False), page.stop: gr.update(interactive=True)}

    def paint(browser: gr.Request, image: str, mask: str, model: str, *values: Any) -> Iterator[dict]:
        stopped = running.setdefault(browser.session_hash, threading.Event())
        found: list[Finished] = []
        preview: Image.Image | None = None
        try:
            notes, wanted, count = _read_request(fields, values[:len(fields)], values[len(fields):])
            source, painted = _painted(image, mask, wanted, notes)
            yield {page.status: " ".join(notes)}
            for event in streamed(lambda step: host.paint(wanted, source, painted, count, model.strip(), step), line, stopped):
                if isinstance(event, Finished):
                    found.append(event)
                    notes += [note for note in event.notes if note not in notes]
                    yield {**shown(found), page.status: " ".join(notes)}
                else:
                    share, preview = event[0], event[1] or preview
                    yield {page.live: _live((len(found) + share) / count, preview)}
            if len(found) < count:
                yield {page.status: " ".join([*notes, f"Stopped after {len(found)} of {count} images."])}
            if found:  # sorted at the end, since the user may be looking at one of them
                yield shown(sorted(found, key=lambda image: image.blend_score or 0, reverse=True), selected_index=None)
        except ValueError as fault:
            yield {page.status: str(fault)}
        except Exception as fault:  # from the model: out of memory, for example
            traceback.print_exc()
            yield {page.status: f"Generating failed: {fault or type(fault).__name__}"}
        finally:
            running.pop(browser.session_hash, None)
        yield {page.live: "", page.generate: gr.update(interactive=True), page.stop: gr.update(interactive=False)}

    def shown(images: list[Finished], **of_gallery: Any) -> dict:
        return {page.gallery: gr.update(value=[(str(image.path), _caption(image)) for image in images], **of_gallery),
                page.generation_info: json.dumps({"infotexts": [image.infotext for image in images]}),
                page.infotext: images[0].infotext,
                page.download: gr.update(value=str(images[0].path), interactive=True)}

    def interrupt(browser: gr.Request) -> None:
        if browser.session_hash in running:
            running[browser.session_hash].set()

    def select(gallery: Any, generation_info: str, event: gr.SelectData) -> tuple[str, Any]:
        texts = json.loads(generation_info or "{}").get("infotexts", [])
        text = texts[event.index] if event.index < len(texts) else ""
        return text, gr.update(value=gallery[event.index][0], interactive=True)

    def read_infotext(image: str, mask: str, text: str) -> list[Any]:
        try:
            taken, notes = _pasted(text, image)
        except ValueError as fault:
            return [str(fault), *(gr.update() for _ in [*fields, *settings])]
        return [" ".join(notes), *(getattr(taken, name, gr.update()) for name in fields),
                *(getattr(taken.settings, name) for name in settings)]

    generate, paste, outcome = page.generate, page.paste, [page.status, page.live, page.generate, page.stop]
    begun = generate.click(begin, None, outcome, **QUIETLY)
    begun.then(paint, [*page.canvas, page.model, *fields.values(), *settings.values()],
               [*outcome, page.gallery, page.generation_info, page.infotext, page.download], show_progress="hidden",
               concurrency_limit=MOST_TABS, **javascript(begun.then, PAINTED))
    page.stop.click(interrupt, **QUIETLY)
    assert Context.root_block is not None, "a page is being built"
    Context.root_block.unload(interrupt)  # the tab is closed or reloaded
    page.gallery.select(select, [page.gallery, page.generation_info], [page.infotext, page.download], **QUIETLY)
    paste.click(read_infotext, [*page.canvas, page.prompt], [page.status, *fields.values(), *settings.values()],
                **javascript(paste.click, PAINTED), **QUIETLY)
    composite = {field.name: settings[field.name] for field in composite_fields()}
    recomposite.connect(page.accordion.panel, composite, page.gallery, page.generation_info, host.recomposite)
    of_presets = {name: page.request[name] for name in REQUEST if name in page.request}
    presets.connect(page.accordion.chooser, settings, of_presets, own_presets)
    redraw_on_change([*settings.values(), *page.request.values()])


@contextmanager
def _switched(value: bool, label: str, elem_id: str) -> Iterator[Any]:
    """Stands in for the WebUI's accordion with a checkbox."""
    enabled = gr.Checkbox(value, label=label, elem_id=f"{elem_id}_switch")
    with gr.Accordion("Presets, preview and settings", elem_id=elem_id) as sliders:
        yield enabled
    enabled.change(lambda on: gr.update(visible=on), enabled, sliders, **QUIETLY)


def _request(host: PageHost, start: Request) -> dict[str, Any]:
    """Components for the request's fields and the number of images, by name."""
    choices = {"sampler": host.samplers, "schedule_type": host.schedule_types}
    components: dict[str, Any] = {}
    fields = {field.name: field for field in FIELDS} | {"batch_count": REQUEST_FIELDS["batch_count"]}
    elements = {**REQUEST, "width": WIDTH, "height": HEIGHT, "seed": SEED, "clip_skip": "softinpaint_clip_skip"}
    for names in REQUEST_ROWS:
        with gr.Row():
            for name in names:
                components[name] = _field(fields[name], elements[name], choices.get(name))
                components[name].value = getattr(start, name, USUAL_COUNT)
    size = gr.Button("Use image size", elem_id=SIZE_FROM_IMAGE, size="sm")
    size.click(lambda: (0, 0), None, [components["width"], components["height"]], **QUIETLY)
    return components


def _field(field: Field, elem_id: str, choices: Sequence[str] | None) -> Any:
    common = {"label": field.label, "info": field.help or None, "elem_id": elem_id}
    if choices is not None:
        return gr.Dropdown(list(choices), **common)
    if field.name == "seed":
        return gr.Number(precision=0, **common)
    return accordion.component(field, elem_id)


def _read_request(fields: Mapping[str, Any], values: Sequence[Any], soft: Sequence[Any]) -> tuple[list[str], Request, int]:
    """Notes on clamped values, the request with a seed, and the number of images."""
    settings, notes = read_args(list(soft))
    known = {field.name: field for field in FIELDS}
    given = dict(zip(fields, values))
    count = int(read(REQUEST_FIELDS["batch_count"], given.pop("batch_count"), notes))
    wanted: dict[str, Any] = {name: read(known[name], value, notes) for name, value in given.items()}
    return notes, with_seed(Request(settings=settings, **wanted)), count


def _painted(image: str, mask: str, request: Request, notes: list[str]) -> tuple[Image.Image, Image.Image]:
    """The canvas's image, and the painted mask, or the mask image if nothing is painted."""
    try:
        source = as_original(decoded(image, "Image"), notes)
    except ValueError as fault:
        raise ValueError(f"The image cannot be read: {fault.__cause__ or fault}.") from fault
    painted = painted_or_sent(strengths(decoded(mask, "Mask")), request.settings.mask_image, Size.of(source), notes)
    assert painted is not None, "the canvas always has a mask"
    if (1 - painted if request.mask_mode == INPAINT_NOT_MASKED else painted).max() < LEAST_VALUE:
        raise ValueError("Nothing is painted. Paint over what should change.")
    return source, grey_image(painted, 16)


def _pasted(text: str, image: str) -> tuple[Request, list[str]]:
    """Request from an infotext, or from the image's infotext if the text is none."""
    try:
        found = text if "Steps: " in text else infotext_files.read(io.BytesIO(as_bytes(image)))
    except OSError as fault:
        raise ValueError(f"The image cannot be read: {fault}.") from fault
    if not found:
        raise ValueError("There is no infotext in the prompt or in the image.")
    return from_infotext(infotext.parse(found))


def _caption(finished: Finished) -> str:
    seed = f"seed {infotext.parse(finished.infotext).get('Seed')}"
    return seed if finished.blend_score is None else f"{finished.blend_score:.0f}, {seed}"


def _live(share: float, preview: Image.Image | None) -> str:
    bar = f'<label>Generating, {share:.0%} <progress max="1" value="{share:.3f}"></progress></label>'
    if preview is None:
        return bar
    source = encoded(preview, "JPEG", quality=PREVIEW_QUALITY)
    return f'{bar}<img alt="The image so far" src="data:image/jpeg;base64,{source}">'


def _data_url(image: Image.Image | None) -> str:
    return "" if image is None else html.escape(f"data:image/png;base64,{encoded(image)}")


def _as_paint(mask: Image.Image | None) -> Image.Image | None:
    """White paint whose alpha channel is the mask."""
    if mask is None:
        return None
    paint = Image.new("RGBA", mask.size, "white")
    paint.putalpha(grey_image(strengths(mask)))
    return paint
