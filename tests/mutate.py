"""Changes the library in one place at a time, and reports which changes the unit tests do not notice.

    python softinpaint.py mutate --sample 100 --seed 1             of the whole library
    python softinpaint.py mutate lib_softinpaint/method/mask.py    every place of a file, each changed once
    python softinpaint.py mutate --javascript --sample 60          what 60 lines of the preview's JavaScript compute

cosmic-ray makes the changes, in JavaScript Stryker. `mutations.py` lists which tests belong to a module, and which changes
make no difference.
"""
from __future__ import annotations

import ast
import importlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators import (
    binary_operator_replacement,
    boolean_replacer,
    comparison_operator_replacement,
    number_replacer,
    unary_operator_replacement,
)
from cosmic_ray.operators.operator import Operator
from parso.python.tree import Name

from tests.mutations import AFTERWARDS, MUTATED, TWINS, WITHOUT_EFFECT, tests_of

ROOT = Path(__file__).parent.parent
LIMIT_SECONDS = 600
"""Seconds of the processor. Tests that take more have noticed the change: it made an endless loop."""
STUCK_SECONDS = 6 * LIMIT_SECONDS
"""Seconds after which they wait for one another. On a busy machine, tests may take many times as long as alone."""
PRELOADED = ("numpy", "PIL.Image", "scipy.ndimage", "scipy.stats", "skimage.color", "torch")
"""Imported once; the tests of each change run in a fork."""
TIMES = itertools.count(1)
NONE_RAN = "none in particular"
"""The failing test where the tests could not be started, or did not end in time."""
QUICK = "not krita and not gimp"
"""Tests that start other programs take longer than all others."""
STRYKER, REPORT = "@stryker-mutator/core@9", "outputs/mutations.json"
ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}


class Extreme(Operator):
    """Replaces max by min, maximum by minimum, and the reverse."""

    NAMES = {"max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum", "amax": "amin", "amin": "amax"}

    def mutation_positions(self, node):
        if isinstance(node, Name) and node.value in self.NAMES:
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        return Name(node.prefix + self.NAMES[node.value], node.start_pos)

    @classmethod
    def examples(cls):
        return ()


def operators() -> list[Operator]:
    def is_plausible(name: str) -> bool:
        """Whether a replacement such as `ReplaceBinaryOperator_Add_Sub` would run on most values."""
        kinds = set(name.split("_")[1:])
        return len(kinds & ARITHMETIC) in (0, 2) and len(kinds & {"Is", "IsNot"}) in (0, 2)
    modules = (binary_operator_replacement, comparison_operator_replacement, unary_operator_replacement)
    replacing = [operator for module in modules for operator in module.operators() if is_plausible(operator.__name__)]
    return [operator() for operator in (*replacing, *boolean_replacer_operators(), number_replacer.NumberReplacer, Extreme)]


def boolean_replacer_operators():
    return (boolean_replacer.ReplaceTrueWithFalse, boolean_replacer.ReplaceFalseWithTrue, boolean_replacer.ReplaceAndWithOr,
            boolean_replacer.ReplaceOrWithAnd, boolean_replacer.AddNot)


@dataclass(frozen=True)
class Mutation:
    """One change. `before` and `after` are the changed line."""

    path: str
    line: int
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}\n    - {self.before}\n    + {self.after}"

    @property
    def reason(self) -> str | None:
        """Why it makes no difference, if it is known to make none."""
        return WITHOUT_EFFECT.get((self.path, self.before, self.after))


def places(path: str) -> dict[tuple[int, int], list[tuple[Operator, int]]]:
    """By line and column: operators, and which occurrence of theirs is there. Annotations and decorators are left out."""
    source = (ROOT / path).read_text(encoding="utf8")
    nodes, left_out, found = list(ast_nodes(get_ast(source))), _left_out(source), {}
    for operator in operators():
        positions = (position for node in nodes for position in operator.mutation_positions(node))
        for occurrence, (start, _) in enumerate(positions):
            if not any(first <= start < last for first, last in left_out):
                found.setdefault(start, []).append((operator, occurrence))
    return found


