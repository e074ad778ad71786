"""From rows and what a person said to all that is written: pure, but for the training of the first run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cli.profile import split as splits
from cli.profile.columns import ENTITY, IDENTIFIER, INDEX, ColumnProfile, distinct, profiled
from cli.profile.leaks import Leak, leaks
from cli.profile.reading import ReadRows
from cli.profile.split import DataSplit
from cli.profile.target import has_long_tail, inferred
from cli.profile.written import Decided, Declaration, boosting, linear
from lockgate.configuration.model import Feature
from lockgate.errors import NotFoundError, RefusedError
from lockgate.statistics.plan import area_need, balanced_need, mean_need, rate_need
from lockgate.tasks.target import BINARY, Target

FEWEST_ROWS = 40
FEWEST_OF_A_CLASS = 4  # of two: each must be in both parts
LARGEST_SHARE, USUAL_SHARE, USUAL_ROWS = 1 / 3, 0.2, 20_000
ROWS_FOR_BOOSTING, ROWS_A_COLUMN = 2000, 20
QUARTERS = 4
NONE = "none"


@dataclass(frozen=True)
class Choices:
    """What a person said about the file. entity, time: a column, "none", or None where nobody said."""

    name: str
    source: str
    target: str
    task: str | None = None
    positive: str | None = None
    identifier: str | None = None
    entity: str | None = None
    time: str | None = None
    keep: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """What would be written, and what a person should know before. found: leaks and twins, in sentences."""

    declaration: Declaration
    train: pa.Table
    holdout: pa.Table
    train_py: str
    task_why: str
    split_how: str
    found: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def drafted(rows: ReadRows, asked: Choices, decided: Decided) -> Draft:
    """Raises RefusedError or NotFoundError for rows of which no model can be made, with what to do."""
    table, notes, found = rows.table, list(rows.notes), []
    for given in (
        asked.target,
        asked.identifier,
        asked.entity,
        asked.time,
        *asked.keep,
        *asked.codes,
        *(decided.protected or ()),
    ):
        if given not in (None, NONE):
            _refuse_unknown(given or "", table)
    table = _with_target(table, asked.target, notes)
    profile = inferred(asked.target, table[asked.target], asked.task, asked.positive)
    table = table.set_column(table.column_names.index(asked.target), asked.target, profile.column)
    _refuse_few(table, profile.target)
    others = table.drop_columns([asked.target])
    identifier, out = _identifier(others, asked)
    rest = others.drop_columns([identifier] if identifier else [])
    entity = _chosen(
        asked.entity, splits.entity_of(rest.drop_columns([name for name in out if name in rest.column_names]))
    )
    time = _chosen(asked.time, splits.time_of(rest))
    known = {entity: "it names who a row is about", time: "it says when a row happened: no training sees later values"}
    out |= {name: why for name, why in known.items() if name and name not in asked.keep}
    if entity and time and not asked.entity:
        found.append(
            f"{entity}: rows repeat it, and the split goes by {time}: a model is judged on later rows, also of those "
            f"whom it knows; --entity {entity} judges on others alone"
        )
        entity = ""
    columns = [_column(name, rest, out, asked) for name in rest.column_names]
    columns, suspects = _without_leaks(columns, rest, table[asked.target], asked.keep)
    found += suspects
    features = [column for column in columns if column.feature is not None]
    if not features:
        why = "; ".join(f"{column.name}: {column.out}" for column in columns) or "it has no other column"
        raise RefusedError(f"{asked.source}: found no column that can be a feature ({why})")
    names = splits.digests(table.select([column.name for column in features]))
    if not identifier:
        identifier = _free("row_id", table)
        made = splits.numbered(splits.digests(others))
        table = table.append_column(identifier, pa.chunked_array([pa.array(made)]))
        notes.append(f"no column names each row once: {identifier} is made of a digest of the row without its target")
    divided = _divided(table, profile.target, entity, time, names, found)
    declaration = Declaration(
        name=asked.name,
        source=asked.source,
        identifier=identifier,
        target=profile.target,
        columns=columns,
        decided=decided,
        parameters={},
        entity=entity,
        time=time,
    )
    names_kept = [identifier, *(column.name for column in features), entity, time, asked.target]
    kept = table.select([name for name in dict.fromkeys(names_kept) if name])
    train, holdout = kept.filter(pa.array(divided.train)), kept.filter(pa.array(divided.holdout))
    _refuse_one_sided(train, holdout, profile.target, divided)
    train_py, parameters = _recipe(profile.target, features, train)
    declaration = replace(declaration, parameters=parameters)
    return Draft(declaration, train, holdout, train_py, profile.why, divided.how, tuple(found), tuple(notes))


def _refuse_unknown(name: str, table: pa.Table) -> None:
    if name not in table.column_names:
        lower = {each.lower(): each for each in table.column_names}
        near = get_close_matches(name.lower(), lower, 1, 0.5)
        meant = f", did you mean {lower[near[0]]!r}?" if near else "."
        known = ", ".join(table.column_names[:12]) + (", …" if table.num_columns > 12 else "")
        raise NotFoundError(f"column {name!r}: found no such column{meant} There are: {known}")


def _with_target(table: pa.Table, name: str, notes: list[str]) -> pa.Table:
    missing = table[name].null_count
    if missing == table.num_rows:
        raise RefusedError(f"target {name}: found no value in any row, expected classes or numbers")
    if missing:
        notes.append(f"{missing} rows without {name} were left out")
        table = table.filter(pc.is_valid(table[name]))
    return table


def _refuse_few(table: pa.Table, target: Target) -> None:
    if table.num_rows < FEWEST_ROWS:
        expected = f"at least {FEWEST_ROWS}: some to train, some to judge"
        raise RefusedError(f"target {target.name}: found {table.num_rows} rows with a value, expected {expected}")
    if target.task != BINARY:
        return
    for each in pc.value_counts(table[target.name]).to_pylist():
        if each["counts"] < FEWEST_OF_A_CLASS:
            found = f"{each['counts']} rows of {each['values']!r}"
            raise RefusedError(
                f"target {target.name}: found {found}, expected at least {FEWEST_OF_A_CLASS} of each class"
            )


def _identifier(table: pa.Table, asked: Choices) -> tuple[str, dict[str, str]]:
    """The column that names each row once, "" where one must be made; and columns that only look like one."""
    out: dict[str, str] = {}
    if asked.identifier:
        column = table[asked.identifier]
        if column.null_count or distinct(column) != len(column):
            raise RefusedError(f"--identifier {asked.identifier}: found nulls or equal values, expected each once")
        return asked.identifier, out
    chosen = ""
    for name, column in zip(table.column_names, table.columns, strict=True):
        whole, words = pa.types.is_integer(column.type), pa.types.is_string(column.type)
        if not (whole or words) or column.null_count or name in asked.keep:
            continue
        once = distinct(column) == len(column)
        if whole and INDEX.fullmatch(name) and (once or _begins_again(column)):
            out[name] = "it is a running number, which the next file would use again"
        elif IDENTIFIER.fullmatch(name) and whole and not once and _begins_again(column):
            out[name] = "it is a running number that begins again, so it names no row"
        elif once and (IDENTIFIER.fullmatch(name) or ENTITY.fullmatch(name)):
            chosen = chosen or name
            out |= {name: "each row has a value of its own"} if name != chosen else {}
    return chosen, out


def _begins_again(column: pa.ChunkedArray) -> bool:
    """Whether a number mostly goes up by one, as the index of one part after the other does."""
    steps = np.diff(column.to_numpy())
    return bool(len(steps) and (steps == 1).mean() > 0.9)


def _chosen(said: str | None, inferred_: str) -> str:
    return "" if said == NONE else said or inferred_


def _column(name: str, table: pa.Table, out: Mapping[str, str], asked: Choices) -> ColumnProfile:
    found = profiled(name, table[name], asked.codes)
    if name in out:
        return replace(found, feature=None, out=out[name])
    number = found.feature is not None and found.feature.type == "integer" and name not in asked.keep
    if number and IDENTIFIER.fullmatch(name) and distinct(table[name]) > 0.9 * table.num_rows:
        return replace(found, feature=None, out="nearly each row has a value of its own")
    return found


def with_bins(draft: Draft) -> Draft:
    """Protected numbers get bins, or each number would be a group of its own: about a quarter of the rows in each."""
    protected = draft.declaration.decided.protected or ()
    columns = tuple(
        replace(column, feature=replace(column.feature, bins=_bins(draft.train[column.name], column.feature)))
        if column.name in protected and column.feature is not None and column.feature.type in ("integer", "number")
        else column
        for column in draft.declaration.columns
    )
    return replace(draft, declaration=replace(draft.declaration, columns=columns))


def _bins(column: pa.ChunkedArray, feature: Feature) -> tuple[float, ...]:
    values = np.sort(column.drop_null().cast(pa.float64()).to_numpy())
    different = np.unique(values)
    edges = different[1:] if len(different) <= QUARTERS else np.quantile(values, np.arange(1, QUARTERS) / QUARTERS)
    edges = np.ceil(edges) if feature.type == "integer" else [float(f"{edge:.3g}") for edge in edges]
    return tuple(sorted({float(edge) for edge in edges if (feature.minimum or 0.0) < edge <= (feature.maximum or 0.0)}))


def _without_leaks(
    columns: list[ColumnProfile], table: pa.Table, target: pa.ChunkedArray, keep: tuple[str, ...]
) -> tuple[list[ColumnProfile], list[str]]:
    """Columns that know the target are no features, unless a person keeps them."""
    looked_at = [column.name for column in columns if column.feature is not None]
    found: dict[str, Leak] = {leak.name: leak for leak in leaks(table.select(looked_at), target)}
    said, kept = [], []
    for column in columns:
        leak = found.get(column.name)
        if leak and column.name not in keep:
            why = "a copy of the target" if leak.copy else "it may be known only after the target"
            said.append(f"{column.name}: {leak.found}: left out; --keep {column.name} keeps it")
            column = replace(column, feature=None, out=f"{why}: {leak.found}")
        elif leak:
            said.append(f"{column.name}: {leak.found}: kept, as you said")
        kept.append(column)
    return kept, said


def _free(name: str, table: pa.Table) -> str:
    number = 2
    free = name
    while free in table.column_names:
        free, number = f"{name}_{number}", number + 1
    return free


def _divided(table: pa.Table, target: Target, entity: str, time: str, names: list[str], found: list[str]) -> DataSplit:
    share = _share(table, target)
    twins = splits.alike(names)
    many = twins > splits.MANY_ALIKE * len(names)
    if twins:
        rule = "may lie on both sides: few columns make rows alike" if many else "lie on one side of the split"
        found.append(f"{twins} of {len(names)} rows equal another one in all features, and {rule}")
    if time:
        divided = splits.by_time(table[time], share)
        return splits.without_known(divided, table[entity]) if entity else divided
    if entity:
        return splits.by_entity(table[entity], share)
    classes = table[target.name].to_pylist() if target.classes else None
    return splits.by_digest(splits.numbered(names) if many else names, classes, share)


def _share(table: pa.Table, target: Target) -> float:
    """What a first policy needs, or more where there is more; at most a third."""
    rows = table.num_rows
    if target.task == BINARY:
        rarest = min(each["counts"] for each in pc.value_counts(table[target.name]).to_pylist()) / rows
        needed = area_need(0.05, 0.85, 0.1, 0.8) / (2 * rarest)
    elif target.task == "multiclass":
        classes = len(target.classes)
        needed = max(rate_need(0.05, 0.85, 0.8, 0.8).rows, classes * balanced_need(0.05, classes, 0.85, 0.1, 0.8))
    else:
        needed = mean_need(0.05, 0.3, 0.05, 1.0, 0.8)
    return float(min(max(needed, min(USUAL_SHARE * rows, USUAL_ROWS)) / rows, LARGEST_SHARE))


def _refuse_one_sided(train: pa.Table, holdout: pa.Table, target: Target, divided: DataSplit) -> None:
    """Each class trains, and both of two classes judge."""
    parts = [("training", train)] + ([("holdout", holdout)] if target.task == BINARY else [])
    for name, part in parts:
        missing = [each for each in target.classes if each not in part[target.name].unique().to_pylist()]
        if missing or not part.num_rows:
            ways = "--time none or --entity none divides at random" if "by" in divided.how[:3] else "merge rare classes"
            raise RefusedError(
                f"the split {divided.how}: found no {name} row of {target.name} {missing[:5]}, expected some: {ways}"
            )


def _recipe(target: Target, features: list[ColumnProfile], train: pa.Table) -> tuple[str, dict[str, int | float]]:
    """A linear model where rows are few for their columns, else boosting."""
    declared = [column.feature for column in features if column.feature is not None]
    width = sum(max(1, len(feature.values)) for feature in declared)
    tail = target.task == "regression" and has_long_tail(train[target.name])
    if train.num_rows < max(ROWS_FOR_BOOSTING, ROWS_A_COLUMN * width):
        return linear(target, declared, tail), {"C": 1.0, "max_iter": 1000} if target.classes else {"alpha": 1.0}
    return boosting(target, declared, tail), {"max_iter": 100, "learning_rate": 0.1, "max_leaf_nodes": 15}
