"""`python3 -m runtime.evaluate`: join predictions with labels that the commit never sees, and write the evidence.

Runs in its own image, without code of the commit. What the model is comes from the operator's snapshot manifest; the
model itself is hashed and never loaded.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lockgate import canonical
from lockgate.data.row_identities import identities, read_identities, refuse_shared
from lockgate.data.snapshot import Manifest, Part, read_manifest
from lockgate.errors import DataContractError, EvidenceError
from lockgate.evidence.distribution import distance, read_bins
from lockgate.evidence.document import Champion, Data, Evidence, Group, Metric
from lockgate.tasks.target import BINARY, Target, binary
from runtime import job as jobs
from runtime.archive import read_archive
from runtime.columns import read_columns
from runtime.drift import drift
from runtime.job import NOTE, NOTHING_SERVED, Job
from runtime.metrics import Scores, histogram
from runtime.tasks.arrays import ModelAnswers, Truth, arrays_of

MOST_DIFFERENCE = 1e-6  # of what is served from the library's answers, in the target's unit; a policy may allow less
MOST_DISTANCE = 0.001  # of the distribution of scores that training noted: sums of a linear model differ in last bits
LONGEST_NOTE = 1000  # of the champion's step, as bytes or characters
REPLAYED = 100  # holdout rows that a deployment must answer as evaluation did


def evaluate(job: Job) -> None:
    """Write evidence.json, replay.json and digests.json. Raises EvidenceError, and writes nothing, when in doubt."""
    snapshot = job.inputs / "snapshot"
    manifest = read_manifest(job.read("snapshot/manifest.json"), job.setting("SNAPSHOT"))
    if manifest.model != job.setting("MODEL"):
        raise EvidenceError(
            f"snapshot {manifest.id}: is of model {manifest.model!r}, expected {job.setting('MODEL')!r}"
        )
    train = _published(snapshot / "train" / "train.parquet", manifest.train, "training rows")
    features = _published(snapshot / "holdout" / "features.parquet", manifest.holdout_features, "holdout features")
    labels = _published(job.inputs / "labels" / "labels.parquet", manifest.holdout_labels, "holdout labels")
    truth = _truth(labels, manifest)
    predictions = _table(job.inputs / "predictions" / "predictions.parquet", "predictions")
    scores, reference = _predictions(predictions, labels, manifest)

    trained_on, judged_on = _identities(train, manifest), _identities(features, manifest)
    refuse_shared("holdout", read_identities(judged_on), "training", read_identities(trained_on))
    archive = job.read("model/model.tar.gz")
    files = read_archive(archive)
    facts = canonical.from_bytes(files.get("model.json", b"{}"), "model.json")
    _refuse_other_target(facts, manifest.target)
    engine = _note(facts, "engine")
    _refuse_other_distribution(engine, scores, manifest.target)
    own = ModelAnswers(scores, _threshold(facts, manifest.target))
    replay = canonical.to_bytes(_replay(features, labels, scores, manifest))
    champion, champion_missing = _champion(job, labels, truth, own, manifest)
    arrays = arrays_of(manifest.target)
    evidence = Evidence(
        model=manifest.model,
        commit=job.setting("COMMIT"),
        image=job.setting("IMAGE"),
        execution=job.setting("EXECUTION"),
        actor=job.setting("ACTOR"),
        model_sha256=canonical.sha256(archive),
        contents_sha256=canonical.contents_sha256(files),
        data=Data(
            snapshot=manifest.id,
            train_sha256=manifest.train.sha256,
            features_sha256=manifest.holdout_features.sha256,
            labels_sha256=manifest.holdout_labels.sha256,
            train_identities_sha256=canonical.sha256(trained_on),
            holdout_identities_sha256=canonical.sha256(judged_on),
            train_rows=manifest.train.rows,
            holdout_rows=manifest.holdout_labels.rows,
        ),
        features=manifest.features,
        parameters=_note(facts, "parameters"),
        engine=engine,
        replay_sha256=canonical.sha256(replay),
        target=manifest.target,
        threshold=own.threshold,
        metrics={
            **arrays.measure(truth, scores, manifest.target, own.threshold),
            "serving_difference": _difference(scores, reference, manifest.target.unit),
        },
        groups=_groups(features, labels, truth, own, manifest),
        champion=champion,
        champion_missing=champion_missing,
        drift={name: drift(train[name], features[name]) for name in manifest.features},
    )
    digests = {
        "evidence_sha256": canonical.sha256(evidence.to_bytes()),
        "model_sha256": evidence.model_sha256,
        "contents_sha256": evidence.contents_sha256,
        "replay_sha256": evidence.replay_sha256,
    }
    _write(job.outputs / "evidence", evidence.to_bytes(), replay, canonical.to_bytes(digests))


def _write(folder: Path, evidence: bytes, replay: bytes, digests: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evidence.json").write_bytes(evidence)
    (folder / "replay.json").write_bytes(replay)
    (folder / "digests.json").write_bytes(digests)


def _identities(rows: pa.Table, manifest: Manifest) -> bytes:
    """Digests of which rows these are; what was proved when the holdout was recorded is compared with it."""
    contents = zip(*(rows[name].to_pylist() for name in manifest.features), strict=True)
    return identities(rows[manifest.identifier].to_pylist(), contents)


def _table(file: Path, part: str) -> pa.Table:
    try:
        return read_columns(file, part)
    except DataContractError as error:
        raise EvidenceError(str(error)) from error


def _published(file: Path, part: Part, name: str) -> pa.Table:
    """A file of the snapshot, after its digest and rows were compared with the manifest's."""
    found = canonical.sha256(file.read_bytes()) if file.is_file() else "no file"
    if found != part.sha256:
        raise EvidenceError(f"{name}: SHA-256 found {found}, the manifest says {part.sha256}: not the published file")
    table = _table(file, name)
    if table.num_rows != part.rows:
        raise EvidenceError(f"{name}: found {table.num_rows} rows, the manifest says {part.rows}")
    return table