def _left_out(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    nodes = [part for node in ast.walk(ast.parse(source))
             for part in (getattr(node, "annotation", None), getattr(node, "returns", None),
                          *getattr(node, "decorator_list", ())) if part is not None]
    return [((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)) for node in nodes]


def mutation(path: str, place: tuple[int, int], operator: Operator, occurrence: int) -> Mutation:
    source = (ROOT / path).read_text(encoding="utf8")
    code = mutate_code(source, operator, occurrence)
    old, new = source.splitlines(), code.splitlines()
    line = next((number for number, (one, other) in enumerate(zip(old, new)) if one != other), place[0] - 1)
    return Mutation(path, line + 1, " ".join(old[line].split()), " ".join(new[line].split()), code)


def chosen(files: tuple[str, ...], sample: int | None, seed: int) -> list[Mutation]:
    """The same for the same code and seed. Each place is changed at most once, and never into what is not Python."""
    dice = random.Random(seed)
    options = [(path, place, ways) for path in files for place, ways in sorted(places(path).items())]
    if sample is not None:
        dice.shuffle(options)
    changes = (mutation(path, place, *dice.choice(ways)) for path, place, ways in options)
    return list(itertools.islice(filter(is_python, changes), sample))


def is_python(change: Mutation) -> bool:
    """False, for example, where ** of a dict becomes another operator."""
    try:
        ast.parse(change.code)
    except SyntaxError:
        return False
    return True


def files_of(names: tuple[str, ...]) -> tuple[str, ...]:
    wanted = [(ROOT / name).resolve() for name in names or MUTATED]
    return tuple(sorted(file.relative_to(ROOT).as_posix() for path in wanted
                        for file in (path.rglob("*.py") if path.is_dir() else [path])))


def copy_of_the_repository(folder: str) -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, Path(folder, name)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


class FirstFailure:
    """A pytest plugin that ends the process at the first failure, and writes the test's id into a file."""

    def __init__(self, file: Path):
        self.file = file

    def pytest_collectreport(self, report):
        if report.failed:
            self.file.write_text(report.nodeid)
            os._exit(1)

    pytest_runtest_logreport = pytest_collectreport

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, exitstatus):
        os._exit(int(exitstatus))  # before the summary, which takes longer than most tests


def failing(folder: str, tests: tuple[str, ...]) -> str | None:
    """The first of these tests that fails in a copy of the repository; None if all pass."""
    file = Path(folder, "failed.txt")
    file.unlink(missing_ok=True)
    process = multiprocessing.get_context("fork").Process(target=_run, args=(folder, tests, file))
    process.start()
    process.join(STUCK_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        return NONE_RAN
    return file.read_text() if file.exists() else None if process.exitcode == 0 else NONE_RAN


def _run(folder: str, tests: tuple[str, ...], file: Path) -> None:
    import resource  # not in Windows

    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_SECONDS, LIMIT_SECONDS))
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silent, stream)
    os.chdir(folder)
    sys.dont_write_bytecode = False
    sys.path[:] = [folder, *(entry for entry in sys.path if entry and Path(entry).resolve() != ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "lib_softinpaint", "benchmarks")]:
        del sys.modules[name]
    os._exit(int(pytest.main(["-p", "no:cacheprovider", "-k", QUICK, "-W", "ignore::pytest.PytestAssertRewriteWarning",
                              *tests], [FirstFailure(file)])))


@cache
def check_unchanged(folder: str, test: str) -> None:
    """Raises ClickException if the test fails without a change."""
    if failing(folder, (test,)):
        raise click.ClickException(f"{test} must pass without a change, but does not.")


def write(file: Path, code: str) -> None:
    """Writes code with a time of its own, by which Python knows that bytecode is of other code."""
    file.write_text(code, encoding="utf8")
    os.utime(file, (next(TIMES),) * 2)


