"""The clock of the embedded AWS: waits hang on it, and where nothing works it goes on to what is due next.

It runs as fast as the wall clock, and it jumps ahead of it. Whoever waits for a moment says so (`wait`, Event), and
whoever works says so too (`work`, Thread). While anything works the clock does not jump. Where nothing does, and
somebody's wait drives (a bake time, a Wait state: something that has an end), it jumps to the earliest moment that
anybody waits for. Other waits (the next health check, a schedule, the time-out of an approval) are passed on the way,
each in its turn, and drive nothing: where nothing is under way, the clock runs as the wall clock does.

Tests hold the clock, so that it stands still, and advance it (see `control`). What is due on the way happens as ever,
one thing after the other, each to its end: no outcome depends on how fast the machine is.

Signatures, credentials, tokens and certificates are judged by the wall clock. The code of the project reads the time in
one place (lockgate.clock), which follows the file that this clock writes.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
import types
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# How long nothing may have worked before a jump (seconds of the wall clock): between two steps of ours, and where the
# last to work was a client, who thinks between its requests; whoever advances the clock does not.
SETTLED = 0.003
SETTLED_AFTER_CLIENT = 0.06
# Two things that are due at one moment happen one after the other; work that takes longer holds nothing else up.
IN_TURN = 0.25
_PROBED_AGAIN = 0.02


@dataclass(eq=False)
class Work:
    """Something that works, as long as it is in the clock's list."""

    name: str
    ended: bool = False


@dataclass(order=True)
class _Wait:
    due: float
    turn: int
    number: int
    drives: bool = field(compare=False)
    over: Callable[[], bool] = field(compare=False)
    work: Work | None = field(compare=False)
    woken: threading.Event = field(compare=False, default_factory=threading.Event)


# Whose work code does: of a counted thread its own, else what its context inherited (a coroutine, what it awaits).
_of_thread = threading.local()
_of_context: ContextVar[Work | None] = ContextVar("work", default=None)


def _mine() -> Work | None:
    work: Work | None = getattr(_of_thread, "work", None) or _of_context.get()
    return work if work is not None and not work.ended else None


