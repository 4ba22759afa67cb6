"""The command inpaint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from click.core import ParameterSource

from lib_softinpaint.cli.command import OUTPUTS, Command, options_of, print_note
from lib_softinpaint.cli.files import WITH_TRANSPARENCY, make_folders, read_image, read_mask, reading, rescuing
from lib_softinpaint.cli.jobs import Job, check_targets, plan_jobs
from lib_softinpaint.cli.makers import Progress, local_maker, remote_maker
from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.source import completed
from lib_softinpaint.geometry import Size
from lib_softinpaint.images import infotext_files, job_file
from lib_softinpaint.images.painted import fitted, strengths
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.advice import advice
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.prompt import LORA_FOLDER, with_lora
from lib_softinpaint.settings.request import (
    FIELDS,
    INPAINT_NOT_MASKED,
    LARGEST_SEED,
    ONLY_MASKED,
    SCENES,
    Request,
    from_infotext,
    to_infotext,
    with_seed,
    working_size,
)
from lib_softinpaint.settings.settings import saved_fields

LARGEST_SQUASH = 0.02  # of a picture's shape: sizes are whole multiples of eight
SMALLEST_PX = 8
LETTERS_MORE = 500  # in infotext than what is known before: LoRA hashes, what a WebUI adds


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="PICTURE... MASK", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="File for one result (.png, .webp or .jpg, which cannot keep the outside exact), or folder for PNG files.")
@click.option("--force", is_flag=True, help="Overwrite results that exist.")
@click.option("--count", type=click.IntRange(1), default=1, help="Results for each picture, with seeds one apart.")
@click.option("--like", type=click.Path(path_type=Path), metavar="PICTURE",
              help="Take prompts and settings from this image's infotext; options given here win. What is not taken is named.")
@click.option("--model", help="Diffusers folder, .safetensors file or name on the Hugging Face Hub; the bundled model if not "
                              "given. With --webui: a checkpoint of that WebUI, else the one that it has loaded.")
@click.option("--keep", is_flag=True, help="Write a job file (.npz) beside each result, for the command recomposite.")
@click.option("--lora", "loras", multiple=True, metavar="FILE[:WEIGHT]",
              help="Add a LoRA, as <lora:name:weight> in the prompt does; may be given several times.")
@click.option("--lora-dir", type=click.Path(path_type=Path), default=LORA_FOLDER,
              help="Folder of the LoRA files that the prompt names, .safetensors.")
@click.option("--device", help="As PyTorch names it; NVIDIA's GPU if there is one, else the processor.")
@click.option("--webui", metavar="URL", help="Let a running WebUI with this extension make the pictures, by its API; with "
                                             "user:password@ before the host where it was started with --api-auth.")
@options_of(FIELDS)
@options_of(tuple(saved_fields()), lambda field: field.name == "enabled" or field.default)
@click.pass_context
def inpaint(context: click.Context, paths: tuple[Path, ...], output: Path, force: bool, count: int, like: Path | None,
            model: str | None, keep: bool, loras: tuple[str, ...], lora_dir: Path, device: str | None, webui: str | None,
            **values: Value) -> None:
    """Inpaint PICTURE where MASK is white, or several pictures, or folders of them.

    MASK is one file for all pictures, or a folder with a mask of each picture's name. Grey repaints by that strength.
    """
    if len(paths) < 2:
        raise click.UsageError(f"PICTURE and MASK must both be given, got {' '.join(map(str, paths)) or 'neither'}")
    given = {name: value for name, value in values.items()
             if like is None or context.get_parameter_source(name) != ParameterSource.DEFAULT}
    request = with_seed(_request(_liked(like, model) if like else Request(), given))
    if keep and (webui is not None or not request.settings.enabled):
        raise click.UsageError("--keep keeps soft inpaintings that are made here, not "
                               f"{'by a WebUI' if webui is not None else 'hard ones'}")
    if loras and webui is not None:
        raise click.UsageError("--lora adds files here; a WebUI adds its own, by <lora:name:weight> in the prompt")
    request, lora_files = _with_loras(request, loras)
    jobs = list(plan_jobs(paths[:-1], paths[-1], output, count))
    check_targets([target for job in jobs for target in (job.target, *([job.kept] if keep else []))], force)
    told: dict[Path, list[str]] = {}
    for job in jobs:
        if job.picture not in told:
            told[job.picture] = _checked(job.picture, job.mask, request.mask_mode)
    may_fit = like is not None and not given.keys() & {"width", "height"}
    asked = [_asked_of(job, request, may_fit, model) for job in jobs]
    make_folders(job.target for job in jobs)
    with Progress(len(jobs)) as advance:
        make = (local_maker(request, model, device, advance, [*lora_files, lora_dir]) if webui is None
                else remote_maker(webui, model, advance))
        for job, numbered in zip(jobs, asked):
            picture = read_image(job.picture)
            kept: list[KeptImage] = []
            made, about = make(numbered, picture, read_mask(job.mask), kept.append if keep else None, lambda note, job=job:
                               None if note in told[job.picture] else print_note(f"{job.target}: {note}"))
            with rescuing(job.target, lambda place, made=made, about=about: infotext_files.save(made, place, about)):
                if job.target.suffix.lower() not in WITH_TRANSPARENCY:
                    made = over_white(made)
                infotext_files.save(made, job.target, about, colours_of(picture))
            click.echo(job.target)
            for each in kept:
                with rescuing(job.kept, lambda place, each=each: job_file.save(each, place)):
                    job_file.save(completed(each, about, picture), job.kept)
                click.echo(job.kept)


def _liked(path: Path, model: str | None) -> Request:
    read_image(path)
    text = infotext_files.read(path)
    if not text:
        raise click.UsageError(f"--like needs a picture with infotext, {path} has none")
    params = infotext.parse(text)
    request, notes = from_infotext(params)
    if model is None and params.get("Model", SCENES) != SCENES:
        notes.append(f"{path} was made with the model {params['Model']}; --model chooses one.")
    for note in notes:
        print_note(note)
    return request


def _fitted(request: Request, path: Path, size: Size) -> Request:
    """The request without the other picture's size where that would squash this one."""
    working = working_size(request, size)
    squash = working.width * size.height / (working.height * size.width)
    if request.inpaint_area == ONLY_MASKED or abs(squash - 1) < LARGEST_SQUASH:
        return request
    print_note(f"{path} has another shape than {working}, its own size is taken.")
    return replace(request, width=0, height=0)


