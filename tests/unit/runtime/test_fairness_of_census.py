"""The census holdout of 2016 by sex and race: what a gap rule says, and that it says nothing of groups too small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lockgate.configuration.model import Model
from lockgate.evidence.document import Data, Evidence, Group
from lockgate.evidence.fairness import table
from lockgate.gate.verdict import Circumstances, Outcome, judge
from lockgate.policy.rules import Gap, Policy
from lockgate.statistics.budget import Budget
from runtime.archive import read_archive
from runtime.artifact import read_artifact
from runtime.evaluate import by_value
from runtime.frames import frame_of_table
from runtime.tasks import binary
from runtime.tasks.arrays import ModelAnswers

ROOT = Path(__file__).parents[3]
TINY = {"4": 4, "7": 32, "5": 56}  # people of these codes of RAC1P in the holdout


@pytest.fixture(scope="module")
def groups(model: Model, run: Any) -> dict[str, dict[str, Group]]:
    """The whole holdout of 69,126 people, scored by a model of 4,000 others."""
    holdout = pq.read_table(ROOT / model.holdout_data)
    estimator = read_artifact(read_archive(run.archive.read_bytes()), model)
    scores = estimator.predict_proba(frame_of_table(holdout, model))[:, 1]
    labels = binary.truth(holdout[model.target.name], model.target)
    columns = {name: np.array(holdout[name].to_pylist(), dtype=object) for name in model.protected}
    return {name: by_value(labels, ModelAnswers(scores, 0.5), values, model.target) for name, values in columns.items()}


def of(groups: dict[str, dict[str, Group]]) -> Evidence:
    nothing = Data("s", "t", "f", "l", "i", "j", 1, 1)
    return Evidence("m", "c", "i", "e", "a", "s", "s", nothing, (), {}, "r", {}, groups=groups)


def judged(groups: dict[str, dict[str, Group]], rule: Gap) -> Any:
    evidence = of(groups)
    policy = Policy((rule,), Budget(0.05, "holdout", 32, "every-verdict"))
    return judge(policy, evidence, Circumstances(alpha=0.025)).reasons[0]


def test_the_tiny_groups_are_those_of_the_census(groups: dict[str, dict[str, Group]]) -> None:
    assert {value: groups["RAC1P"][value].rows for value in TINY} == TINY
    assert sum(group.rows for group in groups["SEX"].values()) == 69126


def test_women_and_men_can_be_compared_and_groups_of_a_few_people_cannot(groups: dict[str, dict[str, Group]]) -> None:
    by_sex = {row.group: row.outcome for row in table(of(groups), "SEX", "equal_opportunity", 0.1, 0.025)}
    assert sorted(by_sex.values(), key=str) == [None, Outcome.PASSED]
    by_race = {row.group: row for row in table(of(groups), "RAC1P", "equal_opportunity", 0.1, 0.025)}
    for value in TINY:
        assert by_race[value].outcome is Outcome.INCONCLUSIVE
        low, high = by_race[value].numbers[1].interval.low, by_race[value].numbers[1].interval.high
        assert high - low > 0.2, "an interval so wide says nothing about 0.1"


@pytest.mark.parametrize("measure", ["demographic_parity", "equal_opportunity", "equalised_odds", "calibration"])
def test_a_gap_rule_over_race_names_the_tiny_groups_and_passes_nothing(
    groups: dict[str, dict[str, Group]], measure: Any
) -> None:
    reason = judged(groups, Gap("fair", measure, "RAC1P", "ceiling", 0.1, 100))
    assert reason.outcome in (Outcome.INCONCLUSIVE, Outcome.FAILED)
    if reason.outcome is Outcome.INCONCLUSIVE:
        for value, rows in TINY.items():
            assert f"{value} ({rows} rows)" in reason.message


def test_leaving_out_the_tiny_groups_is_said_in_the_verdict(groups: dict[str, dict[str, Group]]) -> None:
    reason = judged(groups, Gap("fair", "equal_opportunity", "RAC1P", "ceiling", 0.4, 50, ("4", "5", "7")))
    assert reason.message.endswith("left out by the policy: 4, 5, 7")
    assert reason.outcome is Outcome.PASSED
