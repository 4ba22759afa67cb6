"""The command line: soft inpainting without a WebUI, or by a running one."""
from __future__ import annotations

import dataclasses
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from PIL import Image, ImageOps, UnidentifiedImageError

from lib_softinpaint import infotext
from lib_softinpaint.fields import Value
from lib_softinpaint.request import FIELDS, INPAINT_NOT_MASKED, LARGEST_SEED, Request, from_infotext, to_infotext, with_seed
from lib_softinpaint.settings import Settings
from lib_softinpaint.sheet import side_by_side

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "demo"
DEMO_REQUEST = Request(prompt="an orange tree", denoising_strength=1, masked_content="fill", mask_blur=8, cfg_scale=5, seed=3)
OUTPUTS = Path("outputs")
PROGRESS_STEPS = 100  # per picture
BAD_INPUT = 2

MASKS_ALPHA = ("RGBA", "LA", "PA")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0, or 2 with one sentence on what was wrong with its input."""
    for library in ("TRANSFORMERS", "DIFFUSERS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.simplefilter("ignore")  # diffusers and transformers warn of each other's changes
    try:
        return commands.main(arguments, prog_name="softinpaint.py", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.ctx.get_help())
        return BAD_INPUT
    except click.ClickException as fault:
        return _complain(fault.format_message())
    except (ValueError, ConnectionError) as fault:
        return _complain(str(fault))
    except (click.Abort, KeyboardInterrupt):
        return _complain("stopped")


def _complain(sentence: str) -> int:
    click.echo(f"softinpaint: {' '.join(sentence.split())}", err=True)
    return BAD_INPUT


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120, "show_default": True})
def commands() -> None:
    """Soft inpainting without a WebUI, or by a running one."""


@commands.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS, help="Folder for the two pictures.")
def demo(output: Path) -> None:
    """Inpaint the bundled picture with the bundled model, hard and soft, and show both side by side."""
    picture, mask = _opened(DEMO / "picture.png"), _opened_mask(DEMO / "mask.png")
    result, compared = _unused(output / "demo.png", output / "demo-compared.png")
    output.mkdir(parents=True, exist_ok=True)
    hard = replace(DEMO_REQUEST, settings=Settings(enabled=False))
    click.echo(f'Inpainting "{DEMO_REQUEST.prompt}" with the bundled model')
    with _Progress(2) as advance:
        make = _maker(None, None, advance)
        (by_hard, _), (by_soft, about) = make(hard, picture, mask), make(DEMO_REQUEST, picture, mask)
    tiles = {"original": picture, "mask": mask, "hard inpainting": by_hard, "soft inpainting": by_soft}
    _save(side_by_side(tiles), compared, about)
    _save(by_soft, result, about)
    click.echo(f"Compared side by side: {compared.resolve()}\nResult: {result.resolve()}")


def _options_of(fields: tuple[dataclasses.Field, ...], **defaults: Value) -> Callable:
    """Decorator: one option for each field, named as it is."""
    def decorate(command: Callable) -> Callable:
        for field in reversed(fields):
            command = _option(field, defaults.get(field.name, field.default))(command)
        return command
    return decorate


def _option(field: dataclasses.Field, default: Value) -> Callable:
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


@commands.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.argument("mask", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=OUTPUTS,
              help="File for one result, or folder for many; .png, .webp and .jpg carry infotext.")
@click.option("--force", is_flag=True, help="Overwrite results that exist.")
@click.option("--count", type=click.IntRange(1), default=1, help="Results for each picture, with seeds one apart.")
@click.option("--like", type=click.Path(path_type=Path), metavar="PICTURE",
              help="Take the prompt and every setting from this picture's infotext; options given here win.")
@click.option("--model", help="Diffusers folder, .safetensors file or name on the Hugging Face Hub; the bundled model if not "
                              "given. With --webui: a checkpoint of that WebUI.")
@click.option("--device", help="As PyTorch names it; NVIDIA's GPU if there is one, else the processor.")
@click.option("--webui", metavar="URL", help="Let a running WebUI with this extension make the pictures, by its API.")
@_options_of(FIELDS)
@_options_of(dataclasses.fields(Settings), enabled=True)
@click.pass_context
def inpaint(context: click.Context, pictures: tuple[Path, ...], mask: Path, output: Path, force: bool, count: int,
            like: Path | None, model: str | None, device: str | None, webui: str | None, **values: Value) -> None:
    """Inpaint PICTURE where MASK is white, or several pictures, or folders of them.

    MASK is one file for all pictures, or a folder with a mask of each picture's name. Grey repaints by that strength.
    """
    given = {name: value for name, value in values.items()
             if like is None or context.get_parameter_source(name) != ParameterSource.DEFAULT}
    request = with_seed(_request(_liked(like) if like else Request(), given))
    jobs = list(_jobs(pictures, mask, output, count))
    for path, its_mask, target, _ in jobs:
        _check(path, its_mask, request.mask_mode)
        if target.exists() and not force:
            raise click.UsageError(f"--force is needed to overwrite {target}, which exists")
    with _Progress(len(jobs)) as advance:
        make = _maker(model, device, advance) if webui is None else _sender(webui, model, advance)
        for path, its_mask, target, number in jobs:
            numbered = replace(request, seed=(request.seed + number) % (LARGEST_SEED + 1))
            made, about = make(numbered, _opened(path), _opened_mask(its_mask))
            target.parent.mkdir(parents=True, exist_ok=True)
            _save(made, target, about)
            click.echo(target)


# What is asked

def _liked(path: Path) -> Request:
    _opened(path)
    text = infotext.of_picture(path)
    if not text:
        raise click.UsageError(f"--like needs a picture with infotext, {path} has none")
    request, notes = from_infotext(infotext.parse(text))
    for note in notes:
        click.echo(f"softinpaint: {note}", err=True)
    return request


def _request(start: Request, given: dict[str, Value]) -> Request:
    soft = {field.name for field in dataclasses.fields(Settings)}
    settings = replace(start.settings, **{name: value for name, value in given.items() if name in soft})
    return replace(start, settings=settings, **{name: value for name, value in given.items() if name not in soft})


def _jobs(pictures: tuple[Path, ...], mask: Path, output: Path, count: int) -> Iterator[tuple[Path, Path, Path, int]]:
    """Picture, mask, target and number of each result to make."""
    paths = [each for path in pictures for each in (sorted(_in_folder(path)) if path.is_dir() else [path])]
    many = len(paths) * count > 1
    if output.suffix and output.suffix.lower() not in infotext.SAVE_OPTIONS:
        raise click.UsageError(f"--output must be a folder or end in {', '.join(infotext.SAVE_OPTIONS)}, got {output}")
    if output.suffix and many:
        raise click.UsageError(f"--output must be a folder for more than one result, got {output}")
    for path in paths:
        suffix = path.suffix if path.suffix.lower() in infotext.SAVE_OPTIONS else ".png"
        for number in range(count):
            name = f"{path.stem}-{number + 1}{suffix}" if count > 1 else path.stem + suffix
            yield path, _mask_for(path, mask), output if output.suffix else output / name, number


def _check(picture: Path, mask: Path, mask_mode: str) -> None:
    """Complains before anything is made, so that no bad file is found behind an hour of good ones."""
    size, painted = _opened(picture).size, _opened_mask(mask)
    if painted.size != size:
        raise click.UsageError(f"a mask must be as large as its picture {size}, {mask} is {painted.size}")
    if painted.getextrema() == ((255, 255) if mask_mode == INPAINT_NOT_MASKED else (0, 0)):
        raise click.UsageError(f"a mask must have something to repaint, {mask} has nothing")


def _in_folder(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.suffix.lower() in infotext.SAVE_OPTIONS]
    if not found:
        raise click.UsageError(f"PICTURE must be a picture or a folder of {', '.join(infotext.SAVE_OPTIONS)}, got {folder}")
    return found


def _mask_for(picture: Path, mask: Path) -> Path:
    if not mask.is_dir():
        return mask
    found = sorted(path for path in mask.glob(f"{picture.stem}.*") if path.suffix.lower() in infotext.SAVE_OPTIONS)
    if not found:
        raise click.UsageError(f"MASK must hold a mask named {picture.stem}, got the folder {mask}")
    return found[0]


# Who makes it

Maker = Callable[[Request, Image.Image, Image.Image], tuple[Image.Image, str]]


def _maker(model: str | None, device: str | None, advance: Callable[[float], None]) -> Maker:
    """Pictures by a model here; importing it takes a second, so only once the input is known to be good."""
    from lib_softinpaint.hosts import diffusers_models as models

    pipeline = models.load(str(model or models.SCENE_MODEL), device)
    name = Path(model).stem if model else "softinpaint scenes"

    def make(request: Request, picture: Image.Image, mask: Image.Image) -> tuple[Image.Image, str]:
        made = models.inpaint(pipeline, request, picture, mask, on_step=advance)
        size = f"{request.width or picture.width // 8 * 8}x{request.height or picture.height // 8 * 8}"
        return made, infotext.dump(to_infotext(request, Size=size, Model=name))
    return make


def _sender(url: str, model: str | None, advance: Callable[[float], None]) -> Maker:
    """Pictures by a running WebUI."""
    from lib_softinpaint.hosts import webui_api

    def make(request: Request, picture: Image.Image, mask: Image.Image) -> tuple[Image.Image, str]:
        made = webui_api.inpaint(url, request, picture, mask, model)
        advance(1)
        return made
    return make


class _Progress:
    """Progress bar over pictures, fed with each picture's share; quiet where nobody looks."""

    def __init__(self, pictures: int):
        terminal = sys.stderr if sys.stderr.isatty() else io.StringIO()
        self._bar = click.progressbar(length=pictures * PROGRESS_STEPS, file=terminal, show_pos=False)
        self._before = 0.0

    def __enter__(self) -> Callable[[float], None]:
        self._bar.__enter__()
        return self._advance

    def _advance(self, share: float) -> None:
        self._bar.update(round((share - self._before) * PROGRESS_STEPS))
        self._before = 0.0 if share >= 1 else share

    def __exit__(self, *fault: Any) -> None:
        self._bar.__exit__(*fault)


# Files

def _opened(path: Path) -> Image.Image:
    """(RGB) picture, turned upright."""
    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except FileNotFoundError as fault:
        raise click.UsageError(f"a picture must exist, {path} does not") from fault
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as fault:
        raise click.UsageError(f"a picture must be readable, {path} is not: {fault}") from fault


def _opened_mask(path: Path) -> Image.Image:
    """(L) mask; what is transparent is not repainted."""
    _opened(path)
    with Image.open(path) as picture:
        mask = ImageOps.exif_transpose(picture)
    if mask.mode not in MASKS_ALPHA:
        return mask.convert("L")
    clear = Image.new("RGBA", mask.size, (0, 0, 0, 255))
    return Image.alpha_composite(clear, mask.convert("RGBA")).convert("L")


def _unused(*paths: Path) -> list[Path]:
    """The paths, with one number for all if any of them exists."""
    number, free = 1, list(paths)
    while any(path.exists() for path in free):
        number += 1
        free = [path.with_stem(f"{path.stem}-{number}") for path in paths]
    return free


def _save(picture: Image.Image, path: Path, about: str) -> None:
    try:
        infotext.save(picture, path, about)
    except OSError as fault:
        raise click.ClickException(f"{path} could not be written: {fault}") from fault
