"""What the records of a chain say about a request for approval: which one is open, and what was decided.

The order of the chain decides: of two persons who answer at once, the first record wins.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.ledger.records import Record


def reference(record: Record) -> str:
    """How one record names another: <model>/<sequence>."""
    return f"{record.model}/{record.sequence}"


def referred(chain: Sequence[Record], name: str) -> Record | None:
    """The record of this chain that a reference names."""
    return next((record for record in chain if reference(record) == name), None)


def newest_request(chain: Sequence[Record], version: int, environment: str) -> Record | None:
    """A workflow that was started again asked again, with a token that works: only its newest request counts."""
    asked = (
        record
        for record in reversed(chain)
        if record.entry.kind == "approval-request"
        and (record.entry.version, record.entry.environment) == (version, environment)
    )
    return next(asked, None)


def approvers(chain: Sequence[Record], request: Record) -> list[str]:
    """The different persons who approved a request, in order."""
    persons = (answer.entry.body["person"] for answer in _answers(chain, request) if answer.entry.kind == "approval")
    return list(dict.fromkeys(persons))


def decision(chain: Sequence[Record], request: Record) -> Record | None:
    """The record that decided a request: the first rejection, or the approval that made enough persons; else None."""
    persons: set[str] = set()
    for answer in _answers(chain, request):
        if answer.entry.kind == "rejection":
            return answer
        persons.add(answer.entry.body["person"])
        if len(persons) >= request.entry.body["approvals"]:
            return answer
    return None


def answered(chain: Sequence[Record], now: str) -> list[tuple[Record, Record]]:
    """The newest requests that are decided, each with what decided it, while their workflows may wait for it still.

    A workflow waits no more once its request has expired, and has gone on where a deployment was recorded since.
    """
    found = []
    for request in chain:
        entry = request.entry
        if entry.kind != "approval-request" or now >= entry.body["expires"]:
            continue
        decided = decision(chain, request)
        newest = newest_request(chain, entry.version, entry.environment) is request
        if decided and newest and not deployed_since(chain, request):
            found.append((request, decided))
    return found


def deployed_since(chain: Sequence[Record], request: Record) -> bool:
    """Whether what a request asked about was deployed after it, well or not."""
    return any(
        later.entry.kind == "deployment"
        and (later.entry.version, later.entry.environment) == (request.entry.version, request.entry.environment)
        for later in chain[request.sequence :]
    )


def _answers(chain: Sequence[Record], request: Record) -> list[Record]:
    return [
        record
        for record in chain
        if record.entry.kind in ("approval", "rejection") and record.entry.body["request"] == reference(request)
    ]
