"""Targets of a load balancer: registered as address and port, judged by real HTTP health checks.

States and reasons are those of DescribeTargetHealth. A new target is `initial` until it passes one check, as on
AWS; then the group's thresholds decide. A deregistered target is `draining` until its last request is answered.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local.clock import CLOCK, Changes, Thread

_UNHEALTHY = "Health checks failed"


@dataclass(eq=False)
class RegisteredTarget:
    """One registered target. `state` is initial, healthy, unhealthy or draining."""

    group: str
    address: str
    port: int
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    in_flight: int = 0
    answered: float = 0.0  # when it last answered a request with success, by the clock that only runs forward
    registered: float = field(default_factory=CLOCK.now)
    leaving: bool = False

    def judge(self, failure: tuple[str, str] | None, streak: int, group: Mapping[str, Any]) -> None:
        """Apply the `streak`-th check in a row that ended in `failure` (None: passed) to the state."""
        if failure is None:
            enough = self.state != "unhealthy" or streak >= int(group["HealthyThresholdCount"])
            if enough:
                self.state, self.reason, self.description = "healthy", "", ""
        elif streak >= int(group["UnhealthyThresholdCount"]) and not self._starts(failure, group):
            self.state = "unhealthy"
            self.reason, self.description = failure

    def _starts(self, failure: tuple[str, str], group: Mapping[str, Any]) -> bool:
        """Whether it may be starting still: it has answered nothing yet, and AWS would not have given it up either."""
        allowed = float(group["HealthCheckIntervalSeconds"]) * int(group["UnhealthyThresholdCount"])
        silent = self.state == "initial" and failure[0] != "Target.ResponseCodeMismatch"
        return silent and CLOCK.now() - self.registered < allowed


# One lock for every state, and where to wait for a change of any.
_lock = threading.Lock()
changes = Changes(CLOCK)
_targets: dict[str, list[RegisteredTarget]] = {}


def of(group: str) -> list[RegisteredTarget]:
    """The targets of a group, draining ones included."""
    with _lock:
        return list(_targets.get(group, ()))


def groups() -> list[str]:
    """ARNs of the groups that have, or had, targets."""
    with _lock:
        return list(_targets)


def registered(group: str, address: str, port: int) -> RegisteredTarget | None:
    return next((t for t in of(group) if (t.address, t.port) == (address, port) and t.state != "draining"), None)


def register(
    group: str, address: str, port: int, description: Callable[[], Mapping[str, Any] | None]
) -> RegisteredTarget:
    """Add a target and start checking it. `description` reads the group's current settings, None once it is gone."""
    known = registered(group, address, port)
    if known is not None:
        return known
    target = RegisteredTarget(group, address, port)
    with _lock:
        _targets.setdefault(group, []).append(target)
    Thread(target=_check, args=(target, description), name=f"health-{address}:{port}", daemon=True).start()
    return target


def deregister(target: RegisteredTarget, delay: float) -> None:
    """Send no new request to the target, wait up to `delay` seconds for those in flight, then forget it."""
    with _lock:
        target.state, target.reason = "draining", "Target.DeregistrationInProgress"
        target.description = "Target deregistration is in progress"
        target.leaving = True
    changes.happened()
    CLOCK.wait_until(CLOCK.now() + delay, drives=False, over=lambda: target.in_flight == 0)
    with _lock:
        targets = _targets.get(target.group, [])
        if target in targets:
            targets.remove(target)
    changes.happened()


@contextmanager
def serving(target: RegisteredTarget) -> Iterator[None]:
    """Count one request as in flight."""
    with _lock:
        target.in_flight += 1
    try:
        yield
    finally:
        with _lock:
            target.in_flight -= 1
        if target.leaving:
            changes.happened()


def _check(target: RegisteredTarget, description: Callable[[], Mapping[str, Any] | None]) -> None:
    passed, streak = True, 0
    while (group := description()) is not None:
        failure = _failure(target, group)
        streak = streak + 1 if passed == (failure is None) else 1
        passed = failure is None
        with _lock:
            if target.leaving:
                return
            before = target.state
            target.judge(failure, streak, group)
        if target.state != before:
            changes.happened()
        # All targets at once: the clock has fewer moments to stop at. Something is under way while one is new.
        interval, new = float(group["HealthCheckIntervalSeconds"]), target.state == "initial"
        CLOCK.wait_until((CLOCK.now() // interval + 1) * interval, drives=new, over=lambda: target.leaving)
        if target.leaving:
            return


def _failure(target: RegisteredTarget, group: Mapping[str, Any]) -> tuple[str, str] | None:
    """Reason and description of a failed check, None when it passed."""
    if not group["HealthCheckEnabled"]:
        return None
    own_port = group["HealthCheckPort"]
    port = target.port if own_port == "traffic-port" else int(own_port)
    timeout = float(group["HealthCheckTimeoutSeconds"])
    connection = http.client.HTTPConnection(target.address, port, timeout=timeout)
    started = time.monotonic()
    try:
        connection.request(
            "GET", group["HealthCheckPath"], headers={"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"}
        )
        status = connection.getresponse().status
    except TimeoutError:
        return "Target.Timeout", f"Request timed out after {time.monotonic() - started:.0f} s"
    except (OSError, http.client.HTTPException):
        return "Target.FailedHealthChecks", _UNHEALTHY
    finally:
        connection.close()
    if matches(group["Matcher"]["HttpCode"], status):
        return None
    return "Target.ResponseCodeMismatch", f"{_UNHEALTHY} with these codes: [{status}]"


def matches(matcher: str, status: int) -> bool:
    """Whether a status is among those of a matcher such as `200`, `200,202` or `200-299`."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False