def is_noticed(folder: str, change: Mutation) -> bool:
    """Whether a test fails: first the module's own are run, then AFTERWARDS."""
    file, own = Path(folder, change.path), tests_of(change.path)
    before = file.read_text(encoding="utf8")
    for tests in (own, tuple(each for each in AFTERWARDS if each not in own)):
        write(file, change.code)
        test = failing(folder, tests)
        write(file, before)
        if test not in (None, NONE_RAN):
            check_unchanged(folder, test)
        if test is not None:
            return True
    return False


def python(files: tuple[str, ...], sample: int | None, seed: int) -> Iterator[tuple[Mutation, bool]]:
    """Changes of the library, and whether its tests notice each. Those that make no difference are not tried."""
    changes = chosen(files, sample, seed)
    for name in PRELOADED:
        importlib.import_module(name)
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    importlib.import_module("torch").set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        copy_of_the_repository(folder)
        for change in changes:
            yield change, change.reason is None and is_noticed(folder, change)


def stryker(files: tuple[str, ...], sample: int | None, seed: int) -> Iterator[tuple[Mutation, bool]]:
    """Changes of the JavaScript, and whether the tests noticed each."""
    npx = shutil.which("npx")
    if npx is None:
        raise click.ClickException("--javascript needs npx, which comes with Node.js.")
    lines = [(name, number) for name in files for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
             if line.strip(" {}()[],;") and not line.lstrip().startswith(("//", "/*", "*", "import"))]
    if sample is not None:
        lines = sorted(random.Random(seed).sample(lines, min(sample, len(lines))))
    subprocess.run([npx, "--yes", "-p", STRYKER, "stryker", "run", "tests/javascript/stryker.config.json",
                    "--mutate", ",".join(f"{name}:{number}-{number}" for name, number in lines)], cwd=ROOT, check=True)
    for path, file in json.loads((ROOT / REPORT).read_text(encoding="utf8"))["files"].items():
        for mutant in file["mutants"]:
            yield javascript_mutation(path, file["source"], mutant), mutant["status"] not in ("Survived", "NoCoverage")


def javascript_mutation(path: str, source: str, mutant: dict[str, Any]) -> Mutation:
    lines, (start, end) = source.splitlines(), (mutant["location"][key] for key in ("start", "end"))
    first, last = start["line"] - 1, end["line"] - 1
    after = lines[first][:start["column"] - 1] + mutant["replacement"] + lines[last][end["column"] - 1:]
    code = "\n".join([*lines[:first], after, *lines[last + 1:]])
    return Mutation(path, start["line"], " ".join(" ".join(lines[first:last + 1]).split()), " ".join(after.split()), code)


@click.command()
@click.argument("files", nargs=-1)
@click.option("--sample", type=click.IntRange(1), help="Change only this many places, chosen at random.")
@click.option("--seed", default=1, show_default=True, help="Chooses the places, and how each is changed.")
@click.option("--javascript", is_flag=True, help="Change the preview's JavaScript. The places are then lines.")
def main(files: tuple[str, ...], sample: int | None, seed: int, javascript: bool) -> None:
    """Changes FILES, or the whole library, in one place at a time, and lists the changes that no test notices."""
    if not javascript and not hasattr(os, "fork"):
        raise click.ClickException("mutate needs a system that can fork a process, such as Linux or macOS.")
    counts, start = Counter(), time.monotonic()
    for change, noticed in (stryker(files or TWINS, sample, seed) if javascript else python(files_of(files), sample, seed)):
        counts["noticed" if noticed else "without effect" if change.reason else "survived"] += 1
        verdict = "noticed" if noticed else f"makes no difference: {change.reason}" if change.reason else "SURVIVED"
        click.echo(f"[{counts.total()}, {time.monotonic() - start:.0f} s] {verdict}: {change}")
    counted = counts["noticed"] + counts["survived"]
    click.echo(f"{counts['noticed']} of {counted} changes noticed"
               + (f" ({counts['noticed'] / counted:.0%})" if counted else "")
               + f", {counts['without effect']} make no difference")
    sys.exit(1 if counts["survived"] else 0)


if __name__ == "__main__":
    main()
