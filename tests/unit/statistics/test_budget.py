from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import zeta

from lockgate.statistics import budget
from lockgate.statistics.budget import Budget, Feedback

FEEDBACK = st.sampled_from(["none", "first-pass", "every-verdict"])
DECISIONS = st.integers(1, 60)


def _tree(stated: Budget, spent: int = 0, passes: int = 0) -> float:
    """Levels of all commits that any sequence of verdicts could lead to, one by one."""
    if budget.used_up(stated, spent, passes):
        return 0.0
    here = budget.decision_level(stated, 1, spent, passes)
    return here + sum(_tree(stated, spent + 1, passes + passed) for passed in (0, 1))


@pytest.mark.parametrize("decisions", [1, 2, 5, 12])
@pytest.mark.parametrize("feedback", ["first-pass", "every-verdict"])
def test_all_paths_through_a_holdout_together_spend_the_rate(feedback: Feedback, decisions: int) -> None:
    stated = Budget(0.05, "holdout", decisions, feedback)
    if feedback == "every-verdict":
        assert _tree(stated) == pytest.approx(0.05)
    else:  # the holdout ends with the first pass, so only the path on which nothing passed goes on
        assert sum(budget.decision_level(stated, 1, spent, 0) for spent in range(decisions)) == pytest.approx(0.05)


@given(DECISIONS)
def test_without_feedback_all_pairs_of_commit_and_champion_spend_the_rate(decisions: int) -> None:
    stated = Budget(0.05, "holdout", decisions, "none")
    pairs = 0.0
    for spent in range(decisions):
        pairs += budget.decision_level(stated, 1, spent, 0)  # against the first champion
        pairs += sum(budget.decision_level(stated, 1, spent, 1) for _ in range(spent))  # against each commit before
    assert pairs == pytest.approx(0.05)


@given(DECISIONS, FEEDBACK)
def test_transcripts_counted_by_passes_spend_the_rate(decisions: int, feedback: Feedback) -> None:
    stated = Budget(0.01, "holdout", decisions, "every-verdict")
    spent = sum(
        comb(i, passes) * budget.decision_level(stated, 1, i, passes)
        for i in range(decisions)
        for passes in range(i + 1)
    )
    assert spent == pytest.approx(0.01)


@given(DECISIONS, FEEDBACK)
def test_planning_assumes_the_worst_decision_that_can_come_up(decisions: int, feedback: Feedback) -> None:
    stated = Budget(0.05, "policy", decisions, feedback)
    levels = [
        budget.decision_level(stated, 3, spent, passes)
        for spent in range(decisions)
        for passes in range(spent + 1)
        if not budget.used_up(stated, spent, passes)
    ]
    assert budget.smallest_level(stated, 3) == pytest.approx(min(levels))


@given(st.integers(1, 10**6))
def test_successive_holdouts_together_stay_within_the_policys_rate(holdouts: int) -> None:
    stated = Budget(0.05, "policy", 32, "none")
    first = sum(budget.holdout_rate(stated, i) for i in range(1, min(holdouts, 2000) + 1))
    assert first < 0.05
    assert budget.holdout_rate(Budget(0.05, "holdout", 32, "none"), holdouts) == 0.05


def test_the_sequence_over_holdouts_sums_to_the_rate() -> None:
    stated = Budget(0.05, "policy", 32, "none")
    most = sum(budget.holdout_rate(stated, i) for i in range(1, 200_001))
    assert most == pytest.approx(0.05, rel=1e-5)
    for i in (1, 2, 7):
        assert budget.holdout_rate(stated, i) == pytest.approx(0.05 / (zeta(2) * i**2))


@pytest.mark.parametrize("feedback", ["none", "first-pass", "every-verdict"])
@pytest.mark.parametrize("decisions", [1, 2, 7, 32])
def test_what_a_decision_spends_whatever_passed_is_the_sum_over_all_that_could_have(
    feedback: Feedback, decisions: int
) -> None:
    for spent in range(decisions):
        ways = {
            "first-pass": {0: 1},
            "none": {0: 1, 1: spent},  # before a pass; against each commit before
            "every-verdict": {passes: comb(spent, passes) for passes in range(spent + 1)},
        }[feedback]
        together = sum(ways[p] * budget.weight(feedback, decisions, spent, p) for p in ways if ways[p])
        assert budget.depth_weight(feedback, decisions, spent) == pytest.approx(together)
    total = sum(budget.depth_weight(feedback, decisions, spent) for spent in range(decisions))
    assert total == pytest.approx(1)


def test_a_holdout_of_thousands_of_decisions_has_levels_that_are_numbers() -> None:
    assert 0 <= budget.smallest_level(Budget(0.05, "policy", 100_000, "every-verdict"), 1) < 1e-300
    assert budget.decision_level(Budget(0.05, "policy", 100_000, "every-verdict"), 1, 99_999, 0) > 1e-8


def test_few_passes_cost_far_less_than_a_uniform_union_over_transcripts() -> None:
    stated = Budget(0.01, "holdout", 32, "every-verdict")
    assert budget.decision_level(stated, 1, 31, 0) > 0.01 / 2**7
    assert budget.decision_level(stated, 1, 31, 2) > 0.01 / 2**18


def test_a_holdout_serves_its_decisions_and_in_first_pass_mode_one_pass() -> None:
    stated = Budget(0.05, "holdout", 3, "every-verdict")
    assert [budget.used_up(stated, spent, 0) for spent in range(5)] == [False, False, False, True, True]
    assert not budget.used_up(stated, 2, 2)
    assert budget.used_up(Budget(0.05, "holdout", 3, "first-pass"), 1, 1)
    with pytest.raises(ValueError, match="used up"):
        budget.decision_level(stated, 1, 3, 0)


@pytest.mark.parametrize(("holdout", "spent", "passes"), [(0, 0, 0), (1, 1, 2), (1, -1, 0)])
def test_impossible_histories_are_refused(holdout: int, spent: int, passes: int) -> None:
    with pytest.raises(ValueError, match=r"holdout 0|passes"):
        budget.decision_level(Budget(0.05, "holdout", 3, "none"), holdout, spent, passes)
