"""The command line: soft inpainting without a WebUI, or by a running one."""
from __future__ import annotations

import dataclasses
import io
import os
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource
from PIL import Image, ImageFile

from lib_softinpaint import infotext
from lib_softinpaint.advice import advice
from lib_softinpaint.bad_input import BadInput, judging_input
from lib_softinpaint.composite import over_white
from lib_softinpaint.fields import Value
from lib_softinpaint.image_files import UNREADABLE, as_original, colours_of, opened
from lib_softinpaint.kept import KeptPicture
from lib_softinpaint.painted import fitted, strengths
from lib_softinpaint.presets import PRESETS_FILE, PresetFile
from lib_softinpaint.prompt import LORA_FOLDER, demand_supported, with_lora
from lib_softinpaint.request import (
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
from lib_softinpaint.settings import Settings, composite_fields, saved_fields
from lib_softinpaint.sheet import side_by_side
from lib_softinpaint.source import completed

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "demo"
OUTPUTS = Path("outputs")
JOB_SUFFIX = ".npz"
PROGRESS_STEPS = 100  # per picture
LARGEST_SQUASH = 0.02  # of a picture's shape: sizes are whole multiples of eight
OWN_FAULT, BAD_INPUT = 1, 2

SMALLEST_PX = 8
SYSTEM_FILES = ("thumbs.db", "desktop.ini")
FILE_ATTRIBUTE_HIDDEN = 2  # on Windows
MOST_NAMES = 5  # of files in one sentence
LETTERS_MORE = 500  # in infotext than what is known before: LoRA hashes, what a WebUI adds
LONGEST_RESCUED = 40  # letters of a file's name
WITH_TRANSPARENCY = (".png", ".webp")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Returns 0, 2 with one sentence on what was wrong with its input, or 1 with the traceback of a fault of our own.
    """
    for library in ("TRANSFORMERS", "DIFFUSERS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.simplefilter("ignore")  # diffusers and transformers warn of each other's changes
    asked = {"traceback": False}
    try:
        return commands.main(arguments, prog_name="softinpaint.py", standalone_mode=False, obj=asked) or 0
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.ctx.get_help())
        return BAD_INPUT
    except (click.ClickException, BadInput, ConnectionError, ImportError) as fault:  # packages that do not fit one another
        if asked["traceback"]:
            traceback.print_exc()
        return _complain(fault.format_message() if isinstance(fault, click.ClickException) else str(fault))
    except (click.Abort, KeyboardInterrupt):
        return _complain("stopped")
    except Exception as fault:  # ours, or a library's: nothing that other input would mend
        traceback.print_exc()
        return _complain(f"this is a fault of the program, not of its input: {type(fault).__name__}; please report it with "
                         "the lines above", OWN_FAULT)


def _complain(sentence: str, code: int = BAD_INPUT) -> int:
    _note(" ".join(sentence.split()))
    return code


def _note(sentence: str) -> None:
    click.echo(f"softinpaint: {sentence}", err=True)


class _Command(click.Command):
    """Also takes --traceback."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.params.append(click.Option(
            ["--traceback"], is_flag=True, is_eager=True, expose_value=False, callback=self._remember,
            help="Show where in the program a complaint about the input comes from."))

    @staticmethod
    def _remember(context: click.Context, option: click.Parameter, value: bool) -> None:
        context.obj["traceback"] = value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120, "show_default": True})
def commands() -> None:
    """Soft inpainting without a WebUI, or by a running one."""


@commands.command(cls=_Command)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS, help="Folder for the two pictures.")
def demo(output: Path) -> None:
    """Inpaint the bundled picture with the bundled model, hard and soft, and show both side by side."""
    picture, mask = _opened(DEMO / "picture.png"), _opened_mask(DEMO / "mask.png")
    result, compared = _unused(output / "demo.png", output / "demo-compared.png")
    _made_folders([result])
    soft, _ = from_infotext(infotext.parse((DEMO / "infotext.txt").read_text(encoding="utf8")))
    hard = replace(soft, settings=Settings(enabled=False))
    click.echo(f'Inpainting "{soft.prompt}" with the bundled model')
    with _Progress(2) as advance:
        make = _maker(soft, None, None, advance)
        (by_hard, _), (by_soft, about) = make(hard, picture, mask), make(soft, picture, mask)
    tiles = {"original": picture, "mask": mask, "hard inpainting": by_hard, "soft inpainting": by_soft}
    for made, target in ((side_by_side(tiles), compared), (by_soft, result)):
        with _rescued(target, lambda place, made=made: infotext.save(made, place, about)):
            infotext.save(made, target, about)
    click.echo(f"Compared side by side: {compared.resolve()}\nResult: {result.resolve()}")


