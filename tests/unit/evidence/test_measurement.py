"""From counts and sums to what a rule decides on: by hand, and from the bounds that intervals are made of."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import pytest

from lockgate.errors import EvidenceError
from lockgate.evidence.document import BINARY_TARGET, Champion, Evidence, Group, Metric
from lockgate.evidence.measurement import Measured, Unmeasured, compared, gaps, groups_of, measured
from lockgate.statistics import binomial, empirical_bernstein, paired, roc_auc
from lockgate.statistics import gaps as bounds
from lockgate.statistics.interval import Interval
from lockgate.tasks.task import metrics_of
from tests.groups import counted

Make = Callable[..., Evidence]
ALPHA = 0.01
A = counted(80, 5, 20, 95, 3.0, 20.0)
B = counted(30, 8, 20, 42, -4.0, 15.0)
NOBODY = counted(0, 0, 0, 0, 0.0, 0.0)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(EvidenceError) as error:
        call()
    return str(error.value)


RATES = ("positive_rate", "true_positive_rate", "false_positive_rate", "precision")
LARGEST = {"log_loss": 52 * log(2), "brier": 1.0}


def test_the_rates_of_a_group_that_version_0_1_counted() -> None:
    group = counted(1, 2, 4, 8)
    found = [(group.metrics[name].statistics["hits"], group.metrics[name].rows) for name in RATES]
    assert found == [(3, 15), (1, 5), (2, 10), (1, 3)]


def test_a_rate_has_the_exact_interval(make_evidence: Make) -> None:
    for name, hits, rows in (("positive_rate", 123, 300), ("true_positive_rate", 110, 150), ("precision", 110, 123)):
        expected = Measured(hits / rows, binomial.interval(hits, rows, ALPHA), rows, ALPHA)
        evidence = make_evidence(metrics={name: Metric(hits / rows, rows, {"hits": float(hits)})})
        assert measured(name, evidence, ALPHA) == expected
    assert measured("precision", evidence, ALPHA, A).value == 80 / 85


def test_a_rate_that_no_row_of_the_holdout_counts_for_is_not_measured(make_evidence: Make) -> None:
    assert measured("precision", make_evidence(), ALPHA) == Unmeasured(
        "found none of 1000 rows that counts, expected a row predicted as 1", 1000
    )


def test_a_metric_of_another_task_is_refused_with_those_of_this_one(make_evidence: Make) -> None:
    assert refused(lambda: measured("mae", make_evidence(), ALPHA)).startswith(
        "mae: no metric of a binary model (there are: roc_auc, accuracy, "
    )
    assert refused(lambda: list(gaps("bias", "ceiling", {"1": A, "2": B}, ALPHA, BINARY_TARGET))) == (
        "bias: no measure of a binary model (there are: equal_opportunity, equalised_odds, demographic_parity, "
        "calibration)"
    )


def test_a_rate_that_no_row_counts_for_is_not_measured(make_evidence: Make) -> None:
    assert measured("precision", make_evidence(), ALPHA, NOBODY) == Unmeasured(
        "found none of 0 rows that counts, expected a row predicted as 1", 0
    )
    negatives = counted(0, 5, 0, 95, 0.0, 20.0)
    assert measured("true_positive_rate", make_evidence(), ALPHA, negatives) == Unmeasured(
        "found none of 100 rows that counts, expected a row with label 1", 100
    )


def test_a_metric_that_a_group_lacks_is_not_measured(make_evidence: Make) -> None:
    one_label = counted(80, 0, 20, 0, 3.0, 20.0)
    assert measured("roc_auc", make_evidence(), ALPHA, one_label) == Unmeasured(
        "found none of 100 rows that counts, expected rows of both labels", 100
    )
    assert measured("accuracy", make_evidence(), ALPHA, one_label) == Unmeasured(  # 0.1 measured nothing for one label
        "its evaluator did not measure it for this group: `lockgate deliver COMMIT --again`", 100
    )


def test_a_metric_on_no_rows_is_refused(make_evidence: Make) -> None:
    evidence = make_evidence(metrics={"brier": Metric(0.0, 0)})
    assert refused(lambda: measured("brier", evidence, ALPHA)) == "brier: measured on 0 rows"


def test_a_mean_loss_lies_between_nothing_and_the_largest_that_the_evaluator_gives(make_evidence: Make) -> None:
    assert {name: metrics_of(BINARY_TARGET)[name].scale.highest for name in LARGEST} == pytest.approx(LARGEST)
    sums = {"sum": 40.0, "sum_of_squares": 20.0}  # 0.2 in the mean
    evidence = make_evidence(metrics={name: Metric(0.2, 200, sums) for name in LARGEST})
    for name, largest in LARGEST.items():
        expected = empirical_bernstein.interval(200, 40.0, 20.0, 0.0, largest, ALPHA)
        assert measured(name, evidence, ALPHA) == Measured(0.2, expected, 200, ALPHA)


def test_an_area_has_delongs_interval_and_an_accuracy_the_exact_one(make_evidence: Make) -> None:
    sums = {"variance": 1e-3, "positives": 120.0, "negatives": 80.0}
    metrics = {"roc_auc": Metric(0.8, 200, sums), "accuracy": Metric(0.7, 200, {"hits": 140.0})}
    evidence = make_evidence(metrics=metrics)
    assert measured("roc_auc", evidence, ALPHA).interval == roc_auc.interval(0.8, 1e-3, 120, 80, ALPHA)
    assert measured("accuracy", evidence, ALPHA).interval == binomial.interval(140, 200, ALPHA)
    bare = make_evidence(metrics={"roc_auc": Metric(0.8, 200)})
    assert measured("roc_auc", bare, ALPHA).interval == Interval(0.0, 1.0, "finite-sample")


@pytest.mark.parametrize(("positives", "negatives"), [(120.0, 81.0), (119.5, 80.5), (-1.0, 201.0), (0.0, 0.0)])
def test_positives_and_negatives_that_are_not_the_rows_of_an_area_are_refused(
    make_evidence: Make, positives: float, negatives: float
) -> None:
    sums = {"variance": 1e-3, "positives": positives, "negatives": negatives}
    evidence = make_evidence(metrics={"roc_auc": Metric(0.8, 200, sums)})
    assert "roc_auc: " in refused(lambda: measured("roc_auc", evidence, ALPHA))


@pytest.mark.parametrize(("metric", "most"), [("accuracy", 1.0), ("brier", 1.0), ("log_loss", 52 * log(2))])
def test_a_value_at_its_largest_is_one_and_beyond_it_none(make_evidence: Make, metric: str, most: float) -> None:
    def found(value: float) -> float:
        sums = {"hits": 100.0 * value, "sum": 100.0 * value, "sum_of_squares": 100.0 * value * value}
        return measured(metric, make_evidence(metrics={metric: Metric(value, 100, sums)}), ALPHA).value

    assert found(most) == most
    assert found(0.0) == 0.0
    for value in (most * 1.0001, -1e-9):
        assert refused(lambda value=value: found(value)) == f"{metric}: found {value!r}, expected from 0 to {most:g}"


def of(metric: str, value: float, rows: int = 100) -> Metric:
    """A metric of this value with the sums that it is the mean of."""
    sums = {
        "accuracy": {"hits": round(value * rows)},
        "roc_auc": {"variance": 1e-3, "positives": rows * 0.5, "negatives": rows * 0.5},
    }
    return Metric(value, rows, sums.get(metric, {"sum": value * rows, "sum_of_squares": value * value * rows}))


def against(
    make_evidence: Make, metric: str, sums: dict[str, float], own: float = 0.3, before: float = 0.4
) -> Measured:
    served = Champion("9" * 64, {metric: of(metric, before)}, {metric: sums})
    return compared(metric, make_evidence(metrics={metric: of(metric, own)}), served, ALPHA)


def test_a_lower_loss_is_a_gain_and_its_interval_is_turned_round(make_evidence: Make) -> None:
    for metric, largest in LARGEST.items():
        loss = empirical_bernstein.interval(100, -10.0, 4.0, -largest, largest, ALPHA)
        expected = Interval(-loss.high, -loss.low, "finite-sample")
        found = against(make_evidence, metric, {"sum": -10.0, "sum_of_squares": 4.0})
        assert found == Measured(0.1, expected, 100, ALPHA)
        assert expected.low < 0.1 < expected.high


def test_a_higher_accuracy_or_area_is_a_gain(make_evidence: Make) -> None:
    found = against(make_evidence, "accuracy", {"only_challenger": 30.0, "only_champion": 10.0}, 0.6, 0.4)
    assert found == Measured(0.2, paired.interval(30, 10, 100, ALPHA), 100, ALPHA)
    sums = {"variance_challenger": 4e-3, "variance_champion": 5e-3, "covariance": 3e-4}
    found = against(make_evidence, "roc_auc", sums, 0.85, 0.8)
    assert found.value == pytest.approx(0.05)
    assert found.interval == roc_auc.difference(0.85, 0.8, 4e-3, 5e-3, 3e-4, 50, 50, ALPHA)


def test_a_model_that_is_right_on_all_rows_that_its_champion_is_not(make_evidence: Make) -> None:
    assert against(make_evidence, "accuracy", {"only_challenger": 100.0, "only_champion": 0.0}, 1.0, 0.0).value == 1.0
    assert against(make_evidence, "accuracy", {"only_challenger": 40.0, "only_champion": 60.0}, 0.4, 0.6).value == -0.2


@pytest.mark.parametrize(
    ("metric", "sums", "message"),
    [
        ("accuracy", {}, "accuracy: statistics have no only_challenger, which its interval needs"),
        (
            "accuracy",
            {"only_challenger": 60.0, "only_champion": 41.0},
            "accuracy: found 60 and 41 rows on which only one is right, which models that are right on 30 and 40 of "
            "100 rows cannot have",
        ),
        (
            "accuracy",
            {"only_challenger": 0.5, "only_champion": 0.0},
            "accuracy: only_challenger: found 0.5, expected a count of at most 100",
        ),
        (
            "accuracy",
            {"only_challenger": -1.0, "only_champion": 0.0},
            "accuracy: only_challenger: found -1.0, expected a count of at most 100",
        ),
        (
            "accuracy",
            {"only_challenger": 0.0, "only_champion": 101.0},
            "accuracy: only_champion: found 101.0, expected a count of at most 100",
        ),
        ("brier", {"sum": 1.0}, "brier: statistics have no sum_of_squares, which its interval needs"),
        (
            "brier",
            {"sum": 101.0, "sum_of_squares": 200.0},
            "brier: found sums 101.0 and 200.0, which 100 rows cannot have",
        ),
        (
            "brier",
            {"sum": -101.0, "sum_of_squares": 200.0},
            "brier: found sums -101.0 and 200.0, which 100 rows cannot have",
        ),
    ],
)
def test_what_does_not_compare_two_models_is_said(
    make_evidence: Make, metric: str, sums: dict[str, float], message: str
) -> None:
    assert refused(lambda: against(make_evidence, metric, sums)) == message


def test_what_is_not_in_the_evidence_is_said_with_what_is(make_evidence: Make) -> None:
    evidence = make_evidence(metrics={"b": Metric(1.0, 1), "a": Metric(1.0, 1)}, groups={"SEX": {}, "AGE": {}})
    assert refused(lambda: measured("brier", evidence, ALPHA)) == "brier: not in the evidence (it has: a, b)"
    assert refused(lambda: groups_of(evidence, "RACE")) == "RACE: no groups of it in the evidence (it has: AGE, SEX)"
    bare = make_evidence(metrics={})
    assert refused(lambda: measured("brier", bare, ALPHA)) == "brier: not in the evidence (it has: none)"
    assert refused(lambda: groups_of(bare, "RACE")) == "RACE: no groups of it in the evidence (it has: none)"
    own = {"accuracy": of("accuracy", 0.3)}
    served = Champion("9" * 64, {"accuracy": of("accuracy", 0.4)}, {})
    missing = "accuracy: the evidence does not compare it with the champion's"
    assert refused(lambda: compared("accuracy", make_evidence(metrics=own), served, ALPHA)) == missing
    other = Champion("9" * 64, {"accuracy": Metric(0.4, 99)}, {"accuracy": {}})
    assert refused(lambda: compared("accuracy", make_evidence(metrics=own), other, ALPHA)) == (
        "accuracy: measured on 100 rows, the champion's on 99: not the same"
    )


@pytest.mark.parametrize(("metric", "key"), [("accuracy", "hits"), ("brier", "sum"), ("log_loss", "sum")])
def test_a_value_that_is_not_the_mean_of_its_own_rows_is_refused(make_evidence: Make, metric: str, key: str) -> None:
    """Of the model that is judged, also of a group alone, and of either in a comparison."""
    wrong = Metric(0.5, 100, {key: 40.0, "sum_of_squares": 30.0})
    message = f"{metric}: found 0.5, expected 0.4, the mean of its 100 rows"
    assert refused(lambda: measured(metric, make_evidence(metrics={metric: wrong}), ALPHA)) == message
    group = counted(25, 25, 25, 25, 0.0, 0.0, {metric: wrong})
    assert refused(lambda: measured(metric, make_evidence(), ALPHA, group)) == message
    paired_sums = {"only_challenger": 0.0, "only_champion": 0.0, "sum": 0.0, "sum_of_squares": 0.0}
    for own, before in ((wrong, of(metric, 0.5)), (of(metric, 0.5), wrong)):
        served = Champion("9" * 64, {metric: before}, {metric: paired_sums})
        evidence = make_evidence(metrics={metric: own})
        assert refused(lambda evidence=evidence, served=served: compared(metric, evidence, served, ALPHA)) == message


@pytest.mark.parametrize(
    ("wins", "losses", "own", "before"),
    [
        (30, 10, 0.5, 0.4),  # 20 more are claimed than the two are apart
        (10, 30, 0.6, 0.4),  # the other way round
        (30, 10, 0.2, 0.0),  # right on 20 rows in all, on 30 of them alone
        (30, 10, 1.0, 0.8),  # wrong on no row, on 10 of them alone
    ],
)
def test_rows_on_which_only_one_model_is_right_fit_what_each_is_right_on(
    make_evidence: Make, wins: int, losses: int, own: float, before: float
) -> None:
    sums = {"only_challenger": float(wins), "only_champion": float(losses)}
    assert refused(lambda: against(make_evidence, "accuracy", sums, own, before)) == (
        f"accuracy: found {wins} and {losses} rows on which only one is right, which models that are right on "
        f"{own * 100:.0f} and {before * 100:.0f} of 100 rows cannot have"
    )


@pytest.mark.parametrize("wins", [0, 20, 40])
def test_the_least_and_the_most_rows_on_which_one_of_two_models_is_right_are_accepted(
    make_evidence: Make, wins: int
) -> None:
    sums = {"only_challenger": float(wins), "only_champion": float(wins)}
    for accuracy in (0.4, 0.6):  # right on 40 rows, or wrong on 40
        assert against(make_evidence, "accuracy", sums, accuracy, accuracy).value == 0.0


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_differences_of_losses_that_are_not_those_of_the_two_models_are_refused(
    make_evidence: Make, metric: str
) -> None:
    assert refused(lambda: against(make_evidence, metric, {"sum": -11.0, "sum_of_squares": 4.0})) == (
        f"{metric}: found 0.3 and 0.4, whose rows differ by -0.11 in the mean: not the same rows"
    )


@pytest.mark.parametrize("covariance", [4.1e-4, -4.1e-4, 1.0])
def test_a_covariance_that_exceeds_its_variances_is_refused(make_evidence: Make, covariance: float) -> None:
    """sqrt(2e-4 x 8e-4) = 4e-4 is the most: with 4.9e-4 the variance of the difference would be nearly nothing."""
    sums = {"variance_challenger": 2e-4, "variance_champion": 8e-4}
    for possible in (4e-4, -4e-4):
        against(make_evidence, "roc_auc", {**sums, "covariance": possible}, 0.85, 0.8)
    found = {**sums, "covariance": covariance}
    assert refused(lambda: against(make_evidence, "roc_auc", found, 0.85, 0.8)) == (
        f"roc_auc: found variances 0.0002 and 0.0008 with covariance {covariance!r}, which no rows can have"
    )


@pytest.mark.parametrize("key", ["variance_challenger", "variance_champion"])
def test_a_variance_below_nothing_is_refused(make_evidence: Make, key: str) -> None:
    sums = {"variance_challenger": 2e-4, "variance_champion": 8e-4, "covariance": 0.0, key: -1e-9}
    assert "-1e-09" in refused(lambda: against(make_evidence, "roc_auc", sums, 0.85, 0.8))


def pair(measure: str, bound: str, one: Group, other: Group) -> Measured:
    (found,) = gaps(measure, bound, {"1": one, "2": other}, ALPHA, BINARY_TARGET)
    assert (found.one, found.other) == ("1", "2")
    return found.measured


def test_a_difference_of_rates_is_the_same_whichever_group_comes_first() -> None:
    """True positive rates 0.8 of 100 rows and 0.6 of 50."""
    signed = bounds.difference(80, 100, 30, 50, ALPHA)
    assert signed.low < 0 < signed.high, "else both ends would not be tried"
    expected = Measured(pytest.approx(0.2), Interval(0.0, signed.high, "finite-sample"), 150, ALPHA)  # type: ignore[arg-type]
    for groups in ((A, B), (B, A)):
        assert pair("equal_opportunity", "ceiling", *groups) == expected
    far = counted(1, 0, 99, 0, 0.0, 0.0)
    signed = bounds.difference(80, 100, 1, 100, ALPHA)
    for groups in ((A, far), (far, A)):
        interval = pair("equal_opportunity", "ceiling", *groups).interval
        assert (interval.low, interval.high) == pytest.approx((signed.low, signed.high))
        assert interval.low > 0.5


def test_a_ratio_of_rates_is_the_lower_to_the_higher_whichever_group_comes_first() -> None:
    one, two = bounds.ratio(80, 100, 30, 50, ALPHA), bounds.ratio(30, 50, 80, 100, ALPHA)
    low, high = min(one.low, two.low), min(1.0, one.high, two.high)
    assert (low, high) == (two.low, 1.0)
    expected = Measured(pytest.approx(0.75), Interval(low, high, "finite-sample"), 150, ALPHA)  # type: ignore[arg-type]
    for groups in ((A, B), (B, A)):
        assert pair("equal_opportunity", "floor", *groups) == expected
    far = counted(1, 0, 99, 0, 0.0, 0.0)
    for groups in ((A, far), (far, A)):
        found = pair("equal_opportunity", "floor", *groups)
        assert found.value == pytest.approx(0.0125)
        assert found.interval.high == pytest.approx(bounds.ratio(1, 100, 80, 100, ALPHA).high)


def test_groups_of_whom_nobody_is_chosen_are_treated_alike() -> None:
    nobody_chosen = counted(0, 0, 10, 10, 0.0, 0.0)
    assert pair("demographic_parity", "floor", nobody_chosen, nobody_chosen).value == 1.0
    assert pair("demographic_parity", "floor", nobody_chosen, A).value == 0.0


@pytest.mark.parametrize("bound", ["ceiling", "floor"])
def test_a_gap_to_a_group_without_a_row_that_counts_is_not_measured(bound: str) -> None:
    for groups, which in (((A, NOBODY), "2"), ((NOBODY, A), "1"), ((NOBODY, NOBODY), "1")):
        expected = Unmeasured(f"{which}: found none of 0 rows that counts, expected a row", 0)
        assert pair("demographic_parity", bound, *groups) == expected


def test_a_calibration_gap_is_that_of_mean_residuals_whichever_group_comes_first() -> None:
    """0.015 of 200 rows and -0.04 of 100."""
    one = empirical_bernstein.interval(200, 3.0, 20.0, -1.0, 1.0, ALPHA / 2)
    two = empirical_bernstein.interval(100, -4.0, 15.0, -1.0, 1.0, ALPHA / 2)
    assert one.low - two.high < 0 < one.high - two.low
    high = max(one.high - two.low, two.high - one.low)
    expected = Measured(pytest.approx(0.055), Interval(0.0, high, "finite-sample"), 300, ALPHA)  # type: ignore[arg-type]
    for groups in ((A, B), (B, A)):
        assert pair("calibration", "ceiling", *groups) == expected
    sure, other = counted(0, 0, 5000, 5000, 4000.0, 1700.0), counted(0, 0, 5000, 5000, -4000.0, 1700.0)
    for groups in ((sure, other), (other, sure)):
        assert pair("calibration", "ceiling", *groups).interval.low > 0.7
    for groups in ((A, NOBODY), (NOBODY, A)):
        assert isinstance(pair("calibration", "ceiling", *groups), Unmeasured)


def test_residuals_that_no_rows_can_have_are_refused() -> None:
    for residual in (200.5, -200.5):
        wrong: Any = counted(100, 0, 0, 100, residual, 250.0)
        message = f"mean_error: found sums {residual} and 250.0, which 200 rows cannot have"
        assert refused(lambda wrong=wrong: pair("calibration", "ceiling", A, wrong)) == message


def test_every_pair_is_compared_in_every_rate_of_a_measure() -> None:
    found = [
        (gap.metric, gap.one, gap.other)
        for gap in gaps("equalised_odds", "ceiling", dict.fromkeys("xyz", A), ALPHA, BINARY_TARGET)
    ]
    pairs = [("x", "y"), ("x", "z"), ("y", "z")]
    assert found == [(name, *two) for two in pairs for name in ("true_positive_rate", "false_positive_rate")]
    found = [
        (gap.metric, gap.one, gap.other)
        for gap in gaps("calibration", "ceiling", dict.fromkeys("xyz", A), ALPHA, BINARY_TARGET)
    ]
    assert found == [("mean_error", *two) for two in pairs]
