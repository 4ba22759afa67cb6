"""The command line: soft inpainting without a WebUI, or in a running one."""
from __future__ import annotations

import traceback

import click

from lib_softinpaint.cli.batch import batch
from lib_softinpaint.cli.command import print_note
from lib_softinpaint.cli.demo import demo
from lib_softinpaint.cli.inpaint import inpaint
from lib_softinpaint.cli.mask import mask
from lib_softinpaint.cli.page import page
from lib_softinpaint.cli.recomposite import recomposite
from lib_softinpaint.errors import BadInput
from lib_softinpaint.hosts.makers import quieten_libraries

OWN_FAULT, BAD_INPUT = 1, 2

EXTRAS = {"accelerate": "diffusers", "diffusers": "diffusers", "transformers": "diffusers", "gradio": "page",
          "ray": "ray", "psd_tools": "photoshop"}
"""The extra of our distribution that installs each package."""


def main(arguments: list[str] | None = None, program: str = "softinpaint", command: click.Command | None = None) -> int:
    """Runs one of our commands, or the given one. Its help texts call the program `program`.

    Returns 0 on success. Prints one sentence and returns 2 for bad input. Prints a traceback and returns 1 for a bug.
    """
    quieten_libraries()
    options = {"traceback": False}
    try:
        return (command or commands).main(arguments, prog_name=program, standalone_mode=False, obj=options) or 0
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.ctx.get_help())
        return BAD_INPUT
    except (click.ClickException, BadInput, ConnectionError, ImportError) as fault:  # ImportError: incompatible packages
        if options["traceback"]:
            traceback.print_exc()
        return _complain(_sentence(fault))
    except (click.Abort, KeyboardInterrupt):
        return _complain("stopped")
    except Exception as fault:  # a bug here or in a library, not a mistake in the input
        traceback.print_exc()
        return _complain(f"this is a bug in the program, not in your input: {type(fault).__name__}; please report it with "
                         "the lines above", OWN_FAULT)


def _sentence(fault: Exception) -> str:
    if isinstance(fault, click.ClickException):
        return fault.format_message()
    if isinstance(fault, ModuleNotFoundError) and fault.name in EXTRAS:
        return f'{fault}. To install it: pip install "sd-webui-softinpaint[{EXTRAS[fault.name]}]"'
    return str(fault)


def _complain(sentence: str, code: int = BAD_INPUT) -> int:
    print_note(" ".join(sentence.split()))
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120, "show_default": True})
def commands() -> None:
    """Soft inpainting without a WebUI, or in a running one."""


for each in (demo, inpaint, batch, mask, recomposite, page):
    commands.add_command(each)
