"""The command recomposite: finished images under other settings, without a model."""

from __future__ import annotations

from pathlib import Path

import click
from PIL import Image

from lib_softinpaint.cli.command import OUTPUTS, Command, options_of
from lib_softinpaint.cli.files import WITH_TRANSPARENCY, make_folders, writing
from lib_softinpaint.cli.jobs import check_targets, targets_for
from lib_softinpaint.images import infotext_files, job_file
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.settings import composite_fields


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="JOB...", required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="File for one result (.png, .webp or .jpg, which cannot keep the outside exact), or folder for PNG files.")
@click.option("--force", is_flag=True, help="Overwrite results that exist.")
@options_of(tuple(composite_fields()), default_of=lambda field: None)
def recomposite(paths: tuple[Path, ...], output: Path, force: bool, **values: Value | None) -> None:
    """Make the composites of JOB files again, under other settings, without a model.

    "inpaint --keep" writes them. Settings that are not given stay those of the job.
    """
    targets = targets_for([path.stem for path in paths], output)
    check_targets(targets, force)
    changes = {name: value for name, value in values.items() if value is not None}
    pictures = [job_file.load(path) for path in paths]
    make_folders(targets)
    for picture, target in zip(pictures, targets):
        settings = picture.settings_with(changes)
        made = Image.fromarray(picture.composited(settings))
        if target.suffix.lower() not in WITH_TRANSPARENCY:
            made = over_white(made)
        with writing(target):
            infotext_files.save(made, target, picture.infotext_with(settings), picture.colours)
        click.echo(target)
