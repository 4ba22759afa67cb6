"""The stand-alone page's components and where they are."""
from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from lib_softinpaint.images.encoded import encoded
from lib_softinpaint.images.painted import grey_image, strengths
from lib_softinpaint.settings.fields import Field
from lib_softinpaint.settings.presets import REQUEST_FIELDS, PresetFile
from lib_softinpaint.settings.request import FIELDS, Request
from lib_softinpaint.ui import accordion
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
from lib_softinpaint.ui.events import QUIETLY
from lib_softinpaint.ui.page_host import PageHost

CANVAS, MODEL, SEED, INFOTEXT = "softinpaint_paint", "softinpaint_model", "softinpaint_seed", "softinpaint_infotext"

CANVAS_HTML = """<div id="{canvas}">
<div class="tools" role="toolbar" aria-label="Painting">
<label>Image <input type="file" accept="image/*"></label>
<label>Brush <input class="brush" type="range" min="1" max="40" value="8"></label>
<label>Strength <input class="strength" type="range" min="5" max="100" step="5" value="100"></label>
<label><input class="erase" type="checkbox"> Erase</label>
<button class="undo" type="button">Undo</button>
<button class="clear" type="button">Clear</button>
</div>
<p class="status" role="status"></p>
<div class="stage"><img alt="The image to inpaint" src="{image}">
<canvas key="mask" role="img" aria-label="The mask: paint what should change" data-mask="{mask}"></canvas>
<div class="ring"></div></div>
</div>"""

SELECTED = (f"[...document.querySelectorAll('#{GALLERY} .thumbnail-item')]"
            ".findIndex((item) => item.classList.contains('selected'))")
"""JavaScript for the index of the selected image in the gallery."""

USUAL_COUNT = 4
"""Default number of images: enough to make sorting them useful."""

REQUEST_ROWS = (("denoising_strength", "mask_blur"), ("masked_content",), ("mask_mode", "inpaint_area"),
                ("masked_area_padding", "cfg_scale"), ("sampler", "schedule_type"), ("steps", "batch_count"),
                ("width", "height"), ("seed", "clip_skip"))
"""Rows of fields."""


@dataclass(frozen=True)
class Page:
    """The page's components. The request's are keyed by field name."""

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


def lay_out(host: PageHost, own_presets: PresetFile, start: Request, image: Image.Image, mask: Image.Image | None,
             model: str) -> Page:
    with gr.Row():
        with gr.Column():
            gr.HTML(CANVAS_HTML.format(canvas=CANVAS, image=_data_url(image), mask=_data_url(_as_paint(mask))))
            prompt = gr.Textbox(start.prompt, label="Prompt", lines=2, elem_id=PROMPT)
            negative_prompt = gr.Textbox(start.negative_prompt, label="Negative prompt", elem_id=NEGATIVE_PROMPT)
            with gr.Row():
                generate = gr.Button("Generate", variant="primary", elem_id="img2img_generate")
                stop = gr.Button("Stop", elem_id="img2img_interrupt", interactive=False)
                paste = gr.Button("Read infotext", elem_id="paste")
            status = gr.Markdown("", elem_id="softinpaint_status")
        with gr.Column():
            live = gr.HTML(elem_id="softinpaint_live")
            gallery = gr.Gallery(label="Images, best blend score first (100: no visible seam or ghosting)", elem_id=GALLERY,
                                 columns=3, height="auto", object_fit="contain", interactive=False)
            infotext_box = gr.Textbox(label="Infotext", elem_id=INFOTEXT, lines=4, interactive=False)
            with gr.Row():
                download = gr.DownloadButton("Download with infotext", elem_id="softinpaint_download", interactive=False)
                gr.Button("Use as input image", elem_id="softinpaint_take_result")
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
            built.advanced.open = True  # Gradio 6 makes no components in a section that was never open; closed on load
    canvas = gr.Textbox(visible=False), gr.Textbox(visible=False)
    return Page(prompt, negative_prompt, generate, stop, paste, status, live, gallery, infotext_box, download,
                 generation_info, request, model_name, built, canvas)


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


def _data_url(image: Image.Image | None) -> str:
    return "" if image is None else html.escape(f"data:image/png;base64,{encoded(image)}")


def _as_paint(mask: Image.Image | None) -> Image.Image | None:
    """White paint whose alpha channel is the mask."""
    if mask is None:
        return None
    paint = Image.new("RGBA", mask.size, "white")
    paint.putalpha(grey_image(strengths(mask)))
    return paint
