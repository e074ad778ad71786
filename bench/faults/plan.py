"""Which faults a run meets: a function of its seed alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from lockgate import names

# Part of the ARN of each function's sessions, and how many calls it makes in a run or a round of the schedules, as
# local.faults counts them: all environments and all statuses of a deployment together.
FUNCTIONS = {
    "gate": ("assumed-role/lockgate-gate/", 51),
    "controller": ("assumed-role/lockgate-controller/", 24),
    "decide": ("assumed-role/lockgate-decide/", 4),
    "deploy in dev": ("assumed-role/lockgate-dev-deploy/", 24),
    "deploy in staging": ("assumed-role/lockgate-staging-deploy/", 34),
    "deploy in prod": ("assumed-role/lockgate-prod-deploy/", 34),
    "replay in dev": ("/lockgate-dev-replay", 2),
    "replay in prod": ("/lockgate-prod-replay", 2),
    "watch in staging": ("/lockgate-staging-watch", 4),
}
ENVIRONMENTS = ("dev", "staging", "prod")
OF_CALLS = ("dies-before", "dies-after", "throttled", "answer-lost", "unanswered")
OF_EVENTS = ("event-lost", "event-twice", "event-late", "event-reordered")
TASK_KILLED = "task-killed"
KINDS = (*OF_CALLS, *OF_EVENTS, TASK_KILLED)
WEIGHTS = (2, 4, 3, 3, 2, 2, 1, 1, 1, 2)
# Every place where a function can die: before each of its calls. Seeds take them one after another, in this order.
DEATHS = [(who, call) for who, calls in FUNCTIONS.values() for call in range(1, calls + 1)]
random.Random(0).shuffle(DEATHS)  # noqa: S311 - a simulation, no secret


def faults(seed: int) -> list[dict[str, Any]]:
    """One to four faults: each a rule of local.faults, or a killed task {"id", "kind", "environment"}.

    The first is a death, so that as many runs as DEATHS has meet each of them.
    """
    chance = random.Random(seed)  # noqa: S311
    who, call = DEATHS[(seed - 1) % len(DEATHS)]
    death = {"id": f"{seed}-0", "kind": "dies-before", "who": who, "call": call}
    return [death, *(_fault(chance, f"{seed}-{number}") for number in range(1, chance.randint(1, 4)))]


def _fault(chance: random.Random, name: str) -> dict[str, Any]:
    kind = chance.choices(KINDS, weights=WEIGHTS)[0]
    fault: dict[str, Any] = {"id": name, "kind": kind}
    if kind in OF_EVENTS:
        return {**fault, "function": names.CONTROLLER_FUNCTION}
    if kind == TASK_KILLED:
        return {**fault, "environment": chance.choice(ENVIRONMENTS)}
    who, calls = chance.choice(list(FUNCTIONS.values()))
    fault |= {"who": who, "call": chance.randint(1, calls)}
    return {**fault, "times": chance.randint(1, 8)} if kind == "throttled" else fault


def place_of(fault: Mapping[str, Any]) -> str:
    """Where an injected fault met what it met: a function, as FUNCTIONS names it, or an environment."""
    who = fault.get("who", fault.get("function", ""))
    return next((name for name, (part, _) in FUNCTIONS.items() if who in (part, f"lockgate-{name}")), who)


def rules(plan: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """The faults that the embedded AWS injects; a killed task is the runner's."""
    return [fault for fault in plan if fault["kind"] != TASK_KILLED]
