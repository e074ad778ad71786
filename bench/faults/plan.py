"""Which faults a run meets: a function of its seed alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

# Part of the ARN of each function's sessions, and how many of its AWS calls a fault may fall on.
FUNCTIONS = {
    "intake": ("IntakeRole", 2),
    "gate": ("assumed-role/lockgate-gate/", 18),
    "request-approval": ("assumed-role/lockgate-request-approval/", 8),
    "approval": ("assumed-role/lockgate-approval/", 8),
    "record": ("assumed-role/lockgate-record/", 10),
    "deploy in dev": ("assumed-role/lockgate-dev-deploy/", 24),
    "deploy in staging": ("assumed-role/lockgate-staging-deploy/", 24),
    "deploy in prod": ("assumed-role/lockgate-prod-deploy/", 24),
    "reconcile": ("ReconcileRole", 6),
    "collect": ("assumed-role/lockgate-collect/", 10),
}
OF_CALLS = ("dies-before", "dies-after", "throttled", "answer-lost", "unanswered")
OF_EVENTS = ("event-lost", "event-twice", "event-late")
TASK_KILLED = "task-killed"
KINDS = (*OF_CALLS, *OF_EVENTS, TASK_KILLED)


def faults(seed: int) -> list[dict[str, Any]]:
    """One to four faults: each a rule of local.faults, or a killed task {"id", "kind", "environment", "after"}."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, no secret
    return [_fault(chance, f"{seed}-{number}") for number in range(chance.randint(1, 4))]


def _fault(chance: random.Random, name: str) -> dict[str, Any]:
    kind = chance.choices(KINDS, weights=(4, 4, 2, 2, 1, 1, 1, 1, 1))[0]
    fault: dict[str, Any] = {"id": name, "kind": kind}
    if kind in OF_EVENTS:
        return {**fault, "function": "Intake"}
    if kind == TASK_KILLED:
        environment = chance.choice(("dev", "staging", "prod"))
        return {**fault, "environment": environment, "after": chance.uniform(0, 15)}
    who, calls = chance.choice(list(FUNCTIONS.values()))
    fault |= {"who": who, "call": chance.randint(1, calls)}
    return {**fault, "times": chance.randint(1, 8)} if kind == "throttled" else fault


def function_of(who: str) -> str:
    """The function, as FUNCTIONS names it, whose role an injected fault met."""
    parts = {name: part.strip("/").rpartition("/")[2].removesuffix("Role") for name, (part, _) in FUNCTIONS.items()}
    return next((name for name, part in parts.items() if part in who), who)


def rules(plan: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """The faults that the embedded AWS injects; a killed task is the runner's."""
    return [fault for fault in plan if fault["kind"] != TASK_KILLED]
