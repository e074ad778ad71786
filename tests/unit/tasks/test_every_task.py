"""What the evaluator measures of each task is what scikit-learn says, and what the gate reads from its sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn import metrics as sk

from lockgate import canonical
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError, EvidenceError
from lockgate.evidence.document import Champion, Evidence, Group, read_evidence
from lockgate.evidence.measurement import Measured, Unmeasured, compared, gaps, measured
from lockgate.tasks.target import Target
from lockgate.tasks.task import measures_of, metrics_of, module_named, names, task_of
from runtime.tasks.arrays import ModelAnswers, arrays_of

Make = Callable[..., Evidence]
ROWS = 3000
BINARY = Target("y", "binary", ("no", "yes"), {"false_positive": 1.0, "false_negative": 5.0})
MULTICLASS = Target("y", "multiclass", ("a", "b", "c", "d"))
REGRESSION = Target("y", "regression", (), {"minimum": -2.0, "maximum": 10.0, "cap": 0.5})


class Sample(NamedTuple):
    truth: Any
    own: ModelAnswers
    before: ModelAnswers


def sample(target: Target) -> Sample:
    """Drawn rows, and two models of which the first is better."""
    rng = np.random.default_rng(3)
    if target.task == "regression":
        truth = np.clip(rng.gamma(2.0, 1.0, ROWS) - 1, -2, 10)
        return Sample(truth, *(ModelAnswers(np.clip(truth + s * rng.normal(size=ROWS), -2, 10)) for s in (0.3, 0.6)))
    if target.task == "binary":
        truth = rng.integers(0, 2, ROWS)
        scores = [np.clip(0.5 + (truth - 0.5) * w + 0.25 * rng.normal(size=ROWS), 0, 1) for w in (0.8, 0.5)]
        return Sample(truth, ModelAnswers(scores[0], 0.3), ModelAnswers(scores[1], 0.5))
    truth = rng.integers(0, 4, ROWS)
    drawn = [np.exp(rng.normal(size=(ROWS, 4)) + w * np.eye(4)[truth]) for w in (2.0, 1.0)]
    return Sample(truth, *(ModelAnswers(each / each.sum(axis=1, keepdims=True)) for each in drawn))


TARGETS = pytest.mark.parametrize("target", [BINARY, MULTICLASS, REGRESSION], ids=lambda target: target.task)


@pytest.fixture
def evidence_of(make_evidence: Make) -> Callable[[Target], Evidence]:
    """Evidence of a sample with a champion and two groups, after a way through its file."""

    def make(target: Target) -> Evidence:
        truth, own, before = sample(target)
        arrays, threshold = arrays_of(target), own.threshold
        groups = {}
        for name, chosen in (("x", slice(0, 1000)), ("z", slice(1000, None))):
            found = arrays.measure(truth[chosen], own.predictions[chosen], target, threshold)
            groups[name] = Group(len(truth[chosen]), found)
        champion = Champion(
            "9" * 64,
            arrays.measure(truth, before.predictions, target, before.threshold),
            arrays.paired(truth, own, before, target),
        )
        evidence = make_evidence(
            target=target,
            threshold=threshold,
            metrics=arrays.measure(truth, own.predictions, target, threshold),
            groups={"G": groups},
            champion=champion,
        )
        written = evidence.to_bytes()
        return read_evidence(written, canonical.sha256(written))

    return make


def test_the_tasks_are_the_modules_that_have_metrics() -> None:
    assert names() == ("binary", "multiclass", "regression")
    with pytest.raises(EvidenceError, match="found 'ranking', expected one of binary, multiclass, regression"):
        task_of(Target("y", "ranking"))


@TARGETS
def test_every_metric_is_measured_and_its_interval_has_its_value(
    target: Target, evidence_of: Callable[[Target], Evidence]
) -> None:
    evidence = evidence_of(target)
    assert set(evidence.metrics) == set(metrics_of(target))
    for name in metrics_of(target):
        for group in (None, *evidence.groups["G"].values()):
            found = measured(name, evidence, 0.01, group)
            assert isinstance(found, Measured)
            assert found.interval.low <= found.value <= found.interval.high


@TARGETS
def test_every_comparison_finds_the_better_model(target: Target, evidence_of: Callable[[Target], Evidence]) -> None:
    evidence = evidence_of(target)
    assert evidence.champion is not None
    expected = {name for name, kind in metrics_of(target).items() if kind.compared}
    assert set(evidence.champion.paired) == expected
    for name in expected:
        found = compared(name, evidence, evidence.champion, 0.01)
        assert found.interval.low <= found.value <= found.interval.high, name
    best = {"binary": "brier", "multiclass": "balanced_accuracy", "regression": "mae"}[target.task]
    assert compared(best, evidence, evidence.champion, 0.01).interval.low > 0


@TARGETS
def test_every_measure_of_groups_is_a_gap_of_metrics_that_there_are(
    target: Target, evidence_of: Callable[[Target], Evidence]
) -> None:
    groups = evidence_of(target).groups["G"]
    for measure, compared_metrics in measures_of(target).items():
        found = list(gaps(measure, "ceiling", groups, 0.01, target))
        assert [gap.metric for gap in found] == list(compared_metrics)
        for gap in found:
            assert isinstance(gap.measured, Measured)
            assert gap.measured.interval.low <= gap.measured.value <= gap.measured.interval.high
    assert set(task_of(target).shown(target)) <= set(metrics_of(target))


def test_metrics_of_several_classes_are_scikit_learns(evidence_of: Callable[[Target], Evidence]) -> None:
    truth, own, _ = sample(MULTICLASS)
    found = {name: metric.value for name, metric in evidence_of(MULTICLASS).metrics.items()}
    predicted = own.predictions.argmax(axis=1)
    recalls = sk.recall_score(truth, predicted, average=None)
    precisions = sk.precision_score(truth, predicted, average=None)
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
            "macro_f1": sk.f1_score(truth, predicted, average="macro"),
            "log_loss": sk.log_loss(truth, own.predictions),
            "brier": ((own.predictions - np.eye(4)[truth]) ** 2).sum(axis=1).mean(),
            **{f"recall:{name}": recalls[place] for place, name in enumerate("abcd")},
            **{f"precision:{name}": precisions[place] for place, name in enumerate("abcd")},
            **{f"predicted_rate:{name}": (predicted == place).mean() for place, name in enumerate("abcd")},
        }
    )


def test_metrics_of_numbers_are_scikit_learns(evidence_of: Callable[[Target], Evidence]) -> None:
    truth, own, _ = sample(REGRESSION)
    found = {name: metric.value for name, metric in evidence_of(REGRESSION).metrics.items()}
    assert found == pytest.approx(
        {
            "mae": sk.mean_absolute_error(truth, own.predictions),
            "capped_error": np.minimum(np.abs(truth - own.predictions), 0.5).mean(),
            "rmse": sk.root_mean_squared_error(truth, own.predictions),
            "r2": sk.r2_score(truth, own.predictions),
            "mean_error": (own.predictions - truth).mean(),
        }
    )


def test_a_threshold_decides_what_is_predicted_and_what_it_costs(evidence_of: Callable[[Target], Evidence]) -> None:
    truth, own, _ = sample(BINARY)
    evidence = evidence_of(BINARY)
    assert evidence.threshold == 0.3
    predicted = own.predictions >= 0.3
    assert evidence.metrics["true_positive_rate"].value == pytest.approx(sk.recall_score(truth, predicted))
    cost = (predicted & (truth == 0)).mean() + 5 * (~predicted & (truth == 1)).mean()
    assert evidence.metrics["cost"].value == pytest.approx(cost)


@TARGETS
def test_sums_that_the_rows_cannot_have_are_refused(target: Target, evidence_of: Callable[[Target], Evidence]) -> None:
    """Each sum of each metric, made so large or so small that it would read as certainty, or as another value."""
    evidence = evidence_of(target)
    for name, metric in evidence.metrics.items():
        for key, number in metric.statistics.items():
            if key in ("variance", "sum_of_squares", "target_fourths"):
                continue  # a bound grows with it, and a smaller one is possible down to what the sum allows
            for wrong in (number + 7.0, -1e6):
                changed = replace(metric, statistics={**metric.statistics, key: wrong})
                forged = replace(evidence, metrics={**evidence.metrics, name: changed})
                with pytest.raises(EvidenceError, match=name):
                    measured(name, forged, 0.01)


@pytest.mark.parametrize(
    ("task", "said", "message"),
    [
        ("binary", {"classes": ["a"]}, "target.classes: found ['a'], expected two different"),
        ("binary", {"classes": ["a", "a"]}, "target.classes"),
        ("binary", {"classes": ["a", 1]}, "target.classes"),
        ("binary", {"classes": [0, 1], "costs": {"false_positive": -1, "false_negative": 1}}, "target.costs"),
        ("multiclass", {"classes": ["a", "b"]}, "expected 3 to 100 different texts or integers"),
        ("multiclass", {"classes": ["a", "b", ""]}, "target.classes"),
        ("regression", {"minimum": 1, "maximum": 1}, "target.maximum: found 1.0, expected more than 1"),
        ("regression", {"minimum": 0, "maximum": 1, "cap": 2}, "target.cap: found 2.0, expected more than 0 and at"),
        ("regression", {"minimum": 0}, "target.maximum: found nothing"),
    ],
)
def test_a_target_that_is_none_is_named(task: str, said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        module_named(task).read(Table("model/m/model.toml", "target", said), "y")
    assert message in str(caught.value)


@pytest.mark.parametrize("truth", [[3.0], [3.0, 3.0]])
def test_rows_with_one_value_have_every_metric_of_numbers_but_r2(truth: list[float]) -> None:
    found = arrays_of(REGRESSION).measure(np.array(truth), np.array(truth) + 0.25, REGRESSION, None)
    assert set(metrics_of(REGRESSION)) - set(found) == {"r2"}


@TARGETS
def test_what_no_row_counts_for_is_not_compared_and_no_error(
    target: Target, evidence_of: Callable[[Target], Evidence]
) -> None:
    evidence = evidence_of(target)
    assert evidence.champion is not None
    name = {"binary": "true_positive_rate", "multiclass": "recall:a", "regression": "r2"}[target.task]
    left = {key: metric for key, metric in evidence.metrics.items() if key != name}
    before = replace(evidence.champion, metrics={k: m for k, m in evidence.champion.metrics.items() if k != name})
    assert isinstance(compared(name, replace(evidence, metrics=left), before, 0.01), Unmeasured)


def test_bins_of_numbers_lie_between_predictions() -> None:
    """A last bit must not move all rows of one value to the next bin."""
    predictions = np.repeat([1.0, 2.0, 5.0], 50)
    assert arrays_of(REGRESSION).bounds(predictions) == [1.5, 3.5]
    assert arrays_of(REGRESSION).bounds(np.array([2.0, 2.0])) == [3.0]


@pytest.mark.parametrize("classes", [[1, 0], [2, 0, 1], [True, False]])
def test_classes_that_are_places_in_another_order_are_refused(classes: list[Any]) -> None:
    task = "multiclass" if len(classes) > 2 else "binary"
    with pytest.raises(ConfigError, match="in their order"):
        module_named(task).read(Table("model/m/model.toml", "target", {"classes": classes}), "y")
