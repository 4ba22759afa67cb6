"""The documentation: the site builds, no link or anchor is dead, and each code block works.

Python blocks are run with the bundled model, reduced to small images and one step. Of the commands, `mask` and `recomposite`
are run; all others are parsed by the program that they start. JSON is sent to the routes, or checked against the fields of
what it describes.
"""
import argparse
import gc
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import warnings
from dataclasses import replace

import click
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from docs.scripts.pages import CODE, ROOT, anchors_of, blocks_of, links_of, pages
from lib_softinpaint.cli import main as cli
from lib_softinpaint.geometry import Size
from lib_softinpaint.settings.fields import fields_of
from lib_softinpaint.settings.presets import REQUEST_FIELDS, bundled
from lib_softinpaint.settings.request import Request, to_api
from lib_softinpaint.settings.settings import FIELDS, read_args
from tests.test_kept import kept
from tests.test_webui_latents import hooks  # noqa: F401 - a fixture

PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf8") for path in pages()}
SIDE = 64
PROGRAM = "python3 softinpaint.py "


# Site and links

def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "The image with its masked area repainted softly" in (tmp_path / "api" / "index.html").read_text(encoding="utf8")
    assert (tmp_path / "index.html").read_text(encoding="utf8").count("settings/") > 1
    assert ">Hosts</a> lists what has been run" in (tmp_path / "index.html").read_text(encoding="utf8")
    assert "are subtracted:<ul>" in (tmp_path / "method" / "index.html").read_text(encoding="utf8"), "a list within a list"


@pytest.mark.parametrize("page", PAGES)
def test_no_link_within_the_repository_is_dead(page):
    dead = []
    for target in links_of(PAGES[page]):
        file, _, anchor = target.partition("#")
        if ":" in target:
            continue
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists() or anchor and anchor not in anchors_of(path.read_text(encoding="utf8")):
            dead.append(target)
    assert not dead


# Commands

def commands_of(text):
    """Command lines of a page: in blocks of a shell, and indented."""
    joined = "\n".join([*blocks_of(text, "sh"), *re.findall(r"^    (\S.*)$", text, re.MULTILINE)]).replace("\\\n", " ")
    return [line for line in joined.splitlines() if re.match(r"(python3|python|pip|ray) ", line)]


COMMANDS = list(dict.fromkeys(command for text in PAGES.values() for command in commands_of(text)))


