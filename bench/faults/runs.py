"""One run: a version is registered, faults happen, the schedules go on, and the run ends where the version does."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.faults import plan
from bench.faults.world import Administrators, Round
from lockgate.ledger.approval import decision
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import ApprovalRequest
from lockgate.release.reconcile import version_of

STALLED = 300.0  # seconds in which nothing at all happens to a version, after which it is lost
SCHEDULE = 15.0  # seconds between what AWS calls every 5 to 15 minutes
POLL = 0.5


@dataclass
class Run:
    """What happened to one version. outcome: released, refused, failed (recorded, alarm), stuck (alarm), or lost."""

    seed: int
    version: int
    planned: list[dict[str, Any]]
    injected: list[dict[str, Any]] = field(default_factory=list)
    outcome: str = "lost"
    resumed: bool = False
    woken: bool = False
    seconds: float = 0.0
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(world: Administrators, seed: int, template: int) -> Run:
    """Promote a copy of the version `template` through every environment while the faults of `seed` happen.

    It ends when no attempt runs and a whole round of the schedules, faults included, has nothing left to do.
    """
    faults = plan.faults(seed)
    begin, before = time.monotonic(), len(world.injected())
    world.ask_for(plan.rules(faults))
    made = Run(seed, world.register_again(template), faults)
    to_kill = [fault for fault in faults if fault["kind"] == plan.TASK_KILLED]
    killed: list[dict[str, Any]] = []
    scheduled = changed = time.monotonic()
    seen: tuple[Any, ...] = ()
    while True:
        now, found = time.monotonic(), world.progress(made.version)
        if found != seen:
            seen, changed = found, now
        if now - changed > STALLED:
            made.why = f"nothing has happened for {STALLED:.0f} s: {seen}"
            break
        chain = world.chain()
        _kill(world, chain, made.version, to_kill, killed)
        _approve(world, chain, made.version)
        attempt = world.attempt(made.version)
        over = attempt is not None and attempt.status != "RUNNING"
        if over or now - scheduled > SCHEDULE:
            said, scheduled = world.schedule(), time.monotonic()
            made.woken |= bool(said.woken)
            made.resumed |= any(version_of(world.model, name) == made.version for name in said.resumed)
            if over and said.settled and _ended(world, made, said):
                break
        time.sleep(POLL)
    made.seconds = round(time.monotonic() - begin, 1)
    made.injected = world.injected()[before:] + killed
    world.ask_for([])
    return made


def _kill(
    world: Administrators,
    chain: ReleaseChain,
    version: int,
    to_kill: list[dict[str, Any]],
    killed: list[dict[str, Any]],
) -> None:
    """Kill tasks of the environments that deploy."""
    for fault in list(to_kill):
        environment = fault["environment"]
        if world.deploys(chain, version, environment) and world.kill_task(environment, fault["id"]):
            to_kill.remove(fault)
            killed.append({"id": fault["id"], "kind": fault["kind"], "who": environment})


def _approve(world: Administrators, chain: ReleaseChain, version: int) -> None:
    """As a person would, who asks again where nothing is recorded."""
    for environment in world.environments:
        request = chain.newest(ApprovalRequest, version, environment)
        if request and decision(chain, request) is None:
            world.approve(version, environment)


def _ended(world: Administrators, made: Run, said: Round) -> bool:
    """Whether the version has come to an end, and to which. False: it was resumed meanwhile."""
    attempt = world.attempt(made.version)
    if attempt is None or attempt.status == "RUNNING":
        return False
    made.why = attempt.reason
    served = world.chain().live(world.environments[-1])
    if served and served.entry.version == made.version:
        made.outcome = "released"  # also if the workflow died after it: the environment remembered
    elif attempt.status == "SUCCEEDED":
        made.outcome = "refused"
    elif any(f" {made.version}:" in entry for entry in said.stuck):
        made.outcome = "stuck"
    else:  # what is neither stuck nor resumed had come to an end that is recorded
        made.outcome = "failed"
    return True
