"""`lockgate status NAME`: versions side by side, and no number that its holdout tells nobody."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from cli.versions import chosen, csv_of, fields_of, lines_of, versions_of
from lockgate.errors import NotFoundError
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Number
from lockgate.ledger.records import Entry
from tests import records


def number(value: float) -> Number:
    return Number(value=value, rows=9, statistics={})


def decided(version: int, environment: str = "dev", **changes: Any) -> Entry[Any]:
    said = {
        "commit": str(version) * 40,
        "snapshot": "6" * 16,
        "data": records.data(),
        "metrics": {"roc_auc": number(0.5 + version / 10)},
        "parameters": {"depth": 2**version, "loss": "log"},
        "budget": None,
        "assurance": "simple",
        "feedback": "numbers",
    }
    return records.entry(records.verdict(**{**said, **changes}), version=version, environment=environment)


@pytest.fixture
def chain() -> ReleaseChain:
    return records.chain_of(
        decided(1),
        records.entry(records.deployment(), version=1, environment="dev"),
        decided(2, outcome="failed"),
        replace(decided(2), id="another verdict"),
        decided(2, "prod", outcome="inconclusive"),
    )


def test_versions_have_data_parameters_metrics_the_newest_verdicts_and_where_they_are_live(chain: ReleaseChain) -> None:
    first, second = versions_of(chain)
    assert (first.version, first.live, first.verdicts) == (1, ("dev",), {"dev": "passed"})
    assert (second.live, second.verdicts) == ((), {"dev": "passed", "prod": "inconclusive"})
    assert (second.commit, second.snapshot, second.train_rows) == ("2" * 40, "6" * 16, 68000)
    assert (second.parameters, second.metrics, second.hidden) == ({"depth": 4, "loss": "log"}, {"roc_auc": 0.7}, "")


@pytest.mark.parametrize("feedback", ["none", "first-pass", "every-verdict"])
def test_a_number_that_authors_may_not_see_is_in_no_form_of_the_list(feedback: str) -> None:
    under_budget = {"budget": records.BUDGET, "assurance": "budget", "feedback": feedback}
    found = versions_of(records.chain_of(decided(1, **under_budget), decided(2, "prod", **under_budget)))
    assert [each.metrics for each in found] == [{}, {}]
    shown = "\n".join(map(str, lines_of("income", found, differ=True)))
    assert "0.6" not in shown + csv_of(found, differ=True)
    assert "version 1: no metric: its policy tells authors no number" in shown


def test_two_versions_are_set_side_by_side_with_how_far_their_numbers_are_apart(chain: ReleaseChain) -> None:
    pair = chosen(versions_of(chain), [1, 2], "income")
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(csv_of(pair, differ=True)))}
    assert rows["field"] == ["version 1", "version 2", "difference"]
    assert rows["parameter depth"] == ["2", "4", "2"]
    assert rows["parameter loss"] == ["log", "log", ""]
    assert rows["verdict prod"] == ["", "inconclusive", ""]
    assert float(rows["metric roc_auc"][2]) == pytest.approx(0.1)
    assert [each.version for each in chosen(versions_of(chain), [2, 1], "income")] == [2, 1]
    with pytest.raises(NotFoundError, match=r"income version 3: no verdict.*\[1, 2\]"):
        chosen(versions_of(chain), [1, 3], "income")


def test_a_file_has_a_row_a_version_and_no_cell_that_a_spreadsheet_would_calculate() -> None:
    found = versions_of(records.chain_of(decided(1, parameters={"note": "=1+1", "depth": -3})))
    header, row = csv.reader(io.StringIO(csv_of(found, differ=False)))
    cells = dict(zip(header, row, strict=True))
    assert (cells["version"], cells["parameter note"], cells["parameter depth"]) == ("1", "'=1+1", "-3")


def test_the_table_fits_80_columns_and_names_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = versions_of(records.chain_of(*(decided(version) for version in range(1, 8))))
    shown = [str(each) for each in lines_of("income", found, differ=False)]
    assert max(map(len, shown)) <= 80
    assert "version 7" in shown[0] and "version 2" not in shown[0]
    assert shown[-1].startswith("2 older versions: --csv")
    assert list(fields_of(found))[-1] == "live in"
