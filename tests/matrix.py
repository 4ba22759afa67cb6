"""Runs the unit tests in environments with the oldest and newest Pythons and packages that are promised. uv makes them.

    python softinpaint.py test --matrix                   all of them whose Python is installed
    python -m tests.matrix 3.10-lowest                    one of them
    python -m tests.matrix 3.10-lowest -- tests/page      other tests in it: the rest is passed to pytest
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from softinpaint import BUILDS_OF_TORCH, MOST_WORKERS, answers

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "outputs" / "matrix"
EXTRAS = "diffusers", "page", "docs", "dev"
REQUIREMENTS = tuple(f"{part}-requirements.txt" for part in ("standalone", "page", "docs", "development"))
PACKAGES = {
    "lowest": ("--resolution", "lowest-direct", "--only-binary", ":all:", "--no-binary", "yattag",  # has no wheel
               "--constraints", "tests/gradio-4-constraints.txt", "-r", "pyproject.toml",
               *(word for extra in EXTRAS for word in ("--extra", extra))),
    "newest": tuple(word for file in REQUIREMENTS for word in ("-r", file))}
"""What is installed: the lowest versions that pyproject.toml allows and that have wheels, or what the set-up installs."""
WARNINGS = {"lowest": ("-W", "default"), "newest": ()}
"""Packages of several ages warn about one another, which is an error elsewhere."""
TESTS = "--ignore=tests/test_guards.py", "--ignore=tests/webui"
SHOWN = "torch", "numpy", "scipy", "scikit-image", "pillow", "diffusers", "transformers", "gradio"
"""Packages whose versions are printed."""


@dataclass(frozen=True)
class Environment:
    python: str
    packages: str

    def __str__(self) -> str:
        return f"{self.python}-{self.packages}"

    @property
    def executable(self) -> Path:
        return FOLDER / str(self) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def create(self) -> str | None:
        """Makes the environment anew. What went wrong, if anything did."""
        cpu = ("--torch-backend", "cpu") if answers(BUILDS_OF_TORCH) else ()
        for command in (("venv", "--seed", "--clear", "--python", self.python, str(FOLDER / str(self))),
                        ("pip", "install", "--python", str(self.executable), *cpu, *PACKAGES[self.packages])):
            done = subprocess.run([*uv(), "--quiet", *command], cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                return (done.stderr.strip().splitlines() or ["uv failed"])[0]
        return None

    def versions(self) -> str:
        code = f"from importlib.metadata import version; print(*(f'{{each}} {{version(each)}}' for each in {SHOWN}), sep=', ')"
        return subprocess.run([self.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    def test(self, arguments: list[str]) -> tuple[int, str]:
        """Runs the tests. Their exit code, and the line that pytest ends with."""
        arguments = arguments or ["-n", str(min(MOST_WORKERS, os.cpu_count() or 1)), "--dist", "loadfile", *TESTS]
        command = [str(self.executable), "-m", "pytest", *WARNINGS[self.packages], *arguments]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf8") as process:
            assert process.stdout is not None
            last = ""
            for line in process.stdout:
                print(line, end="", flush=True)
                last = line.strip(" =\n") or last
        return process.returncode, last


ENVIRONMENTS = {str(each): each for python in ("3.10", "3.13") for packages in PACKAGES
                for each in [Environment(python, packages)]}


def uv() -> list[str]:
    found = shutil.which("uv")
    return [found] if found else [sys.executable, "-m", "uv"]


def main(arguments: list[str]) -> int:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    named, further = arguments[:split], arguments[split + 1:]
    if unknown := set(named) - set(ENVIRONMENTS):
        print(f"matrix: environments are {', '.join(ENVIRONMENTS)}, got {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    rows, failed = [], False
    for name in named or ENVIRONMENTS:
        environment = ENVIRONMENTS[name]
        print(f"[matrix] {name}", flush=True)
        fault = environment.create()
        if fault:
            rows.append(f"| {name} | | not run: {fault} |")
            failed |= bool(named)
            continue
        code, last = environment.test(further)
        failed |= bool(code)
        rows.append(f"| {name} | {environment.versions()} | {last} |")
    print("", "| environment | packages | tests |", "|---|---|---|", *rows, sep="\n")
    return int(failed or all("| not run" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