def _options_of(fields: tuple[dataclasses.Field, ...],
                default_of: Callable[[dataclasses.Field], Value | None] = lambda field: field.default) -> Callable:
    """Decorator: one option for each field, named as it is."""
    def decorate(command: Callable) -> Callable:
        for field in reversed(fields):
            command = _option(field, default_of(field))(command)
        return command
    return decorate


def _option(field: dataclasses.Field, default: Value | None) -> Callable:
    name, about = field.name.replace("_", "-"), field.metadata
    if isinstance(field.default, bool):
        return click.option(f"--{name}/--no-{name}", default=default, help=about["help"])
    if "choices" in about:
        kind: Any = click.Choice(about["choices"], case_sensitive=False)
    elif "low" in about:
        kind = (click.IntRange if isinstance(field.default, int) else click.FloatRange)(about["low"], about["high"])
    else:
        kind = str
    return click.option(f"--{name}", type=kind, default=default, help=about["help"])


@commands.command(cls=_Command)
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
@_options_of(FIELDS)
@_options_of(tuple(saved_fields()), lambda field: field.name == "enabled" or field.default)
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
    jobs = list(_jobs(paths[:-1], paths[-1], output, count))
    _check_targets([target for job in jobs for target in (job.target, *([job.kept] if keep else []))], force)
    told: dict[Path, list[str]] = {}
    for job in jobs:
        if job.picture not in told:
            told[job.picture] = _checked(job.picture, job.mask, request.mask_mode)
    may_fit = like is not None and not given.keys() & {"width", "height"}
    asked = [_asked_of(job, request, may_fit, model) for job in jobs]
    _made_folders(job.target for job in jobs)
    with _Progress(len(jobs)) as advance:
        make = (_maker(request, model, device, advance, [*lora_files, lora_dir]) if webui is None
                else _sender(webui, model, advance))
        for job, numbered in zip(jobs, asked):
            picture = _opened(job.picture)
            kept: list[KeptPicture] = []
            made, about = make(numbered, picture, _opened_mask(job.mask), kept.append if keep else None,
                               lambda note, job=job: None if note in told[job.picture] else _note(f"{job.target}: {note}"))
            with _rescued(job.target, lambda place, made=made, about=about: infotext.save(made, place, about)):
                if job.target.suffix.lower() not in WITH_TRANSPARENCY:
                    made = over_white(made)
                infotext.save(made, job.target, about, colours_of(picture))
            click.echo(job.target)
            for each in kept:
                with _rescued(job.kept, each.save):
                    completed(each, about, picture).save(job.kept)
                click.echo(job.kept)


@commands.command(cls=_Command)
@click.argument("paths", nargs=-1, metavar="JOB...", required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="File for one result (.png, .webp or .jpg, which cannot keep the outside exact), or folder for PNG files.")
@click.option("--force", is_flag=True, help="Overwrite results that exist.")
@_options_of(tuple(composite_fields()), default_of=lambda field: None)
def recomposite(paths: tuple[Path, ...], output: Path, force: bool, **values: Value | None) -> None:
    """Make the composites of JOB files again, under other settings, without a model.

    "inpaint --keep" writes them. Settings that are not given stay those of the job.
    """
    targets = _targets([path.stem for path in paths], output)
    _check_targets(targets, force)
    changes = {name: value for name, value in values.items() if value is not None}
    pictures = [KeptPicture.load(path) for path in paths]
    _made_folders(targets)
    for picture, target in zip(pictures, targets):
        settings = picture.settings_with(changes)
        made = Image.fromarray(picture.composited(settings))
        if target.suffix.lower() not in WITH_TRANSPARENCY:
            made = over_white(made)
        with _unwritable(target):
            infotext.save(made, target, picture.infotext_with(settings), picture.colours)
        click.echo(target)


@commands.command(cls=_Command)
@click.argument("path", required=False, metavar="[PICTURE]", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=OUTPUTS / "page",
              help="Folder for the pictures, and for presets of your own.")
