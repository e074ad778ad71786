"""Verdicts: the worst reason decides, and only what was measured well enough passes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate import canonical
from lockgate.errors import EvidenceError
from lockgate.evidence.document import Champion, Data, Evidence, Group, Metric, read_evidence
from lockgate.evidence.measurement import Measured
from lockgate.gate.readings import Reading
from lockgate.gate.verdict import Circumstances, Judgement, Outcome, RuleResult, judge, refusal, rows_needed
from lockgate.policy.rules import Compare, Decide, Gap, Limit, Policy, Require, Rule
from lockgate.statistics.budget import Budget
from lockgate.statistics.interval import Interval
from tests.groups import counted

Make = Callable[..., Evidence]


def policy(*rules: Rule) -> Policy:
    return Policy(rules, Budget(0.05, "policy", 32, "every-verdict"))


def _evidence(**changes: Any) -> Evidence:
    parts = Evidence("m", "c", "i", "e", "a", "s", "s", Data("s", "t", "f", "l", "i", "j", 1, 1), (), {}, "r", {})
    return replace(parts, **changes)


outcomes = st.lists(st.sampled_from(Outcome), min_size=1)


def of(*found: Outcome) -> Judgement:
    return Judgement(tuple(RuleResult(str(i), outcome, "") for i, outcome in enumerate(found)))


def test_a_verdict_without_reasons_is_an_error_not_a_pass() -> None:
    assert Judgement(()).outcome is Outcome.ERROR


@given(outcomes)
def test_a_verdict_passes_only_when_every_reason_does(found: list[Outcome]) -> None:
    assert (of(*found).outcome is Outcome.PASSED) == all(outcome is Outcome.PASSED for outcome in found)


@given(outcomes, st.randoms())
def test_the_worst_reason_decides_in_any_order(found: list[Outcome], random: object) -> None:
    before = of(*found).outcome
    random.shuffle(found)  # type: ignore[attr-defined]
    assert of(*found).outcome is before
    assert all(outcome.badness <= before.badness for outcome in found)


@given(outcomes, st.sampled_from(Outcome))
def test_another_reason_never_makes_a_verdict_better(found: list[Outcome], more: Outcome) -> None:
    assert of(*found, more).outcome.badness >= of(*found).outcome.badness


def accuracy(correct: int, rows: int) -> dict[str, Metric]:
    return {"accuracy": Metric(correct / rows, rows, {"hits": float(correct)})}


def limit(metric: str = "accuracy", bound: Any = "floor", value: float = 0.8, **more: Any) -> Policy:
    return policy(Limit("rule", metric, bound, value, **more))


def judged(rules: Policy, evidence: Evidence, **circumstances: Any) -> Judgement:
    return judge(rules, evidence, Circumstances(**{"alpha": 0.01, **circumstances}))


def test_a_limit_passes_when_the_whole_interval_keeps_it(make_evidence: Make) -> None:
    verdict = judged(limit(), make_evidence(metrics=accuracy(850, 1000)))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons[0].message.startswith("accuracy 0.85 on 1000 rows >= floor 0.8; exact interval 0.82")


def test_a_limit_fails_when_none_of_the_interval_keeps_it(make_evidence: Make) -> None:
    verdict = judged(limit(), make_evidence(metrics=accuracy(700, 1000)))
    assert verdict.outcome is Outcome.FAILED
    assert "accuracy 0.7 on 1000 rows < floor 0.8; exact interval" in verdict.reasons[0].message


def test_too_few_rows_are_inconclusive_and_say_how_many_more_would_decide(make_evidence: Make) -> None:
    verdict = judged(limit(), make_evidence(metrics=accuracy(82, 100)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    found = re.search(r"about (\d+) more labelled rows would decide", verdict.reasons[0].message)
    assert found
    rows = 100 + int(found[1])
    more = make_evidence(metrics=accuracy(round(0.82 * rows), rows))
    assert judged(limit(), more).outcome is Outcome.PASSED
    fewer = make_evidence(metrics=accuracy(round(0.82 * rows * 0.5), round(rows * 0.5)))
    assert judged(limit(), fewer).outcome is Outcome.INCONCLUSIVE


def test_the_rows_needed_follow_from_how_far_the_interval_passes_the_limit() -> None:
    found = Measured(0.82, Interval(0.78, 0.86, "exact"), 100, 0.01)
    assert rows_needed(0.8, found) == pytest.approx(301, abs=1), "half the margin takes four times the rows"
    assert rows_needed(0.84, found) == pytest.approx(301, abs=1)
    assert rows_needed(0.82, found) == 0
    assert rows_needed(0.78, found) == 1, "at the end of the interval one row more is enough"


def test_a_value_at_the_limit_itself_is_never_decided_by_rows(make_evidence: Make) -> None:
    verdict = judged(limit(), make_evidence(metrics=accuracy(80, 100)))
    assert verdict.reasons[0].message.endswith("at the limit itself no number of rows decides")


def test_the_point_estimate_decides_only_where_the_policy_says_so(make_evidence: Make) -> None:
    evidence = make_evidence(metrics=accuracy(80, 100))
    assert judged(limit(), evidence).outcome is Outcome.INCONCLUSIVE
    verdict = judged(limit(decide="estimate"), evidence)
    assert verdict.outcome is Outcome.PASSED
    assert "by the point estimate, as the policy says" in verdict.reasons[0].message


def test_a_failure_never_reads_as_if_the_number_equalled_the_limit(make_evidence: Make) -> None:
    verdict = judged(limit("roc_auc", decide="estimate"), make_evidence(metrics={"roc_auc": Metric(0.79999999, 500)}))
    assert verdict.outcome is Outcome.FAILED
    assert "0.79999999" in verdict.reasons[0].message


def test_a_ceiling_is_the_other_way_round(make_evidence: Make) -> None:
    evidence = make_evidence(metrics={"brier": Metric(0.1, 10000, {"sum": 1000.0, "sum_of_squares": 200.0})})
    assert judged(limit("brier", "ceiling", 0.2), evidence).outcome is Outcome.PASSED
    assert judged(limit("brier", "ceiling", 0.05), evidence).outcome is Outcome.FAILED


def test_an_asymptotic_interval_says_so(make_evidence: Make) -> None:
    evidence = make_evidence(
        metrics={"roc_auc": Metric(0.9, 1000, {"variance": 1e-4, "positives": 500, "negatives": 500})}
    )
    assert "; asymptotic interval 0.87" in judged(limit("roc_auc"), evidence).reasons[0].message


def test_a_perfect_order_is_as_certain_as_the_rows_of_its_smaller_class(make_evidence: Make) -> None:
    for few, expected in ((5, Outcome.INCONCLUSIVE), (500, Outcome.PASSED)):
        counts = {"variance": 0.0, "positives": few, "negatives": 1000 - few}
        verdict = judged(limit("roc_auc"), make_evidence(metrics={"roc_auc": Metric(1.0, 1000, counts)}))
        assert verdict.outcome is expected
        assert "; finite-sample interval" in verdict.reasons[0].message


def test_a_missing_metric_is_an_error_that_says_what_there_is(make_evidence: Make) -> None:
    verdict = judged(limit("roc_auc"), make_evidence(metrics={"log_loss": Metric(0.1, 9)}))
    assert verdict.outcome is Outcome.ERROR
    assert "not in the evidence (it has: log_loss)" in verdict.reasons[0].message


def test_a_metric_on_no_rows_is_an_error(make_evidence: Make) -> None:
    evidence = make_evidence(metrics={"roc_auc": Metric(1.0, 0)})
    assert judged(limit("roc_auc"), evidence).outcome is Outcome.ERROR


@pytest.mark.parametrize("statistics", [{}, {"hits": 8.5}, {"hits": -1.0}, {"hits": 1001.0}])
def test_sums_that_no_rows_can_have_are_an_error(make_evidence: Make, statistics: dict[str, float]) -> None:
    evidence = make_evidence(metrics={"accuracy": Metric(0.85, 1000, statistics)})
    assert judged(limit(), evidence).outcome is Outcome.ERROR


@pytest.mark.parametrize("value", [-0.01, 1.01, 5.0, 1e308])
def test_a_number_that_the_metric_cannot_have_is_an_error_whatever_decides(make_evidence: Make, value: float) -> None:
    metrics = {
        "roc_auc": Metric(value, 1000, {"variance": 1e-4, "positives": 500, "negatives": 500}),
        **accuracy(850, 1000),
    }
    for decide in ("interval", "estimate"):
        (reason,) = judged(limit("roc_auc", decide=decide), make_evidence(metrics=metrics)).reasons
        assert (reason.outcome, reason.message) == (Outcome.ERROR, f"roc_auc: found {value!r}, expected from 0 to 1")


@pytest.mark.parametrize(
    ("total", "squares"),
    [(-1e-3, 200.0), (-1e300, 0.0), (1000.1, 1000.0), (1000.0, 99.0), (100.0, 9.9999), (100.0, -1.0), (0.0, -1.0)],
)
def test_sums_of_losses_that_no_rows_can_have_are_an_error(make_evidence: Make, total: float, squares: float) -> None:
    """1,000 rows between 0 and 1 sum to 0 to 1,000, and their squares to at least the sum's square over the rows."""
    metrics = {"brier": Metric(0.1, 1000, {"sum": total, "sum_of_squares": squares})}
    (reason,) = judged(limit("brier", "ceiling", 0.2), make_evidence(metrics=metrics)).reasons
    assert reason.outcome is Outcome.ERROR
    assert reason.message == f"brier: found sums {total!r} and {squares!r}, which 1000 rows cannot have"


