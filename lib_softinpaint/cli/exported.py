"""The options with which a command also writes layers and masks for an image editor."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from lib_softinpaint.cli.files import make_folders, writing
from lib_softinpaint.cli.jobs import check_targets
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.images import export, photoshop
from lib_softinpaint.settings.settings import Settings

_OPTIONS = (
    click.option("--export", "export_folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
                 help="Also write for each result: the change as a transparent PNG, the masks, the opacity and the difference "
                      "map as PNGs of 16 bits, and the layers as OpenRaster (.ora) for Krita and GIMP."),
    click.option("--photoshop", is_flag=True, help="With --export: also write the layers as a Photoshop file (.psd)."))


@dataclass(frozen=True)
class Export:
    """Where the files go; None if they are not wanted."""

    folder: Path | None
    photoshop: bool

    def check(self, targets: Iterable[Path], force: bool, inputs: Iterable[Path] = ()) -> None:
        """Raises UsageError or ImportError if the files of these results could not be written, as `check_targets` does."""
        if self.folder is None:
            if self.photoshop:
                raise click.UsageError("--photoshop needs --export FOLDER")
            return
        if self.photoshop:
            photoshop.demand_installed()
        files = [file for target in targets for file in export.targets(self.folder, target.stem, self.photoshop)]
        check_targets(files, force, inputs)
        make_folders(files)

    def save(self, kept: KeptImage, settings: Settings, target: Path) -> None:
        """Writes and prints the files of one result, if they are wanted."""
        if self.folder is None:
            return
        with writing(self.folder / target.stem):
            for path in export.save(kept, settings, self.folder, target.stem, self.photoshop):
                click.echo(path)


def export_options(command: Callable) -> Callable:
    """Decorator that adds `export_folder` and `photoshop`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