class Parsed(Exception):
    """Stops a program once it has parsed its arguments."""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with small versions of what the examples name."""
    for name in ("demo/image.png", "demo/mask.png"):
        (tmp_path / "demo").mkdir(exist_ok=True)
        Image.open(ROOT / name).resize((SIDE, SIDE)).save(tmp_path / name)
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    (tmp_path / "demo/model").symlink_to(ROOT / "demo/model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def launcher():
    spec = importlib.util.spec_from_file_location("entry_point", ROOT / "softinpaint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parse_by_argparse(monkeypatch, main, words):
    real = argparse.ArgumentParser.parse_args

    def parse(parser, *arguments):
        real(parser, *arguments)
        raise Parsed
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    with pytest.raises(Parsed):
        main()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_line_is_valid(command, checkout, monkeypatch):
    words = shlex.split(command, comments=True)
    if not command.startswith(PROGRAM):
        demand_known(words)
        return
    verb, *words = words[2:]
    if verb in ("mask", "recomposite"):
        for word in words:
            if word.endswith(".npz"):
                from lib_softinpaint.images import job_file
                (checkout / word).parent.mkdir(exist_ok=True)
                job_file.save(kept(), checkout / word)
        assert cli.main([verb, *words]) == 0
    elif verb in cli.commands.commands:
        cli.commands.commands[verb].make_context(verb, words, obj={})
    elif verb == "checkpoint":
        from training.sd1_checkpoint import main
        main.make_context(verb, words, obj={})
    elif verb == "bench" and words[:1] != ["masks"]:
        from benchmarks.__main__ import main
        parse_by_argparse(monkeypatch, main, words)
    else:
        assert f"\n    {PROGRAM}{verb} " in launcher().__doc__


def demand_known(words):
    """Raises an error if another program would not know these arguments."""
    program, *words = words
    if program in ("python", "python3"):
        assert words[0] == "-m" and importlib.util.find_spec(words[1]) is not None
    elif program == "pip":
        assert words[0] == "install"
    elif importlib.util.find_spec("ray") is not None:
        commands = importlib.import_module("ray.scripts.scripts").cli.commands
        commands[words[0]].make_context(words[0], words[1:])


def test_a_wrong_option_would_be_noticed(checkout, monkeypatch):
    for command in ("inpaint a.png b.png --stepps 3", "batch photos --best-off 2", "checkpoint a b", "bench qualitty"):
        with pytest.raises((click.UsageError, SystemExit)):
            test_each_command_line_is_valid(PROGRAM + command, checkout, monkeypatch)


# Python

PYTHON = [(page, block) for page, text in PAGES.items() for block in blocks_of(text, "python")]


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[page for page, _ in PYTHON])
def test_each_python_block_runs(page, block, checkout, monkeypatch):
    from lib_softinpaint.hosts.diffusers import models
    from lib_softinpaint.hosts.diffusers.pipeline import SoftInpainting
    inpaint, called = models.inpaint, SoftInpainting.__call__
    load = SoftInpainting.from_pretrained.__func__
    monkeypatch.setattr(models, "inpaint", lambda pipeline, request, *others, **named: inpaint(
        pipeline, replace(request, steps=2), *others, **named))
    monkeypatch.setattr(SoftInpainting, "__call__", lambda *values, **named: called(
        *values, **{"num_inference_steps": 2, **named}))
    monkeypatch.setattr(SoftInpainting, "from_pretrained", classmethod(
        lambda cls, name, **named: load(cls, name if (checkout / name).exists() else models.SCENE_MODEL, **named)))
    files, names = set(checkout.iterdir()), {"__name__": "__main__"}
    with warnings.catch_warnings():  # as the program does: diffusers warns, and examples leave images open
        warnings.simplefilter("ignore")
        exec(compile(block, page, "exec"), names)
        names.clear()
        gc.collect()
    assert set(checkout.iterdir()) > files, "each example saves what it makes"


# JSON

def bodies_of(text):
    """JSON of a page: its blocks, and what its calls of curl send, with the contents of files left out."""
    for block in blocks_of(text, "json"):
        yield block
    for block in blocks_of(text, "sh"):
        if block.startswith("curl"):
            yield re.sub(r"\$\([^()]*\)", "", re.search(r"^\{.*^\}|(?<=')\{.*\}(?=')", block, re.MULTILINE | re.DOTALL)[0])


BODIES = [(page, body) for page, text in PAGES.items() for body in bodies_of(text)]


@pytest.fixture
def routes(hooks):  # noqa: F811
    """A client of the extension's own routes, and the id of a kept image."""
    from lib_softinpaint.hosts.webui import routes as module
    from lib_softinpaint.hosts.webui.kept import history
    app = FastAPI()
    app.add_api_route(module.ROUTE_OF_THE_HOST, lambda: {})
    module.add_routes(app)
    image = kept()
    return TestClient(app), history.put(image, image.composited(image.settings), 64)


@pytest.mark.parametrize(("page", "body"), BODIES, ids=[page for page, _ in BODIES])
def test_each_json_body_is_accepted(page, body, routes):
    client, identity = routes
    given = json.loads(body)
    if "id" in given:
        route = "recomposite" if "format" in given else "export"
        answer = client.post(f"/softinpaint/{route}", json={**given, "id": identity})
        assert answer.status_code == 200, answer.text
        assert f"/softinpaint/{route}" in PAGES[page]
    elif "prompt" in given:
        known = {*to_api(Request(), Size(SIDE, SIDE)), "init_images", "mask"}
        assert given.keys() <= known
        script, = given["alwayson_scripts"].items()
        settings, notes = read_args(script[1]["args"])
        assert script[0] == "Soft Inpainting" and settings.enabled and not notes
    else:
        assert given.keys() == {"name", "url", "description", "tags"}


# Labels

OF_THE_HOST = {"Width", "Height", "Batch count", "Only masked padding, pixels", "Inpaint upload", "Inpaint", "Generate",
               "Inpaint masked", "Inpaint not masked", "Only masked"}
OF_THE_PAGE = {"Re-composite", "Advanced", "Accept", "Keep width and height when sending an image to another tab"}


@pytest.mark.parametrize("page", ["docs/troubleshooting.md", "docs/tutorial.md"])
def test_each_label_in_italics_exists(page):
    own = {field.label.partition(",")[0] for field in (*FIELDS.values(), *fields_of(Request).values())}
    presets = {name for preset in bundled().values() for name in (preset.name, preset.task)}
    request = {field.label for field in REQUEST_FIELDS.values()}
    labels = re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", CODE.sub("", PAGES[page]))
    assert set(labels) <= own | presets | request | OF_THE_HOST | OF_THE_PAGE | {"Candidates"}
    assert len(labels) > 10


def test_the_accordion_shows_the_settings_page_without_its_images():
    from lib_softinpaint.ui.accordion import documented
    assert "](images/strip-grain.webp)" in PAGES["docs/settings.md"]
    for group in {field.group for field in FIELDS.values()} - {""}:
        assert documented(group) and "![" not in documented(group)
    assert f"**{FIELDS['preservation_strength'].label}**. " in documented("Basics")
