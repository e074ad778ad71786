"""Publish a data snapshot: training rows, and holdout rows with their labels kept apart.

Reads the Parquet files that model.toml names under [data]. Features go to the data bucket, the holdout's labels to a
bucket that no commit's code can read. Publishing the same rows again changes nothing.

With --record-holdout: record the holdout of a published snapshot as fresh, under your name, with the proof that it
shares no row with training or earlier holdouts. From then on the gate decides on these rows, with a budget of their
own. A model's first holdout needs no record.

With --use: choose the published snapshot that trainings use from now on, also one that was used before, under your name
and with a reason. Publishing chooses nothing, but for a model's first snapshot. --list says which there are.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.commands.approve import say
from cli.context import Context, json_argument, model_argument, open_context
from cli.terminal import Shown, show, show_json, whole
from lockgate import canonical, names
from lockgate.aws import delivery
from lockgate.aws.write_once import put_once
from lockgate.configuration.model import Model, model_named
from lockgate.data.choice import columns_of, current
from lockgate.data.row_identities import identities, read_identities, refuse_shared
from lockgate.data.snapshot import Manifest, Part
from lockgate.errors import DataContractError
from lockgate.ledger.calls import ChooseSnapshot, RecordHoldout
from lockgate.ledger.kinds import SnapshotChoice

EXAMPLE = "lockgate snapshot --model employment"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record-holdout", metavar="SNAPSHOT", help="publish nothing, record the holdout of this snapshot as fresh"
    )
    parser.add_argument("--use", metavar="SNAPSHOT", help="publish nothing, let trainings use this snapshot")
    parser.add_argument("--reason", default="", help="of --use: why, for the record")
    parser.add_argument("--list", action="store_true", help="publish nothing, say which there are and which is current")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    if arguments.record_holdout is not None:
        call = RecordHoldout(model=context.model(arguments.model), snapshot=arguments.record_holdout)
        return say(context, "holdout", call, json=arguments.json)
    if arguments.use is not None:
        chosen = ChooseSnapshot(model=context.model(arguments.model), snapshot=arguments.use, reason=arguments.reason)
        return say(context, "snapshot", chosen, json=arguments.json)
    if arguments.list:
        return _list(context, context.models(arguments.model), json=arguments.json)
    published = {}
    for name in context.models(arguments.model):
        published[name] = publish(context, model_named(context.configuration.models, name))
        if not arguments.json:
            show(f"{name}: snapshot {published[name]}", *_not_current(context, name, published[name]))
    if arguments.json:
        show_json({"snapshots": published})
    return 0


def _current(context: Context, model: str) -> tuple[Sequence[str], str | None]:
    """What is published, oldest first, and what trainings use."""
    s3, bucket = context.client("s3"), context.bucket("data")
    published = delivery.snapshots(s3, bucket, model).published
    return published, current(published, delivery.chosen_snapshots(s3, bucket, model))


def _not_current(context: Context, model: str, snapshot: str) -> list[Shown]:
    """What is said of a snapshot that trainings do not use."""
    used = _current(context, model)[1]
    if used == snapshot:
        return []
    use = f'  lockgate snapshot --use {snapshot} --reason "..." --model {model}'
    return [f"  trainings use {used}; to let them use this one:", whole(use)]


def _list(context: Context, models: tuple[str, ...], *, json: bool) -> int:
    facts = []
    for model in models:
        published, used = _current(context, model)
        choice = context.ledger.look(model).newest(SnapshotChoice)
        said = choice.entry.body if choice else None
        why = {"person": said.person, "reason": said.reason} if said and said.snapshot == used else {}
        facts += [
            {"model": model, "snapshot": each, "current": each == used, **(why if each == used else {})}
            for each in published
        ]
    if json:
        show_json({"snapshots": facts})
        return 0
    for each in facts:
        by = f", chosen by {each['person']}: {each['reason']}" if "person" in each else ""
        show(f"{each['model']}: {each['snapshot']}{' is current' if each['current'] else ''}{by}")
    return 0


def publish(context: Context, model: Model) -> str:
    """Id of the snapshot of the files that model.toml names; the manifest goes last, so that what it names exists."""
    train, train_sha256 = _read(context.root, model.train_data)
    holdout, holdout_sha256 = _read(context.root, model.holdout_data)
    identities_of = validated(train, holdout, model)
    files = {name: _parquet(table) for name, table in parts_of(train, holdout, model).items()}
    manifest = Manifest(
        model=model.name,
        identifier=model.identifier,
        target=model.target,
        features=tuple(feature.name for feature in model.features),
        protected=model.protected,
        train=Part(canonical.sha256(files["train"]), train.num_rows),
        holdout_features=Part(canonical.sha256(files["features"]), holdout.num_rows),
        holdout_labels=Part(canonical.sha256(files["labels"]), holdout.num_rows),
        sources={Path(model.train_data).name: train_sha256, Path(model.holdout_data).name: holdout_sha256},
    )
    s3, prefix = context.client("s3"), names.snapshot_prefix(model.name, manifest.id)
    refuse_other_identities(s3, context.bucket("data"), train, model)
    put_once(s3, context.bucket("labels"), names.labels_key(model.name, manifest.id), files["labels"])
    for part, digests in identities_of.items():
        put_once(s3, context.bucket("data"), names.identities_key(model.name, manifest.id, part), digests)
    put_once(s3, context.bucket("data"), names.columns_key(model.name, manifest.id, columns_of(model)), b"")
    put_once(s3, context.bucket("data"), f"{prefix}/train/train.parquet", files["train"])
    put_once(s3, context.bucket("data"), f"{prefix}/holdout/features.parquet", files["features"])
    put_once(s3, context.bucket("data"), f"{prefix}/manifest.json", manifest.to_bytes())
    return manifest.id


def refuse_other_identities(s3: Any, bucket: str, train: Any, model: Model) -> None:
    """Raise DataContractError where identifiers are of another type than those of the snapshots before.

    A row is known again by the digest of its identifier, and 7, 7.0 and "7" have three: a row that was trained on
    before would count as a fresh one. So one type holds for all snapshots of a model.
    """
    from runtime.columns import canonical_columns, parquet_table

    published = delivery.snapshots(s3, bucket, model.name).published
    if not published:
        return
    where = f"snapshot {published[-1]}"
    rows = delivery.training_rows(s3, bucket, model.name, published[-1])
    before = canonical_columns(parquet_table(rows, where), where)
    if model.identifier not in before.column_names:
        return
    wanted, found = before[model.identifier].type, canonical_columns(train, model.train_data)[model.identifier].type
    if found != wanted:
        raise DataContractError(
            f"{model.train_data}: column {model.identifier}: found {found}, expected {wanted} as in snapshot "
            f"{published[-1]}, which is published: else a row that is known would count as a fresh one; write the "
            f"identifiers as {wanted}"
        )


def parts_of(train: Any, holdout: Any, model: Model) -> dict[str, Any]:
    """What a snapshot keeps of validated rows: the tables train, features and labels.

    Groups of protected attributes that are no features lie beside the labels, which no code of a commit sees.
    """
    from runtime.columns import canonical_columns
    from runtime.groups import group_columns

    labels = holdout.select([model.identifier, model.target.name])
    for name, column in group_columns(canonical_columns(holdout, model.holdout_data), model).items():
        labels = labels.append_column(name, column)
    features = [model.identifier, *(feature.name for feature in model.features)]
    return {"train": train.select([*model.training_columns]), "features": holdout.select(features), "labels": labels}


def validated(train: Any, holdout: Any, model: Model) -> dict[str, bytes]:
    """The digests of each part's rows, after all that the pipeline would refuse later was looked for here.

    What is published is there for good, and the labels of a holdout are seen by the last step only: a broken snapshot
    would cost a training run of every commit. Raises DataContractError or EvidenceError.
    """
    from runtime.columns import canonical_columns
    from runtime.contract import refuse_broken_columns, refuse_broken_order, refuse_broken_target

    rows = {}
    for part, table, file in (("train", train, model.train_data), ("holdout", holdout, model.holdout_data)):
        rows[part] = canonical_columns(table, file)
        refuse_broken_columns(rows[part], model, file, () if part == "train" else model.attributes)
        refuse_broken_target(rows[part], model, file, every=part == "train")
        refuse_broken_order(rows[part], model, file)
    for name in filter(None, (model.identifier, model.entity, model.time)):
        types = {part: table[name].type for part, table in rows.items()}
        if types["train"] != types["holdout"]:
            raise DataContractError(
                f"{model.holdout_data}: column {name}: found {types['holdout']}, expected {types['train']} as in "
                f"{model.train_data}: else the same row would count as two"
            )
    _refuse_mixed(rows["train"], rows["holdout"], model)
    digests = {part: _identities(table, model) for part, table in rows.items()}
    refuse_shared(
        model.holdout_data,
        read_identities(digests["holdout"]),
        model.train_data,
        read_identities(digests["train"]),
    )
    return digests


def _refuse_mixed(train: Any, holdout: Any, model: Model) -> None:
    """A holdout must have other entities than training, and nothing that is earlier than something in training."""
    import pyarrow.compute as pc

    if model.entity:
        known = pc.is_in(holdout[model.entity], value_set=train[model.entity].combine_chunks())
        if shared := holdout[model.entity].filter(known).unique().to_pylist():
            raise DataContractError(
                f"{model.holdout_data}: column {model.entity}: found {len(shared)} that {model.train_data} has too, "
                f"{shared[0]!r} among them; expected other ones, since rows of one {model.entity} are alike"
            )
    if model.time:
        first, last = pc.min(holdout[model.time]).as_py(), pc.max(train[model.time]).as_py()
        if not last < first:
            raise DataContractError(
                f"{model.holdout_data}: column {model.time}: found {first} while {model.train_data} goes on to {last}; "
                "expected later rows only, since a model is asked about what comes after its training; split by time"
            )


def _identities(table: Any, model: Model) -> bytes:
    """Digests of which rows these are, with which --record-holdout proves that a holdout is fresh."""
    contents = zip(*(table[feature.name].to_pylist() for feature in model.features), strict=True)
    return identities(table[model.identifier].to_pylist(), contents)


def _read(root: Path, name: str) -> tuple[Any, str]:
    """A Parquet file of the project and its SHA-256."""
    from runtime.columns import parquet_table  # heavy, and only this command needs it

    try:
        data = (root / name).read_bytes()
    except OSError as error:
        raise DataContractError(f"{name}: {error.strerror}: expected a Parquet file, named in model.toml") from error
    return parquet_table(data, name), canonical.sha256(data)


def _parquet(table: Any) -> bytes:
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    return sink.getvalue()
