"""A person chooses the snapshot that trainings use from now on, also one that was used before.

POST /snapshot {"model", "snapshot" (the id that `lockgate snapshot` printed), "reason"}. Who chooses is who signed.

It records that in the ledger, and leaves a note for deliveries, which read no record. Nobody trusts the note: whoever
may start a training may choose any snapshot for it, and the gate judges each with its own rows. It answers {"message",
…}:
- 200, also for the one that is chosen already;
- 400 when the request is malformed;
- 403 when the caller is no known person, or somebody who approves nowhere;
- 404 when the snapshot is not published;
- 409 when its holdout is retired, so that a budget would decide on no version, or when somebody else chose meanwhile.
"""

from __future__ import annotations

from typing import Any

from lambdas import shared, signed
from lambdas.decide.holdout import Settings, published_manifest
from lambdas.signed import AnswerRefusedError, refuse_with
from lockgate import names
from lockgate.aws import clients
from lockgate.aws.write_once import put_once
from lockgate.configuration.persons import Caller
from lockgate.gate.holdout import retired_by
from lockgate.ledger.calls import ChooseSnapshot, Recorded
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import SnapshotChoice
from lockgate.ledger.records import Entry
from lockgate.statistics.budget import Budget


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer(names.DECIDE_FUNCTION, "snapshot", event, ChooseSnapshot, _take)


def _take(call: ChooseSnapshot, caller: Caller) -> Recorded:
    settings, model, snapshot = shared.settings(Settings), call.model, call.snapshot
    known = shared.tools().promotion
    policy = refuse_with(400, lambda: shared.policy(shared.environment(known[-1]), model))
    labels_sha256 = published_manifest(settings, model, snapshot).holdout_labels.sha256
    store = shared.ledger(settings.ledger_bucket)
    last = store.chain(model).newest(SnapshotChoice)

    def decide(chain: ReleaseChain) -> Entry[SnapshotChoice]:
        found = chain.newest(SnapshotChoice)
        if found and found != last:
            raise AnswerRefusedError(409, f"{found.entry.body.person} chose another snapshot meanwhile: look again")
        newer = retired_by(chain, labels_sha256) if isinstance(policy.assurance, Budget) else ""
        if newer:
            raise AnswerRefusedError(
                409,
                f"snapshot {snapshot}: found its holdout {labels_sha256[:12]} retired, since holdout {newer[:12]} has "
                "judged: no gate would decide on a version of it. Publish its training rows with a holdout that is not",
            )
        said = SnapshotChoice(
            snapshot=snapshot,
            before=last.entry.body.snapshot if last else None,
            person=caller.person,
            user_arn=caller.arn,
            nonce=caller.nonce,
            reason=call.reason.strip(),
        )
        return Entry(SnapshotChoice.id(snapshot, last.sequence if last else 0), 0, "", said)

    if last is not None and last.entry.body.snapshot == snapshot:
        record = last
    else:
        entry_id = SnapshotChoice.id(snapshot, last.sequence if last else 0)
        record = store.append_decided(model, entry_id, decide, shared.timestamp(shared.now()))
    s3, key = clients.client("s3"), names.chosen_key(model, record.sequence, snapshot)
    put_once(s3, settings.data_bucket, key, record.reference.encode())
    body = record.entry.body
    message = f"recorded as {record.reference}: trainings of {model} use snapshot {snapshot}, chosen by {body.person}"
    return Recorded(message=message, record=record.reference)