@click.option("--model", default="", help="Diffusers folder, .safetensors file or name on the Hugging Face Hub; the bundled "
                                          "model if not given.")
@click.option("--device", help="As PyTorch names it; NVIDIA's GPU if there is one, else the processor.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port on this machine; the first free one from 7860 if not given.")
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
def page(path: Path | None, output: Path, model: str, device: str | None, port: int | None, browser: bool) -> None:
    """Show a page in the browser to paint on PICTURE, or on the bundled one, until it is stopped with Ctrl+C."""
    picture = _opened(path or DEMO / "picture.png")
    _made_folders([output / PRESETS_FILE])
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from lib_softinpaint.hosts import diffusers_models as models
    from lib_softinpaint.hosts.diffusers_page import Painter
    from lib_softinpaint.ui.page import PortTaken, serve

    name = model.strip()
    if name:
        click.echo(f"Loading {name}", err=True)
    with judging_input():
        models.load(name or str(models.SCENE_MODEL), device)
    start, _ = from_infotext(infotext.parse((DEMO / "infotext.txt").read_text(encoding="utf8")))
    mask = _opened_mask(DEMO / "mask.png") if path is None else None
    try:
        serve(Painter(output, device).host(), PresetFile(output / PRESETS_FILE), start if path is None else Request(), picture,
              mask, output, name, port, browser, lambda address: click.echo(f"The page: {address} (Ctrl+C ends it)"))
    except PortTaken as fault:
        raise click.UsageError(f"--port must be a free one, got {port}") from fault
    except OSError as fault:
        raise click.UsageError(f"the page cannot be shown: {fault}") from fault


# What is asked

def _liked(path: Path, model: str | None) -> Request:
    _opened(path)
    text = infotext.of_picture(path)
    if not text:
        raise click.UsageError(f"--like needs a picture with infotext, {path} has none")
    params = infotext.parse(text)
    request, notes = from_infotext(params)
    if model is None and params.get("Model", SCENES) != SCENES:
        notes.append(f"{path} was made with the model {params['Model']}; --model chooses one.")
    for note in notes:
        _note(note)
    return request


def _fitted(request: Request, path: Path, size: tuple[int, int]) -> Request:
    """The request without the other picture's size where that would squash this one."""
    width, height = working_size(request, size)
    if request.inpaint_area == ONLY_MASKED or abs(width / height * size[1] / size[0] - 1) < LARGEST_SQUASH:
        return request
    _note(f"{path} has another shape than {width}x{height}, its own size is taken.")
    return replace(request, width=0, height=0)


def _asked_of(job: _Job, request: Request, fitted: bool, model: str | None) -> Request:
    """The request of one result, when all that can be known of it before it is made is found to be right."""
    picture = _opened(job.picture)
    numbered = replace(request, seed=(request.seed + job.number) % (LARGEST_SEED + 1))
    if fitted:
        numbered = _fitted(numbered, job.picture, picture.size)
    padding = numbered.masked_area_padding if numbered.inpaint_area == ONLY_MASKED else None
    for sentence in advice(numbered.denoising_strength, numbered.masked_content, padding, picture.size,
                           working_size(numbered, picture.size)):
        _note(sentence)
    about = infotext.dump(to_infotext(numbered, Model=model or SCENES)) + " " * LETTERS_MORE
    colours = colours_of(picture)
    infotext.demand_room(job.target, picture.size, about, colours)
    if colours.kept_by_png_alone and job.target.suffix.lower() != ".png":
        _note(f"{job.target} cannot hold the {' and '.join(colours.kept_by_png_alone)} of {job.picture}: its colours will "
              "look different; .png can.")
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


@dataclass(frozen=True)
class _Job:
    """One result to make; `number` counts those of one picture from 0."""
    picture: Path
    mask: Path
    target: Path
    number: int

    @property
    def kept(self) -> Path:
        return self.target.with_suffix(JOB_SUFFIX)


def _jobs(pictures: tuple[Path, ...], mask: Path, output: Path, count: int) -> Iterator[_Job]:
    paths = [each for path in pictures for each in (sorted(_in_folder(path)) if path.is_dir() else [path])]
    numbered = [(path, number) for path in paths for number in range(count)]
    names = [f"{path.stem}-{number + 1}" if count > 1 else path.stem for path, number in numbered]
    for (path, number), target in zip(numbered, _targets(names, output)):
        yield _Job(path, _mask_for(path, mask), target, number)


