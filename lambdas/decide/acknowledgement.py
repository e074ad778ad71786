"""A person has looked at a break-glass that another person caused.

POST /acknowledgement {"model", "sequence" (the number of its record), "reason"}. Who acknowledges is who signed
(lambdas.signed), in a role of the environment's approvers, and never who broke the glass. It changes nothing but what
`lockgate status` shows.

It answers {"message", "record"}:
- 200, also when it is acknowledged already;
- 400 when the request is malformed or has no reason;
- 403 when the caller is no approver there;
- 409 when there is no such break-glass, or it is the caller's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared, signed
from lambdas.signed import refuse_with
from lockgate import names
from lockgate.configuration.persons import Caller
from lockgate.ledger.break_glass import acknowledgeable
from lockgate.ledger.calls import Acknowledge, Recorded
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Acknowledgement
from lockgate.ledger.records import Entry


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer(names.DECIDE_FUNCTION, "acknowledgement", event, Acknowledge, _take)


def _take(call: Acknowledge, caller: Caller) -> Recorded:
    def decide(chain: ReleaseChain) -> Entry[Acknowledgement]:
        glass = refuse_with(409, lambda: acknowledgeable(chain, call.sequence, caller.person))
        environment = glass.entry.environment
        allowed = shared.environment(environment).approvers
        refuse_with(403, lambda: caller.refuse_unless(allowed, f"acknowledgements of {environment}"))
        said = Acknowledgement(
            person=caller.person,
            user_arn=caller.arn,
            nonce=caller.nonce,
            reason=call.reason.strip(),
            break_glass=glass.reference,
        )
        return Entry(entry_id, glass.entry.version, environment, said)

    entry_id = Acknowledgement.id(call.sequence)
    store = shared.ledger(shared.settings(Settings).ledger_bucket)
    record = store.append_decided(call.model, entry_id, decide, shared.timestamp(shared.now()))
    message = f"acknowledged by {record.entry.body.person} ({record.reference})"
    return Recorded(message=message, record=record.reference)
