"""Whether the stacks of an environment may be deployed: what the ledger's chain of infrastructure says.

An assembly is what `cdk synth` wrote for one environment, known by its digest. The same digest again is the same
templates and code, byte for byte, so that who approves it knows what will be deployed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lockgate.ledger.approval import approvers, decision
from lockgate.ledger.chain import StackChain
from lockgate.ledger.kinds import Approving, StackApprovalRequest, StackDeployment
from lockgate.ledger.records import Record

State = Literal["live", "approved", "unasked", "waiting", "rejected"]


@dataclass(frozen=True)
class Standing:
    """request: the one that is open or decided, for states approved, waiting and rejected."""

    state: State
    request: Record[StackApprovalRequest] | None = None


def standing(chain: StackChain, environment: str, assembly: str, approvals: int) -> Standing:
    """Where an assembly stands in an environment that asks for so many persons.

    Only the newest request counts, and only until something was deployed after it: an approval is for one deployment.
    A request made when fewer persons were asked for counts no more.
    """
    deployed, last = live(chain, environment), chain.newest(StackDeployment, environment=environment)
    if deployed is not None and deployed is last and deployed.entry.body.assembly == assembly:
        return Standing("live")
    if approvals == 0:
        return Standing("approved")
    request = chain.newest(StackApprovalRequest, environment=environment)
    if (
        request is None
        or request.entry.body.assembly != assembly
        or request.entry.body.approvals < approvals
        or (deployed is not None and deployed.sequence > request.sequence)
    ):
        return Standing("unasked")
    decided = decision(chain, request)
    if decided is None:
        return Standing("waiting", request)
    return Standing("approved" if isinstance(decided.entry.body, Approving) else "rejected", request)


def live(chain: StackChain, environment: str) -> Record[StackDeployment] | None:
    """The last deployment of an environment's stacks that succeeded."""
    done = chain.of(StackDeployment, environment=environment)
    return next((each for each in reversed(done) if each.entry.body.outcome == "succeeded"), None)


def commit_live(chain: StackChain, environment: str) -> str | None:
    """The commit that was deployed last, well; None where none was."""
    deployed = live(chain, environment)
    return deployed.entry.body.commit if deployed else None


def request_id(chain: StackChain, environment: str, assembly: str) -> str:
    """Name of the request that an unasked assembly makes now; the same until another one or a deployment comes."""
    before = max((record.sequence for record in chain if record.entry.environment == environment), default=0)
    return StackApprovalRequest.id(environment, assembly, before)


def unfinished(chain: StackChain) -> list[dict[str, Any]]:
    """Each environment whose stacks are not as somebody last wanted them: who asked for what, and what became of it.

    state: waiting (for persons), approved (and not deployed since), rejected, or failed (the deployment did).

    A request stays when the branch goes back to what is deployed, since nothing is asked for then. Reject it.
    """
    unfinished = []
    for environment in dict.fromkeys(record.entry.environment for record in chain):
        request = chain.newest(StackApprovalRequest, environment=environment)
        last = chain.newest(StackDeployment, environment=environment)  # one that failed may have changed some stacks
        if request is not None and (last is None or last.sequence < request.sequence):
            decided = decision(chain, request)
            state = "waiting"
            if decided:
                state = "approved" if isinstance(decided.entry.body, Approving) else "rejected"
            asked = {
                "approvals": request.entry.body.approvals,
                "approved_by": approvers(chain, request),
                "reason": decided.entry.body.reason if decided else "",
            }
            unfinished.append(_facts(state, request, asked))
        elif last is not None and last.entry.body.outcome == "failed":
            tried = {"approvals": 0, "approved_by": [], "reason": last.entry.body.reason}
            unfinished.append(_facts("failed", last, tried))
    return unfinished


def _facts(
    state: str, record: Record[StackApprovalRequest] | Record[StackDeployment], became: dict[str, Any]
) -> dict[str, Any]:
    """Of the record that says what was asked for or tried, and what became of it."""
    body = record.entry.body
    return {
        "environment": record.entry.environment,
        "state": state,
        "assembly": body.assembly,
        "commit": body.commit,
        "run": body.run,
        "actor_id": body.actor_id,
        **became,
        "since": record.time,
        "record": record.reference,
    }