@pytest.mark.parametrize(("total", "squares"), [(0.0, 0.0), (1000.0, 1000.0), (100.0, 10.0)])
def test_rows_that_are_all_alike_have_sums_that_are_accepted(make_evidence: Make, total: float, squares: float) -> None:
    metrics = {"brier": Metric(total / 1000, 1000, {"sum": total, "sum_of_squares": squares})}
    assert judged(limit("brier", "ceiling", 1.0), make_evidence(metrics=metrics)).outcome is Outcome.PASSED


def test_a_comparison_on_no_rows_is_an_error(make_evidence: Make) -> None:
    nobody = {"accuracy": Metric(0.0, 0, {"hits": 0.0})}
    evidence = make_evidence(metrics=nobody, champion=champion(0, 0, metrics=nobody))
    (reason,) = judged(BETTER, evidence, champion_sha256=SERVED).reasons
    assert (reason.outcome, reason.message) == (Outcome.ERROR, "accuracy: compared on 0 rows")


def test_an_unreadable_metric_is_an_error_only_for_the_rule_that_needs_it(make_evidence: Make) -> None:
    document = json.loads(make_evidence(metrics=accuracy(900, 1000)).to_bytes())
    document["metrics"]["log_loss"] = {"value": "small", "rows": 9, "statistics": {}}
    data = json.dumps(document).encode()
    evidence = read_evidence(data, canonical.sha256(data))
    assert judged(limit(), evidence).outcome is Outcome.PASSED
    both = policy(Limit("good", "accuracy", "floor", 0.8), Limit("loss", "log_loss", "ceiling", 0.5))
    verdict = judged(both, evidence)
    assert [reason.outcome for reason in verdict.reasons] == [Outcome.PASSED, Outcome.ERROR]
    assert "found 'small', expected a finite number" in verdict.reasons[1].message


