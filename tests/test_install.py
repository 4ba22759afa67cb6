"""The installed library: the wheel's contents and requirements, and that it runs outside the repository."""
import ast
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PathDistribution, packages_distributions
from pathlib import Path

import pytest
from PIL import Image

from lib_softinpaint import __version__
from lib_softinpaint.cli import main as cli

ROOT = Path(__file__).parent.parent
OF_THE_REPOSITORY = ("demo/infotext.txt", "demo/mask.png", "demo/model", "demo/image.png", "docs/settings.md", "javascript",
                     "localizations", "style.css")
"""Files that `lib_softinpaint.bundled` finds."""
BUNDLED = "lib_softinpaint/bundled/"
BROUGHT_ALONG = {"fastapi": "gradio", "safetensors": "diffusers", "tqdm": "diffusers"}
"""Packages that the library imports, and the requirement that cannot do without them."""
MOST_BYTES, LARGEST_FILE_BYTES = 60 * 10 ** 6, 10 * 10 ** 6
"""Of a checkout, and of one file in it."""
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")


def run(*words, folder=None, **variables):
    """Output of a program, which must succeed. PYTHONPATH does not include the repository."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in words], cwd=folder, env={**inherited, **variables}, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    for module in ("pip", "hatchling"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed, which builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, ROOT)
    built, = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel installed in it."""
    target = tmp_path_factory.mktemp("installed")
    run(sys.executable, *PIP, "install", "--no-deps", "--no-index", "--target", target, wheel)
    return target


@pytest.fixture(scope="module")
def distribution(installed):
    information, = installed.glob("*.dist-info")
    return PathDistribution(information)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def digests_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: digest(archive.read(name)) for name in archive.namelist()}


def files_of(path):
    """Files of the repository under a path, keyed by their own paths."""
    files = (ROOT / path).rglob("*") if (ROOT / path).is_dir() else [ROOT / path]
    return {file.relative_to(ROOT).as_posix(): file for file in files if file.is_file() and "__pycache__" not in file.parts}


def test_the_wheel_holds_the_library_and_its_data_files(wheel):
    expected = files_of("lib_softinpaint")
    for path in OF_THE_REPOSITORY:
        expected.update({BUNDLED + name: file for name, file in files_of(path).items()})
    held = {name: held for name, held in digests_of(wheel).items() if ".dist-info/" not in name}
    assert {"lib_softinpaint/py.typed", BUNDLED + "demo/model/unet/diffusion_pytorch_model.safetensors"} <= set(held)
    assert set(held) == set(expected)
    assert held == {name: digest(file.read_bytes()) for name, file in expected.items()}


def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path, folder=ROOT)
    packed, = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path / "unpacked")
    source, = (tmp_path / "unpacked").iterdir()
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path, folder=source)
    rebuilt, = tmp_path.glob("*.whl")
    assert digests_of(rebuilt) == digests_of(wheel)


def test_the_checkout_is_small():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sizes = {name: (ROOT / name).stat().st_size for name in listed.split("\0") if name and (ROOT / name).exists()}
    assert 10 ** 6 < sum(sizes.values()) < MOST_BYTES
    assert max(sizes.values()) < LARGEST_FILE_BYTES


def test_the_metadata(distribution):
    metadata = distribution.metadata
    expected = {"Name": "sd-webui-softinpaint", "Version": __version__, "License-Expression": "MIT", "License-File": "LICENSE"}
    assert {key: metadata[key] for key in expected} == expected
    assert set(metadata.get_all("Provides-Extra")) == {"diffusers", "page", "photoshop", "ray", "docs", "dev"}


def lines_of(file):
    return {line for line in (ROOT / file).read_text(encoding="utf8").splitlines() if not line.startswith("#")}


def test_the_requirements_files_equal_the_extras():
    """Except PyTorch, which the files pin, and Pillow, which must be newer for the commands than for the library."""
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli", reason="tomli is not installed")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    extras = {name: set(lines) for name, lines in project["optional-dependencies"].items()}
    standalone = {line for line in lines_of("standalone-requirements.txt") if not re.match("torch[=<>]", line)}
    assert standalone == {*project["dependencies"], *extras["diffusers"]} - {"torch>=2.1", "pillow>=9.5"}
    assert lines_of("page-requirements.txt") | {"sd-webui-softinpaint[diffusers]"} == extras["page"]
    assert lines_of("ray-requirements.txt") | {"sd-webui-softinpaint[diffusers]"} == extras["ray"]
    assert lines_of("photoshop-requirements.txt") == extras["photoshop"]
    assert lines_of("docs-requirements.txt") == extras["docs"]
    assert lines_of("development-requirements.txt") == extras["dev"]


