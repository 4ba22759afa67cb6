"""The command mask."""
from __future__ import annotations

from pathlib import Path

import click

from lib_softinpaint.cli.command import MASK_TOOLS_HELP, OUTPUTS, Command, print_note
from lib_softinpaint.cli.files import make_folders, writing
from lib_softinpaint.cli.jobs import check_targets, images_in, plan_jobs
from lib_softinpaint.cli.masks import by_name
from lib_softinpaint.images.files import painted_in, read_image, read_mask
from lib_softinpaint.images.painted import grey_image
from lib_softinpaint.settings.mask_tools import SOURCES, source_of
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option("--mask", type=click.Path(path_type=Path), metavar="PATH",
              help="The mask to edit: one for all images, or a folder with a mask named like each image.")
@click.option("--mask-tools", default="", help=MASK_TOOLS_HELP)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS / "masks",
              help="Output file for one mask (.png), or folder.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def mask(paths: tuple[Path, ...], mask: Path | None, mask_tools: str, output: Path, force: bool) -> None:
    """Write the mask of each IMAGE, without inpainting: the one given, edited, or one made from the image itself.

    It is written in 16 bits if the given mask has more than 8, otherwise in 8.
    """
    settings = Settings(enabled=True, mask_tools=mask_tools)
    if mask is None and not source_of(mask_tools):
        raise click.UsageError(f"--mask is needed, or a --mask-tools that begins with {', '.join(SOURCES[:-1])} or "
                               f"{SOURCES[-1]}; got --mask-tools {mask_tools!r}")
    jobs = plan_jobs(images_in(paths), output, 1)
    if any(job.target.suffix.lower() != ".png" for job in jobs):
        raise click.UsageError(f"--output must be a folder or end in .png, got {output}")
    mask_of = None if mask is None else by_name(mask)
    masks = {job.image: None if mask_of is None else mask_of(job.image) for job in jobs}
    check_targets([job.target for job in jobs], force, [*masks, *filter(None, masks.values())])
    make_folders(job.target for job in jobs)
    request = Request(settings=settings)
    for job in jobs:
        file, notes = masks[job.image], []
        given = None if file is None else read_mask(file)
        painted = painted_in(given, file, read_image(job.image, notes), job.image, request, notes)
        for note in notes:
            print_note(f"{job.image}: {note}")
        with writing(job.target):
            deep = given is not None and given.mode.startswith(("I", "F"))
            grey_image(painted, 16 if deep else 8).save(job.target)
        click.echo(job.target)
