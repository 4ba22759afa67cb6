"""The command inpaint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from lib_softinpaint.cli.command import OUTPUTS, Command, print_note
from lib_softinpaint.cli.files import make_folders, rescuing
from lib_softinpaint.cli.jobs import Job, check_targets, images_in, plan_jobs
from lib_softinpaint.cli.masks import by_name
from lib_softinpaint.cli.progress import Progress
from lib_softinpaint.cli.requested import request_options, requested
from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.source import completed
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.makers import local_maker, remote_maker
from lib_softinpaint.images import infotext_files, job_file
from lib_softinpaint.images.files import painted_in, read_image, read_mask, save_result
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.advice import advice
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.mask_tools import source_of
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
@click.argument("paths", nargs=-1, metavar="IMAGE... MASK", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="Output file for one result (.png, .webp or .jpg), or folder for PNGs. JPEG changes pixels outside the "
                   "mask.")
@click.option("--force", is_flag=True, help="Overwrite existing results.")
@click.option("--count", type=click.IntRange(1), default=1, help="Results per image. Each one uses the next seed.")
@click.option("--keep", is_flag=True, help="Save a job file (.npz) beside each result, for the command recomposite.")
@click.option("--webui", metavar="URL", help="Generate in a running WebUI that has this extension, through its API. Put "
                                             "user:password@ before the host if it was started with --api-auth.")
@request_options
@click.pass_context
def inpaint(context: click.Context, paths: tuple[Path, ...], output: Path, force: bool, count: int, like: Path | None,
            model: str | None, keep: bool, loras: tuple[str, ...], lora_dir: Path, device: str | None, webui: str | None,
            **values: Value) -> None:
    """Inpaint IMAGE where MASK is white. Several images or folders of images also work.

    MASK is one file for all images, or a folder with a mask named like each image. Grey is partly repainted. Leave MASK out
    if --mask-tools begins with transparency, luminance or colour: then each image makes its own.
    """
    wanted = requested(context, like, model, loras, lora_dir, webui is not None, values)
    request = with_seed(wanted.with_loras(wanted.request))
    from_image = source_of(request.settings.mask_tools) is not None
    if len(paths) < 2 - from_image:
        raise click.UsageError(f"IMAGE and MASK are both needed, got {' '.join(map(str, paths)) or 'neither'}")
    if keep and (webui is not None or not request.settings.enabled):
        raise click.UsageError("--keep needs soft inpainting on this machine; it cannot be combined with "
                               f"{'--webui' if webui is not None else '--no-enabled'}")
    jobs = plan_jobs(images_in(paths if from_image else paths[:-1]), output, count)
    mask_of = (lambda image: None) if from_image else by_name(paths[-1])
    masks = {job.image: mask_of(job.image) for job in jobs}
    check_targets([target for job in jobs for target in (job.target, *([job.kept] if keep else []))], force)
    notes = {image: _checked(image, mask, request) for image, mask in masks.items()}
    requests = [_request_of(job, request, wanted.may_fit, model) for job in jobs]
    make_folders(job.target for job in jobs)
    with Progress(len(jobs)) as advance:
        make = (local_maker(request, model, device, advance, wanted.lora_places, print_note,
                            lambda sentence: click.echo(sentence, err=True)) if webui is None
                else remote_maker(webui, model, advance))
        for job, numbered in zip(jobs, requests):
            original = read_image(job.image)
            kept: list[KeptImage] = []
            mask = masks[job.image]
            result, text = make(numbered, original, mask and read_mask(mask), kept.append if keep else None,
                                lambda note, job=job: None if note in notes[job.image]
                                else print_note(f"{job.target}: {note}"))
            with rescuing(job.target, lambda place, result=result, text=text: infotext_files.save(result, place, text)):
                save_result(result, job.target, text, colours_of(original))
            click.echo(job.target)
            for image in kept:
                with rescuing(job.kept, lambda place, image=image: job_file.save(image, place)):
                    job_file.save(completed(image, text, original), job.kept)
                click.echo(job.kept)


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
                           padding, size, working_size(numbered, size), numbered.steps,
                           soft.preservation_strength if soft.enabled else 0):
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
