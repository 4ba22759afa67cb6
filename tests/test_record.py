"""The record of the last run in a real WebUI."""
import json

import pytest

from tests.webui import record

OURS = ["tests/webui/test_a.py::one", "tests/webui/test_a.py::two", "tests/webui/test_a.py::three"]


@pytest.fixture(autouse=True)
def recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RECORD", tmp_path / "last_run.json")


def last():
    return json.loads(record.RECORD.read_text())


def test_fixed_tests_are_entered_and_broken_ones_too():
    record.write("AUTOMATIC1111 1.10.1", 10, 1, OURS[:2])
    record.amend([OURS[0]], [OURS[2]])
    assert (last()["passed"], last()["failures"]) == (10, sorted(OURS[1:]))
    record.amend(OURS[1:], [])
    assert (last()["passed"], last()["skipped"], last()["failures"]) == (12, 1, [])
    assert "12 passed, 1 skipped on AUTOMATIC1111 1.10.1: all passed) was of this code" in record.sentence()


def test_a_run_of_other_code_stays_as_it_is(monkeypatch):
    record.write("AUTOMATIC1111 1.10.1", 10, 1, OURS)
    before = record.RECORD.read_text()
    monkeypatch.setattr(record, "code_hash", lambda: "other")
    record.amend(OURS, [])
    assert record.RECORD.read_text() == before
    assert "STALE" in record.sentence()


def test_without_a_whole_run_there_is_nothing_to_amend():
    record.amend(OURS, [])
    assert not record.RECORD.exists()
