"""Whether what an environment serves is what the ledger says: one word and the reasons, from what was read."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.ledger.journal import Ended, Facts, of
from lockgate.release.parameters import JudgedRelease, Release

PINNED = ("version", "image", "model_sha256", "model_version_id", "replay_sha256", "policy_sha256")


@dataclass(frozen=True)
class Reality:
    """What CloudFormation and ECS say of one model in one environment.

    release: what the stack's parameters pin, or None.
    status: the stack's.
    definition: ARN of the task definition that the stack made; None where there is none.
    running: ARN of the one that the service's primary deployment runs; None where there is none.
    """

    release: Release | None
    status: str
    definition: str | None
    running: str | None


@dataclass(frozen=True)
class ServedNow:
    """What an environment serves of a model by its own account.

    since: when it began, as its journal remembers; None where that does not know the release.
    runs: whether a service runs; where somebody deleted it, the release is pinned and serves nobody.
    """

    release: Release
    since: str | None
    url: str
    runs: bool = True


def serving(found: Reality | None, journal: Facts) -> ServedNow | None:
    """What the stack pins; while a deployment runs, what was live before it. None where nothing is served."""
    if found is None:
        return None
    done = [fact for fact in of(journal, Ended) if fact.body.outcome == "succeeded"]
    release = found.release
    if found.status.endswith("_IN_PROGRESS"):
        release = done[-1].body.release if done else None
    if release is None:
        return None
    since, url = None, ""
    for fact in reversed(done):
        if fact.body.release.judged != release.judged:
            break
        since, url = fact.time, url or fact.body.url
    return ServedNow(release, since, url, found.running is not None)


def not_the_stacks(definition: str | None, running: str | None) -> str:
    """What is said where ECS was changed past CloudFormation."""
    if running is None:
        return f"the stack made {definition}, and its service was deleted: docs/runbook.md, When they disagree"
    return f"the stack made {definition}, the service runs {running}: `lockgate rollback --restore` puts it back"


def differences(recorded: JudgedRelease | None, found: Reality | None) -> list[str]:
    """What changed behind the ledger's back, each in a sentence with what mends it; none while a deployment runs.

    recorded: the release of the ledger's last succeeded deployment; None where there was none.
    found: None where the environment has no stack for the model.
    """
    if found is None:
        live = f"the ledger says version {recorded.version}, and " if recorded else ""
        return [
            f"{live}there is no release stack: `cdk deploy`"
            + (", then `lockgate rollback --restore`" if recorded else "")
        ]
    if found.status.endswith("_IN_PROGRESS"):
        return []
    said: list[str] = []
    if recorded and found.release is None:
        said.append(
            f"the ledger says version {recorded.version}, the stack pins no release: it was lost: "
            "`lockgate rollback --restore` puts it back"
        )
    elif found.release and not recorded:
        said.append(f"the stack pins version {found.release.version}, the ledger knows of no deployment")
    elif found.release and recorded and recorded.verdict_id != found.release.verdict_id:
        both = (recorded.version, found.release.version)
        by = (f" by {recorded.verdict_id}", f" by {found.release.verdict_id}") if both[0] == both[1] else ("", "")
        said.append(f"the ledger says version {both[0]}{by[0]}, the stack pins version {both[1]}{by[1]}")
    elif found.release and recorded:
        said += [
            f"{name}: the ledger says {getattr(recorded, name, None)}, the stack pins {getattr(found.release, name)}"
            for name in PINNED
            if getattr(recorded, name, None) != getattr(found.release, name)
        ]
    if found.release and found.running != found.definition:
        said.append(not_the_stacks(found.definition, found.running))
    if found.status.endswith("_FAILED"):
        said.append(f"the stack is {found.status}: it needs a person: docs/runbook.md, When they disagree")
    return said
