import threading

import pytest

from lib_softinpaint.generation.turns import Busy, Overtaken, Turns


def started(target):
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def waits(turns, count):
    """Waits until this many callers have the turn or wait for it."""
    while len(turns._queue) < count:
        threading.Event().wait(0.001)


def test_the_newest_request_runs_last_in_any_order():
    turns, made = Turns(), []

    def ask(number):
        try:
            with turns.turn("panel", number):
                made.append(number)
        except Overtaken:
            pass
    with turns.turn():
        threads = [started(lambda number=number: ask(number)) for number in (3, 1, 13, 2, 12, 5)]
        while turns._newest.get("panel") != 13:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    assert made[-1] == 13 and made == sorted(made)
    assert turns.is_newest("panel", 13) and not turns.is_newest("panel", 12)


def test_requests_run_one_at_a_time_in_order_of_arrival():
    turns, order, inside, peak = Turns(20), [], [], []

    def work(number):
        with turns.turn():
            inside.append(number)
            peak.append(len(inside))
            order.append(number)
            threading.Event().wait(0.002)
            inside.remove(number)
    threads = []
    with turns.turn():
        for number in range(12):
            threads.append(started(lambda number=number: work(number)))
            waits(turns, number + 2)
    for thread in threads:
        thread.join()
    assert max(peak) == 1
    assert order == list(range(12))


def test_too_many_or_too_long_waits_are_rejected_and_cleaned_up():
    turns, refused = Turns(1, 0.05), []

    def wait():
        try:
            with turns.turn():
                raise AssertionError("it never has the turn")
        except Busy as busy:
            refused.append(str(busy))
    with turns.turn():
        waiting = started(wait)
        waits(turns, 2)
        with pytest.raises(Busy, match="2 re-composites are running or waiting; try again in a moment."), turns.turn():
            pass
        waiting.join()
    assert refused == ["Other re-composites took more than 0 s; try again in a moment."]
    with turns.turn():
        pass
    assert not turns._queue


def test_the_newest_request_of_a_panel_drops_its_older_waiting_ones():
    turns, done = Turns(), []

    def ask(panel, value):
        try:
            with turns.turn(panel):
                done.append((panel, value))
        except Overtaken:
            done.append((panel, None))
    threads = []
    with turns.turn("one"):  # a request that has the turn is not dropped
        for panel, value, waiting in (("one", 1, 2), ("other", 2, 3), ("one", 3, 3), ("one", 4, 3)):
            threads.append(started(lambda panel=panel, value=value: ask(panel, value)))
            waits(turns, waiting)
            while value > 2 and len(done) < value - 2:
                threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    assert done == [("one", None), ("one", None), ("other", 2), ("one", 4)]


def test_an_exception_releases_the_turn():
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    with turns.turn():
        pass


def test_eight_may_wait_and_no_more():
    turns = Turns()

    def wait():
        with turns.turn():
            pass
    with turns.turn():
        threads = [started(wait) for _ in range(8)]
        waits(turns, 9)
        with pytest.raises(Busy, match="^9 re-composites are running or waiting"), turns.turn():
            pass
    for thread in threads:
        thread.join()


def test_the_oldest_callers_are_forgotten(monkeypatch):
    monkeypatch.setattr("lib_softinpaint.generation.turns.MOST_CALLERS", 2)
    turns = Turns()

    def remembered():
        return [caller for caller in "abc" if not turns.is_newest(caller, -1)]
    for caller, expected in (("a", ["a"]), ("b", ["a", "b"]), ("a", ["a", "b"]), ("c", ["a", "c"])):
        with turns.turn(caller):
            assert remembered() == expected
