import copy
import gc
from dataclasses import dataclass

from lib_softinpaint.hosts.webui.run import Changes
from lib_softinpaint.hosts.webui.run_table import RunTable, put_back


@dataclass
class Processing:
    """Equal to its copies and unhashable, like the host's class."""
    prompt: str = ""


def test_a_run_belongs_to_one_object_and_to_no_copy():
    table, owner = RunTable(), Processing()
    table.put(owner, "run")
    assert table.get(owner) == "run"
    assert table.get(copy.copy(owner)) is None
    assert table.pop(copy.copy(owner)) is None
    assert table.pop(owner) == "run"
    assert table.get(owner) is None


def test_a_run_is_dropped_with_its_object():
    table, owner = RunTable(), Processing()
    table.put(owner, "run")
    del owner
    gc.collect()
    assert len(table) == 0


def test_none_has_no_run():
    assert RunTable().get(None) is None


class Stubborn:
    def __init__(self):
        self.first, self.last = 1, 2

    @property
    def refuses(self):
        return 0


def test_a_read_only_field_does_not_keep_others_from_being_restored(caplog):
    owner = Stubborn()
    owner.first = owner.last = None
    put_back(owner, {"first": 1, "refuses": 5, "last": 2})
    assert (owner.first, owner.last) == (1, 2)
    assert "refuses could not be restored" in caplog.text


def test_a_method_is_replaced_on_one_object_until_its_fields_are_put_back():
    class Owner:
        def method(self):
            return "own"
    owner, changes = Owner(), Changes()
    changes.replace_method(owner, "method", lambda: "ours")
    assert owner.method() == "ours"
    changes.put_fields_back(owner)
    assert owner.method() == "own"
    assert vars(owner) == {}  # a bound method would be shared with copies
