"""Requests as rows for an engine: decoding, the data contract and encoding in one pass of msgspec.

The types are made from model.toml once. A category decodes to a member of an enumeration that is itself a number, its
place in model.toml. What the fast way refuses is looked at again by `contract.first_violation`, which finds the words.
"""

from __future__ import annotations

import csv
import enum
import io
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from lockgate import canonical
from lockgate.configuration.model import Feature, Model
from lockgate.configuration.moments import KINDS, code_of_moment
from lockgate.errors import EvidenceError
from runtime.contract import Violation, accepts, first_violation, shown, text_of_category

MAXIMUM_ROWS = 10_000
_EXPECTED = 'a JSON object {"instances": [at least one object]} or {"columns": {name: [at least one value]}}'


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """What a caller is told instead of predictions. kind: for the count of errors."""

    def __init__(self, status: int, kind: str, violation: Violation) -> None:
        super().__init__(violation)
        self.status, self.kind, self.violation = status, kind, violation


def refused(status: int, kind: str, found: str, wanted: str) -> Refused:
    return Refused(status, kind, Violation(None, None, found, wanted))


class Batch(msgspec.Struct, frozen=True, gc=False):
    """codes: rows x features as float64, categories as places in model.toml, NaN for null."""

    codes: bytes
    rows: int


class Decoder:
    """Raises Refused with the first thing that is wrong."""

    def __init__(self, model: Model) -> None:
        self._model = model
        types = [_type_of(feature) for feature in model.features]
        fields = [f"f{index}" for index in range(len(types))]  # a column's name need not be one of Python
        renamed = dict(zip(fields, (feature.name for feature in model.features), strict=True))
        options: dict[str, Any] = {"forbid_unknown_fields": True, "gc": False}
        row: Any = msgspec.defstruct("Row", list(zip(fields, types, strict=True)), rename=renamed, **options)
        lists = [(field, _list_of(kind)) for field, kind in zip(fields, types, strict=True)]
        self._columns_type: Any = msgspec.defstruct("Columns", lists, rename=renamed, **options)
        self._rows: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("Rows", [("instances", _list_of(row))], **options)
        )
        by_column = msgspec.defstruct("ByColumn", [("columns", self._columns_type)], **options)
        self._by_column: msgspec.json.Decoder[Any] = msgspec.json.Decoder(by_column)
        self._row_type = row
        self._pack = _packer(model)
        self._column_packs = [_column_packer(feature) for feature in model.features]

    def json(self, body: bytes) -> Batch:
        """{"instances": [...]} or {"columns": {...}}."""
        try:
            rows = self._rows.decode(body).instances
            if len(rows) > MAXIMUM_ROWS:
                raise too_many(len(rows))
            return Batch(self._pack(rows), len(rows))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._not_instances(body)

    def csv(self, body: bytes) -> Batch:
        """One row a line, columns in declared order, or in the order of a first line that names them all."""
        try:
            lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True) if line]
        except (UnicodeDecodeError, csv.Error) as error:
            raise refused(
                400, "malformed", f"no CSV: {error}"[:200], "UTF-8 text, values separated by commas"
            ) from error
        names = [feature.name for feature in self._model.features]
        if lines and sorted(lines[0]) == sorted(names):
            names = lines.pop(0)
        if len(lines) > MAXIMUM_ROWS:
            raise too_many(len(lines))
        features = {feature.name: feature for feature in self._model.features}
        for row, line in enumerate(lines):
            if len(line) != len(names):
                raise Refused(
                    400,
                    "contract",
                    Violation(row, None, f"{len(line)} values", f"{len(names)}: {', '.join(names)}"[:200]),
                )
        if not lines:
            raise no_rows()
        by_column = zip(names, zip(*lines, strict=True), strict=True)
        return self.columns({name: _of_texts(texts, features[name]) for name, texts in by_column})

    def columns(self, columns: Mapping[str, Sequence[Any]]) -> Batch:
        """Values of each feature, in lists of equal length."""
        lengths = {name: len(values) for name, values in columns.items()}
        longest = max(lengths.values(), default=0)
        if longest > MAXIMUM_ROWS:
            raise too_many(longest)
        for name, length in lengths.items():
            if length != longest:
                raise Refused(
                    400, "contract", Violation(None, name[:40], f"{length} values", f"{longest}, as other columns")
                )
        try:
            return self._packed(msgspec.convert(columns, self._columns_type))
        except (msgspec.ValidationError, UnicodeEncodeError):  # a name may have half of a surrogate pair
            names = list(columns)
            return self.instances([dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)])

    def instances(self, instances: Sequence[Any]) -> Batch:
        """Rows as Python has them; this is the way of whatever is not JSON in rows, and of what is refused."""
        if not instances:
            raise no_rows()
        if len(instances) > MAXIMUM_ROWS:
            raise too_many(len(instances))
        violation = first_violation(instances, self._model)
        if violation:
            raise Refused(400, "contract", violation)
        whole = [feature.name for feature in self._model.features if feature.type == "category"]
        named = [{**row, **{name: text_of_category(row[name]) for name in whole}} for row in instances]
        try:
            return Batch(self._pack([msgspec.convert(row, self._row_type) for row in named]), len(instances))
        except msgspec.ValidationError as error:
            raise refused(400, "contract", str(error)[:200], "rows that keep the data contract") from error

    def _not_instances(self, body: bytes) -> Batch:
        try:
            return self._packed(self._by_column.decode(body).columns)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        document = document_of(body, _EXPECTED)
        if set(document) == {"columns"} and _are_lists(document["columns"]):
            return self.columns(document["columns"])
        instances = document.get("instances")
        if set(document) != {"instances"} or not isinstance(instances, list) or not instances:
            raise refused(400, "malformed", f"keys {shown(', '.join(document))}", _EXPECTED)
        return self.instances(instances)

    def _packed(self, columns: Any) -> Batch:
        lists = msgspec.structs.astuple(columns)
        rows = len(lists[0])
        if rows > MAXIMUM_ROWS:
            raise too_many(rows)
        if any(len(values) != rows for values in lists):
            return self.columns({f.name: values for f, values in zip(self._model.features, lists, strict=True)})
        width = len(lists)
        codes = bytearray(8 * rows * width)
        numbers = memoryview(codes).cast("d")
        for index, (pack, values) in enumerate(zip(self._column_packs, lists, strict=True)):
            numbers[index::width] = memoryview(pack(values)).cast("d")
        return Batch(bytes(codes), rows)