def _truth(labels: pa.Table, manifest: Manifest) -> Truth:
    """The labels in the order of the file. Of two classes both must occur, or no ranking can be measured."""
    arrays, column = arrays_of(manifest.target), labels[manifest.target.name]
    wrong = arrays.refusal(column, manifest.target, every=False)
    if wrong:
        raise EvidenceError(f"holdout labels: {manifest.target.name}: {wrong}")
    return arrays.truth(column, manifest.target)


def _columns(name: str, target: Target) -> list[str]:
    return [f"{name}_{place}" for place in range(target.outputs)] if target.outputs > 1 else [name]


def _predictions(predictions: pa.Table, labels: pa.Table, manifest: Manifest) -> tuple[Scores, Scores]:
    """What is served and what the model's library answers for each label's row, in the order of the labels.

    Refuses all but one prediction a row that the target's task allows, of each.
    """
    identifier, target = manifest.identifier, manifest.target
    columns = [*_columns("score", target), *_columns("reference", target)]
    if sorted(predictions.column_names) != sorted([identifier, *columns]):
        raise EvidenceError(
            f"predictions: found columns {predictions.column_names}, expected {identifier}, {', '.join(columns)}"
        )
    types = [predictions[name].type for name in (identifier, *columns)]
    if types != [labels[identifier].type, *[pa.float64()] * len(columns)]:
        found = ", ".join(map(str, types))
        raise EvidenceError(f"predictions: found types {found}, expected {labels[identifier].type}, then double")
    predicted = predictions[identifier]
    if predicted.null_count or len(predicted.unique()) != len(predicted):
        raise EvidenceError(
            f"predictions: {identifier}: found {len(predicted)} rows with {len(predicted.unique())} different values "
            f"and {predicted.null_count} nulls, expected each once"
        )
    position = pc.index_in(labels[identifier], value_set=predicted)
    missing, extra = position.null_count, len(predicted) - len(labels) + position.null_count
    if missing or extra:
        raise EvidenceError(f"predictions: found {missing} holdout rows missing and {extra} others, expected neither")
    scores, reference = (_fit(predictions, name, position, target) for name in ("score", "reference"))
    return scores, reference