def group(tp: int, fp: int, fn: int, tn: int, **metrics: Metric) -> Group:
    return counted(tp, fp, fn, tn, 0.0, 1.0, metrics)


def test_a_limit_by_group_is_kept_by_all_or_broken(make_evidence: Make) -> None:
    groups = {"SEX": {"1": group(900, 50, 100, 950), "2": group(500, 50, 500, 950)}}
    rule = limit("true_positive_rate", value=0.8, by="SEX")
    verdict = judged(rule, make_evidence(groups=groups))
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reasons[0].message.startswith("1 passed, 1 failed: true_positive_rate 0.5 on 1000 rows < floor 0.8")
    assert "for SEX 2" in verdict.reasons[0].message
    one = limit("true_positive_rate", value=0.8, by="SEX", group="1")
    assert judged(one, make_evidence(groups=groups)).outcome is Outcome.PASSED


def test_a_message_names_five_groups_and_counts_the_others(make_evidence: Make) -> None:
    groups = {"RACE": {str(code): group(500, 50, 500, 950) for code in range(7)}}
    (reason,) = judged(limit("true_positive_rate", by="RACE"), make_evidence(groups=groups)).reasons
    assert reason.message.startswith("7 failed: ")
    assert reason.message.count("for RACE") == 5
    assert reason.message.endswith("; and 2 more")
    five = {"RACE": dict(list(groups["RACE"].items())[:5])}
    (reason,) = judged(limit("true_positive_rate", by="RACE"), make_evidence(groups=five)).reasons
    assert "more" not in reason.message


def test_a_group_of_exactly_the_minimum_is_large_enough(make_evidence: Make) -> None:
    evidence = make_evidence(groups={"SEX": EVEN})
    rows = EVEN["1"].rows
    assert judged(policy(replace(GAP, minimum_rows=rows)), evidence).outcome is Outcome.PASSED
    one = judged(policy(replace(GAP, minimum_rows=rows, leave_out=("2",))), evidence)
    assert one.outcome is Outcome.INCONCLUSIVE
    assert "found 1 groups of at least" in one.reasons[0].message


