"""The command page: the stand-alone page in a browser."""
from __future__ import annotations

import os
from pathlib import Path

import click

from lib_softinpaint.cli.command import OUTPUTS, Command
from lib_softinpaint.cli.files import DEMO, make_folders
from lib_softinpaint.cli.requested import demo_request, placement_options
from lib_softinpaint.errors import judging_input
from lib_softinpaint.hosts.placement import Placement
from lib_softinpaint.images.files import read_image, read_mask
from lib_softinpaint.settings.presets import PRESETS_FILE, PresetFile
from lib_softinpaint.settings.request import Request
from lib_softinpaint.ui.languages import CODES


@click.command(cls=Command)
@click.argument("path", required=False, metavar="[IMAGE]", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=OUTPUTS / "page",
              help="Folder for the results and for your own presets.")
@click.option("--model", default="", help="Diffusers folder, .safetensors file or name on the Hugging Face Hub. Default: the "
                                          "bundled model.")
@placement_options
@click.option("--language", type=click.Choice(CODES), help="Language of the page. Default: the browser's.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port on this machine. Default: the first free port from 7860 up.")
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
def page(path: Path | None, output: Path, model: str, placement: Placement, language: str | None, port: int | None,
         browser: bool) -> None:
    """Open a page in the browser to paint on IMAGE, or on the bundled image. Ctrl+C stops it."""
    image = read_image(path or DEMO / "image.png")
    make_folders([output / PRESETS_FILE])
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from lib_softinpaint.hosts.diffusers import models
    from lib_softinpaint.hosts.diffusers.painter import Painter
    from lib_softinpaint.ui.page import PortTaken, serve

    name = model.strip()
    if name:
        click.echo(f"Loading {name}", err=True)
    with judging_input():
        models.load(name or str(models.SCENE_MODEL), *placement)
    start, mask = (demo_request(), read_mask(DEMO / "mask.png")) if path is None else (Request(), None)
    try:
        serve(Painter(output, placement).host(), PresetFile(output / PRESETS_FILE), start, image, mask, output, name,
              language, port, browser, lambda address: click.echo(f"Page ready at {address} (Ctrl+C to stop)"))
    except PortTaken as fault:
        raise click.UsageError(f"--port {port} is already in use") from fault
    except OSError as fault:
        raise click.UsageError(f"the page cannot be shown: {fault}") from fault