def _targets(names: list[str], output: Path) -> list[Path]:
    """Files for results of these names: one that is named, or as many in a folder."""
    if not output.suffix or os.path.isdir(output):  # which no name makes raise
        return [output / f"{name}.png" for name in names]
    if output.suffix.lower() not in infotext.SAVE_OPTIONS:
        raise click.UsageError(f"--output must be a folder or end in {', '.join(infotext.SAVE_OPTIONS)}, got {output}")
    if len(names) > 1:
        raise click.UsageError(f"--output must be a folder for more than one result, got {output}")
    return [output]


def _check_targets(targets: list[Path], force: bool) -> None:
    for target, times in Counter(str(target).casefold() for target in targets).items():
        if times > 1:
            raise click.UsageError(f"results must have names of their own, {times} of them would be {target}")
    for target in targets:
        try:
            target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as fault:  # of too long a name, for one
            raise click.UsageError(f"{target} cannot be written: {fault.strerror}") from fault
        if target.is_dir():
            raise click.UsageError(f"{target} must be a file to be written, it is a folder")
        if not force:
            raise click.UsageError(f"--force is needed to overwrite {target}, which exists")


def _checked(picture: Path, mask: Path, mask_mode: str) -> list[str]:
    """Complains before anything is made, so that no bad file is found behind an hour of good ones.

    Returns what was noted about the image and its mask, which is told here.
    """
    notes: list[str] = []
    size = _opened(picture, notes).size
    if min(size) < SMALLEST_PX:
        raise click.UsageError(f"a picture must be {SMALLEST_PX} pixels wide and high at least, {picture} is {size}")
    painted = fitted(_painted(mask, notes), size, f"the mask {mask}", notes)
    if (painted == (1 if mask_mode == INPAINT_NOT_MASKED else 0)).all():
        raise click.UsageError(f"a mask must have something to repaint, {mask} has nothing")
    for note in notes:
        _note(f"{picture}: {note}")
    return notes


def _in_folder(folder: Path) -> list[Path]:
    """The images in a folder; files that are none are named, but for those that systems hide there."""
    visible = [path for path in sorted(folder.iterdir()) if not _hidden(path)]
    found = [path for path in visible if _opens(path)]
    if not found:
        raise click.UsageError(f"PICTURE must be an image or a folder with images, {folder} has none")
    if others := [path.name for path in visible if path not in set(found)]:
        more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
        _note(f"{folder} also holds what is no image and is left out: {', '.join(others[:MOST_NAMES])}{more}.")
    return found


def _hidden(path: Path) -> bool:
    return (path.name.startswith(".") or path.name.lower() in SYSTEM_FILES
            or bool(getattr(path.lstat(), "st_file_attributes", 0) & FILE_ATTRIBUTE_HIDDEN))


def _opens(path: Path) -> bool:
    """Whether this is a file of a kind that Pillow reads. One that is too large is: there is a sentence on it later."""
    try:
        with Image.open(path) as image:
            return not isinstance(image, ImageFile.StubImageFile)
    except Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError):
        return False


def _mask_for(picture: Path, mask: Path) -> Path:
    if not mask.is_dir():
        return mask
    found = [path for path in sorted(mask.iterdir()) if path.stem == picture.stem and not _hidden(path) and _opens(path)]
    if len(found) != 1:
        raise click.UsageError(f"MASK must hold one mask named {picture.stem}, the folder {mask} has {len(found)}")
    return found[0]


# Who makes it

Maker = Callable[..., tuple[Image.Image, str]]
"""From a request, an image, its mask, and what is called with all that the composite is made of: the result, its infotext."""


def _maker(request: Request, model: str | None, device: str | None, advance: Callable[[float], None],
           loras: Sequence[Path] = ()) -> Maker:
    """Images by a model here; importing diffusers takes seconds, so only once the input is known to be good."""
    demand_supported(request.prompt, request.negative_prompt)
    from lib_softinpaint.hosts import diffusers_models as models
    from lib_softinpaint.hosts.diffusers_lora import loras_of
    from lib_softinpaint.hosts.diffusers_prompts import as_run, prepared

    loras_of(request.prompt, loras)
    with judging_input():
        models.scheduler_class(request.sampler, request.schedule_type)
        if model:
            click.echo(f"Loading {model}", err=True)
        pipeline = models.load(str(model or models.SCENE_MODEL), device)
    prepared(pipeline, request, loras)
    if as_run(pipeline, request) != request:
        _note("Clip skip changes nothing with SDXL, as in the WebUI.")

    def make(request: Request, picture: Image.Image, mask: Image.Image,
             keep: Callable[[KeptPicture], None] | None = None,
             on_note: Callable[[str], None] | None = None) -> tuple[Image.Image, str]:
        made = models.inpaint(pipeline, request, picture, mask, advance, keep, loras, on_note=on_note)
        return made, models.infotext_of(as_run(pipeline, request), picture.size, model, loras)
    return make


