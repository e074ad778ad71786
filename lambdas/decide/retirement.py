"""A person retires a model.

POST /retirement {"model", "reason", "cut_off" (true: its callers know that they get no answer any more)}. Who retires
is who signed (lambdas.signed), in a role of the last environment's approvers.

It records who and why, and stops nothing: stacks go by a change of infrastructure. The record is the last of the
model's history, which stays readable. It answers {"message", "record"}:
- 200, also when it is retired already;
- 400 when the request is malformed or has no reason;
- 403 when the caller is no approver;
- 404 when the ledger has no record of such a model;
- 409 when it is live somewhere, and the caller did not say that callers may be cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared, signed
from lambdas.signed import AnswerRefusedError, refuse_with
from lockgate import names
from lockgate.configuration.persons import Caller
from lockgate.ledger.calls import Recorded, Retire
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Retirement
from lockgate.ledger.records import Entry


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer(names.DECIDE_FUNCTION, "retirement", event, Retire, _take)


def _take(call: Retire, caller: Caller) -> Recorded:
    promotion = shared.tools().promotion
    allowed = shared.environment(promotion[-1]).approvers
    refuse_with(403, lambda: caller.refuse_unless(allowed, "retirements of models"))
    store, model = shared.ledger(shared.settings(Settings).ledger_bucket), call.model
    chain = store.chain(model)
    if not chain.records:
        raise AnswerRefusedError(
            404,
            f"model: found {model!r}, expected one that the ledger has a record of: any other one goes with its folder",
        )
    version = max(record.entry.version for record in chain)

    def decide(chain: ReleaseChain) -> Entry[Retirement]:
        live = [(environment, chain.live(environment)) for environment in promotion]
        serving = [(environment, found.entry) for environment, found in live if found is not None]
        if serving and not call.cut_off:
            where = "; ".join(f"version {entry.version} in {name}, {entry.body.url}" for name, entry in serving)
            why = "tell who calls it there; --cut-off says that they know, and that they get no answer any more"
            raise AnswerRefusedError(409, f"{model}: found live: {where}; expected nowhere: {why}")
        cut_off = tuple(environment for environment, _ in serving)
        said = Retirement(
            person=caller.person,
            user_arn=caller.arn,
            nonce=caller.nonce,
            reason=call.reason.strip(),
            cut_off=cut_off,
        )
        return Entry(Retirement.id(version), version, "", said)

    record = store.append_decided(model, Retirement.id(version), decide, shared.timestamp(shared.now()))
    message = f"{model} is retired by {record.entry.body.person} ({record.reference})"
    return Recorded(message=message, record=record.reference)
