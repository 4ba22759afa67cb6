"""The stand-alone page: a canvas to paint on, the request, the accordion, and a gallery."""

from __future__ import annotations

import errno
import inspect
import socket
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.themes import Default
from PIL import Image

from lib_softinpaint.bundled import bundled
from lib_softinpaint.settings.presets import PresetFile
from lib_softinpaint.settings.request import Request
from lib_softinpaint.ui import detours, languages, page_files, scripts
from lib_softinpaint.ui.page_events import connect
from lib_softinpaint.ui.page_host import PageHost
from lib_softinpaint.ui.page_layout import BROWSER, lay_out

STYLES = bundled("style.css"), BROWSER / "page.css"

ADDRESS = "127.0.0.1"

FONTS = "system-ui", "sans-serif"


class PortTaken(OSError):
    """Another program is using the port."""


def serve(host: PageHost, own_presets: PresetFile, start: Request, image: Image.Image, mask: Image.Image | None,
          output: Path, model: str, language: str | None, port: int | None, open_browser: bool,
          started: Callable[[str], None]) -> None:
    """Shows the page until it is interrupted. Raises PortTaken if the port is taken, OSError if it cannot be used.

    Parameters
    ----------
    start, image, mask
        Initial contents of the page.
    output
        Folder for the results.
    language
        One of `languages.CODES`; None for the browser's.
    started
        Called with the page's address once it is up.
    """
    theme = Default(primary_hue="indigo", neutral_hue="slate", radius_size="lg", font=FONTS, font_mono=("monospace",)).set(
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",  # Gradio's own greys are hard to read
        button_primary_background_fill="*primary_600", button_primary_background_fill_dark="*primary_600",
        body_text_color_subdued="*neutral_500", body_text_color_subdued_dark="*neutral_400")
    look = {"theme": theme, "head": languages.script(language) + scripts.inlined(),
            "css": "\n".join(path.read_text(encoding="utf8") for path in STYLES)}
    of_launch = look.keys() & inspect.signature(gr.Blocks.launch).parameters.keys()  # since Gradio 6
    with gr.Blocks(title="Soft inpainting", analytics_enabled=False,
                   **{name: value for name, value in look.items() if name not in of_launch}) as blocks:
        connect(lay_out(host, own_presets, start, image, mask, model), host, own_presets)
    if port is not None:
        _check_port(port)
    app, address, _ = blocks.launch(
        server_name=ADDRESS, server_port=port, inbrowser=open_browser, quiet=True,
        prevent_thread_lock=True, **{name: look[name] for name in of_launch})
    detours.add_route(app)
    page_files.add_routes(app, output)
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