def too_many(rows: int) -> Refused:
    return refused(413, "too_large", f"{rows} rows", f"at most {MAXIMUM_ROWS}")


def no_rows() -> Refused:
    return refused(400, "malformed", "no rows", "at least one")


def document_of(body: bytes, wanted: str) -> dict[str, Any]:
    """A JSON object, read strictly: no NaN, no key twice."""
    try:
        return canonical.from_bytes(body, "body")
    except (EvidenceError, RecursionError) as error:
        raise refused(400, "malformed", str(error)[:200], wanted) from error


def _are_lists(columns: object) -> bool:
    return isinstance(columns, dict) and bool(columns) and all(isinstance(values, list) for values in columns.values())


def _type_of(feature: Feature) -> Any:
    kind: Any
    if feature.type == "category":
        kind = _enumeration(feature)
    elif feature.type == "boolean":
        kind = bool
    elif feature.type in KINDS:
        kind = str  # its number is made when rows are packed
    else:
        step = 1.0 if feature.type == "integer" else None
        kind = Annotated[float, msgspec.Meta(ge=feature.minimum, le=feature.maximum, multiple_of=step)]
    return kind | None if feature.null_share > 0 else kind


def _list_of(kind: Any) -> Any:
    return Annotated[list[kind], msgspec.Meta(min_length=1)]


class _Category(float, enum.Enum):
    """A number whose enumeration value is the category's text, or the integer that has this text."""

    def __new__(cls, text: str | int, place: int) -> _Category:
        member = float.__new__(cls, place)
        member._value_ = text
        return member


def _enumeration(feature: Feature) -> Any:
    make: Any = _Category
    texts = make(feature.name, {f"c{place}": (text, place) for place, text in enumerate(feature.values)})
    codes = {int(text): place for place, text in enumerate(feature.values) if is_integer(text)}
    if not codes:
        return texts
    return texts | make(feature.name, {f"c{place}": (code, place) for code, place in codes.items()})


def is_integer(category: str) -> bool:
    """Whether a category is the text of an integer of 64 bits, so that it may come as the integer."""
    return category.removeprefix("-").isdigit() and str(int(category)) == category and int(category).bit_length() < 64


def _number_of_moment(feature: Feature) -> Callable[[Any], float]:
    def number(text: str | None) -> float:
        if text is None:
            return math.nan
        if not accepts(feature, text):
            raise msgspec.ValidationError(f"{feature.name}: {shown(text)}")
        return code_of_moment(feature.type, text) or 0.0

    return number


def _number_or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _packer(model: Model) -> Callable[[Sequence[Any]], bytes]:
    pack, values_of = struct.Struct(f"={len(model.features)}d").pack, msgspec.structs.astuple
    if any(feature.type in KINDS for feature in model.features):
        numbers = [_number_of_moment(each) if each.type in KINDS else _number_or_nan for each in model.features]
        return lambda rows: b"".join(
            [pack(*[number(value) for number, value in zip(numbers, values_of(row), strict=True)]) for row in rows]
        )
    if any(feature.null_share > 0 for feature in model.features):
        return lambda rows: b"".join(
            [pack(*[math.nan if value is None else value for value in values_of(row)]) for row in rows]
        )
    return lambda rows: b"".join([pack(*values_of(row)) for row in rows])


def _column_packer(feature: Feature) -> Callable[[Sequence[Any]], bytes]:
    if feature.type in KINDS:
        number = _number_of_moment(feature)
        return lambda values: struct.pack(f"={len(values)}d", *map(number, values))
    if feature.null_share > 0:
        return lambda values: struct.pack(f"={len(values)}d", *[math.nan if v is None else v for v in values])
    return lambda values: struct.pack(f"={len(values)}d", *values)


def _of_texts(texts: Sequence[str], feature: Feature) -> list[Any]:
    """A column of CSV: nothing is null."""
    if feature.type == "category":
        return list(texts) if "" in feature.values else [text or None for text in texts]
    if feature.type == "boolean":
        return [{"true": True, "false": False}.get(text.lower(), text or None) for text in texts]
    if feature.type in KINDS:
        return [text or None for text in texts]
    return [_number_of(text) for text in texts]


def _number_of(text: str) -> float | str | None:
    """What ASCII digits, a point and an exponent say; the text where it is no number, so that it is named."""
    if text == "":
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and text.isascii() and "_" not in text else text
