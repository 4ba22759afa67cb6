"""The record of the last run in a real WebUI."""
import json

import pytest

from benchmarks.machine import ROOT
from tests.webui import record

OURS = ["tests/webui/test_a.py::one", "tests/webui/test_a.py::two", "tests/webui/test_a.py::three"]


HOST = "AUTOMATIC1111 1.10.1"


@pytest.fixture(autouse=True)
def recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RECORD", tmp_path / "last_run.json")
    monkeypatch.setattr(record, "PROGRESS", tmp_path)


def last():
    return json.loads(record.RECORD.read_text())[-1]


def test_fixed_tests_are_entered_and_broken_ones_too():
    record.write(HOST, 10, 1, OURS[:2])
    record.amend(HOST, {OURS[0]}, {OURS[2]})
    assert (last()["passed"], last()["failures"]) == (10, sorted(OURS[1:]))
    record.amend(HOST, set(OURS[1:]), set())
    assert (last()["passed"], last()["skipped"], last()["failures"]) == (12, 1, [])
    assert f"{HOST}: 12 passed, 1 skipped, no failures (current code)." in record.sentence()


def test_each_host_has_a_row():
    record.write(HOST, 10, 1, [])
    record.write("Forge Neo 2.26", 5, 0, OURS[:1])
    record.write(HOST, 11, 1, [])
    assert [(row["host"], row["passed"]) for row in record.rows()] == [("Forge Neo 2.26", 5), (HOST, 11)]
    assert f"Forge Neo 2.26: 5 passed, 0 skipped, FAILED {OURS[0]} (current code)." in record.sentence()


def test_a_run_of_other_code_stays_as_it_is(monkeypatch):
    record.write(HOST, 10, 1, OURS)
    before = record.RECORD.read_text()
    monkeypatch.setattr(record, "code_hash", lambda: "other")
    record.amend(HOST, set(OURS), set())
    assert record.RECORD.read_text() == before
    assert "STALE" in record.sentence()


def test_a_run_of_other_tests_says_so(monkeypatch):
    record.write(HOST, 10, 1, OURS[:1])
    before = last()["tests"]
    monkeypatch.setattr(record, "tests_hash", lambda: "other")
    record.amend(HOST, set(OURS), set())
    assert (last()["failures"], last()["tests"]) == ([], before)
    assert "no failures (current code, but the tests have changed)" in record.sentence()


@pytest.mark.parametrize("path", ["lib_softinpaint/settings/presets.json", "docs/settings.md", "javascript/softInpainting.mjs",
                                  "style.css", "lib_softinpaint/method/composite.py"])
def test_everything_that_the_webui_loads_counts(path, monkeypatch):
    unedited = record.code_of
    monkeypatch.setattr(record, "code_of", lambda file: unedited(file) + ("edited" if file == ROOT / path else ""))
    assert record.code_hash.__wrapped__() != record.code_hash()


def test_without_a_whole_run_there_is_nothing_to_amend():
    record.amend(HOST, set(OURS), set())
    assert not record.RECORD.exists()


def test_what_has_passed_is_remembered_until_the_code_changes(monkeypatch):
    for nodeid in OURS[:2]:
        record.note_passed(nodeid)
    assert record.passed() == set(OURS[:2])
    monkeypatch.setattr(record, "code_hash", lambda: "other")
    assert record.passed() == set()


PYTHON = '''"""A module."""
import os  # of the system

WIDTH = 3
"""Pixels."""


def area(side):
    """Of a square."""
    # A comment with "quotes".
    text = "# not a comment"
    return side * WIDTH, text
'''
JAVASCRIPT = """// A module.
import {a} from "./a.mjs";

/** A function
 *  of two lines. */
export const twice = (x) => 2 * a(x);  // doubled
"""


def test_comments_and_docstrings_do_not_count_as_code(tmp_path):
    (tmp_path / "a.py").write_text(PYTHON)
    (tmp_path / "a.mjs").write_text(JAVASCRIPT)
    assert record.code_of(tmp_path / "a.py").splitlines() == [
        "import os", "WIDTH = 3", "def area(side):", '    text = "# not a comment"', "    return side * WIDTH, text"]
    assert record.code_of(tmp_path / "a.mjs").splitlines() == [
        'import {a} from "./a.mjs";', "export const twice = (x) => 2 * a(x);  // doubled"]
