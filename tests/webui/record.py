"""A record of the last run of tests/webui, because most machines have no WebUI."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path

from benchmarks.machine import ROOT, imported_files

RECORD = Path(__file__).parent / "last_run.json"


def code_hash() -> str:
    """Hash of all code that the WebUI loads: the script and the adapter with their imports, the page's modules and styles."""
    digest = hashlib.sha256()
    roots = ROOT / "scripts" / "soft_inpainting.py", *(ROOT / "lib_softinpaint" / "hosts" / "webui").glob("*.py")
    of_page = ROOT / "style.css", *(ROOT / "javascript").rglob("*.mjs")
    for path in sorted({*of_page}.union(*map(imported_files, roots))):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def write(host: str, passed: int, skipped: int, failures: list[str]) -> None:
    RECORD.write_text(json.dumps({"code": code_hash(), "host": host, "passed": passed, "skipped": skipped,
                                  "failures": failures}, indent=1) + "\n")


def amend(passed: list[str], failed: list[str]) -> None:
    """Enters a run of some tests, if the last whole run was of the same code. So fixing a test does not take a whole run."""
    if not RECORD.exists():
        return
    last = json.loads(RECORD.read_text())
    if last["code"] != code_hash():
        return
    fixed = set(last["failures"]) & set(passed) - set(failed)
    broken = set(failed) - set(last["failures"])
    write(last["host"], last["passed"] + len(fixed) - len(broken), last["skipped"],
          sorted(set(last["failures"]) - fixed | broken))


def sentence() -> str:
    """Whether the last run was of the current code."""
    skipped = "tests/webui skipped: SOFTINPAINT_WEBUI names no WebUI checkout."
    if not RECORD.exists():
        return f"{skipped} They were never run."
    last = json.loads(RECORD.read_text())
    verdict = f"FAILED {', '.join(last['failures'])}" if last["failures"] else "all passed"
    ran = f"{last['passed']} passed, {last['skipped']} skipped on {last['host']}: {verdict}"
    if last["code"] == code_hash():
        return f"{skipped} Their last run ({ran}) was of this code."
    return f"{skipped} Their last run ({ran}) is STALE: it was of other code."
