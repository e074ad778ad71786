"""A release stack as it was read: what it pins, whether it may be changed, and how far a change of it has come.

Nothing here asks AWS: lockgate.aws.deployments reads what these functions judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lockgate import canonical
from lockgate.errors import BusyError, RefusedError
from lockgate.release.comparison import not_the_stacks
from lockgate.release.parameters import PARAMETERS, JudgedRelease, Release, read_parameters

READY = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True)
class Stack:
    """A release stack as CloudFormation describes it."""

    name: str
    status: str
    reason: str
    parameters: Mapping[str, str]
    capabilities: tuple[str, ...]

    @property
    def busy(self) -> bool:
        """Whether CloudFormation is changing it, to what its parameters say or back from it."""
        return self.status.endswith("_IN_PROGRESS")

    @property
    def updating(self) -> bool:
        """Whether it is on the way to what its parameters say, and not rolling back from it."""
        return self.status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")

    @property
    def release(self) -> Release | None:
        return read_parameters(self.parameters)

    def pins(self, wanted: JudgedRelease) -> bool:
        """Whether its parameters are those of the release, whichever copy of the model data it uses."""
        return all(self.parameters.get(PARAMETERS[name]) == value for name, value in vars(wanted).items())

    def refuse_if_busy(self) -> None:
        """Raises BusyError while another update runs, RefusedError when the stack cannot be updated."""
        if self.busy:
            raise BusyError(f"stack {self.name}: {self.status}: another update runs")
        if self.status not in READY:
            raise RefusedError(
                f"stack {self.name}: found {self.status} ({self.reason}), expected one of {', '.join(READY)}: "
                "continue its rollback, or delete it and deploy the environment again"
            )


@dataclass(frozen=True)
class Progress:
    """How far a deployment has come. SUCCEEDED: the stack is updated and the service runs what it pins.

    begun: False where the stack pins something else and shows no failure of this update, so that it may not have begun.
    """

    status: Literal["IN_PROGRESS", "SUCCEEDED", "FAILED"]
    reason: str
    begun: bool = True


def continued(token: str) -> str:
    """The token under which the rollback of this token's update is continued: the same each time, 128 at most."""
    return f"continue-{canonical.sha256(token.encode())[:32]}"


def failure_of(token: str, events: Iterable[Mapping[str, Any]]) -> str:
    """Why the update with this token failed: its first failed resource; "" when it did not, or ran nothing.

    events: of the stack, as CloudFormation has them, newest first; no more of them are read than are needed.
    """
    failures: list[str] = []
    ours = False
    for event in events:
        if event.get("ClientRequestToken") not in (token, continued(token)):
            break
        ours = True
        reason = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            failures.append(f"{event['LogicalResourceId']}: {reason}")
    if not ours:
        return ""
    return failures[-1] if failures else "rolled back"


def progress_of_service(
    stack: str, services: Sequence[str], primary: Sequence[Mapping[str, Any]], definitions: Sequence[str]
) -> Progress:
    """Whether the one ECS service of a stack that is updated runs the stack's tasks, as many as it is asked for.

    services: ids of the stack's services.
    primary: their primary deployments, as ECS describes them.
    definitions: ARNs of the stack's task definitions.
    """
    if len(services) != 1:
        return Progress("FAILED", f"stack {stack}: found {len(services)} ECS services, expected one")
    if len(primary) != 1:
        return Progress("FAILED", f"service {services[0]}: found {len(primary)} primary deployments, expected one")
    (deployment,) = primary
    if list(definitions) != [deployment["taskDefinition"]]:
        return Progress("FAILED", not_the_stacks(", ".join(definitions), deployment["taskDefinition"]))
    rollout, running, desired = (deployment.get(key) for key in ("rolloutState", "runningCount", "desiredCount"))
    state = f"rollout {rollout}, {running} of {desired} tasks run"
    if rollout == "FAILED":
        return Progress("FAILED", f"{state}: {deployment.get('rolloutStateReason', '')}")
    done = rollout == "COMPLETED" and desired and running == desired
    return Progress("SUCCEEDED" if done else "IN_PROGRESS", state)