def imported(path):
    """Names of the packages that a Python file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="importlib.metadata knows the imports of few packages before 3.11")
def test_the_requirements_name_all_that_the_library_imports():
    """Packages for development are installed where tests run, so a missing requirement would not be noticed there."""
    files = [path for path in (ROOT / "lib_softinpaint").rglob("*.py") if "webui" not in path.parts]
    found = {name for path in files for name in imported(path)} - set(sys.stdlib_module_names) - {"lib_softinpaint"}
    of_packages = packages_distributions()
    lines = set().union(*(lines_of(f"{part}-requirements.txt") for part in ("standalone", "page", "photoshop", "ray")))
    required = {re.split(r"[^a-z0-9_-]", line, maxsplit=1)[0] for line in lines}
    assert {"torch", "skimage", "PIL"} <= found
    assert required.issuperset(BROUGHT_ALONG.values())
    assert {name for name in found - set(BROUGHT_ALONG)
            if required.isdisjoint(each.lower() for each in of_packages.get(name, ()))} == set()


def test_the_installed_command_works_outside_the_repository(installed, tmp_path):
    command, demo = shutil.which("softinpaint", path=installed / "bin"), installed / BUNDLED / "demo"
    words = ("--prompt", "a pine", "--steps", "1", "-o", "made.png")
    run(command, "inpaint", demo / "image.png", demo / "mask.png", *words, folder=tmp_path, PYTHONPATH=str(installed))
    with Image.open(tmp_path / "made.png") as made:
        assert made.size == (512, 512)


def test_the_commands_help_shows_its_name(distribution, capsys):
    script, = distribution.entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("softinpaint", "lib_softinpaint.cli.main:main")
    assert cli.main([]) == cli.BAD_INPUT
    assert capsys.readouterr().out.startswith("Usage: softinpaint [OPTIONS] COMMAND")


def test_the_installed_library_finds_its_data_files(installed, tmp_path):
    asked = {path for file in (ROOT / "lib_softinpaint").rglob("*.py")
             for path in re.findall(r'\bbundled\("([^"]+)"\)', file.read_text(encoding="utf8"))}
    assert {"demo", "demo/model", "docs/settings.md", "style.css"} <= asked
    code = f"from lib_softinpaint.bundled import bundled; print([str(bundled(path)) for path in {sorted(asked)}])"
    found = ast.literal_eval(run(sys.executable, "-c", code, folder=tmp_path, PYTHONPATH=str(installed)))
    assert found == [str(installed / BUNDLED / path) for path in sorted(asked)]
    assert all(Path(path).exists() for path in found)


@pytest.mark.parametrize(("missing", "extra"), [("diffusers", "diffusers"), ("gradio", "page"), ("ray", "ray"),
                                                 ("psd_tools", "photoshop")])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, capsys, missing, extra):
    def fail(*others, **named):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
    monkeypatch.setattr(cli.commands, "main", fail)
    assert cli.main(["demo"]) == cli.BAD_INPUT
    assert capsys.readouterr().err.strip() == (
        f"softinpaint: No module named '{missing}'. To install it: pip install \"sd-webui-softinpaint[{extra}]\"")


@pytest.fixture
def entry():
    """The launcher as a module."""
    spec = importlib.util.spec_from_file_location("entry_point", ROOT / "softinpaint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("place", "exit_codes", "expected", "message"), [
    (None, [], 0, "skipped, because npx is not installed"),
    ("npx", [1], 0, "skipped, because eslint@9 could not be downloaded"),
    ("npx", [0, 1], 1, "JavaScript linter\n"), ("npx", [0, 0], 0, "JavaScript linter\n")])
def test_javascript_is_linted_where_npx_is_installed(entry, monkeypatch, capsys, place, exit_codes, expected, message):
    codes = iter(exit_codes)
    monkeypatch.setattr(entry.shutil, "which", lambda name: place)
    monkeypatch.setattr(subprocess, "run", lambda words, **options: subprocess.CompletedProcess(words, next(codes)))
    assert entry.lint_javascript() == expected
    assert message in capsys.readouterr().out
    assert list(codes) == []


def test_the_entry_points_help_shows_its_name(entry, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(os, "execv", lambda path, words: started.append(words))
    monkeypatch.setattr(subprocess, "run", lambda words: started.append(words) or subprocess.CompletedProcess(words, 0))
    entry.command(["inpaint", "--help"])
    _, _, code, *words = started[0]
    monkeypatch.setattr(sys, "argv", ["-c", *words])
    monkeypatch.setattr(sys, "path", sys.path.copy())
    with pytest.raises(SystemExit) as ended:
        exec(code, {})
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: softinpaint.py inpaint [OPTIONS]")
