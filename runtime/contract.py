"""The data contract of a model, applied to columns of a Parquet file (prepare) or to rows of a request (serve).

One rule decides for both: `accepts`. A message says the column, what was found, what was expected and in which rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lockgate.configuration.model import Feature, Model
from lockgate.configuration.moments import KINDS, code_of_moment, moment_as_text
from lockgate.errors import DataContractError

if TYPE_CHECKING:
    import pyarrow as pa

NOT_NULL = "; a missing number is null here and not NaN (polars: fill_nan(None), DuckDB: nullif(x, 'nan'))"
SHOWN = 5  # row identifiers, found values or broken columns in one message


@dataclass(frozen=True)
class Violation:
    """Why one row of a request is refused; `row` counts from 0. None where the whole request is meant."""

    row: int | None
    column: str | None
    found: str
    expected: str


def accepts(feature: Feature, value: object) -> bool:
    """Whether a value that is not null keeps the contract.

    An integer may come as 62 or as 62.0, a category whose value is the text of an integer as that integer; true is no
    number. A day or moment comes as itself or as its text in ISO 8601.
    """
    if feature.type == "category":
        return text_of_category(value) in feature.values
    if feature.type == "boolean":
        return isinstance(value, bool)
    if feature.type in KINDS:
        value = code_of_moment(feature.type, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if feature.minimum is None or feature.maximum is None or not feature.minimum <= value <= feature.maximum:
        return False  # NaN and infinity end here too
    return feature.type != "integer" or value == int(value)


def text_of_category(value: object) -> str | None:
    """The text by which model.toml knows a category; None for what cannot be one."""
    if isinstance(value, str):
        return value
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return str(int(value)) if whole and not isinstance(value, bool) else None  # type: ignore[call-overload]


def expected(feature: Feature) -> str:
    """The contract of a feature, in words."""
    if feature.type == "category":
        return f"one of {', '.join(map(repr, feature.values))}"
    if feature.type == "boolean":
        return "true or false"
    if feature.type in KINDS:
        first, last = (moment_as_text(feature.type, each or 0.0) for each in (feature.minimum, feature.maximum))
        return f"a {feature.type} in ISO 8601 from {first} to {last}"
    article = "an integer" if feature.type == "integer" else "a number"
    return f"{article} from {feature.minimum:g} to {feature.maximum:g}"


def refuse_broken_columns(table: pa.Table, model: Model, part: str, attributes: Sequence[Feature] = ()) -> None:
    """Check the identifier, every feature and these attributes of a table, whose name in messages is `part`.

    Raises DataContractError that names the broken columns (the first five) with count, values found, and up to five
    row identifiers each.
    """
    columns = (*model.features, *attributes)
    missing = [name for name in (model.identifier, *(c.name for c in columns)) if name not in table.column_names]
    if missing:
        raise DataContractError(
            f"{part}: column {', '.join(missing)}: found no such column, expected it; there are: "
            + ", ".join(table.column_names)
        )
    identifiers = table[model.identifier]
    if identifiers.null_count or len(identifiers.unique()) != len(identifiers):
        raise DataContractError(
            f"{part}: column {model.identifier}: found {identifiers.null_count} nulls and "
            f"{len(identifiers.unique())} different values in {len(identifiers)} rows, expected each once"
        )
    broken = [text for column in columns for text in _broken(table[column.name], column, identifiers)]
    if broken:
        more = f"\n… and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        raise DataContractError("\n".join(f"{part}: {text}" for text in broken[:SHOWN]) + more)


def refuse_broken_target(table: pa.Table, model: Model, part: str, every: bool) -> None:
    """The target must be there and be what its task allows in every row.

    every: whether each class must occur, as in training, where a model learns which there are.
    Raises DataContractError.
    """
    from runtime.tasks.arrays import arrays_of

    target = model.target
    if target.name not in table.column_names:
        known = ", ".join(table.column_names)
        raise DataContractError(f"{part}: column {target.name}: found no such column, expected it; there are: {known}")
    wrong = arrays_of(target).refusal(table[target.name], target, every)
    if wrong:
        raise DataContractError(f"{part}: column {target.name}: {wrong}")


def refuse_broken_order(table: pa.Table, model: Model, part: str) -> None:
    """Every row must say whom it is about and when it was, where model.toml names such columns.

    Raises DataContractError.
    """
    for key, name in (("entity", model.entity), ("time", model.time)):
        if name and name not in table.column_names:
            known = ", ".join(table.column_names)
            raise DataContractError(
                f"{part}: column {name}: found no such column, expected the {key}; there are: {known}"
            )
        if name and table[name].null_count:
            rows = table[model.identifier].filter(table[name].is_null())
            raise DataContractError(f"{part}: column {name}: found null{_where(rows)}, expected the {key} of every row")


def _broken(column: pa.ChunkedArray, feature: Feature, identifiers: pa.ChunkedArray) -> list[str]:
    """Messages about one column: values outside the contract, and more nulls than it allows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    messages = []
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    refused = [code for code, value in enumerate(values) if not accepts(feature, value)]
    if refused:
        rows = identifiers.filter(pc.is_in(encoded.indices, value_set=pa.array(refused, encoded.indices.type)))
        found_values = [values[code] for code in refused]
        found = _few(found_values)
        nan = "" if not any(value != value for value in found_values) else NOT_NULL
        messages.append(f"column {feature.name}: found {found}{_where(rows)}, expected {expected(feature)}{nan}")
    if column.null_count > feature.null_share * len(column):
        share = f"at most {feature.null_share:g} of {len(column)} rows null"
        rows = identifiers.filter(pc.is_null(column))
        messages.append(f"column {feature.name}: found null{_where(rows)}, expected {share}")
    return messages


def _where(identifiers: pa.ChunkedArray) -> str:
    count = len(identifiers)
    return f" in {count} row{'s' if count > 1 else ''} (identifiers {_few(identifiers[: SHOWN + 1].to_pylist())})"


def _few(values: Sequence[object]) -> str:
    return ", ".join(shown(value) for value in values[:SHOWN]) + (", …" if len(values) > SHOWN else "")


def shown(value: object) -> str:
    """A value as a message shows it: never longer than 40 characters, whatever a caller sent."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > 64:
        return "an integer of more than 64 bits"
    text = repr(value[:40] if isinstance(value, str) else value)
    return text if len(text) <= 40 else text[:39] + "…"


def first_violation(instances: Sequence[Any], model: Model) -> Violation | None:
    """The first row of a request that breaks the contract: each must have exactly the declared features."""
    names = {feature.name for feature in model.features}
    for row, instance in enumerate(instances):
        if not isinstance(instance, dict):
            return Violation(row, None, shown(instance), "an object with one value a feature")
        for name in instance:
            if name not in names:
                return Violation(row, name[:40], shown(instance[name]), "no such column: it is not a declared feature")
        violation = _in_row(row, instance, model)
        if violation:
            return violation
    return None


def _in_row(row: int, instance: Mapping[str, object], model: Model) -> Violation | None:
    for feature in model.features:
        if feature.name not in instance:
            return Violation(row, feature.name, "nothing", expected(feature))
        value = instance[feature.name]
        if value is None and feature.null_share > 0:
            continue
        if not accepts(feature, value):
            return Violation(row, feature.name, "null" if value is None else shown(value), expected(feature))
    return None