class Clock:
    """wall: the clock that it runs beside."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Condition()
        self._ahead = 0.0
        self._held: float | None = None
        self._goal: float | None = None
        self._waits: list[_Wait] = []
        self._numbers = itertools.count()
        self._working: set[Work] = set()
        self._steps = 0  # so that who looked without the lock sees that something began or ended meanwhile
        self._settled = self._settled_after_client = 0.0
        self._probes: list[Callable[[], bool]] = []
        self._file: int | None = None
        self._advancing = threading.Lock()
        self._mover: threading.Thread | None = None

    def now(self) -> float:
        """Seconds since the epoch."""
        held = self._held
        return self._wall() + self._ahead if held is None else held

    def write_to(self, file: Path) -> None:
        """Tell other processes too (lockgate.clock): `ahead <seconds>` of the wall clock, or `held <moment>`."""
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._write()

    def probe(self, works: Callable[[], bool]) -> None:
        """Ask before each jump whether something works that cannot say so itself."""
        self._probes.append(works)

    # Who works.

    @contextmanager
    def work(self, name: str, client: bool = False) -> Iterator[None]:
        """The body works; what it awaits or waits for on this clock does not count meanwhile.

        client: it was asked for from outside, by somebody who may go on in a moment.
        """
        work = self._begin(name)
        before = _of_context.set(work)
        try:
            yield
        finally:
            _of_context.reset(before)
            self._end(work, client)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The body works not: it waits for somebody who is counted, or for nobody knows whom."""
        work = _mine()
        with self._lock:
            self._leave(work)
        try:
            yield
        finally:
            with self._lock:
                self._resume(work)

    def counted(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """`call`, for another thread: it works from now on until it has ended."""
        work = self._begin(name)

        def run(*args: Any, **options: Any) -> Any:
            before, _of_thread.work = getattr(_of_thread, "work", None), work
            try:
                return call(*args, **options)
            finally:
                _of_thread.work = before
                self._end(work)

        return run

    def _begin(self, name: str) -> Work:
        work = Work(name)
        with self._lock:
            self._resume(work)
        return work

    def _end(self, work: Work, client: bool = False) -> None:
        with self._lock:
            work.ended = True
            self._leave(work)
            if client and not self._working:
                self._settled_after_client = self._wall() + SETTLED_AFTER_CLIENT

    def _resume(self, work: Work | None) -> None:
        if work is not None and not work.ended:
            self._working.add(work)
            self._steps += 1

    def _leave(self, work: Work | None) -> None:
        if work in self._working:
            self._working.discard(work)
            self._steps += 1
            if not self._working:
                self._settled = max(self._settled, self._wall() + SETTLED)
                self._lock.notify_all()

    # Who waits.

    def wait(self, seconds: float, *, drives: bool = True, turn: int = 0) -> None:
        self.wait_until(self.now() + seconds, drives=drives, turn=turn)

    def wait_until(
        self,
        moment: float | None,
        *,
        drives: bool = True,
        turn: int = 0,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait until a moment (None: for ever), or until somebody calls `changed` when `over` is true.

        drives: the clock may jump because of it. turn: who goes first among those who wait for the same moment.
        """
        work = _mine()
        with self._lock:
            if over() or (moment is not None and moment <= self.now()):
                return
            due = float("inf") if moment is None else moment
            wait = _Wait(due, turn, next(self._numbers), drives, over, work)
            heapq.heappush(self._waits, wait)
            self._leave(work)
            self._start()
            self._lock.notify_all()
        wait.woken.wait()

    def changed(self) -> None:
        """Wake everybody whose wait is over."""
        with self._lock:
            woken = [wait for wait in self._waits if wait.over()]
            if woken:
                self._waits = [wait for wait in self._waits if wait not in woken]
                heapq.heapify(self._waits)
                for wait in woken:
                    self._wake(wait)

    def _wake(self, wait: _Wait) -> None:
        self._resume(wait.work)  # before it runs: between being woken and running it works already
        wait.woken.set()

    # How it goes on.

    def hold(self) -> None:
        """Stand still, until `release`; only `advance` moves it."""
        with self._lock:
            self._held = self.now()
            self._write()
            self._lock.notify_all()

    def release(self) -> None:
        with self._lock:
            if self._held is not None:
                self._ahead, self._held = self._held - self._wall(), None
                self._write()
                self._lock.notify_all()

    def advance(self, seconds: float) -> float:
        """Go so far ahead, through everything that is due on the way, and wait until nothing works; the time then."""
        with self._advancing:
            goal = self.now() + seconds
            with self._lock:
                self._goal = goal
                self._start()
                self._lock.notify_all()
                while self._goal is not None:
                    self._lock.wait()
        return self.now()

    def state(self) -> dict[str, Any]:
        """What somebody asks who wonders why it does not go on."""
        with self._lock:
            driving = [wait.due for wait in self._waits if wait.drives]
            return {
                "now": self.now(),
                "held": self._held is not None,
                "working": sorted(work.name for work in self._working),
                "due": min(driving, default=None),
            }

    def _start(self) -> None:
        if self._mover is None:
            self._mover = threading.Thread(target=self._move, name="clock", daemon=True)
            self._mover.start()

    def _move(self) -> None:
        with self._lock:
            while True:
                now = self.now()
                top = self._waits[0] if self._waits else None
                if top and top.due <= now and (not self._working or now - top.due > IN_TURN):
                    heapq.heappop(self._waits)
                    self._wake(top)
                    continue
                target = None if self._working else self._target(top)
                if target is None:
                    self._lock.wait(self._until(top, now))
                elif (settling := self._settling()) > 0:
                    self._lock.wait(settling)
                elif not self._probed():
                    self._jump(target)

    def _target(self, top: _Wait | None) -> float | None:
        due = top.due if top else float("inf")
        if self._goal is not None:
            return min(due, self._goal)
        if self._held is not None or not any(wait.drives for wait in self._waits):
            return None
        return due

    def _settling(self) -> float:
        """How much longer nothing must work."""
        settled = self._settled if self._goal is not None else max(self._settled, self._settled_after_client)
        return settled - self._wall()

    def _until(self, top: _Wait | None, now: float) -> float | None:
        """How long nothing comes by itself: the wall clock brings what is due nearer."""
        if top is None or self._held is not None or top.due == float("inf"):
            return None
        return max(0.0, top.due - now) + (IN_TURN if self._working else 0.0) + 0.001

    def _probed(self) -> bool:
        """Whether to look again, since something works, or began to while we asked."""
        steps = self._steps
        self._lock.release()
        try:
            works = any(probe() for probe in self._probes)
        finally:
            self._lock.acquire()
        if works:
            self._settled = self._wall() + _PROBED_AGAIN
        return works or steps != self._steps

    def _jump(self, target: float) -> None:
        now = self.now()
        if target > now and target != float("inf"):
            if self._held is not None:
                self._held = target
            else:
                self._ahead += target - now
            self._write()
        if (
            self._goal is not None
            and self.now() >= self._goal
            and not (self._waits and self._waits[0].due <= self._goal)
        ):
            self._goal = None
            self._lock.notify_all()

    def _write(self) -> None:
        if self._file is not None:
            text = f"ahead {self._ahead:.6f}" if self._held is None else f"held {self._held:.6f}"
            os.pwrite(self._file, f"{text:<40}\n".encode(), 0)


class Event:
    """A threading.Event whose waiter does not count as working; its time-out is the clock's, and drives nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._set = clock, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._clock.changed()

    def wait(self, timeout: float | None = None) -> bool:
        moment = None if timeout is None else self._clock.now() + timeout
        self._clock.wait_until(moment, drives=False, over=self.is_set)
        return self._set


class Changes:
    """Something that changes now and then, for those who look at it again whenever it has."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._numbers, self.count = clock, itertools.count(1), 0

    def happened(self) -> None:
        self.count = next(self._numbers)
        self._clock.changed()

    def wait(self, seen: int, until: float | None = None, *, drives: bool = False) -> None:
        """Wait for a change after those that were `seen` (`count` before the look); at most until a moment."""
        self._clock.wait_until(until, drives=drives and until is not None, over=lambda: self.count != seen)


CLOCK = Clock()


class Thread(threading.Thread):
    """A thread that works from its start to its end; who joins it does not work meanwhile."""

    def start(self) -> None:
        self.run = CLOCK.counted(self.run, self.name)  # type: ignore[method-assign]
        super().start()

    def join(self, timeout: float | None = None) -> None:
        with CLOCK.waiting():
            super().join(timeout)


def now_iso() -> str:
    """As AWS writes a moment."""
    return datetime.fromtimestamp(CLOCK.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Time(types.ModuleType):
    """The module `time` for code that tells this clock's time."""

    def __init__(self) -> None:
        super().__init__("time")

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def time() -> float:
        return CLOCK.now()


class _TimeAndWaits(_Time):
    """The module `time` for code whose waits hang on this clock too, where they are part of counted work."""

    @staticmethod
    def sleep(seconds: float) -> None:
        if _mine() is None:
            time.sleep(seconds)
        else:
            CLOCK.wait(seconds)


class Threading(types.ModuleType):
    """The module `threading` for code whose threads work, and whose events wait for somebody.

    for_ever: names of functions that never end; a thread for one of them is a usual thread.
    """

    def __init__(self, for_ever: Collection[str] = ()) -> None:
        super().__init__("threading")
        self._for_ever = frozenset(for_ever)

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)

    def Thread(self, *, target: Callable[..., Any], **options: Any) -> threading.Thread:  # noqa: N802
        kind = threading.Thread if target.__name__ in self._for_ever else Thread
        return kind(target=target, **options)

    @staticmethod
    def Event() -> Event:  # noqa: N802 - it stands for the class
        return Event(CLOCK)


TIME, TIME_AND_WAITS, THREADING = _Time(), _TimeAndWaits(), Threading()
