import copy
import gc
from dataclasses import dataclass

from lib_softinpaint.hosts.runs import RunTable


@dataclass
class Processing:
    """Equal to its copies and without a hash, as the host's."""
    prompt: str = ""


def test_a_run_belongs_to_one_object_and_to_no_copy():
    table, owner = RunTable(), Processing()
    table.put(owner, "run")
    assert table.get(owner) == "run"
    assert table.get(copy.copy(owner)) is None
    assert table.pop(copy.copy(owner)) is None
    assert table.pop(owner) == "run"
    assert table.get(owner) is None


def test_a_run_goes_with_its_object():
    table, owner = RunTable(), Processing()
    table.put(owner, "run")
    del owner
    gc.collect()
    assert len(table) == 0


def test_nothing_belongs_to_nobody():
    assert RunTable().get(None) is None
