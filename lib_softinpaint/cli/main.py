"""The command line: soft inpainting without a WebUI, or by a running one."""
from __future__ import annotations

import os
import sys
import traceback
import warnings

import click

from lib_softinpaint.cli.command import print_note
from lib_softinpaint.cli.demo import demo
from lib_softinpaint.cli.inpaint import inpaint
from lib_softinpaint.cli.page import page
from lib_softinpaint.cli.recomposite import recomposite
from lib_softinpaint.errors import BadInput

OWN_FAULT, BAD_INPUT = 1, 2

EXTRAS = {"accelerate": "diffusers", "diffusers": "diffusers", "transformers": "diffusers", "gradio": "page"}
"""Which extra of the distribution brings a package."""


def main(arguments: list[str] | None = None, program: str = "softinpaint") -> int:
    """Runs one command. Its help texts call the program `program`.

    Returns 0, 2 with one sentence on what was wrong with its input, or 1 with the traceback of a fault of our own.
    """
    for library in ("TRANSFORMERS", "DIFFUSERS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.simplefilter("ignore")  # diffusers and transformers warn of each other's changes
    asked = {"traceback": False}
    try:
        return commands.main(arguments, prog_name=program, standalone_mode=False, obj=asked) or 0
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.ctx.get_help())
        return BAD_INPUT
    except (click.ClickException, BadInput, ConnectionError, ImportError) as fault:  # packages that do not fit one another
        if asked["traceback"]:
            traceback.print_exc()
        return _complain(_sentence(fault))
    except (click.Abort, KeyboardInterrupt):
        return _complain("stopped")
    except Exception as fault:  # ours, or a library's: nothing that other input would mend
        traceback.print_exc()
        return _complain(f"this is a fault of the program, not of its input: {type(fault).__name__}; please report it with "
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
    """Soft inpainting without a WebUI, or by a running one."""


for command in (demo, inpaint, recomposite, page):
    commands.add_command(command)
