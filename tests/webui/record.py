"""A record of the last run of tests/webui in each host, because most machines have no WebUI."""
from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from benchmarks.machine import ROOT, imported_files
from lib_softinpaint.settings.presets import BUNDLED_FILE

RECORD = Path(__file__).parent / "last_run.json"
PROGRESS = Path(__file__).parent / "work"


@cache
def code_hash() -> str:
    """Hash of all that the WebUI loads: the script and the adapter with their imports, presets, page modules, styles and help.

    Comments and docstrings do not count. Computed once, so an edit during a run is not taken for the code that ran.
    """
    roots = ROOT / "scripts" / "soft_inpainting.py", *(ROOT / "lib_softinpaint" / "hosts" / "webui").glob("*.py")
    loaded = ROOT / "style.css", *(ROOT / "javascript").rglob("*.mjs"), BUNDLED_FILE, ROOT / "docs" / "settings.md"
    return _hash({*loaded}.union(*map(imported_files, roots)))


@cache
def tests_hash() -> str:
    """Hash of the tests that run in a WebUI and of what they share."""
    return _hash(path for path in Path(__file__).parent.rglob("*") if path.suffix in (".py", ".mjs", ".json")
                 and path != RECORD and PROGRESS not in path.parents)


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + code_of(path).encode())
    return digest.hexdigest()


COMMENTS_OF_JAVASCRIPT = re.compile(r"^[ \t]*(//.*|/\*\*[\s\S]*?\*/)[ \t]*$", re.MULTILINE)


def code_of(path: Path) -> str:
    """A file's lines of code."""
    text = path.read_text(encoding="utf8")
    if path.suffix == ".mjs":
        text = COMMENTS_OF_JAVASCRIPT.sub("", text)
    if path.suffix == ".py":
        text = _without_comments(text)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def _without_comments(text: str) -> str:
    """Python without comments, and without strings that are statements."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1:node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "\n".join(lines)


def write(host: str, passed: int, skipped: int, failures: list[str], tests: str | None = None) -> None:
    """Enters a whole run in one host. `tests`: their hash, if not that of the current tests."""
    row = {"host": host, "code": code_hash(), "tests": tests or tests_hash(), "passed": passed, "skipped": skipped,
           "failures": failures}
    RECORD.write_text(json.dumps([*(other for other in rows() if other["host"] != host), row], indent=1) + "\n")


def rows() -> list[dict]:
    """The last whole run in each host."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else []


def amend(host: str, passed: set[str], failed: set[str]) -> None:
    """Enters a run of some tests, if the host's last whole run was of the same code.

    After fixing a test, only that test needs to run again. The tests of the whole run stay those of the record.
    """
    last = next((row for row in rows() if row["host"] == host), None)
    if last is None or last["code"] != code_hash():
        return
    fixed, broken = set(last["failures"]) & passed - failed, failed - set(last["failures"])
    write(host, last["passed"] + len(fixed) - len(broken), last["skipped"], sorted(set(last["failures"]) - fixed | broken),
          last["tests"])


def _progress() -> Path:
    return PROGRESS / f"passed-{code_hash()[:12]}.txt"


def note_passed(nodeid: str) -> None:
    """Remembers on this machine that a test passed with the current code, so that an interrupted run can resume."""
    PROGRESS.mkdir(exist_ok=True)
    with open(_progress(), "a", encoding="utf8") as file:
        file.write(nodeid + "\n")


def passed() -> set[str]:
    """The tests that have passed on this machine with the current code."""
    path = _progress()
    return set(path.read_text(encoding="utf8").splitlines()) if path.exists() else set()


def sentence() -> str:
    """Whether the last runs were of the current code."""
    skipped = "tests/webui skipped: SOFTINPAINT_WEBUI names no WebUI checkout."
    runs = [_run(row) for row in rows()]
    return " ".join([skipped, *(runs or ["They were never run."])])


def _run(row: dict) -> str:
    verdict = f"FAILED {', '.join(row['failures'])}" if row["failures"] else "no failures"
    of = "STALE: other code" if row["code"] != code_hash() else \
        "current code" if row["tests"] == tests_hash() else "current code, but the tests have changed"
    return f"{row['host']}: {row['passed']} passed, {row['skipped']} skipped, {verdict} ({of})."
