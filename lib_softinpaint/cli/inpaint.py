"""The command inpaint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import click
from PIL import Image

from lib_softinpaint.cli.command import OUTPUTS, Command, print_note
from lib_softinpaint.cli.exported import Export, export_options
from lib_softinpaint.cli.files import make_folders
from lib_softinpaint.cli.jobs import Job, check_targets, images_in, plan_jobs
from lib_softinpaint.cli.masks import by_name
from lib_softinpaint.cli.progress import Progress
from lib_softinpaint.cli.requested import request_options, requested
from lib_softinpaint.cli.results import Result, Results, sheet_of
from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.makers import local_maker, remote_maker
from lib_softinpaint.hosts.placement import Placement
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.files import painted_in, read_image, read_mask, save_result
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.advice import advice
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.mask_tools import SOURCES, source_of
from lib_softinpaint.settings.request import (
    LARGEST_SEED,
    ONLY_MASKED,
    SCENES,
    Request,
    to_infotext,
    unstretched,
    with_seed,
    working_size,
)
from lib_softinpaint.settings.settings import HOSTS

LETTERS_MORE = 500  # characters reserved in the infotext for later additions: LoRA hashes, a WebUI's own keys


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="IMAGE... [MASK]", type=click.Path(path_type=Path))
@click.option("--mask", type=click.Path(path_type=Path), metavar="PATH",
              help="MASK as an option, as for the commands mask and batch. Then all arguments are images.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="Output file for one result (.png, .webp or .jpg), or folder for PNGs. JPEG changes pixels outside the "
                   "mask.")
@click.option("--force", is_flag=True, help="Overwrite existing results.")
@click.option("--count", type=click.IntRange(1), default=1, help="Results per image. Each one uses the next seed.")
@click.option("--best-first", is_flag=True, help="Number the results of an image by their blend score, best first. The score "
                                               "agrees with choices by eye in 76 % of judged pairs.")
@click.option("--keep-best", type=click.IntRange(1), metavar="N", help="Save only the N results of each image that have the "
                                                                       "highest blend scores.")
@click.option("--sheet", is_flag=True, help="Also save one image with all results of an image, their scores and seeds.")
@click.option("--keep", is_flag=True, help="Save a job file (.npz) beside each result, for the command recomposite.")
@export_options
@click.option("--webui", metavar="URL", help="Generate in a running WebUI that has this extension, through its API. Put "
                                             "user:password@ before the host if it was started with --api-auth.")
@request_options
@click.pass_context
def inpaint(context: click.Context, paths: Sequence[Path], mask: Path | None, output: Path, force: bool, count: int,
            best_first: bool, keep_best: int | None, sheet: bool, like: Path | None, model: str | None, keep: bool,
            loras: tuple[str, ...], lora_dir: Path, placement: Placement, webui: str | None, export_folder: Path | None,
            photoshop: bool, **values: Value) -> None:
    """Inpaint IMAGE where MASK is white. Several images or folders of images also work.

    MASK is one file for all images, or a folder with a mask named like each image. Grey is partly repainted. Leave MASK out
    if --mask-tools begins with transparency, luminance or colour: then each image makes its own.
    """
    wanted = requested(context, like, model, loras, lora_dir, webui is not None, values)
    request = with_seed(wanted.with_loras(wanted.request))
    from_image = source_of(request.settings.mask_tools) is not None
    if mask is not None and from_image:
        raise click.UsageError("--mask cannot be combined with a --mask-tools that begins with "
                               f"{', '.join(SOURCES[:-1])} or {SOURCES[-1]}")
    if len(paths) < 2 - (from_image or mask is not None):
        raise click.UsageError(f"IMAGE and MASK are both needed, got {' '.join(map(str, paths)) or 'neither'}")
    export = Export(export_folder, photoshop)
    for option in [*(["--keep"] if keep else []), *(["--export"] if export_folder is not None else [])]:
        if webui is not None or not request.settings.enabled:
            raise click.UsageError(f"{option} needs soft inpainting on this machine; it cannot be combined with "
                                   f"{'--webui' if webui is not None else '--no-enabled'}")
    compares = best_first or keep_best is not None or sheet
    if compares and count == 1:
        raise click.UsageError("--best-first, --keep-best and --sheet need --count 2 or more, got 1")
    if mask is None and not from_image:
        *paths, mask = paths
    jobs = plan_jobs(images_in(paths), output, count)
    mask_of = (lambda image: None) if mask is None else by_name(mask)
    masks = {job.image: mask_of(job.image) for job in jobs}
    saved = jobs if keep_best is None else [job for job in jobs if job.number < keep_best]
    sheets = [sheet_of(job) for job in jobs if sheet and job.number == 0]
    inputs = [*masks, *filter(None, masks.values())]
    check_targets([*(target for job in saved for target in (job.target, *([job.kept] if keep else []))), *sheets], force,
                  inputs)
    export.check([job.target for job in saved], force, inputs)
    notes = {image: _checked(image, mask, request) for image, mask in masks.items()}
    requests = [_request_of(job, request, wanted.may_fit, model) for job in jobs]
    make_folders(job.target for job in jobs)
    with Progress(len(jobs)) as advance:
        make = (local_maker(request, model, placement, advance, wanted.lora_places, print_note,
                            lambda sentence: click.echo(sentence, err=True)) if webui is None
                else remote_maker(webui, model, advance))
        for _, group in groupby(zip(jobs, requests), lambda pair: pair[0].image):
            results = Results(best_first, keep_best, sheet, keep, export)
            try:
                for job, numbered in group:
                    original, file = read_image(job.image), masks[job.image]
                    given = file and read_mask(file)
                    kept: list[KeptImage] = []
                    with _saving_regions(job, original) as on_region:
                        result, text = make(numbered, original, given,
                                            kept.append if keep or compares or export_folder is not None else None,
                                            lambda note, job=job: None if note in notes[job.image]
                                            else print_note(f"{job.target}: {note}"), on_region)
                    results.add(Result(job, numbered, original, given, result, text, kept[0] if kept else None))
            finally:  # what was made is saved, whatever comes after it
                results.save()


@contextmanager
def _saving_regions(job: Job, original: Image.Image) -> Iterator[Callable[[Image.Image, str], None]]:
    """Takes the image and its infotext after each region. If the block is interrupted, the last one is saved."""
    finished: list[tuple[Image.Image, str]] = []
    try:
        yield lambda image, text: finished.append((image, text))
    except KeyboardInterrupt:
        for image, text in finished[-1:]:
            save_result(image, job.target, text, colours_of(original))
            print_note(f"interrupted; {job.target} has the regions that were finished")
        raise


def _request_of(job: Job, request: Request, may_fit: bool, model: str | None) -> Request:
    """The request for one result, checked as far as possible before generating."""
    image = read_image(job.image)
    size = Size.of(image)
    numbered = replace(request, seed=(request.seed + job.number) % (LARGEST_SEED + 1))
    if may_fit and (own := unstretched(numbered, size)) != numbered:
        print_note(f"{job.image} does not have the aspect ratio of {working_size(numbered, size)}, so its own size is used.")
        numbered = own
    padding = numbered.masked_area_padding if numbered.inpaint_area == ONLY_MASKED else None
    soft = numbered.settings
    is_own = soft.enabled and soft.own_masked_content != HOSTS
    for sentence in advice(numbered.denoising_strength, soft.own_masked_content if is_own else numbered.masked_content,
                           padding, size, working_size(numbered, size)):
        print_note(sentence)
    text = infotext.dump(to_infotext(numbered, Model=model or SCENES)) + " " * LETTERS_MORE
    colours = colours_of(image)
    infotext_files.demand_room(job.target, size, text, colours)
    if colours.kept_by_png_alone and job.target.suffix.lower() != ".png":
        print_note(f"{job.target} cannot store the {' and '.join(colours.kept_by_png_alone)} of {job.image}, so its colours "
                   "will look different. Use .png instead.")
    return numbered


def _checked(image: Path, mask: Path | None, request: Request) -> Sequence[str]:
    """Checks an image and its mask before anything is generated, so that a bad file is found at once, not after an hour.

    Prints its notes and returns them.
    """
    notes: list[str] = []
    original = read_image(image, notes)
    painted_in(mask and read_mask(mask), mask, original, image, request, notes)
    for note in notes:
        print_note(f"{image}: {note}")
    return notes
