"""Whether the stacks of an environment may be deployed: what the ledger's chain of infrastructure says.

An assembly is what `cdk synth` wrote for one environment, known by its digest. The same digest again is the same
templates and code, byte for byte, so that who approves it knows what will be deployed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lockgate.ledger import records
from lockgate.ledger.approval import approvers, decision, newest_request, reference
from lockgate.ledger.records import Record

State = Literal["live", "approved", "unasked", "waiting", "rejected"]


@dataclass(frozen=True)
class Standing:
    """request: the one that is open or decided, for states approved, waiting and rejected."""

    state: State
    request: Record | None = None


def standing(chain: Sequence[Record], environment: str, assembly: str, approvals: int) -> Standing:
    """Where an assembly stands in an environment that asks for so many persons.

    Only the newest request counts, and only until something was deployed after it: an approval is for one deployment.
    A request made when fewer persons were asked for counts no more.
    """
    deployed = records.live(chain, environment)
    if deployed is not None and deployed == _last(chain, environment) and deployed.entry.body["assembly"] == assembly:
        return Standing("live")
    if approvals == 0:
        return Standing("approved")
    request = newest_request(chain, 0, environment)
    if (
        request is None
        or request.entry.body["assembly"] != assembly
        or request.entry.body["approvals"] < approvals
        or (deployed is not None and deployed.sequence > request.sequence)
    ):
        return Standing("unasked")
    decided = decision(chain, request)
    if decided is None:
        return Standing("waiting", request)
    return Standing("approved" if decided.entry.kind == "approval" else "rejected", request)


def _last(chain: Sequence[Record], environment: str) -> Record | None:
    """The last deployment, whatever came of it: one that failed may have changed some of the stacks."""
    done = (r for r in reversed(chain) if r.entry.kind == "deployment" and r.entry.environment == environment)
    return next(done, None)


def request_id(chain: Sequence[Record], environment: str, assembly: str) -> str:
    """Name of the request that an unasked assembly makes now; the same until another one or a deployment comes."""
    before = max((record.sequence for record in chain if record.entry.environment == environment), default=0)
    return f"approval-request:{environment}:{assembly}:{before}"


def unfinished(chain: Sequence[Record]) -> list[dict[str, Any]]:
    """Each environment whose stacks are not as somebody last wanted them: who asked for what, and what became of it.

    state: waiting (for persons), approved (and not deployed since), rejected, or failed (the deployment did). A request
    stays when the branch goes back to what is deployed, since nothing is asked for then: reject it.
    """
    found = []
    for environment in dict.fromkeys(record.entry.environment for record in chain):
        request, last = newest_request(chain, 0, environment), _last(chain, environment)
        if request is not None and (last is None or last.sequence < request.sequence):
            decided = decision(chain, request)
            state = "waiting" if decided is None else _STATES[decided.entry.kind]
            found.append(_facts(chain, state, request, decided.entry.body["reason"] if decided else ""))
        elif last is not None and last.entry.body["outcome"] == "failed":
            found.append(_facts(chain, "failed", last, last.entry.body["reason"]))
    return found


_STATES = {"approval": "approved", "rejection": "rejected"}


def _facts(chain: Sequence[Record], state: str, record: Record, reason: str) -> dict[str, Any]:
    """Of the record that says what was asked for or tried."""
    body = record.entry.body
    return {
        "environment": record.entry.environment,
        "state": state,
        **{name: body[name] for name in ("assembly", "commit", "run", "actor_id")},
        "approvals": body.get("approvals", 0),
        "approved_by": approvers(chain, record),
        "reason": reason,
        "since": record.time,
        "record": reference(record),
    }
