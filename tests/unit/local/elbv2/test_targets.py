"""When the embedded load balancer calls a target unhealthy: not before a process could have started on AWS either."""

from __future__ import annotations

import pytest

from local.clock import CLOCK
from local.elbv2.targets import RegisteredTarget

GROUP = {"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 3}
SILENT = ("Target.FailedHealthChecks", "Health checks failed")
WRONG = ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")


def judged(failure: tuple[str, str], *, streak: int = 3, state: str = "initial", age: float = 0) -> str:
    target = RegisteredTarget("group", "127.0.0.1", 80, state=state, registered=CLOCK.now() - age)
    target.judge(failure, streak, GROUP)
    return target.state


def test_a_new_target_that_answers_nothing_may_still_be_starting() -> None:
    assert judged(SILENT) == "initial"


@pytest.mark.parametrize("age", [30, 31])
def test_after_the_groups_own_interval_times_its_threshold_it_is_given_up(age: float) -> None:
    assert judged(SILENT, age=age) == "unhealthy"


def test_a_new_target_that_answers_with_an_error_is_unhealthy_at_the_threshold() -> None:
    assert judged(WRONG, streak=2) == "initial"
    assert judged(WRONG) == "unhealthy"


def test_one_that_was_healthy_gets_no_time_to_start() -> None:
    assert judged(SILENT, state="healthy") == "unhealthy"