def test_a_group_or_an_attribute_that_is_not_there_is_an_error(make_evidence: Make) -> None:
    evidence = make_evidence(groups={"SEX": {"1": group(9, 1, 1, 9)}})
    assert judged(limit("precision", by="AGE"), evidence).outcome is Outcome.ERROR
    assert judged(limit("precision", by="SEX", group="3"), evidence).outcome is Outcome.ERROR


def test_a_group_with_one_label_only_cannot_be_ranked(make_evidence: Make) -> None:
    evidence = make_evidence(groups={"SEX": {"1": group(9, 0, 1, 0)}})
    verdict = judged(limit("roc_auc", by="SEX"), evidence)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons[0].message == (
        "roc_auc for SEX 1: not measured: found none of 10 rows that counts, expected rows of both labels"
    )


@pytest.mark.parametrize("decide", ["interval", "estimate"])
def test_a_group_with_one_label_whose_rows_are_all_wrong_keeps_no_ceiling(make_evidence: Make, decide: Decide) -> None:
    """0.1 measured no loss of such a group and took 0.0 for it, which kept every ceiling."""
    rule = limit("log_loss", "ceiling", 0.7, by="SEX", decide=decide)
    wrong = group(0, 0, 10, 0, log_loss=Metric(30.0, 10, {"sum": 300.0, "sum_of_squares": 9e3}))
    assert judged(rule, make_evidence(groups={"SEX": {"1": wrong}})).outcome is not Outcome.PASSED
    assert judged(rule, make_evidence(groups={"SEX": {"1": group(0, 0, 10, 0)}})).outcome is Outcome.INCONCLUSIVE


def test_a_rate_of_a_group_without_such_rows_can_be_waived(make_evidence: Make) -> None:
    evidence = make_evidence(groups={"SEX": {"1": group(0, 5, 0, 95)}})
    rule = limit("true_positive_rate", value=0.5, by="SEX")
    (reason,) = judged(rule, evidence).reasons
    assert reason.outcome is Outcome.INCONCLUSIVE
    assert reason.message == (
        "true_positive_rate for SEX 1: not measured: found none of 100 rows that counts, expected a row with label 1"
    )
    assert judged(rule, evidence, waived={"rule": "olga"}).outcome is Outcome.PASSED


def test_a_limit_by_group_says_what_a_small_group_means(make_evidence: Make) -> None:
    small = {**EVEN, "3": group(0, 1, 0, 1)}
    rule = Limit("reach", "true_positive_rate", "floor", 0.5, "SEX", minimum_rows=100)
    (reason,) = judged(policy(rule), make_evidence(groups={"SEX": small})).reasons
    assert reason.outcome is Outcome.INCONCLUSIVE
    assert "fewer than 100 rows in 3 (2 rows); to be judged it takes more labelled rows: 98 of 3" in reason.message
    left_out = replace(rule, leave_out=("3",))
    (reason,) = judged(policy(left_out), make_evidence(groups={"SEX": small})).reasons
    assert (reason.outcome, reason.message.endswith("; left out by the policy: 3")) == (Outcome.PASSED, True)
    nobody = replace(rule, leave_out=("1", "2", "3"))
    (reason,) = judged(policy(nobody), make_evidence(groups={"SEX": small})).reasons
    assert reason.outcome is Outcome.INCONCLUSIVE


GAP = Gap("fair", "equal_opportunity", "SEX", "ceiling", 0.1, 100)
EVEN = {"1": group(5000, 500, 1000, 5000), "2": group(5050, 500, 950, 5000)}


def test_groups_that_are_treated_alike_pass_and_others_fail_with_both_named(make_evidence: Make) -> None:
    assert judged(policy(GAP), make_evidence(groups={"SEX": EVEN})).outcome is Outcome.PASSED
    uneven = {**EVEN, "2": group(3000, 500, 3000, 5000)}
    verdict = judged(policy(GAP), make_evidence(groups={"SEX": uneven}))
    assert verdict.outcome is Outcome.FAILED
    assert "true_positive_rate difference 0.333333 between SEX 1 and 2 on 12000 rows" in verdict.reasons[0].message


def test_a_tiny_group_is_inconclusive_unless_a_reviewer_left_it_out(make_evidence: Make) -> None:
    evidence = make_evidence(groups={"SEX": {**EVEN, "3": group(1, 1, 1, 1)}})
    verdict = judged(policy(GAP), evidence)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    small = (
        "equal_opportunity by SEX: fewer than 100 rows in 3 (4 rows); to be judged it takes more labelled rows: 96 of 3"
    )
    assert small in verdict.reasons[0].message
    excused = judged(policy(replace(GAP, leave_out=("3",))), evidence)
    assert excused.outcome is Outcome.PASSED
    assert excused.reasons[0].message.endswith("left out by the policy: 3")


