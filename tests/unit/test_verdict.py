"""Verdicts: the worst reason decides, and only what was measured well enough passes."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from lockgate import canonical
from lockgate.evidence import Evidence, Metric, read_evidence
from lockgate.policy import Limit, Policy
from lockgate.verdict import Outcome, Reason, Verdict, judge, refusal

FLOOR = Policy((Limit("ranking", "roc_auc", "floor", 0.8),))
outcomes = st.lists(st.sampled_from(Outcome), min_size=1)


def of(*found: Outcome) -> Verdict:
    return Verdict(tuple(Reason(str(i), outcome, "") for i, outcome in enumerate(found)))


def test_a_verdict_without_reasons_is_an_error_not_a_pass() -> None:
    assert Verdict(()).outcome is Outcome.ERROR


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


def test_a_metric_at_the_floor_passes_with_its_numbers(make_evidence: Callable[..., Evidence]) -> None:
    verdict = judge(FLOOR, make_evidence(metrics={"roc_auc": Metric(0.8, 500)}))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons[0].message == "roc_auc 0.8 on 500 rows >= floor 0.8"


def test_a_metric_below_the_floor_fails_with_its_numbers(make_evidence: Callable[..., Evidence]) -> None:
    verdict = judge(FLOOR, make_evidence(metrics={"roc_auc": Metric(0.7999, 500)}))
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reasons[0].message == "roc_auc 0.7999 on 500 rows < floor 0.8"


def test_a_failure_never_reads_as_if_the_number_equalled_the_bound(make_evidence: Callable[..., Evidence]) -> None:
    verdict = judge(FLOOR, make_evidence(metrics={"roc_auc": Metric(0.79999999, 500)}))
    assert verdict.outcome is Outcome.FAILED
    assert "0.79999999" in verdict.reasons[0].message


def test_a_ceiling_is_the_other_way_round(make_evidence: Callable[..., Evidence]) -> None:
    policy = Policy((Limit("loss", "log_loss", "ceiling", 0.5),))
    assert judge(policy, make_evidence(metrics={"log_loss": Metric(0.5, 9)})).outcome is Outcome.PASSED
    verdict = judge(policy, make_evidence(metrics={"log_loss": Metric(0.6, 9)}))
    assert verdict.reasons[0].message == "log_loss 0.6 on 9 rows > ceiling 0.5"


def test_a_missing_metric_is_an_error_that_says_what_there_is(make_evidence: Callable[..., Evidence]) -> None:
    verdict = judge(FLOOR, make_evidence(metrics={"log_loss": Metric(0.1, 9)}))
    assert verdict.outcome is Outcome.ERROR
    assert "not in the evidence (it has: log_loss)" in verdict.reasons[0].message


def test_a_metric_on_no_rows_is_an_error(make_evidence: Callable[..., Evidence]) -> None:
    assert judge(FLOOR, make_evidence(metrics={"roc_auc": Metric(1.0, 0)})).outcome is Outcome.ERROR


def test_an_unreadable_metric_is_an_error_only_for_the_rule_that_needs_it(
    make_evidence: Callable[..., Evidence],
) -> None:
    document = json.loads(make_evidence().to_bytes())
    document["metrics"]["log_loss"] = {"value": "small", "rows": 9, "statistics": {}}
    data = json.dumps(document).encode()
    evidence = read_evidence(data, canonical.sha256(data))
    assert judge(FLOOR, evidence).outcome is Outcome.PASSED
    loss = Policy((*FLOOR.rules, Limit("loss", "log_loss", "ceiling", 0.5)))
    verdict = judge(loss, evidence)
    assert [reason.outcome for reason in verdict.reasons] == [Outcome.PASSED, Outcome.ERROR]
    assert "found 'small', expected a finite number" in verdict.reasons[1].message


def test_a_refusal_is_an_error_with_its_reason() -> None:
    assert refusal("evidence", "it was altered").as_dict() == {
        "outcome": "error",
        "reasons": [{"rule": "evidence", "outcome": "error", "message": "it was altered"}],
    }
