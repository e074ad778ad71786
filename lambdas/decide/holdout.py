"""A person records a fresh holdout, over a Function URL with IAM authorization; who records it owns it.

POST /holdout {"model", "snapshot" (the id that `lockgate snapshot` printed)}. Who records it is who signed.

Its holdout must share no row with the snapshot's own training rows, nor with any holdout or training rows that the
ledger knows. They are compared here, by the digests of rows that were published with each snapshot. The gate later
compares the SHA-256 of these with what the evaluator finds in the rows.

It answers {"message", …}:
- 200, also for one that is recorded already;
- 400 when the request is malformed;
- 403 when the caller is no known person, or somebody who approves nowhere;
- 404 when the snapshot is not published;
- 409 when it shares a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdas import shared, signed
from lambdas.signed import AnswerRefusedError
from lockgate import canonical, names
from lockgate.aws import clients, evidence
from lockgate.configuration.persons import Caller
from lockgate.data.row_identities import Identities, alike, read_identities, refuse_shared
from lockgate.data.snapshot import Manifest, read_manifest
from lockgate.errors import EvidenceError
from lockgate.gate.holdout import SnapshotPart, known_rows
from lockgate.ledger.calls import Recorded, RecordHoldout
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Compared, Holdout
from lockgate.ledger.records import Entry


@dataclass(frozen=True)
class Settings:
    ledger_bucket: str
    data_bucket: str


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return signed.answer(names.DECIDE_FUNCTION, "holdout", event, RecordHoldout, _take)


def _take(call: RecordHoldout, caller: Caller) -> Recorded:
    settings, model, snapshot = shared.settings(Settings), call.model, call.snapshot
    manifest = published_manifest(settings, model, snapshot)
    holdout, holdout_sha256 = _identities(settings, model, SnapshotPart(snapshot, "holdout"))
    _, train_sha256 = _identities(settings, model, SnapshotPart(snapshot, "train"))
    if holdout.rows != manifest.holdout_labels.rows:
        found = f"digests of {holdout.rows} rows, expected {manifest.holdout_labels.rows}"
        raise AnswerRefusedError(409, f"snapshot {snapshot}: found {found}: publish it again")
    labels_sha256 = manifest.holdout_labels.sha256
    entry_id = Holdout.id(labels_sha256)

    def decide(chain: ReleaseChain) -> Entry[Holdout]:
        others = [SnapshotPart(snapshot, "train", train_sha256), *known_rows(chain, labels_sha256)]
        said = Holdout(
            snapshot=snapshot,
            holdout_sha256=labels_sha256,
            features_sha256=manifest.holdout_features.sha256,
            train_sha256=manifest.train.sha256,
            holdout_identities_sha256=holdout_sha256,
            train_identities_sha256=train_sha256,
            rows=holdout.rows,
            person=caller.person,
            user_arn=caller.arn,
            nonce=caller.nonce,
            compared=tuple(_compared(settings, model, holdout, other) for other in dict.fromkeys(others)),
        )
        return Entry(entry_id, 0, "", said)

    store = shared.ledger(settings.ledger_bucket)
    record = store.append_decided(model, entry_id, decide, shared.timestamp(shared.now()))
    compared = record.entry.body.compared
    against = ", ".join(f"{each.part} of {each.snapshot} ({each.alike} rows alike)" for each in compared)
    message = f"recorded as {record.reference}: {holdout.rows} rows, none of which is in {against}"
    return Recorded(message=message, record=record.reference)


def published_manifest(settings: Settings, model: str, snapshot: str) -> Manifest:
    key = f"{names.snapshot_prefix(model, snapshot)}/manifest.json"
    try:
        return read_manifest(_object(settings, key, snapshot), snapshot)
    except EvidenceError as error:
        raise AnswerRefusedError(409, str(error)) from error


def _identities(settings: Settings, model: str, rows: SnapshotPart) -> tuple[Identities, str]:
    """The digests of a part of a snapshot, and their SHA-256, which is compared where it is known."""
    data = _object(settings, names.identities_key(model, rows.snapshot, rows.part), rows.snapshot)
    digest = canonical.sha256(data)
    if rows.identities_sha256 and digest != rows.identities_sha256:
        raise AnswerRefusedError(
            409,
            f"snapshot {rows.snapshot}: found row digests of {rows.part} with SHA-256 {digest[:12]}, the ledger says "
            f"{rows.identities_sha256[:12]}: they are not those of the rows that were evaluated",
        )
    try:
        return read_identities(data), digest
    except EvidenceError as error:
        raise AnswerRefusedError(409, f"snapshot {rows.snapshot}: {rows.part}: {error}") from error


def _compared(settings: Settings, model: str, holdout: Identities, other: SnapshotPart) -> Compared:
    found, digest = _identities(settings, model, other)
    try:
        refuse_shared("holdout", holdout, f"{other.part} of snapshot {other.snapshot}", found)
    except EvidenceError as error:
        raise AnswerRefusedError(409, f"{error}: these rows are not fresh") from error
    return Compared(
        snapshot=other.snapshot,
        part=other.part,
        identities_sha256=digest,
        rows=found.rows,
        alike=alike(holdout, found),
    )


def _object(settings: Settings, key: str, snapshot: str) -> bytes:
    found = evidence.read(clients.client("s3"), settings.data_bucket, f"s3://{settings.data_bucket}/{key}")
    if found is None:
        raise AnswerRefusedError(404, f"snapshot {snapshot}: found no {key}; publish it with `lockgate snapshot` first")
    return found
