"""The command demo: inpaints the bundled image hard and soft, and shows both side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from lib_softinpaint.cli.command import OUTPUTS, Command
from lib_softinpaint.cli.files import DEMO, make_folders, rescuing, unused_paths
from lib_softinpaint.cli.progress import Progress
from lib_softinpaint.cli.requested import demo_request
from lib_softinpaint.hosts.makers import local_maker
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.files import read_image, read_mask
from lib_softinpaint.images.sheet import side_by_side
from lib_softinpaint.settings.settings import Settings


@click.command(cls=Command)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS, help="Folder for the two images.")
def demo(output: Path) -> None:
    """Inpaint the bundled image with the bundled model, hard and soft, and show both side by side."""
    image, mask = read_image(DEMO / "image.png"), read_mask(DEMO / "mask.png")
    result, compared = unused_paths(output / "demo.png", output / "demo-compared.png")
    make_folders([result])
    soft = demo_request()
    hard = replace(soft, settings=Settings(enabled=False))
    click.echo(f'Inpainting "{soft.prompt}" with the bundled model')
    with Progress(2) as advance:
        make = local_maker(soft, None, advance=advance)
        (by_hard, _), (by_soft, text) = make(hard, image, mask), make(soft, image, mask)
    tiles = {"original": image, "mask": mask, "hard inpainting": by_hard, "soft inpainting": by_soft}
    for image, target in ((side_by_side(tiles), compared), (by_soft, result)):
        with rescuing(target, lambda place, image=image: infotext_files.save(image, place, text)):
            infotext_files.save(image, target, text)
    click.echo(f"Side by side: {compared.resolve()}\nResult: {result.resolve()}")
