"""The options that say what a model is asked to do, shared by the commands that generate images."""
from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lib_softinpaint.cli.command import options_of, print_note
from lib_softinpaint.cli.files import DEMO
from lib_softinpaint.hosts.placement import AUTOMATIC, OFFLOADS, PRECISIONS, WHOLE, Placement
from lib_softinpaint.images import infotext_files
from lib_softinpaint.images.files import read_image
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.prompt import LORA_FOLDER, with_lora
from lib_softinpaint.settings.request import FIELDS, SCENES, Request, from_infotext
from lib_softinpaint.settings.settings import saved_fields


def placement_options(command: Callable) -> Callable:
    """Decorator that adds --device, --offload and --precision. The command gets them as `placement`."""
    @functools.wraps(command)
    def with_placement(*arguments: Any, device: str | None, offload: str, precision: str, **named: Any) -> Any:
        return command(*arguments, placement=Placement(device, offload, precision), **named)
    for option in (
            click.option("--precision", type=click.Choice(PRECISIONS), default=AUTOMATIC,
                         help="Automatic: half precision on NVIDIA, AMD and Intel GPUs, float32 elsewhere."),
            click.option("--offload", type=click.Choice(OFFLOADS), default=WHOLE,
                         help="Saves GPU memory and takes longer: one of the pipeline's models is on the GPU at a time, or "
                              "one layer, which is much slower."),
            click.option("--device", help="PyTorch device. Default: an NVIDIA or AMD GPU if there is one, else an Intel or "
                                          "Apple GPU, else the CPU.")):
        with_placement = option(with_placement)
    return with_placement


_OPTIONS = (
    click.option("--like", type=click.Path(path_type=Path), metavar="IMAGE",
                 help="Use the prompts and settings in this image's infotext. Command-line options override them. Ignored "
                      "keys are listed."),
    click.option("--model", help="Diffusers folder, .safetensors file or Hugging Face Hub name (default: the bundled model). "
                                 "With --webui: one of its checkpoints (default: the loaded one)."),
    click.option("--lora", "loras", multiple=True, metavar="FILE[:WEIGHT]",
                 help="Add a LoRA, like <lora:name:weight> in the prompt. Can be repeated."),
    click.option("--lora-dir", type=click.Path(path_type=Path), default=LORA_FOLDER,
                 help="Folder to search for LoRA files (.safetensors) that the prompt names."),
    placement_options,
    options_of(FIELDS),
    options_of(tuple(saved_fields()), lambda field: field.name == "enabled" or field.default))


@dataclass(frozen=True)
class Lora:
    """A file of --lora. If the weight is None, the one in the prompt, or 1."""

    file: Path
    weight: float | None


@dataclass(frozen=True)
class Requested:
    """What the options ask for.

    may_fit
        Whether an image may use its own size instead of the one in --like.
    loras
        In their order on the command line.
    lora_places
        Files and folders in which to look for the LoRAs that a prompt names.
    """

    request: Request
    may_fit: bool
    loras: tuple[Lora, ...]
    lora_places: tuple[Path, ...]

    def with_loras(self, request: Request) -> Request:
        """The request with the files of --lora in its prompt."""
        prompt = request.prompt
        for lora in self.loras:
            prompt = with_lora(prompt, lora.file.stem, lora.weight)
        return replace(request, prompt=prompt)


def request_options(command: Callable) -> Callable:
    """Decorator that adds the options that `requested` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def requested(context: click.Context, like: Path | None, model: str | None, loras: Sequence[str], lora_dir: Path,
              by_webui: bool, values: Mapping[str, Value]) -> Requested:
    """What the options ask for. The seed may be a random one, and the prompt lacks the files of --lora.

    Parameters
    ----------
    by_webui
        Whether a WebUI generates, which does not take LoRA files.
    values
        The options that are made from fields.
    """
    given = {name: value for name, value in values.items()
             if like is None or context.get_parameter_source(name) != ParameterSource.DEFAULT}
    if loras and by_webui:
        raise click.UsageError("--lora cannot be combined with --webui; use the WebUI's own LoRAs, as "
                               "<lora:name:weight> in the prompt")
    files = tuple(map(_lora, loras))
    return Requested(with_values(_from_image(like, model) if like else Request(), given),
                     like is not None and not given.keys() & {"width", "height"}, files,
                     (*(each.file for each in files), lora_dir))


def demo_request() -> Request:
    """The request that belongs to the bundled image and mask."""
    return from_infotext(infotext.parse((DEMO / "infotext.txt").read_text(encoding="utf8")))[0]


def with_values(start: Request, given: Mapping[str, Any]) -> Request:
    """The request with other values of its own fields and of those of its settings."""
    soft = {field.name for field in saved_fields()}
    settings = replace(start.settings, **{name: value for name, value in given.items() if name in soft})
    return replace(start, settings=settings, **{name: value for name, value in given.items() if name not in soft})


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


def _lora(text: str) -> Lora:
    """The LoRA of FILE or FILE:WEIGHT."""
    file, colon, weight = text.rpartition(":")
    try:
        lora = Lora(Path(file), float(weight)) if colon and not Path(text).exists() else Lora(Path(text), None)
    except ValueError:  # the colon of a drive or in a name
        lora = Lora(Path(text), None)
    if not lora.file.is_file() or lora.file.suffix.lower() != ".safetensors":
        raise click.UsageError(f"--lora must be an existing .safetensors file, got {text}")
    if set(lora.file.stem) & set(":<>"):
        raise click.UsageError(f"the name of a --lora file must not contain any of : < >, got {lora.file}")
    return lora
