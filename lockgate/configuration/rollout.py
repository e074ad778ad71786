"""How an environment brings a release to traffic, as environments/*.toml say it, and what ECS is told."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError

STRATEGIES = ("blue-green", "canary", "linear")
# CloudFormation refuses steps and bake times of more than 33 hours in all, and gives a service up after 36.
LONGEST_MINUTES = 33 * 60
LONGEST_DEADLINE_MINUTES = 36 * 60
# What starting and replacing tasks takes, beside steps and bake time.
WORK_MINUTES = 15


@dataclass(frozen=True)
class Rollout:
    """Never a rolling deployment: it has no test traffic, on which recorded rows are replayed.

    strategy: "blue-green" (all traffic at once), "canary" (`percent` first, then all) or "linear" (`percent` by
        `percent`).
    step_minutes: how long each step short of all traffic lasts. A sequential test then compares the error rates of
        both releases.
    bake_minutes: how long all traffic goes to the new tasks while the old ones still run.
    deadline_minutes: after these a deployment that hangs is stopped and taken back.
    replay_difference: how far a prediction may be from evaluation's.
    false_alarm_rate: of the sequential test in one deployment, however often it looks.
    errors_per_minute, latency_p99_ms, unhealthy_minutes: from here on an alarm of either target group stops a
        deployment. At any other time it only says so.
    """

    strategy: str
    percent: int
    step_minutes: int
    bake_minutes: int
    deadline_minutes: int
    replay_difference: float
    false_alarm_rate: float
    errors_per_minute: int
    latency_p99_ms: int
    unhealthy_minutes: int

    @property
    def steps(self) -> int:
        """How many there are short of all traffic."""
        return {"blue-green": 0, "canary": 1, "linear": -(-100 // self.percent) - 1}[self.strategy]

    @property
    def minutes(self) -> int:
        """What steps and bake time take."""
        return self.steps * self.step_minutes + self.bake_minutes


def read_rollout(table: Table) -> Rollout:
    """The table [deployment] of an environment. Raises ConfigError."""
    strategy = table.choice("strategy", STRATEGIES)
    stepwise = strategy != "blue-green"
    rollout = Rollout(
        strategy=strategy,
        percent=table.integer("percent", 1 if strategy == "canary" else 3, 50) if stepwise else 100,
        step_minutes=table.integer("step_minutes", 1, 24 * 60 - 10) if stepwise else 0,
        bake_minutes=table.integer("bake_minutes", 0, 24 * 60),
        deadline_minutes=table.integer("deadline_minutes", 1, LONGEST_DEADLINE_MINUTES),
        replay_difference=table.number("replay_difference"),
        false_alarm_rate=table.number("false_alarm_rate"),
        errors_per_minute=table.integer("errors_per_minute", 1, 1_000_000),
        latency_p99_ms=table.integer("latency_p99_ms", 1, 60_000),
        unhealthy_minutes=table.integer("unhealthy_minutes", 1, 60),
    )
    table.finish()
    if not 0 <= rollout.replay_difference <= 0.01:
        raise ConfigError(
            table.file, table.key("replay_difference"), rollout.replay_difference, "a difference from 0 to 0.01"
        )
    if not 0 < rollout.false_alarm_rate <= 0.1:
        raise ConfigError(table.file, table.key("false_alarm_rate"), rollout.false_alarm_rate, "above 0, at most 0.1")
    if rollout.minutes > LONGEST_MINUTES:
        expected = f"steps and bake time of at most {LONGEST_MINUTES} minutes in all"
        raise ConfigError(table.file, table.key("step_minutes"), f"{rollout.minutes} minutes", expected)
    least = rollout.minutes + WORK_MINUTES
    if rollout.deadline_minutes < least:
        expected = f"at least {least}: steps and bake time, and {WORK_MINUTES} for starting tasks"
        raise ConfigError(table.file, table.key("deadline_minutes"), rollout.deadline_minutes, expected)
    return rollout
