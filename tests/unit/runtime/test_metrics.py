from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, precision_score, recall_score, roc_auc_score
from sklearn.metrics import log_loss as reference_log_loss

from lockgate import canonical
from lockgate.evidence.document import BINARY_TARGET, Champion, Evidence, Group, Metric, read_evidence
from lockgate.evidence.measurement import compared, gaps, measured
from lockgate.tasks.task import metrics_of
from runtime.evaluate import by_value
from runtime.metrics import roc_auc
from runtime.tasks import binary
from runtime.tasks.arrays import ModelAnswers

Make = Callable[..., Evidence]
Rows = tuple[list[int], list[float]]


def measure(labels: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> dict[str, Metric]:
    return binary.measure(labels, scores, BINARY_TARGET, threshold)


def paired(labels: np.ndarray, scores: np.ndarray, before: np.ndarray) -> dict[str, Any]:
    return binary.paired(labels, ModelAnswers(scores, 0.5), ModelAnswers(before, 0.5), BINARY_TARGET)


def against(labels: np.ndarray, scores: np.ndarray, before: np.ndarray, model_sha256: str) -> Champion:
    return Champion(model_sha256, measure(labels, before), paired(labels, scores, before))


def by_group(labels: np.ndarray, scores: np.ndarray, values: np.ndarray) -> dict[str, Group]:
    return by_value(labels, ModelAnswers(scores, 0.5), values, BINARY_TARGET)


@st.composite
def labelled(draw: st.DrawFn) -> Rows:
    """Few different scores, so that ties are common; both labels occur."""
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    pairs = draw(st.lists(st.tuples(st.integers(0, 1), score), min_size=0, max_size=40))
    pairs += [(0, draw(score)), (1, draw(score))]
    return [label for label, _ in pairs], [score for _, score in pairs]


def arrays(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    return np.array(rows[0], dtype=np.int64), np.array(rows[1], dtype=np.float64)


@given(labelled())
def test_roc_auc_counts_pairs_and_its_variance_is_delongs_definition(rows: Rows) -> None:
    labels, scores = arrays(rows)
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    wins = np.zeros((m, n))
    for i, j in product(range(m), range(n)):
        wins[i, j] = 1.0 if positive[i] > negative[j] else 0.5 if positive[i] == negative[j] else 0.0
    metric = roc_auc(labels, scores)
    assert metric.value == wins.sum() / (m * n)
    assert (metric.statistics["positives"], metric.statistics["negatives"]) == (m, n)
    if min(m, n) > 1:
        variance = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
        assert metric.statistics["variance"] == pytest.approx(variance, rel=1e-9, abs=1e-15)
    else:
        assert "variance" not in metric.statistics


@given(labelled())
def test_all_metrics_agree_with_scikit_learn(rows: Rows) -> None:
    labels, scores = arrays(rows)
    found = {name: metric.value for name, metric in measure(labels, scores).items()}
    predicted = scores >= 0.5
    rates = {
        "true_positive_rate": recall_score(labels, predicted),
        "false_positive_rate": 1 - recall_score(labels, predicted, pos_label=0),
    }
    precise = {"precision": precision_score(labels, predicted)} if predicted.any() else {}
    assert found == pytest.approx(
        {
            **rates,
            **precise,
            "mean_error": (scores - labels).mean(),
            "positive_rate": predicted.mean(),
            "roc_auc": roc_auc_score(labels, scores),
            "accuracy": accuracy_score(labels, scores >= 0.5),
            "log_loss": reference_log_loss(labels, scores),
            "brier": brier_score_loss(labels, scores),
        },
        rel=1e-9,
        abs=1e-12,
    )


def test_by_hand() -> None:
    labels, scores = arrays(([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))
    assert roc_auc(labels, scores).value == 0.75
    assert measure(labels, scores)["accuracy"].value == 0.75
    assert measure(labels, scores)["accuracy"].statistics == {"hits": 3.0}
    assert measure(labels, scores)["brier"].value == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4)
    assert measure(labels, scores)["brier"].statistics == pytest.approx(
        {"sum": 0.6325, "sum_of_squares": 0.01**2 + 0.16**2 + 0.4225**2 + 0.04**2}
    )
    losses = [-np.log(p) for p in (0.9, 0.6, 0.35, 0.8)]
    assert measure(labels, scores)["log_loss"].value == pytest.approx(sum(losses) / 4)
    assert measure(labels, scores)["log_loss"].statistics["sum_of_squares"] == pytest.approx(sum(x**2 for x in losses))


def test_perfect_reversed_and_constant_scores() -> None:
    labels = np.array([0, 0, 1, 1])
    assert roc_auc(labels, np.array([0.1, 0.2, 0.3, 0.4])).value == 1
    assert roc_auc(labels, np.array([0.4, 0.3, 0.2, 0.1])).value == 0
    assert roc_auc(labels, np.full(4, 0.7)).value == 0.5
    assert roc_auc(labels, np.array([0.1, 0.2, 0.3, 0.4])).statistics["variance"] == 0


def test_a_certain_and_wrong_score_is_costly_but_finite() -> None:
    assert measure(np.array([1]), np.array([0.0]))["log_loss"].value == pytest.approx(52 * np.log(2))


@given(labelled(), st.randoms(use_true_random=False))
def test_paired_sums_are_those_of_the_rows(rows: Rows, random: Any) -> None:
    labels, scores = arrays(rows)
    champion = np.array([random.choice([0.0, 0.4, 0.5, 0.6, score]) for score in scores])
    found = against(labels, scores, champion, "0" * 64)
    right, before = (scores >= 0.5) == labels, (champion >= 0.5) == labels
    assert found.paired["accuracy"] == {
        "only_challenger": (right & ~before).sum(),
        "only_champion": (before & ~right).sum(),
    }
    differences = (scores - labels) ** 2 - (champion - labels) ** 2
    assert found.paired["brier"]["sum"] == pytest.approx(differences.sum(), abs=1e-12)
    if "roc_auc" in found.paired:
        sums = found.paired["roc_auc"]
        assert sums["variance_challenger"] == pytest.approx(roc_auc(labels, scores).statistics["variance"])
        assert sums["variance_champion"] == pytest.approx(roc_auc(labels, champion).statistics["variance"])
        (p, n), (p_old, n_old) = _placements(labels, scores), _placements(labels, champion)
        covariance = np.cov(p, p_old)[0, 1] / len(p) + np.cov(n, n_old)[0, 1] / len(n)
        assert sums["covariance"] == pytest.approx(covariance, rel=1e-9, abs=1e-15)


@given(rows=labelled(), random=st.randoms(use_true_random=False))
def test_what_the_evaluator_writes_is_never_refused(make_evidence: Make, rows: Rows, random: Any) -> None:
    labels, scores = arrays(rows)
    _is_measured(
        make_evidence, labels, scores, np.array([random.choice([0.0, 0.4, 0.5, score, score]) for score in scores])
    )


@pytest.mark.parametrize("apart", [0.0, 1e-12, 1e-3, 0.5])
def test_nor_is_what_it_writes_of_many_rows_and_models_that_are_nearly_alike(make_evidence: Make, apart: float) -> None:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 70_000)
    scores = np.clip(rng.random(70_000) * 0.8 + 0.2 * labels, 0, 1)
    _is_measured(make_evidence, labels, scores, np.clip(scores + apart * rng.standard_normal(70_000), 0, 1))


def _is_measured(make_evidence: Make, labels: np.ndarray, scores: np.ndarray, before: np.ndarray) -> None:
    """Every metric, of the whole and of each group, and every comparison, after a way through JSON."""
    groups = {"G": by_group(labels, scores, np.array(["a", "b"], dtype=object)[np.arange(len(labels)) % 2])}
    champion = against(labels, scores, before, "9" * 64)
    evidence = make_evidence(metrics=measure(labels, scores), groups=groups, champion=champion)
    written = evidence.to_bytes()
    read = read_evidence(written, canonical.sha256(written))
    for metric in metrics_of(BINARY_TARGET):
        for group in (None, *read.groups["G"].values()):
            measured(metric, read, 0.01, group)
        if read.champion and metric in read.champion.paired:
            compared(metric, read, read.champion, 0.01)
    list(gaps("calibration", "ceiling", read.groups["G"], 0.01, BINARY_TARGET))


def _placements(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each row of a label lies above all of the other, from all pairs."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    above = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return above.mean(axis=1), above.mean(axis=0)


def test_a_model_compared_with_itself_has_no_variance_of_the_difference() -> None:
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 500), rng.random(500)
    sums = against(labels, scores, scores, "0" * 64).paired["roc_auc"]
    difference = sums["variance_challenger"] + sums["variance_champion"] - 2 * sums["covariance"]
    assert difference == pytest.approx(0, abs=1e-15)


def test_a_group_with_one_label_has_every_metric_but_the_one_that_ranks() -> None:
    values = np.array(["a", "a", "b", "b"], dtype=object)
    groups = by_group(np.array([1, 1, 1, 0]), np.array([0.1, 0.9, 0.9, 0.1]), values)
    assert {"roc_auc", "accuracy", "log_loss", "brier"} <= set(groups["b"].metrics)
    assert set(groups["b"].metrics) - set(groups["a"].metrics) == {"roc_auc", "false_positive_rate"}
    assert groups["a"].metrics["accuracy"].value == 0.5
    assert groups["a"].metrics["brier"].value == pytest.approx((0.9**2 + 0.1**2) / 2)
