"""The command recomposite: re-composites finished images with other settings, without a model."""

from __future__ import annotations

from pathlib import Path

import click
from PIL import Image

from lib_softinpaint.cli.command import OUTPUTS, Command, options_of
from lib_softinpaint.cli.exported import Export, export_options
from lib_softinpaint.cli.files import make_folders, writing
from lib_softinpaint.cli.jobs import check_targets, targets_for
from lib_softinpaint.images import job_file
from lib_softinpaint.images.files import save_result
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.settings import composite_fields


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="JOB...", required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="Output file for one result (.png, .webp or .jpg), or folder for PNGs. JPEG changes pixels outside the "
                   "mask.")
@click.option("--force", is_flag=True, help="Overwrite existing results.")
@export_options
@options_of(tuple(composite_fields()), default_of=lambda field: None)
def recomposite(paths: tuple[Path, ...], output: Path, force: bool, export_folder: Path | None, photoshop: bool,
                **values: Value | None) -> None:
    """Re-composite JOB files with other settings, without a model.

    "inpaint --keep" writes these files. Settings that you leave out stay as in the job.
    """
    targets = targets_for([path.stem for path in paths], output)
    check_targets(targets, force)
    export = Export(export_folder, photoshop)
    export.check(targets, force)
    changes = {name: value for name, value in values.items() if value is not None}
    jobs = [job_file.load(path) for path in paths]
    make_folders(targets)
    for job, target in zip(jobs, targets):
        settings = job.settings_with(changes)
        result = Image.fromarray(job.composited(settings))
        with writing(target):
            save_result(result, target, job.infotext_with(settings), job.colours)
        click.echo(target)
        export.save(job, settings, target)