@pytest.mark.parametrize("measure", ["demographic_parity", "equal_opportunity", "equalised_odds", "calibration"])
def test_every_measure_of_a_gap_is_decided(make_evidence: Make, measure: Any) -> None:
    evidence = make_evidence(groups={"SEX": EVEN})
    assert judged(policy(replace(GAP, measure=measure)), evidence).outcome is Outcome.PASSED
    if measure != "calibration":
        ratio = replace(GAP, measure=measure, bound="floor", value=0.8)
        assert judged(policy(ratio), evidence).outcome is Outcome.PASSED


def champion(only_challenger: int, only_champion: int, right: int = 880, **changes: Any) -> Champion:
    """The champion of a challenger that is right on so many of 1000 rows."""
    paired = {"accuracy": {"only_challenger": float(only_challenger), "only_champion": float(only_champion)}}
    before = accuracy(right - only_challenger + only_champion, 1000)
    return Champion(**{"model_sha256": SERVED, "metrics": before, "paired": paired, **changes})


SERVED = "9" * 64
BETTER = policy(Compare("better", "accuracy", 0.0))


def test_a_challenger_must_be_better_than_the_champion_on_the_same_rows(make_evidence: Make) -> None:
    def outcome(wins: int, losses: int) -> Outcome:
        evidence = make_evidence(metrics=accuracy(880, 1000), champion=champion(wins, losses))
        return judged(BETTER, evidence, champion_sha256=SERVED).outcome

    assert outcome(60, 10) is Outcome.PASSED
    assert outcome(10, 60) is Outcome.FAILED
    assert outcome(30, 28) is Outcome.INCONCLUSIVE


def test_the_first_model_has_no_champion_and_its_limits_decide(make_evidence: Make) -> None:
    verdict = judged(BETTER, make_evidence())
    assert verdict.outcome is Outcome.PASSED
    assert "nothing is served" in verdict.reasons[0].message


def test_evidence_against_another_champion_than_is_served_is_inconclusive_with_what_to_do(make_evidence: Make) -> None:
    for found in (None, champion(60, 10, model_sha256="8" * 64)):
        verdict = judged(BETTER, make_evidence(metrics=accuracy(880, 1000), champion=found), champion_sha256=SERVED)
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert "deliver COMMIT --again" in verdict.reasons[0].message


def test_champions_are_never_compared_across_rows(make_evidence: Make) -> None:
    other = champion(60, 10, metrics=accuracy(85, 100))
    evidence = make_evidence(metrics=accuracy(880, 1000), champion=other)
    assert judged(BETTER, evidence, champion_sha256=SERVED).outcome is Outcome.ERROR


def test_what_is_required_and_unknown_is_an_error(make_evidence: Make) -> None:
    rule = policy(Require("drift", "drift", "ceiling", 0.2))
    assert judged(rule, make_evidence()).outcome is Outcome.ERROR
    assert judged(rule, make_evidence(), readings={"drift": Reading(0.2)}).outcome is Outcome.PASSED
    assert judged(rule, make_evidence(), readings={"drift": Reading(0.21)}).outcome is Outcome.FAILED


def test_a_dry_run_is_reported_and_decides_nothing(make_evidence: Make) -> None:
    evidence = make_evidence(metrics=accuracy(850, 1000))
    tried = Limit("tried", "accuracy", "floor", 0.99, dry_run=True)
    verdict = judged(policy(*limit().rules, tried), evidence)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons[1].outcome is Outcome.FAILED
    assert verdict.reasons[1].dry_run
    assert judged(policy(tried), evidence).outcome is Outcome.ERROR, "a policy of dry runs passes nothing"


def test_a_waiver_lets_a_broken_rule_go_and_says_so_but_never_an_error(make_evidence: Make) -> None:
    waived = {"rule": "grace (income/7, until 2026-12-01: holiday data)"}
    broken = judged(limit(), make_evidence(metrics=accuracy(700, 1000)), waived=waived)
    assert broken.outcome is Outcome.PASSED
    assert broken.reasons[0].message.startswith("failed, waived by grace (income/7")
    missing = judged(limit("roc_auc"), make_evidence(metrics={}), waived=waived)
    assert missing.outcome is Outcome.ERROR