def _sender(url: str, model: str | None, advance: Callable[[float], None]) -> Maker:
    """Images by a running WebUI."""
    from lib_softinpaint.hosts import webui_api

    def make(request: Request, picture: Image.Image, mask: Image.Image, *others: Any) -> tuple[Image.Image, str]:
        made = webui_api.inpaint(url, request, picture, mask, model)
        advance(1)
        return made
    return make


class _Progress:
    """Progress bar over pictures, fed with each picture's share; quiet where nobody looks."""

    def __init__(self, pictures: int):
        terminal = sys.stderr if sys.stderr.isatty() else io.StringIO()
        self._bar = click.progressbar(length=pictures * PROGRESS_STEPS, file=terminal, show_pos=False)
        self._done = 0

    def __enter__(self) -> Callable[[float], None]:
        self._bar.__enter__()
        return self._advance

    def _advance(self, share: float) -> None:
        reached = round(share * PROGRESS_STEPS)
        self._bar.update(reached - self._done)
        self._done = reached % PROGRESS_STEPS

    def __exit__(self, *fault: Any) -> None:
        self._bar.__exit__(*fault)


# Files

def _opened(path: Path, notes: list[str] | None = None) -> Image.Image:
    """Image of a file as a run takes it; takes notes as `image_files.as_original`."""
    with _readable(path):
        return as_original(opened(path), notes)


def _opened_mask(path: Path) -> Image.Image:
    """Image of a file as it is stored, turned upright."""
    with _readable(path):
        return opened(path)


def _painted(path: Path, notes: list[str]) -> np.ndarray:
    with _readable(path):
        return strengths(_opened_mask(path), notes)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as fault:
        raise click.UsageError(f"an image must exist, {path} does not") from fault
    except UNREADABLE as fault:
        raise click.UsageError(f"an image must be readable, {path} is not: {fault}") from fault


def _unused(*paths: Path) -> list[Path]:
    """The paths, with one number for all if any of them exists."""
    number, free = 1, list(paths)
    while any(path.exists() for path in free):
        number += 1
        free = [path.with_stem(f"{path.stem}-{number}") for path in paths]
    return free


def _made_folders(targets: Iterable[Path]) -> None:
    folder = Path()
    try:
        for folder in {target.parent for target in targets}:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # only writing tells whether one may
                continue
    except OSError as fault:
        raise click.UsageError(f"{folder} must be a folder that can be written to: {fault.strerror}") from fault


@contextmanager
def _unwritable(target: Path) -> Iterator[None]:
    """Makes an OSError of the block, which writes this file, a sentence."""
    try:
        yield
    except OSError as fault:
        raise click.UsageError(f"{target} could not be written: {fault.strerror or fault}") from fault


@contextmanager
def _rescued(target: Path, save: Callable[[Path], None]) -> Iterator[None]:
    """Keeps what was computed if the block, which writes it to `target`, fails in any way: `save` then writes it elsewhere.

    That is a PNG or job file in the system's folder for temporary files, or else in the current folder. Raises BadInput with
    where it is, or after a note on that a fault of our own.
    """
    try:
        yield
    except Exception as fault:
        for folder in (Path(tempfile.gettempdir()), Path()):
            suffix = JOB_SUFFIX if target.suffix == JOB_SUFFIX else ".png"
            place, = _unused(folder / f"softinpaint-{target.stem[:LONGEST_RESCUED]}{suffix}")
            with suppress(OSError):
                save(place)
                break
        else:
            raise
        if not isinstance(fault, (OSError, BadInput)):
            _note(f"the result is in {place.resolve()}")
            raise
        reason = getattr(fault, "strerror", None) or fault
        raise BadInput(f"{target} could not be written: {reason}; the result is in {place.resolve()}") from fault