def _fit(predictions: pa.Table, name: str, position: pa.Array, target: Target) -> Scores:
    columns = [predictions[each].take(position).to_numpy() for each in _columns(name, target)]
    found: Scores = columns[0] if target.outputs == 1 else np.column_stack(columns)
    wrong = arrays_of(target).unfit(found, target)
    if wrong:
        raise EvidenceError(f"predictions: {name}: {wrong}")
    return found


def _difference(scores: Scores, reference: Scores, unit: float) -> Metric:
    """The largest difference of the engine that serves from the model's library, over every row, in the target's
    unit: the width of the range of a number, 1 of probabilities."""
    rows, differs = len(scores), scores != reference
    largest = float(np.abs(scores - reference).max()) / unit
    if largest > MOST_DIFFERENCE:
        raise EvidenceError(
            f"predictions: the engine that serves differs from scikit-learn by {largest:g} in a row of {rows}, "
            f"expected at most {MOST_DIFFERENCE:g} in every row"
        )
    return Metric(largest, rows, {"rows_that_differ": float(differs.reshape(rows, -1).any(axis=1).sum())})


def _threshold(facts: Mapping[str, Any], target: Target) -> float | None:
    """The threshold is a part of the model: whatever it is, it is judged with it. 0.1 knew 0.5 only."""
    if target.task != BINARY:
        return None
    found = facts.get("threshold", 0.5)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise EvidenceError(f"model.json: threshold: found {found!r}, expected a number from 0 to 1")
    return float(found)


def _refuse_other_target(facts: Mapping[str, Any], target: Target) -> None:
    """Predictions mean what the model was trained for. 0.1 named the column alone, of labels 0 and 1."""
    noted = facts.get("target")
    said = binary(noted).meaning if isinstance(noted, str) else noted
    if canonical.to_bytes({"target": said}) != canonical.to_bytes({"target": target.meaning}):
        raise EvidenceError(f"model.json: target: found {said!r}, expected {target.meaning!r} of the snapshot")


def _refuse_other_distribution(engine: Mapping[str, Any], scores: Scores, target: Target) -> None:
    """What is served is compared with the counts in model.json as long as it is served: they must be those of here."""
    noted, arrays = engine.get("holdout_scores"), arrays_of(target)
    expected = arrays.bounds(scores)
    bins = read_bins(engine.get("bounds", expected), target.outputs)  # 0.1 noted none, since they were always the same
    if target.classes and list(bins.bounds) != expected:
        raise EvidenceError(f"model.json: engine: bounds: found {list(bins.bounds)}, expected {expected}")
    counted = histogram(scores, bins)
    tied = int(np.unique(scores, return_counts=True)[1].max()) if not target.classes else len(scores)
    if max(counted) > len(scores) / 2 + tied:
        raise EvidenceError(
            f"model.json: engine: bounds: found {max(counted)} of {len(scores)} rows in one bin, expected at most "
            "half: nothing could be seen of how predictions change"
        )
    if isinstance(noted, list) and len(noted) == len(counted) and all(_is_count(each) for each in noted) and sum(noted):
        apart = distance(counted, noted)
        if apart <= MOST_DISTANCE:
            return
        noted = f"counts that are {apart:.3g} apart"
    raise EvidenceError(
        f"model.json: engine: holdout_scores: found {noted}, expected how the scores are distributed here: {counted}"
    )


def _is_count(found: object) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and found >= 0


def _groups(
    features: pa.Table, labels: pa.Table, truth: Truth, own: ModelAnswers, manifest: Manifest
) -> dict[str, dict[str, Group]]:
    """The rows by the values of each protected attribute, as texts; a missing value is the group "null".

    Where the labels have a column of that name, it holds the groups: the attribute is no feature, or has bins.
    """
    rows, groups = _rows(features, labels[manifest.identifier], manifest), {}
    for name in manifest.protected:
        column = labels[name] if name in labels.column_names else features[name].take(rows)
        named = pc.fill_null(column.cast(pa.string()), "null").to_numpy()
        groups[name] = by_value(truth, own, named, manifest.target)
    return groups


