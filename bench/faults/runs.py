"""One run: a version is registered, faults happen, the schedules go on, and the run ends where the version does."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.faults import plan
from bench.faults.world import World
from lockgate.approval import decision, newest_request
from lockgate.ledger import live

PATIENCE = 420.0  # seconds that a version may take on its way, all resuming included
SCHEDULE = 5.0  # seconds between what AWS calls every 5 to 15 minutes
POLL = 0.4
DIED = ("FAILED", "TIMED_OUT", "ABORTED")


@dataclass
class Run:
    """What happened to one version. outcome: released, failed (recorded, alarm), stuck (alarm), or lost."""

    seed: int
    version: int
    planned: list[dict[str, Any]]
    injected: list[dict[str, Any]] = field(default_factory=list)
    outcome: str = "lost"
    resumed: bool = False
    seconds: float = 0.0
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(world: World, seed: int, template: int) -> Run:
    """Promote a copy of the version `template` through every environment while the faults of `seed` happen."""
    faults = plan.faults(seed)
    begin, before = time.monotonic(), len(world.injected())
    world.ask_for(plan.rules(faults))
    made = Run(seed, world.register_again(template), faults)
    to_kill = [fault for fault in faults if fault["kind"] == plan.TASK_KILLED]
    scheduled, killed = time.monotonic(), []
    while time.monotonic() - begin < PATIENCE:
        time.sleep(POLL)
        elapsed = time.monotonic() - begin
        for fault in [fault for fault in to_kill if fault["after"] <= elapsed]:
            to_kill.remove(fault)
            if world.kill_task(fault["environment"], fault["id"]):
                killed.append({"id": fault["id"], "kind": fault["kind"], "who": fault["environment"]})
        chain = world.chain()
        _approve(world, chain, made.version)
        said: dict[str, Any] = {}
        if time.monotonic() - scheduled > SCHEDULE:
            said, scheduled = world.schedule(), time.monotonic()
        if _ended(world, made, said):
            break
    made.seconds = round(time.monotonic() - begin, 1)
    made.injected = world.injected()[before:] + killed
    world.ask_for([])
    world.schedule()
    return made


def _approve(world: World, chain: Any, version: int) -> None:
    for environment in world.environments:
        request = newest_request(chain, version, environment)
        if request and decision(chain, request) is None:
            world.approve(version, environment)


def _ended(world: World, made: Run, said: dict[str, Any]) -> bool:
    """Whether the version has come to an end, and to which."""
    attempt = world.attempt(made.version)
    if attempt is None or attempt.status == "RUNNING":
        return False
    made.resumed, made.why = attempt.attempt > 1, attempt.reason
    served = live(world.chain(), world.environments[-1])
    if attempt.status == "SUCCEEDED":
        made.outcome = "released" if served and served.entry.version == made.version else "refused"
        return True
    if any(f" {made.version}:" in entry for entry in said.get("stuck", ())):
        made.outcome = "stuck"
        return True
    # What is neither stuck nor resumed had come to an end that is recorded.
    made.outcome = "failed"
    return "resumed" in said and not any(f"-{made.version}" in name for name in said["resumed"])