def _asked_of(job: Job, request: Request, fitted: bool, model: str | None) -> Request:
    """The request of one result, when all that can be known of it before it is made is found to be right."""
    picture = read_image(job.picture)
    size = Size.of(picture)
    numbered = replace(request, seed=(request.seed + job.number) % (LARGEST_SEED + 1))
    if fitted:
        numbered = _fitted(numbered, job.picture, size)
    padding = numbered.masked_area_padding if numbered.inpaint_area == ONLY_MASKED else None
    for sentence in advice(numbered.denoising_strength, numbered.masked_content, padding, size,
                           working_size(numbered, size)):
        print_note(sentence)
    about = infotext.dump(to_infotext(numbered, Model=model or SCENES)) + " " * LETTERS_MORE
    colours = colours_of(picture)
    infotext_files.demand_room(job.target, size, about, colours)
    if colours.kept_by_png_alone and job.target.suffix.lower() != ".png":
        print_note(f"{job.target} cannot hold the {' and '.join(colours.kept_by_png_alone)} of {job.picture}: its colours "
                   "will look different; .png can.")
    return numbered


def _with_loras(request: Request, loras: Sequence[str]) -> tuple[Request, list[Path]]:
    """The request whose prompt names these files, each FILE or FILE:WEIGHT, and the files."""
    files, prompt = [], request.prompt
    for each in loras:
        file, colon, weight = each.rpartition(":")
        try:
            path, weight = (Path(file), float(weight)) if colon and not Path(each).exists() else (Path(each), None)
        except ValueError:  # a drive's colon, or one in a name
            path, weight = Path(each), None
        if not path.is_file() or path.suffix.lower() != ".safetensors":
            raise click.UsageError(f"--lora must be a .safetensors file that exists, got {each}")
        if set(path.stem) & set(":<>"):
            raise click.UsageError(f"--lora must be a file whose name has none of :<>, got {path}")
        prompt = with_lora(prompt, path.stem, weight)
        files.append(path)
    return replace(request, prompt=prompt), files


def _request(start: Request, given: dict[str, Value]) -> Request:
    soft = {field.name for field in saved_fields()}
    settings = replace(start.settings, **{name: value for name, value in given.items() if name in soft})
    return replace(start, settings=settings, **{name: value for name, value in given.items() if name not in soft})


def _checked(picture: Path, mask: Path, mask_mode: str) -> list[str]:
    """Complains before anything is made, so that no bad file is found behind an hour of good ones.

    Returns what was noted about the image and its mask, which is told here.
    """
    notes: list[str] = []
    size = Size.of(read_image(picture, notes))
    if min(size) < SMALLEST_PX:
        raise click.UsageError(f"a picture must be {SMALLEST_PX} pixels wide and high at least, {picture} is {size}")
    painted = fitted(_painted(mask, notes), size, f"the mask {mask}", notes)
    if (painted == (1 if mask_mode == INPAINT_NOT_MASKED else 0)).all():
        raise click.UsageError(f"a mask must have something to repaint, {mask} has nothing")
    for note in notes:
        print_note(f"{picture}: {note}")
    return notes


def _painted(path: Path, notes: list[str]) -> np.ndarray:
    with reading(path):
        return strengths(read_mask(path), notes)
