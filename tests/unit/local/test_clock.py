"""The clock of the embedded AWS: what it waits for, what it jumps over, and in which order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.clock import Clock, Event
from lockgate import clock as read

HOUR = 3600.0
GENEROUS = 120.0  # seconds of the wall clock, which no test needs


@pytest.fixture
def clock() -> Clock:
    return Clock()


def begun(call: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def ended(*threads: threading.Thread) -> bool:
    for thread in threads:
        thread.join(GENEROUS)
    return not any(thread.is_alive() for thread in threads)


def waiting(clock: Clock, count: int) -> None:
    """Until so many wait."""
    until = time.monotonic() + GENEROUS
    while len(clock._waits) < count:
        assert time.monotonic() < until
        time.sleep(0.001)


def sees(clock: Clock, count: int) -> bool:
    """Whether so many wait still after the clock had every chance to jump."""
    waiting(clock, count)
    time.sleep(0.2)
    return len(clock._waits) == count


def test_where_nothing_works_a_wait_is_over_at_once(clock: Clock) -> None:
    before = clock.now()
    assert ended(begun(lambda: clock.wait(HOUR)))
    assert clock.now() - before >= HOUR


def test_the_clock_does_not_jump_while_something_works(clock: Clock) -> None:
    with clock.work("a request"):
        thread = begun(lambda: clock.wait(HOUR))
        assert sees(clock, 1)
        assert clock.state()["working"] == ["a request"]
    assert ended(thread)


def test_it_does_not_jump_while_a_probe_says_that_something_works(clock: Clock) -> None:
    works = True
    clock.probe(lambda: works)
    thread = begun(lambda: clock.wait(HOUR))
    assert sees(clock, 1)
    works = False
    assert ended(thread)


def test_a_wait_that_drives_nothing_is_the_wall_clocks(clock: Clock) -> None:
    begun(lambda: clock.wait(HOUR, drives=False))
    assert sees(clock, 1)
    assert abs(clock.now() - time.time()) < 1
    assert ended(begun(lambda: clock.wait(0.05, drives=False)))


def test_what_is_due_on_the_way_happens_first_each_thing_after_the_other(clock: Clock) -> None:
    happened: list[tuple[str, int]] = []
    begin = clock.now()

    def each_minute(name: str, turn: int) -> None:
        with clock.work(name):
            for minute in range(1, 4):
                clock.wait_until(begin + minute * 60, drives=False, turn=turn)
                time.sleep(0.002)
                happened.append((name, minute))

    with clock.work("until all wait"):
        others = [begun(lambda: each_minute("second", 1)), begun(lambda: each_minute("first", 0))]
        last = begun(lambda: clock.wait_until(begin + 170))
        waiting(clock, 3)
    assert ended(last)
    assert happened == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]
    assert not ended_by_now(*others)


def ended_by_now(*threads: threading.Thread) -> bool:
    return any(not thread.is_alive() for thread in threads)


def test_long_work_holds_up_nothing_else_that_is_due(clock: Clock) -> None:
    with clock.work("a build of minutes"):
        assert ended(begun(lambda: clock.wait(0.05)))


def test_a_held_clock_stands_still(clock: Clock) -> None:
    clock.hold()
    held = clock.now()
    thread = begun(lambda: clock.wait(HOUR))
    assert sees(clock, 1)
    assert clock.now() == held
    clock.release()
    assert ended(thread)
    assert clock.now() >= held + HOUR


def test_advancing_a_held_clock_lets_happen_what_is_due_to_its_end_and_no_more(clock: Clock) -> None:
    happened: list[float] = []
    clock.hold()
    begin = clock.now()

    def poll() -> None:
        with clock.work("polls"):
            while True:
                clock.wait(15)
                time.sleep(0.02)
                happened.append(clock.now() - begin)

    begun(poll)
    waiting(clock, 1)
    assert clock.advance(50) == pytest.approx(begin + 50)
    assert happened == pytest.approx([15, 30, 45])
    assert clock.advance(10) == pytest.approx(begin + 60)
    assert happened == pytest.approx([15, 30, 45, 60])


def test_a_counted_call_works_before_its_thread_runs(clock: Clock) -> None:
    call = clock.counted(lambda: None, "a delivery")
    thread = begun(lambda: clock.wait(HOUR))
    assert sees(clock, 1)
    begun(call)
    assert ended(thread)


def test_who_waits_for_an_event_does_not_work_until_it_is_set(clock: Clock) -> None:
    event, seen = Event(clock), []

    def execution() -> None:
        seen.append(event.wait(7 * 24 * HOUR))

    thread = begun(clock.counted(execution, "an execution"))
    waiting(clock, 1)
    clock.wait(HOUR)
    assert not seen, "the time-out of an approval drives nothing"
    event.set()
    assert ended(thread)
    assert seen == [True]


def test_an_event_that_nobody_sets_times_out_when_the_clock_is_moved(clock: Clock) -> None:
    event, seen = Event(clock), []
    thread = begun(lambda: seen.append(event.wait(7 * 24 * HOUR)))
    waiting(clock, 1)
    clock.advance(8 * 24 * HOUR)
    assert ended(thread)
    assert seen == [False]


def test_who_waits_for_somebody_who_works_does_not_work(clock: Clock) -> None:
    over = threading.Event()

    def stack() -> None:
        with clock.waiting():
            over.wait()

    thread = begun(clock.counted(stack, "an update of a stack"))
    assert ended(begun(lambda: clock.wait(HOUR)))
    over.set()
    assert ended(thread)
    assert clock.state()["working"] == []


def test_other_processes_read_the_time_from_the_file(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.write_to(tmp_path / "clock")
    monkeypatch.setenv("LOCKGATE_CLOCK", str(tmp_path / "clock"))
    assert read.now().timestamp() == pytest.approx(clock.now(), abs=1)
    clock.wait(HOUR)
    assert read.now().timestamp() == pytest.approx(clock.now(), abs=1)
    assert read.now().timestamp() - time.time() > HOUR - 1
    clock.hold()
    assert read.now().timestamp() == pytest.approx(clock.now(), abs=1e-3)
    clock.release()
    assert read.now().timestamp() == pytest.approx(clock.now(), abs=1)