@given(st.integers(0, 2000), st.integers(1, 2000), st.floats(0, 1), st.sampled_from(["floor", "ceiling"]))
def test_every_message_carries_observed_interval_limit_and_rows(
    correct: int, rows: int, value: float, bound: Any
) -> None:
    evidence = _evidence(metrics=accuracy(min(correct, rows), rows))
    (reason,) = judged(limit(bound=bound, value=value), evidence).reasons
    pattern = rf"accuracy \S+ on {rows} rows (>=|<|<=|>) {bound} \S+; exact interval \S+ to \S+ at 0.01"
    assert re.match(pattern, reason.message)
    assert ("would decide" in reason.message or "no number" in reason.message) == (
        reason.outcome is Outcome.INCONCLUSIVE
    )


@given(st.integers(0, 500), st.integers(0, 500), st.floats(-0.2, 0.2))
def test_every_message_of_a_comparison_carries_difference_interval_gain_rows_and_champion(
    wins: int, losses: int, gain: float
) -> None:
    evidence = _evidence(metrics=accuracy(500, 1000), champion=champion(wins, losses, right=500))
    (reason,) = judged(policy(Compare("c", "accuracy", gain)), evidence, champion_sha256=SERVED).reasons
    pattern = (
        rf"accuracy better than the champion's by (\S+) on 1000 rows (>=|<) {re.escape(f'{gain:g}')}; "
        rf"champion {SERVED[:12]}; finite-sample interval \S+ to \S+ at 0.01"
    )
    found = re.match(pattern, reason.message)
    assert found
    assert float(found[1]) == pytest.approx((wins - losses) / 1000, abs=1e-9)
    assert ("would decide" in reason.message or "no number" in reason.message) == (
        reason.outcome is Outcome.INCONCLUSIVE
    )


@given(st.lists(st.tuples(*[st.integers(1, 300)] * 4), min_size=2, max_size=4), st.floats(0.01, 0.9))
def test_every_message_of_a_gap_names_two_groups_with_gap_interval_limit_and_rows(
    counts: list[tuple[int, int, int, int]], ceiling: float
) -> None:
    groups = {str(code): group(*each) for code, each in enumerate(counts)}
    rule = Gap("g", "equal_opportunity", "RACE", "ceiling", ceiling, 1)
    (reason,) = judged(policy(rule), _evidence(groups={"RACE": groups})).reasons
    pattern = (
        rf"true_positive_rate difference (\S+) between RACE (\d) and (\d) on (\d+) rows (<=|>) "
        rf"ceiling {re.escape(f'{ceiling:g}')}; finite-sample interval \S+ to \S+ at 0.01"
    )
    found = re.search(pattern, reason.message)
    assert found
    one, other = groups[found[2]], groups[found[3]]
    rates = [each.metrics["true_positive_rate"] for each in (one, other)]
    assert float(found[1]) == pytest.approx(abs(rates[0].value - rates[1].value), abs=1e-5)
    assert int(found[4]) == sum(rate.rows for rate in rates)


EVERY_KIND = policy(
    Limit("limit", "accuracy", "floor", 0.8),
    Limit("loss", "brier", "ceiling", 0.3),
    Limit("area", "roc_auc", "floor", 0.8),
    Compare("compare", "accuracy", -0.01),
    Compare("compare loss", "brier", -0.1),
    Gap("gap", "equalised_odds", "SEX", "ceiling", 0.1, 100),
    Gap("parity", "demographic_parity", "SEX", "ceiling", 0.1, 100),
    Limit("precise", "precision", "floor", 0.1, by="SEX"),
    Gap("calibration", "calibration", "SEX", "ceiling", 0.2, 100),
)
JUNK = [None, True, "0.9", [], {}, float("nan"), float("inf"), -1, -1.0, -1e308, 1e308, 10**400]


def _leaves(document: Any, *path: str) -> list[tuple[str, ...]]:
    if not isinstance(document, dict):
        return [path]
    return [leaf for key in document for leaf in _leaves(document[key], *path, key)]


