"""A person lets one rule go for one version in one environment.

POST /waiver {"model", "version", "environment", "rule", "reason", "expires" (a date, YYYY-MM-DD, 90 days ahead at
most)}. Who waives is who signed.

It records that in the ledger and then starts the version's promotion again. Gates that passed answer as before, and the
one that the waiver is about decides anew. It answers {"message", …}:
- 200 when the waiver is recorded;
- 400 when the request is malformed;
- 403 when the caller is no approver, or has delivered the commit;
- 404 when there is no verdict;
- 409 when the newest verdict passed, is an error, or is not about this rule. Nobody can waive an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lambdas import shared, signed
from lambdas.signed import AnswerRefusedError, refuse_with
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.promotions import start
from lockgate.aws.registry import Registry
from lockgate.configuration.persons import Caller, authors_of, refuse_own, refuse_unknown
from lockgate.errors import RefusedError
from lockgate.gate.waiver import waivable
from lockgate.ledger.calls import Recorded, Waive
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Waiver
from lockgate.ledger.records import Entry, Record

LONGEST = timedelta(days=90)


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    state_machine_arn: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer(names.DECIDE_FUNCTION, "waiver", event, Waive, _take)


def _take(call: Waive, caller: Caller) -> Recorded:
    settings = shared.settings(Settings)
    version, environment, rule = call.number, call.environment, call.rule
    person, known = caller.person, shared.tools()
    configured = refuse_with(400, lambda: shared.environment(environment))
    rules = [each.name for each in refuse_with(400, lambda: shared.policy(configured, call.model)).rules]
    if rule not in rules:
        raise AnswerRefusedError(400, f"rule: found {rule!r}, expected one of {', '.join(rules)}")
    refuse_with(403, lambda: caller.refuse_unless(configured.approvers, f"waivers of {environment}"))
    expires = _expiry(call.expires)
    entry_id = Waiver.id(version, environment, rule, person, call.expires)

    def decide(chain: ReleaseChain) -> Entry[Waiver]:
        try:
            verdict = waivable(chain, version, environment, rule)
        except RefusedError as error:
            raise AnswerRefusedError(409, str(error)) from error
        authors = authors_of(chain, verdict, known.account, known.persons, known.promotion[-1])
        refuse_with(403, lambda: refuse_own(person, authors))
        refuse_with(403, lambda: refuse_unknown(authors))
        said = Waiver(
            rule=rule,
            person=person,
            user_arn=caller.arn,
            nonce=caller.nonce,
            reason=call.reason.strip(),
            expires=expires,
            verdict_id=verdict.reference,
        )
        return Entry(entry_id, version, environment, said)

    store = shared.ledger(settings.ledger_bucket)
    record = store.append_decided(call.model, entry_id, decide, shared.timestamp(shared.now()))
    _start_again(settings, call.model, version, record)
    message = f"recorded as {record.reference}; the promotion was started again"
    return Recorded(message=message, record=record.reference)


def _expiry(text: str) -> str:
    """The end of a day from today to 90 days ahead."""
    now = shared.now()
    try:
        end = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError as error:
        raise AnswerRefusedError(400, f"expires: found {text!r}, expected a date such as 2026-12-31") from error
    if not now < end <= now + LONGEST + timedelta(days=1):
        raise AnswerRefusedError(400, f"expires: found {text}, expected a day from today to {LONGEST.days} days ahead")
    return shared.timestamp(end)


def _start_again(settings: Settings, model: str, version: int, waiver: Record[Waiver]) -> None:
    """The workflow under a name of its own for this waiver; the registry no longer says that the version is refused."""
    tools = shared.tools()
    arn = names.package_arn(tools.account, tools.region, model, version)
    Registry(clients.client("sagemaker")).reopen(arn, f"waiver {waiver.reference}")
    name = names.waiver_execution(model, version, waiver.sequence)
    start(clients.client("stepfunctions"), settings.state_machine_arn, name, model, version, arn)
