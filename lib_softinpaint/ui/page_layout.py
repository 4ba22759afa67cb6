"""The stand-alone page's components and where they are."""
from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
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
    HEIGHT,
    NEGATIVE_PROMPT,
    PROMPT,
    REQUEST,
    SIZE_FROM_IMAGE,
    WIDTH,
)
from lib_softinpaint.ui.events import QUIETLY
from lib_softinpaint.ui.page_host import PageHost

CANVAS, MODEL, SEED = "softinpaint_paint", "softinpaint_model", "softinpaint_seed"

BROWSER = Path(__file__).with_name("browser")
"""What runs in the browser: HTML, styles and scripts."""

RESULTS = "softinpaint_results"
"""Elem_id of the component through which results reach the page's scripts."""

SELECTED = "(document.querySelector('#softinpaint_candidates .card[aria-pressed=true]')?.dataset.name ?? '')"
"""JavaScript for the file name of the selected candidate; empty for none."""

SMALLEST_COLUMN_PX = 340
"""Width below which the two columns stand below each other."""

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
    results: Any
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
    gr.HTML(_html("header"))
    with gr.Row():
        with gr.Column(scale=3, min_width=SMALLEST_COLUMN_PX):
            source = _data_url(image)
            gr.HTML(_html("canvas", start=hashlib.blake2b(source.encode(), digest_size=8).hexdigest(), image=source,
                          mask=_data_url(_as_paint(mask))))
        with gr.Column(scale=2, min_width=SMALLEST_COLUMN_PX):
            prompt = gr.Textbox(start.prompt, label="Prompt", lines=2, elem_id=PROMPT)
            negative_prompt = gr.Textbox(start.negative_prompt, label="Negative prompt", elem_id=NEGATIVE_PROMPT)
            with gr.Row():
                generate = gr.Button("Generate", scale=2, min_width=90, variant="primary", elem_id="img2img_generate")
                stop = gr.Button("Stop", min_width=90, elem_id="img2img_interrupt", interactive=False)
                paste = gr.Button("Read infotext", min_width=130, elem_id="paste")
            status = gr.Markdown("", elem_id="softinpaint_status")
            live = gr.HTML(elem_id="softinpaint_live")
            gr.HTML(_html("candidates"))
            results = gr.HTML(elem_id=RESULTS)
    with gr.Row():
        with gr.Column(scale=3, min_width=SMALLEST_COLUMN_PX):
            request = _request(host, start)
            model_name = gr.Textbox(model, label="Model", elem_id=MODEL, placeholder="bundled: flat landscapes, 256 x 256",
                                    info="A diffusers folder, a .safetensors file, or a model name on the Hugging Face Hub.")
        with gr.Column(scale=2, min_width=SMALLEST_COLUMN_PX):
            built = accordion.build(_switched, own_presets)
            for name, component in built.settings.items():
                component.value = getattr(start.settings, name)
            built.advanced.open = True  # Gradio 6 makes no components in a section that was never open; closed on load
    canvas = gr.Textbox(visible=False), gr.Textbox(visible=False)
    return Page(prompt, negative_prompt, generate, stop, paste, status, live, results, request, model_name, built, canvas)


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
        with gr.Row(elem_classes="softinpaint-fields"):
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


def results_html(results: Sequence[Mapping[str, Any]], state: str) -> str:
    """Candidates for the page's scripts, as `page_host.Finished.candidate` describes them.

    Parameters
    ----------
    state
        "running", "complete" for all of a run's results, or "added" for one that was made from another.
    """
    return f'<div data-state="{state}" data-results="{html.escape(json.dumps(list(results)))}"></div>'


def _html(name: str, **values: str) -> str:
    return Template((BROWSER / f"{name}.html").read_text(encoding="utf8")).substitute(values)


def _data_url(image: Image.Image | None) -> str:
    return "" if image is None else html.escape(f"data:image/png;base64,{encoded(image)}")


def _as_paint(mask: Image.Image | None) -> Image.Image | None:
    """White paint whose alpha channel is the mask."""
    if mask is None:
        return None
    paint = Image.new("RGBA", mask.size, "white")
    paint.putalpha(grey_image(strengths(mask)))
    return paint
