"""The import fence: which folder may import which program. The library needs none of them."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "lib_softinpaint"
ALLOWED = {"modules": {"hosts/webui/"}, "diffusers": {"hosts/diffusers/"}, "gradio": {"ui/"}, "ray": {"batch/ray_seats.py"}}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_only_the_allowed_folders_import_a_program(package):
    knowing = {path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.py")
               if any(name.split(".")[0] == package for name in imports(path))}
    assert all(any(name == place or (place.endswith("/") and name.startswith(place)) for place in ALLOWED[package])
               for name in knowing), knowing


def test_ruff_enforces_the_same_fence():
    intruder = '"""Test."""\nimport gradio\nimport modules.shared\n\nprint(gradio, modules)\n'
    report = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise",
                             "--stdin-filename", LIBRARY / "intruder.py", "-"], cwd=ROOT, input=intruder, capture_output=True,
                            text=True)
    assert report.stdout.count("TID251") == 2


def test_the_algorithm_imports_without_any_host():
    names = [path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.py")]
    host_free = [f"lib_softinpaint.{name.removesuffix('.py').replace('/', '.')}" for name in names
                 if not name.startswith(("hosts/webui/", "hosts/diffusers/", "ui/", "cli/", "batch/ray_seats"))]
    code = ("import sys\n"
            "sys.modules.update(dict.fromkeys(['modules', 'gradio', 'diffusers', 'ray']))\n"
            f"for name in {host_free!r}: __import__(name)\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_script_is_short():
    assert len((ROOT / "scripts/soft_inpainting.py").read_text(encoding="utf8").splitlines()) <= 40


ORDER = ("geometry", "errors", "atomic_file", "bundled", "version"), ("settings",), ("method",), ("generation",), (
    "images",), ("hosts", "ui"), ("batch",), ("cli",)
"""Packages of the library. Each may import itself and those before it."""


def test_packages_import_only_earlier_packages():
    place = {room: number for number, rooms in enumerate(ORDER) for room in rooms}
    wrong = []
    for path in LIBRARY.rglob("*.py"):
        room = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == LIBRARY.name and len(parts) > 1 and place[parts[1]] > place[room]:
                wrong.append(f"{path.relative_to(LIBRARY)} imports {name}")
    assert not wrong
