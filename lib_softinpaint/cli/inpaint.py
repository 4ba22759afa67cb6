"""The command inpaint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from click.core import ParameterSource

from lib_softinpaint.cli.command import OUTPUTS, Command, options_of, print_note
from lib_softinpaint.cli.files import make_folders, read_image, read_mask, reading, rescuing, save_result
from lib_softinpaint.cli.jobs import Job, check_targets, plan_jobs
from lib_softinpaint.cli.makers import Progress, local_maker, remote_maker
from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.source import completed
from lib_softinpaint.geometry import Size
from lib_softinpaint.images import infotext_files, job_file
from lib_softinpaint.images.painted import fitted, strengths
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

LARGEST_SQUASH = 0.02  # of an image's aspect ratio: sizes are multiples of eight
SMALLEST_PX = 8
LETTERS_MORE = 500  # characters reserved in the infotext for later additions: LoRA hashes, a WebUI's own keys


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="IMAGE... MASK", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="Output file for one result (.png, .webp or .jpg), or folder for PNGs. JPEG changes pixels outside the "
                   "mask.")
@click.option("--force", is_flag=True, help="Overwrite existing results.")
@click.option("--count", type=click.IntRange(1), default=1, help="Results per image. Each one uses the next seed.")
@click.option("--like", type=click.Path(path_type=Path), metavar="IMAGE",
              help="Use the prompts and settings in this image's infotext. Command-line options override them. Ignored "
                   "keys are listed.")
@click.option("--model", help="Diffusers folder, .safetensors file or Hugging Face Hub name (default: the bundled model). "
                              "With --webui: one of its checkpoints (default: the loaded one).")
@click.option("--keep", is_flag=True, help="Save a job file (.npz) beside each result, for the command recomposite.")
@click.option("--lora", "loras", multiple=True, metavar="FILE[:WEIGHT]",
              help="Add a LoRA, like <lora:name:weight> in the prompt. Can be repeated.")
@click.option("--lora-dir", type=click.Path(path_type=Path), default=LORA_FOLDER,
              help="Folder to search for LoRA files (.safetensors) that the prompt names.")
@click.option("--device", help="PyTorch device. Default: an NVIDIA or AMD GPU if there is one, else an Apple GPU, else the "
                               "CPU.")
@click.option("--webui", metavar="URL", help="Generate in a running WebUI that has this extension, through its API. Put "
                                             "user:password@ before the host if it was started with --api-auth.")
@options_of(FIELDS)
@options_of(tuple(saved_fields()), lambda field: field.name == "enabled" or field.default)
@click.pass_context
def inpaint(context: click.Context, paths: tuple[Path, ...], output: Path, force: bool, count: int, like: Path | None,
            model: str | None, keep: bool, loras: tuple[str, ...], lora_dir: Path, device: str | None, webui: str | None,
            **values: Value) -> None:
    """Inpaint IMAGE where MASK is white. Several images or folders of images also work.

    MASK is one file for all images, or a folder with a mask named like each image. Grey is partly repainted.
    """
    if len(paths) < 2:
        raise click.UsageError(f"IMAGE and MASK are both needed, got {' '.join(map(str, paths)) or 'neither'}")
    given = {name: value for name, value in values.items()
             if like is None or context.get_parameter_source(name) != ParameterSource.DEFAULT}
    request = with_seed(_request(_from_image(like, model) if like else Request(), given))
    if keep and (webui is not None or not request.settings.enabled):
        raise click.UsageError("--keep needs soft inpainting on this machine; it cannot be combined with "
                               f"{'--webui' if webui is not None else '--no-enabled'}")
    if loras and webui is not None:
        raise click.UsageError("--lora cannot be combined with --webui; use the WebUI's own LoRAs, as "
                               "<lora:name:weight> in the prompt")
    request, lora_files = _with_loras(request, loras)
    jobs = list(plan_jobs(paths[:-1], paths[-1], output, count))
    check_targets([target for job in jobs for target in (job.target, *([job.kept] if keep else []))], force)
    notes: dict[Path, list[str]] = {}
    for job in jobs:
        if job.image not in notes:
            notes[job.image] = _checked(job.image, job.mask, request.mask_mode)
    may_fit = like is not None and not given.keys() & {"width", "height"}
    requests = [_request_of(job, request, may_fit, model) for job in jobs]
    make_folders(job.target for job in jobs)
    with Progress(len(jobs)) as advance:
        make = (local_maker(request, model, device, advance, [*lora_files, lora_dir]) if webui is None
                else remote_maker(webui, model, advance))
        for job, numbered in zip(jobs, requests):
            original = read_image(job.image)
            kept: list[KeptImage] = []
            result, text = make(numbered, original, read_mask(job.mask), kept.append if keep else None, lambda note, job=job:
                               None if note in notes[job.image] else print_note(f"{job.target}: {note}"))
            with rescuing(job.target, lambda place, result=result, text=text: infotext_files.save(result, place, text)):
                save_result(result, job.target, text, colours_of(original))
            click.echo(job.target)
            for image in kept:
                with rescuing(job.kept, lambda place, image=image: job_file.save(image, place)):
                    job_file.save(completed(image, text, original), job.kept)
                click.echo(job.kept)


def _from_image(path: Path, model: str | None) -> Request:
    read_image(path)
    text = infotext_files.read(path)
    if not text:
        raise click.UsageError(f"--like needs an image with infotext; {path} has none")
    params = infotext.parse(text)
    request, notes = from_infotext(params)
    if model is None and params.get("Model", SCENES) != SCENES:
        notes.append(f"{path} was made with the model {params['Model']}; use --model to select it.")
    for note in notes:
        print_note(note)
    return request


def _fitted(request: Request, path: Path, size: Size) -> Request:
    """The request, with this image's own size if the other image's would stretch it."""
    working = working_size(request, size)
    squash = working.width * size.height / (working.height * size.width)
    if request.inpaint_area == ONLY_MASKED or abs(squash - 1) < LARGEST_SQUASH:
        return request
    print_note(f"{path} does not have the aspect ratio of {working}, so its own size is used.")
    return replace(request, width=0, height=0)


def _request_of(job: Job, request: Request, fitted: bool, model: str | None) -> Request:
    """The request for one result, checked as far as possible before generating."""
    image = read_image(job.image)
    size = Size.of(image)
    numbered = replace(request, seed=(request.seed + job.number) % (LARGEST_SEED + 1))
    if fitted:
        numbered = _fitted(numbered, job.image, size)
    padding = numbered.masked_area_padding if numbered.inpaint_area == ONLY_MASKED else None
    for sentence in advice(numbered.denoising_strength, numbered.masked_content, padding, size,
                           working_size(numbered, size), numbered.steps,
                           numbered.settings.preservation_strength if numbered.settings.enabled else 0):
        print_note(sentence)
    text = infotext.dump(to_infotext(numbered, Model=model or SCENES)) + " " * LETTERS_MORE
    colours = colours_of(image)
    infotext_files.demand_room(job.target, size, text, colours)
    if colours.kept_by_png_alone and job.target.suffix.lower() != ".png":
        print_note(f"{job.target} cannot store the {' and '.join(colours.kept_by_png_alone)} of {job.image}, so its colours "
                   "will look different. Use .png instead.")
    return numbered


def _with_loras(request: Request, loras: Sequence[str]) -> tuple[Request, list[Path]]:
    """The request with these files (FILE or FILE:WEIGHT) added to its prompt, and their paths."""
    files, prompt = [], request.prompt
    for lora in loras:
        file, colon, weight = lora.rpartition(":")
        try:
            path, weight = (Path(file), float(weight)) if colon and not Path(lora).exists() else (Path(lora), None)
        except ValueError:  # the colon of a drive or in a name
            path, weight = Path(lora), None
        if not path.is_file() or path.suffix.lower() != ".safetensors":
            raise click.UsageError(f"--lora must be an existing .safetensors file, got {lora}")
        if set(path.stem) & set(":<>"):
            raise click.UsageError(f"the name of a --lora file must not contain any of : < >, got {path}")
        prompt = with_lora(prompt, path.stem, weight)
        files.append(path)
    return replace(request, prompt=prompt), files


def _request(start: Request, given: dict[str, Value]) -> Request:
    soft = {field.name for field in saved_fields()}
    settings = replace(start.settings, **{name: value for name, value in given.items() if name in soft})
    return replace(start, settings=settings, **{name: value for name, value in given.items() if name not in soft})


def _checked(image: Path, mask: Path, mask_mode: str) -> list[str]:
    """Checks an image and its mask before anything is generated, so that a bad file is found at once, not after an hour.

    Prints its notes and returns them.
    """
    notes: list[str] = []
    size = Size.of(read_image(image, notes))
    if min(size) < SMALLEST_PX:
        raise click.UsageError(f"images must be at least {SMALLEST_PX} pixels wide and high; {image} is {size}")
    painted = fitted(_painted(mask, notes), size, f"the mask {mask}", notes)
    if (painted == (1 if mask_mode == INPAINT_NOT_MASKED else 0)).all():
        raise click.UsageError(f"the mask {mask} has nothing to repaint")
    for note in notes:
        print_note(f"{image}: {note}")
    return notes


def _painted(path: Path, notes: list[str]) -> np.ndarray:
    with reading(path):
        return strengths(read_mask(path), notes)
