"""What is predicted, what each column is, which columns know the target, and how rows are divided."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.profile.columns import ColumnProfile, profiled, with_room
from cli.profile.draft import Choices, Draft, drafted
from cli.profile.proposal import PolicyProposal, Proposed
from cli.profile.reading import ReadRows
from cli.profile.split import by_digest, by_entity, by_time
from cli.profile.summary import summary
from cli.profile.target import inferred
from cli.profile.written import Decided, model_toml
from lockgate.configuration.model import Feature, read_model
from lockgate.errors import LockgateError, RefusedError
from runtime.contract import accepts

RANDOM = np.random.default_rng(7)
ROWS = 400


def column(values: Any, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0, 1], "binary", (0, 1)),
        ([0.0, 1.0], "binary", (0, 1)),
        ([True, False], "binary", (False, True)),
        (["Yes", "No"], "binary", ("No", "Yes")),
        (["good", "bad"], "binary", ("good", "bad")),
        ([2, 1], "binary", (2, 1)),
        (["c", "a", "b"], "multiclass", ("a", "b", "c")),
        ([3, 5, 7], "multiclass", (3, 5, 7)),
        ([*range(25)], "regression", ()),
        ([0.5, 1.5, 2.5], "regression", ()),
    ],
)
def test_the_values_say_the_task(values: list[Any], task: str, classes: tuple[Any, ...]) -> None:
    found = inferred("y", column([*values * 40, values[0]]), None)
    assert (found.target.task, found.target.classes) == (task, classes)


def test_of_classes_without_a_meaning_the_rarer_one_is_positive_and_it_is_said() -> None:
    found = inferred("y", column(["red"] * 30 + ["blue"] * 70))
    assert found.target.classes == ("blue", "red")
    assert "the rarer one; --positive names another" in found.why
    assert inferred("y", column(["red"] * 30 + ["blue"] * 70), None, "blue").target.classes == ("red", "blue")


@pytest.mark.parametrize(
    ("values", "task"),
    [([1] * 50, None), (["a", "b", "c"] * 20, "binary"), ([0.5, 1.5] * 20, "binary"), (["a", "b"] * 20, "regression")],
)
def test_a_target_that_fits_no_task_is_refused_with_a_way_on(values: list[Any], task: str | None) -> None:
    with pytest.raises(RefusedError, match=r"expected|--task"):
        inferred("y", column(values), task)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("age", [*range(18, 58)] * 10, "integer"),
        ("age", [*range(18, 57), None] * 10, "integer"),
        ("share", [0.25, 0.5] * 200, "number"),
        ("rooms_code", [1, 2, 3, 4] * 100, "category"),
        ("sex", [1, 2] * 200, "category"),
        ("garden", [0, 1] * 200, "integer"),
        ("garden", [True, False] * 200, "boolean"),
        ("town", ["a", "b", None, "c"] * 100, "category"),
        ("born", [date(1990, 1, 1) + timedelta(days=day) for day in range(400)], "date"),
        ("name", [f"person {number}" for number in range(400)], ""),
        ("same", ["x"] * 400, ""),
        ("nothing", [None] * 400, ""),
    ],
)
def test_a_column_is_what_its_values_are(name: str, values: list[Any], kind: str) -> None:
    found = profiled(name, column(values))
    assert (found.feature.type if found.feature else "") == kind
    assert bool(found.out) == (not kind)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**50), 2**50)), min_size=3))
def test_every_value_that_was_seen_keeps_the_declared_contract(values: list[int | None]) -> None:
    found = profiled("a", column(values, pa.int64()))
    if found.feature:
        assert all(accepts(found.feature, value) for value in values if value is not None)
        assert found.nulls <= found.feature.null_share * len(values)


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12))
def test_a_range_has_room_and_does_not_cross_zero(low: float, width: float) -> None:
    found = with_room(low, low + width, False)
    assert found[0] <= low and low + width <= found[1] and found[0] < found[1]
    assert not (low >= 0 > found[0])
    assert not (low < 0 and low + width <= 0 < found[1])


def rows(**columns: Any) -> ReadRows:
    signal = RANDOM.normal(size=ROWS)
    labels = (signal + RANDOM.normal(size=ROWS) > 0).astype(int)
    given_columns = {name: made(labels) if callable(made) else made for name, made in columns.items()}
    return ReadRows(pa.table({"signal": signal, **given_columns, "y": labels}), ())


def draft(read: ReadRows, **more: Any) -> Draft:
    return drafted(read, Choices("m", "rows.csv", "y", **more), Decided("team", "a test", ()))


def of(found: Draft, name: str) -> ColumnProfile:
    return next(each for each in found.declaration.columns if each.name == name)


@pytest.mark.parametrize(
    "leak",
    [
        lambda labels: labels * 3 + 1,
        lambda labels: np.where(labels, "won", "lost"),
        lambda labels: [date(2026, 1, 1 + place % 9) if label else None for place, label in enumerate(labels)],
        lambda labels: labels + RANDOM.normal(size=ROWS) * 0.05,
    ],
)
def test_what_knows_the_target_is_left_out_unless_a_person_keeps_it(leak: Any) -> None:
    read = rows(leak=leak)
    assert of(draft(read), "leak").out
    assert "leak" in draft(read).found[0]
    assert of(draft(read, keep=("leak",)), "leak").feature


def test_a_column_that_is_only_good_is_no_leak() -> None:
    assert draft(rows(good=lambda labels: labels + RANDOM.normal(size=ROWS))).found == ()


def test_a_unique_id_names_rows_and_a_running_index_does_not() -> None:
    assert draft(rows(order_id=[f"o-{n}" for n in range(ROWS)])).declaration.identifier == "order_id"
    found = draft(rows(index=np.arange(ROWS)))
    assert found.declaration.identifier == "row_id"
    assert of(found, "index").out
    again = draft(rows(id=np.tile(np.arange(ROWS // 2), 2)))
    assert again.declaration.identifier == "row_id"


def test_a_made_identifier_does_not_tell_the_label() -> None:
    """Who knows the features could try both labels, and see which one gives the identifier."""
    read = rows()
    table = read.table.set_column(1, "y", pa.chunked_array([pa.array(1 - read.table["y"].to_numpy())]))
    ids = [
        sorted(row for part in (found.train, found.holdout) for row in part["row_id"].to_pylist())
        for found in (draft(read), draft(ReadRows(table, ())))
    ]
    assert ids[0] == ids[1]


def test_the_split_does_not_depend_on_the_order_of_the_file() -> None:
    read = rows()
    turned = ReadRows(read.table.take(np.arange(ROWS)[::-1]), ())
    found = [set(each.holdout["row_id"].to_pylist()) for each in (draft(read), draft(turned))]
    assert found[0] == found[1]


def test_twins_lie_on_one_side() -> None:
    read = rows()
    doubled = ReadRows(pa.concat_tables([read.table, read.table.slice(0, 10)]), ())
    found = draft(doubled)
    assert not set(found.train["signal"].to_pylist()) & set(found.holdout["signal"].to_pylist())
    assert "20 of 410 rows equal another one" in found.found[0]


@given(st.lists(st.integers(0, 9), min_size=30), st.floats(0.1, 0.33))
def test_an_entity_never_lies_on_both_sides(whom: list[int], share: float) -> None:
    holdout = by_entity(column(whom), share).holdout
    assert not {w for w, h in zip(whom, holdout, strict=True) if h} & {
        w for w, h in zip(whom, holdout, strict=True) if not h
    }


@given(st.lists(st.integers(0, 50), min_size=10).filter(lambda days: len(set(days)) > 1), st.floats(0.1, 0.33))
def test_what_judges_is_later_than_what_trains(days: list[int], share: float) -> None:
    holdout = by_time(column([date(2026, 1, 1) + timedelta(days=day) for day in days]), share).holdout
    assert min(d for d, h in zip(days, holdout, strict=True) if h) > max(
        d for d, h in zip(days, holdout, strict=True) if not h
    )


@given(st.lists(st.sampled_from("ab"), min_size=4), st.floats(0.1, 0.33))
def test_each_class_trains(classes: list[str], share: float) -> None:
    holdout = by_digest([str(place) for place in range(len(classes))], classes, share).holdout
    assert {c for c, h in zip(classes, holdout, strict=True) if not h} == set(classes)


def test_a_date_in_the_rows_order_divides_by_time_and_a_birthday_does_not() -> None:
    days = [date(2026, 1, 1) + timedelta(days=int(day)) for day in range(ROWS)]
    assert draft(rows(opened=days)).declaration.time == "opened"
    assert draft(rows(birth_date=days)).declaration.time == ""
    assert draft(rows(opened=days), time="none").declaration.time == ""


def test_an_entity_beside_a_time_is_said_and_asked_for() -> None:
    days = [date(2026, 1, 1) + timedelta(days=int(day)) for day in range(ROWS)]
    customers = RANDOM.integers(0, 200, ROWS)
    found = draft(rows(opened=days, customer_id=customers))
    assert (found.declaration.time, found.declaration.entity) == ("opened", "")
    both = draft(rows(opened=days, customer_id=customers), entity="customer_id")
    assert not set(both.train["customer_id"].to_pylist()) & set(both.holdout["customer_id"].to_pylist())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"a": [1, 2, 3], "y": [0, 1, 0]}, "found 3 rows with a value, expected at least 40"),
        ({"a": [1] * 50, "y": [0, 1] * 25}, "found no column that can be a feature"),
        ({"a": [*range(50)], "y": [0] * 48 + [1] * 2}, "found 2 rows of 1, expected at least 4 of each class"),
        ({"a": [1], "Y": [1]}, "did you mean 'Y'?"),
    ],
)
def test_rows_of_which_no_model_can_be_made_are_told_why(table: dict[str, Any], said: str) -> None:
    with pytest.raises(LockgateError) as refused:
        draft(ReadRows(pa.table(table), ()))
    assert said in str(refused.value)


def test_what_is_printed_of_many_columns_fits_a_terminal() -> None:
    found = draft(rows(**{f"{'long name ' * 4}{place}": RANDOM.normal(size=ROWS) for place in range(60)}))
    rule = Proposed({"name": "ranking", "metric": "roc_auc", "floor": 0.7}, "")
    lines = summary(found, PolicyProposal(100, (rule,), "", ("nothing " * 30,), {"roc_auc": 0.8}), False)
    assert max(map(len, lines)) <= 80
    assert "… and 36 more, all in model.toml" in lines


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


@settings(max_examples=30)
@given(TEXTS, st.lists(TEXTS, min_size=2, max_size=5, unique=True))
def test_what_is_written_is_read_as_it_was_meant(name: str, values: list[str]) -> None:
    import tempfile

    feature = Feature(name, "category", tuple(values), null_share=0.05)
    profile = ColumnProfile(name, 10, 1, "", feature)
    target = inferred("target", column([f"{name}!", "other"] * 20)).target
    made = draft(rows()).declaration
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        path.mkdir()
        said = type(made)(**{**vars(made), "columns": [profile], "target": target, "identifier": f"{name} id"})
        (path / "model.toml").write_text(model_toml(said), encoding="utf-8")
        (path / "train.py").write_text("def train(rows, target, model): ...")
        found = read_model(path)
    assert (found.features, found.target, found.identifier) == ((feature,), target, f"{name} id")