def _complete() -> dict[str, Any]:
    """A document whose every number some rule of EVERY_KIND needs, and which passes them all."""
    metrics = {
        **accuracy(9_000, 10_000),
        "brier": Metric(0.1, 10_000, {"sum": 1_000.0, "sum_of_squares": 300.0}),
        "roc_auc": Metric(0.9, 10_000, {"variance": 1e-5, "positives": 5000, "negatives": 5000}),
    }
    paired = {"accuracy": {"only_challenger": 60.0, "only_champion": 50.0}}
    paired["brier"] = {"sum": -10.0, "sum_of_squares": 100.0}
    before = {**accuracy(8_990, 10_000), "brier": Metric(0.101, 10_000, {"sum": 1_010.0})}
    served = Champion(SERVED, before, paired)
    hexes = dict.fromkeys(("model_sha256", "contents_sha256", "replay_sha256"), "1" * 64)
    image = "1.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "a" * 64
    data = Data("5" * 16, "1" * 64, "2" * 64, "3" * 64, "6" * 64, "7" * 64, 2000, 10_000)
    parts = {"commit": "c" * 40, "image": image, "data": data, **hexes}
    found = _evidence(**parts, metrics=metrics, champion=served, groups={"SEX": EVEN})
    document: dict[str, Any] = json.loads(found.to_bytes())
    return document


def _judged_document(document: dict[str, Any]) -> Outcome:
    data = json.dumps(document).encode()
    try:
        evidence = read_evidence(data, canonical.sha256(data))
    except EvidenceError:
        return Outcome.ERROR
    return judged(EVERY_KIND, evidence, champion_sha256=SERVED).outcome


def test_what_is_complete_passes_every_kind_of_rule() -> None:
    assert _judged_document(_complete()) is Outcome.PASSED


@given(st.data())
def test_whatever_stands_in_place_of_a_number_that_a_rule_needs_nothing_passes(draw: st.DataObject) -> None:
    document = _complete()
    leaves = [leaf for part in ("metrics", "groups", "champion") for leaf in _leaves(document[part], part)]
    *path, last = draw.draw(st.sampled_from(leaves))
    parent = document
    for key in path:
        parent = parent[key]
    if draw.draw(st.booleans()):
        del parent[last]
    else:
        may_be_negative = last == "sum" and ("paired" in path or "mean_error" in path)
        parent[last] = draw.draw(st.sampled_from([junk for junk in JUNK if not (may_be_negative and junk == -1)]))
    assert _judged_document(document) is not Outcome.PASSED


@given(st.integers(0, 1000), st.floats(0.01, 0.99), st.floats(1e-9, 0.4), st.floats(1e-9, 0.4))
def test_a_smaller_error_rate_never_turns_a_failure_or_doubt_into_a_pass(
    correct: int, floor: float, one: float, other: float
) -> None:
    evidence = _evidence(metrics=accuracy(correct, 1000))
    strict, loose = sorted((one, other))
    if judged(limit(value=floor), evidence, alpha=strict).outcome is Outcome.PASSED:
        assert judged(limit(value=floor), evidence, alpha=loose).outcome is Outcome.PASSED


def test_a_refusal_is_an_error_with_its_reason() -> None:
    verdict = refusal("evidence", "it was altered")
    assert verdict.outcome is Outcome.ERROR
    assert verdict.reasons == (RuleResult("evidence", Outcome.ERROR, "it was altered"),)


HEX = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


def test_a_comparison_names_both_models_by_the_first_digits_of_their_digests(make_evidence: Make) -> None:
    def said(**parts: Any) -> str:
        evidence = make_evidence(metrics=accuracy(880, 1000), **parts)
        return judged(BETTER, evidence, champion_sha256=HEX).reasons[0].message

    again = "`lockgate deliver COMMIT --again` has it evaluated against what is served now"
    assert said() == f"accuracy: compared with no champion, while 0123456789ab is served; {again}"
    other = champion(60, 10, model_sha256=OTHER)
    assert said(champion=other) == f"accuracy: compared with fedcba987654, while 0123456789ab is served; {again}"
    right = said(champion=champion(60, 10, model_sha256=HEX))
    assert right.startswith("accuracy better than the champion's by 0.05 on 1000 rows >= 0; champion 0123456789ab; ")


def test_three_large_groups_are_compared_and_none_is_too_few(make_evidence: Make) -> None:
    evidence = make_evidence(groups={"SEX": {**EVEN, "3": EVEN["1"]}})
    verdict = judged(policy(GAP), evidence)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons[0].message.startswith("3 passed: true_positive_rate difference ")


@pytest.mark.parametrize(("groups", "more"), [(2, ""), (5, ""), (6, "; and 1 more"), (7, "; and 2 more")])
def test_what_a_message_leaves_out_is_counted(make_evidence: Make, groups: int, more: str) -> None:
    found = {str(value): group(10, 10, 10, 10) for value in range(groups)}
    message = judged(limit("precision", value=0.9, by="AGE"), make_evidence(groups={"AGE": found})).reasons[0].message
    assert message.startswith(f"{groups} failed: precision 0.5 ")
    tail = message.rpartition("interval")[2]
    assert ("more" in tail, tail.endswith(more)) == (bool(more), True)


