"""What happens on the stand-alone page when its components are used."""
from __future__ import annotations

import io
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
import numpy as np
from gradio.context import Context
from PIL import Image

from lib_softinpaint.generation.candidates import Candidate, marks, remarks
from lib_softinpaint.geometry import Size
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.encoded import as_bytes, decoded, encoded
from lib_softinpaint.images.painted import LEAST_VALUE, grey_image, painted_or_sent, strengths
from lib_softinpaint.images.read import as_original
from lib_softinpaint.method.mask_tools import edited
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.fields import read
from lib_softinpaint.settings.presets import REQUEST_FIELDS, PresetFile
from lib_softinpaint.settings.request import FIELDS, INPAINT_NOT_MASKED, Request, from_infotext, with_seed
from lib_softinpaint.settings.settings import composite_fields, read_args, saved_fields
from lib_softinpaint.ui import presets, recomposite
from lib_softinpaint.ui.elements import REQUEST
from lib_softinpaint.ui.events import QUIETLY, javascript, redraw_on_change
from lib_softinpaint.ui.kept_fields import keep_over_reload
from lib_softinpaint.ui.page_host import Finished, PageHost
from lib_softinpaint.ui.page_layout import CANVAS, Page, results_html
from lib_softinpaint.ui.painting import Line, streamed

PAINTED = (f"(image, mask, ...values) => [document.querySelector('#{CANVAS} img').src, "
           f"document.querySelector('#{CANVAS} canvas').toDataURL(), ...values]")
"""JavaScript that replaces an event's first two inputs with the image and the mask of the canvas."""

MOST_TABS = 16
"""Tabs that may wait for their turn, each in its own web server thread. More tabs wait in the server's queue."""

PREVIEW_QUALITY = 85
"""JPEG quality."""


def connect(page: Page, host: PageHost, own_presets: PresetFile) -> None:
    """Connects the components' events."""
    settings, fields = page.accordion.settings, page.fields
    running: dict[str | None, threading.Event] = {}
    line = Line()

    def begin(browser: gr.Request) -> dict:
        running[browser.session_hash] = threading.Event()
        return {page.status: "", page.live: "Waiting for the model.",
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
                    yield {page.results: shown(found, "running"), page.status: " ".join(notes)}
                else:
                    share, preview = event[0], event[1] or preview
                    yield {page.live: _live((len(found) + share) / count, preview)}
            if len(found) < count:
                notes.append(f"Stopped after {len(found)} of {count} images.")
                yield {page.status: " ".join(notes)}
            if found:
                yield {page.results: shown(found, "complete")}
            if len(found) > 1:
                compared = _compared(found)
                content = wanted.settings.masked_content(wanted.masked_content)
                notes += remarks([*compared.values()], wanted.denoising_strength, content, [*compared])
                yield {page.status: " ".join(notes)}
        except ValueError as fault:
            yield {page.status: str(fault)}
        except Exception as fault:  # from the model: out of memory, for example
            traceback.print_exc()
            yield {page.status: f"Generation failed: {fault or type(fault).__name__}"}
        finally:
            running.pop(browser.session_hash, None)
        yield {page.live: "", page.generate: gr.update(interactive=True), page.stop: gr.update(interactive=False)}

    def shown(images: list[Finished], state: str) -> str:
        compared = _compared(images)
        of_seeds = dict(zip(compared, marks([*compared.values()], [f"seed {seed}" for seed in compared])))
        return results_html([image.candidate(of_seeds.get(image.seed, "")) for image in images], state)

    def interrupt(browser: gr.Request) -> None:
        if browser.session_hash in running:
            running[browser.session_hash].set()

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
               [*outcome, page.results], show_progress="hidden", concurrency_limit=MOST_TABS,
               **javascript(begun.then, PAINTED))
    page.stop.click(interrupt, **QUIETLY)
    assert Context.root_block is not None, "a page is being built"
    Context.root_block.unload(interrupt)  # the tab is closed or reloaded
    Context.root_block.load(lambda: gr.update(open=False), None, page.accordion.advanced, **QUIETLY)
    paste.click(read_infotext, [*page.canvas, page.prompt], [page.status, *fields.values(), *settings.values()],
                **javascript(paste.click, PAINTED), **QUIETLY)
    composite = {field.name: settings[field.name] for field in composite_fields()}
    panel = page.accordion.panel
    recomposite.connect(panel, composite, page.results, panel.identity, host.recomposite)
    of_presets = {name: page.request[name] for name in REQUEST if name in page.request}
    presets.connect(page.accordion.chooser, settings, of_presets, own_presets)
    redraw_on_change([*settings.values(), *page.request.values()])
    saved = {field.name for field in saved_fields()}
    keep_over_reload([*page.request.values(), page.model, *(each for name, each in settings.items() if name in saved)])


def _compared(images: Iterable[Finished]) -> dict[str, Candidate]:
    """What is compared of the images that were inpainted softly, by their seeds."""
    return {image.seed: image.compared for image in images if image.compared is not None}


def _read_request(fields: Mapping[str, Any], values: Sequence[Any], soft: Sequence[Any]) -> tuple[list[str], Request, int]:
    """Notes on clamped values, the request with a seed, and the number of images."""
    settings, notes = read_args(list(soft))
    known = {field.name: field for field in FIELDS}
    given = dict(zip(fields, values))
    count = int(read(REQUEST_FIELDS["batch_count"], given.pop("batch_count"), notes))
    wanted: dict[str, Any] = {name: read(known[name], value, notes) for name, value in given.items()}
    return notes, with_seed(Request(settings=settings, **wanted)), count


def _painted(image: str, mask: str, request: Request, notes: list[str]) -> tuple[Image.Image, Image.Image]:
    """The canvas's image and its mask: the painted one or, if nothing is painted, the mask image."""
    try:
        source = as_original(decoded(image, "Image"), notes)
    except ValueError as fault:
        raise ValueError(f"The image cannot be read: {fault.__cause__ or fault}.") from fault
    painted = painted_or_sent(strengths(decoded(mask, "Mask")), request.settings.mask_image, Size.of(source), notes)
    assert painted is not None, "the canvas always has a mask"
    tools = request.settings.mask_tools if request.settings.enabled else ""
    repainted = edited(painted, request.settings, np.asarray(source))
    if (1 - repainted if request.mask_mode == INPAINT_NOT_MASKED else repainted).max() < LEAST_VALUE:
        raise ValueError(f"The mask has nothing to repaint after the mask tools {tools!r}." if tools
                         else "Nothing is painted. Paint over what should change.")
    return source, grey_image(painted, 16)


def _pasted(text: str, image: str) -> tuple[Request, list[str]]:
    """Request from the text if it is infotext, otherwise from the image's infotext; and notes, first on which it was."""
    in_prompt = "Steps: " in text
    try:
        found = text if in_prompt else infotext_files.read(io.BytesIO(as_bytes(image)))
    except OSError as fault:
        raise ValueError(f"The image cannot be read: {fault}.") from fault
    if not found:
        raise ValueError("There is no infotext in the prompt or in the image.")
    taken, notes = from_infotext(infotext.parse(found))
    return taken, ["Read from the prompt." if in_prompt else "Read from the open image.", *notes]


def _live(share: float, preview: Image.Image | None) -> str:
    bar = f'<label>Generating, {share:.0%} <progress max="1" value="{share:.3f}"></progress></label>'
    if preview is None:
        return bar
    source = encoded(preview, "JPEG", quality=PREVIEW_QUALITY)
    return f'{bar}<img alt="The image so far" src="data:image/jpeg;base64,{source}">'