def by_value(truth: Truth, own: ModelAnswers, values: Any, target: Target) -> dict[str, Group]:
    arrays, groups = arrays_of(target), {}
    for value in np.unique(values):
        chosen = values == value
        metrics = arrays.measure(truth[chosen], own.predictions[chosen], target, own.threshold)
        groups[str(value)] = Group(int(chosen.sum()), metrics)
    return groups


def _champion(
    job: Job, labels: pa.Table, truth: Truth, own: ModelAnswers, manifest: Manifest
) -> tuple[Champion | None, str]:
    """The champion on these rows by its own image's predictions, or why there is none to compare with.

    What its step left is foreign: predictions that cannot be used are no champion, and stop nobody.
    """
    folder, target = job.inputs / "champion", manifest.target
    if not (folder / "predictions.parquet").is_file():
        return None, _noted(folder / NOTE)
    archive = job.read("champion-model/model.tar.gz")
    try:
        scores, _ = _predictions(_table(folder / "predictions.parquet", "predictions"), labels, manifest)
        facts = canonical.from_bytes(read_archive(archive).get("model.json", b"{}"), "model.json")
        _refuse_other_target(facts, target)
        before = ModelAnswers(scores, _threshold(facts, target))
    except EvidenceError as error:
        return None, _shown(str(error))
    arrays = arrays_of(target)
    metrics = arrays.measure(truth, before.predictions, target, before.threshold)
    return Champion(canonical.sha256(archive), metrics, arrays.paired(truth, own, before, target)), ""


def _noted(note: Path) -> str:
    """What the champion's step says of why it predicted nothing; "" where nothing was served, so that nobody could."""
    if not note.is_file():
        return "its step left neither predictions nor a note"
    with note.open("rb") as file:
        said = _shown(file.read(LONGEST_NOTE).decode(errors="replace"))
    return "" if said == NOTHING_SERVED else said or "its step left an empty note"


def _shown(text: str) -> str:
    """Somebody else's words as one line without characters that a terminal would obey."""
    return " ".join("".join(each if each.isprintable() else " " for each in text[:LONGEST_NOTE]).split())


def _rows(features: pa.Table, identifiers: pa.ChunkedArray, manifest: Manifest) -> pa.Array:
    """Where in the features the rows with these identifiers are."""
    rows = pc.index_in(identifiers, value_set=features[manifest.identifier])
    if rows.null_count:
        raise EvidenceError(f"holdout features: found {rows.null_count} labelled rows missing, expected all")
    return rows


def _replay(features: pa.Table, labels: pa.Table, scores: Scores, manifest: Manifest) -> dict[str, Any]:
    """The first rows by identifier, as a request would carry them, and their scores."""
    order = pc.sort_indices(labels[manifest.identifier])[:REPLAYED]
    rows = _rows(features, labels[manifest.identifier].take(order), manifest)
    instances = features.select(manifest.features).take(rows).to_pylist()
    predictions = scores[order.to_numpy()].tolist()
    return {
        "instances": [_instance(row) for row in instances],
        "predictions": predictions,
        "unit": manifest.target.unit,
    }


def _instance(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN, no days and no moments: a number that is not there is null, and the others are texts."""
    return {name: _as_json(value) for name, value in row.items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, date):  # a moment is one too
        return value.isoformat()
    return None if isinstance(value, float) and math.isnan(value) else value


def _note(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What training says it used or chose: for readers; no rule may rely on it."""
    note = facts.get(name)
    if not isinstance(note, dict):
        raise EvidenceError(f"model.json: {name}: found {type(note).__name__}, expected an object")
    return note


if __name__ == "__main__":
    sys.exit(jobs.run(evaluate, jobs.this_job()))