def test_one_group_alone_is_not_counted(make_evidence: Make) -> None:
    evidence = make_evidence(groups={"SEX": {"1": group(99, 1, 1, 99)}})
    message = judged(limit("precision", value=0.5, by="SEX"), evidence).reasons[0].message
    assert message.startswith("precision 0.99 on 100 rows >= floor 0.5 for SEX 1; ")


def test_what_is_required_is_said_with_its_note(make_evidence: Make) -> None:
    rule = policy(Require("drift", "drift", "ceiling", 0.2))
    noted = judged(rule, make_evidence(), readings={"drift": Reading(0.1, "of AGEP")}).reasons[0].message
    bare = judged(rule, make_evidence(), readings={"drift": Reading(0.3)}).reasons[0].message
    assert (noted, bare) == ("drift 0.1 <= ceiling 0.2; of AGEP", "drift 0.3 > ceiling 0.2")


def test_one_row_is_not_enough_and_says_how_many_are(make_evidence: Make) -> None:
    message = judged(limit(value=0.5), make_evidence(metrics=accuracy(1, 1))).reasons[0].message
    assert re.search(r"; about \d+ more labelled rows would decide$", message)


def test_the_margin_on_the_limits_side_says_how_many_rows_are_needed() -> None:
    lopsided = Measured(0.5, Interval(0.0, 0.875, "exact"), 100, 0.01)
    assert rows_needed(0.75, lopsided) == 126, "100 ((0.375 / 0.25)^2 - 1) is 125, and one more is over the limit"
    assert rows_needed(0.25, lopsided) == 301
    assert rows_needed(1.0, lopsided) == 1


@pytest.mark.parametrize(
    ("value", "floor", "shown"),
    [
        (0.79991234567, 0.9, "0.799912"),  # on the same side of the limit when rounded
        (0.123456789, 0.123456789, "0.123456789"),  # the limit itself, which rounded is above it
        (0.1234561, 0.1234561, "0.1234561"),  # and here below
        (0.8, 0.8, "0.8"),
        (0.89999999, 0.9, "0.89999999"),
        (0.90000001, 0.9, "0.90000001"),
    ],
)
def test_a_number_is_shown_so_that_its_side_of_the_limit_is_seen(
    make_evidence: Make, value: float, floor: float, shown: str
) -> None:
    metrics = {"roc_auc": Metric(value, 1000, {"variance": 1e-4})}
    rules = limit("roc_auc", value=floor, decide="estimate")
    message = judged(rules, make_evidence(metrics=metrics)).reasons[0].message
    assert message.startswith(f"roc_auc {shown} on 1000 rows ")


def test_a_gap_to_a_group_without_a_row_that_the_rate_counts_is_not_measured(make_evidence: Make) -> None:
    nobody = {**EVEN, "2": group(0, 500, 0, 5000)}
    (reason,) = judged(policy(GAP), make_evidence(groups={"SEX": nobody})).reasons
    assert reason.outcome is Outcome.INCONCLUSIVE
    assert reason.message == (
        "true_positive_rate between SEX 1 and 2: not measured: 2: found none of 5500 rows that counts, "
        "expected a row with label 1"
    )


def test_a_champion_that_could_not_predict_is_inconclusive_and_says_what_gets_out(make_evidence: Make) -> None:
    missing = make_evidence(champion_missing="KeyError: 'NATIVITY'")
    rules = policy(Compare("not worse", "accuracy", -0.01))
    (reason,) = judged(rules, missing, champion_sha256="d" * 64).reasons
    assert reason.outcome is Outcome.INCONCLUSIVE
    assert "could not predict these rows: KeyError: 'NATIVITY'; delivering again would meet the same" in reason.message
    assert "`lockgate waive VERSION --env ENV --rule 'not worse' --reason WHY --expires DATE`" in reason.message
    assert judged(rules, missing, champion_sha256="d" * 64, waived={"not worse": "olga"}).outcome is Outcome.PASSED
    assert judged(rules, missing).outcome is Outcome.PASSED, "nothing is served"


def test_what_evidence_says_of_a_missing_champion_is_read_back_and_0_1_said_nothing(make_evidence: Make) -> None:
    for evidence in (make_evidence(), make_evidence(champion_missing="it hung")):
        data = evidence.to_bytes()
        assert read_evidence(data, canonical.sha256(data)).champion_missing == evidence.champion_missing
    assert b"champion_missing" not in make_evidence().to_bytes()
