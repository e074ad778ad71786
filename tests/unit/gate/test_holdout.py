"""A holdout's budget and waivers, as the ledger's chain has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.evidence.document import Data
from lockgate.gate.holdout import SnapshotPart, Usage, holdouts, known_rows, overspends, tells_authors, usage, why_not
from lockgate.gate.waiver import numbers, waived
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Body, Holdout, Outcome, Verdict
from lockgate.statistics.budget import Budget, Simple, depth_weight
from tests import records

BUDGET = Budget(0.05, "policy", 3, "every-verdict")


def chain(*bodies: Body) -> ReleaseChain:
    return records.chain_of(*(records.entry(body, 1, "prod") for body in bodies))


def decision(holdout: str | None, outcome: Outcome = "failed", budget: Budget = BUDGET) -> Verdict:
    return records.verdict(holdout_sha256=holdout, outcome=outcome, budget=budget)


def proof(holdout: str, identities: str = "rows") -> Holdout:
    return records.holdout(holdout, holdout_identities_sha256=identities)


def data(labels: str, identities: str = "rows") -> Data:
    return Data("snapshot", "t", "f", labels, "i", identities, 2000, 1000)


def test_a_holdout_that_nothing_looked_at_is_whole_and_comes_after_the_others() -> None:
    assert usage(chain(), "a", 2) == Usage(1, 0, 0)
    assert usage(chain(decision("a"), decision("b")), "c", 2) == Usage(3, 0, 0)


def test_decisions_on_a_holdout_are_counted_and_those_that_passed() -> None:
    seen = chain(decision("a"), decision("b", "passed"), decision("a", "passed"), decision("a", "error"))
    assert usage(seen, "a", 2) == Usage(1, 3, 1)
    assert usage(seen, "b", 2) == Usage(2, 1, 1)


def test_the_first_pass_ends_a_holdout_for_every_version_but_the_one_on_its_way_up() -> None:
    budget = Budget(0.05, "holdout", 10, "first-pass")
    seen = chain(decision("a"), decision("a", "passed"))  # of version 1
    assert usage(seen, "a", 1).level(budget) == pytest.approx(0.05 / 10)
    assert usage(seen, "a", 2).level(budget) is None
    other_way = usage(seen, "a", 1).level(Budget(0.05, "holdout", 10, "every-verdict"))
    assert other_way == usage(seen, "a", 2).level(Budget(0.05, "holdout", 10, "every-verdict"))


def test_a_verdict_that_looked_at_no_row_spends_nothing() -> None:
    assert usage(chain(decision(None, "error"), records.deployment()), "a", 2) == Usage(1, 0, 0)


@given(st.lists(st.sampled_from(["passed", "failed", "inconclusive"]), max_size=5))
def test_a_used_up_holdout_has_no_level_and_any_other_spends_less_than_the_rate(outcomes: list[str]) -> None:
    level = usage(chain(*(decision("a", outcome) for outcome in outcomes)), "a", 2).level(BUDGET)
    if len(outcomes) >= BUDGET.decisions:
        assert level is None
    else:
        assert level is not None
        assert 0 < level < BUDGET.rate


def test_holdouts_are_numbered_as_the_chain_first_saw_them() -> None:
    seen = chain(decision("a"), proof("b"), decision(None), decision("c"), decision("b"), records.deployment())
    assert holdouts(seen) == ["a", "b", "c"]
    assert usage(seen, "b", 2) == Usage(2, 1, 0)


def test_the_first_holdout_needs_no_proof_and_every_other_one_does() -> None:
    assert why_not(chain(), data("a"), BUDGET, 2) == ""
    assert why_not(chain(decision("a")), data("a"), BUDGET, 2) == ""
    missing = why_not(chain(decision("a")), data("b"), BUDGET, 2)
    assert missing.startswith("holdout b of 1000 rows: found no record that these rows are fresh")
    assert "(1): `lockgate snapshot --record-holdout snapshot`" in missing
    assert why_not(chain(decision("a"), proof("b")), data("b"), BUDGET, 2) == ""


def test_a_proof_is_about_the_rows_that_the_evaluator_saw() -> None:
    seen = chain(proof("a"))
    assert why_not(seen, data("a"), BUDGET, 2) == ""
    assert "of which income/1 says that they are fresh" in why_not(seen, data("a", "others"), BUDGET, 2)


def test_a_used_up_holdout_names_the_command_and_the_number_of_fresh_rows() -> None:
    said = why_not(chain(*[decision("a")] * 3), data("a"), BUDGET, 2)
    assert "is used up: the policy lets it serve 3 decisions with feedback every-verdict" in said
    assert (
        "publish 1000 fresh labelled rows as a new snapshot, record them with `lockgate snapshot --record-holdout`"
        in said
    )


def test_messages_name_digests_by_their_first_digits() -> None:
    labels, rows, others = ("0123456789abcdef" * 4, "fedcba9876543210" * 4, "00ff00ff00ff00ff" * 4)
    said = why_not(chain(proof(labels, rows)), data(labels, others), BUDGET, 2)
    assert said.startswith("holdout 0123456789ab of 1000 rows: found rows 00ff00ff00ff by the evaluator, expected ")
    assert "expected fedcba987654, of which income/1" in said


def test_a_refused_budget_is_compared_with_that_of_the_last_decision() -> None:
    seen = chain(decision("a", budget=replace(HERE, rate=0.01)), decision("a", budget=replace(HERE, rate=0.02)))
    assert overspends(seen, "a", replace(HERE, rate=0.005)).startswith("found a budget of 0.02 for 10 decisions")


def test_a_holdout_that_nobody_used_hides_no_other() -> None:
    seen = chain(proof("a"), *[decision("b", budget=HERE)] * 3)
    assert overspends(seen, "b", replace(HERE, rate=0.04))


def test_a_budget_of_fewer_decisions_than_were_made_counts_the_others_as_its_last() -> None:
    seen = chain(*[decision("a", budget=HERE)] * 3)  # spent 3 (0.9 / 10 + ...) of 0.05, 0.0135
    assert overspends(seen, "a", replace(HERE, rate=0.00874, decisions=2))
    assert not overspends(seen, "a", replace(HERE, rate=0.009, decisions=2))


HERE = Budget(0.05, "holdout", 10, "every-verdict")


@pytest.mark.parametrize(
    ("budget", "refused"),
    [
        (HERE, False),
        (replace(HERE, rate=0.06), False),
        (replace(HERE, rate=0.04), True),
        (replace(HERE, decisions=9), False),
        (replace(HERE, decisions=11), True),
        (replace(HERE, feedback="first-pass"), True),  # authors learned of every verdict
        (replace(HERE, feedback="none"), True),
        (replace(HERE, scope="policy"), True),  # 6 / pi^2 of the rate for the first holdout
    ],
    ids=str,
)
def test_a_changed_budget_is_spent_from_only_where_both_cannot_overspend(budget: Budget, refused: bool) -> None:
    seen = chain(*[decision("a", budget=HERE)] * 3)
    assert bool(overspends(seen, "a", budget)) == refused
    assert overspends(seen, "b", replace(budget, scope="holdout")) == ""


@pytest.mark.parametrize("learned", ["none", "first-pass"])
def test_authors_who_learned_less_before_spend_no_more_now(learned: Any) -> None:
    seen = chain(decision("a", budget=replace(HERE, rate=0.01, feedback=learned)))
    assert overspends(seen, "a", HERE) == ""


def test_a_rate_over_the_policys_life_looks_at_what_other_holdouts_spent() -> None:
    seen = chain(*[decision("a", budget=HERE)] * 10, proof("b"))  # all of 0.05
    life = replace(HERE, scope="policy")
    said = overspends(seen, "b", life)
    assert "10 decisions spent 0.05, where now 0.0304 is allowed" in said
    assert "on holdout 1, expected no other one than 0.05 for 10 decisions over a policy's life" in said
    assert said.endswith("put the budget back in every environment")
    assert overspends(seen, "b", replace(life, rate=0.09)) == ""


@given(st.lists(st.tuples(st.integers(1, 6), st.floats(0.01, 0.2)), min_size=1, max_size=8))
def test_whatever_changes_a_budget_sees_the_holdout_never_spends_more_than_its_last_rate(
    changes: list[tuple[int, float]],
) -> None:
    """Each change that is let through is spent from once; what the tree of all that could happen spends is counted."""
    entries: list[Verdict] = []
    spent = 0.0
    for decisions, rate in changes:
        budget = Budget(rate, "holdout", decisions, "every-verdict")
        if why_not(chain(*entries), data("a"), budget, 2) == "":
            place = len(entries)
            spent += rate * depth_weight("every-verdict", decisions, place)
            entries.append(decision("a", budget=budget))
            assert spent <= rate * (1 + 1e-6)


def test_a_level_too_small_to_compute_with_is_no_level() -> None:
    many = Budget(0.05, "holdout", 3000, "every-verdict")
    assert Usage(1, 2999, 1500).level(many) is None
    assert Usage(1, 2999, 0).level(many) is not None


def test_authors_learn_one_bit_at_most() -> None:
    assert [tells_authors("none", passed) for passed in (True, False)] == [False, False]
    assert [tells_authors("first-pass", passed) for passed in (True, False)] == [True, False]
    assert [tells_authors("every-verdict", passed) for passed in (True, False)] == [True, True]


WAIVER = records.waiver("fair", reason="holiday data")


def test_a_waiver_holds_for_its_rule_version_and_environment_until_it_expires() -> None:
    seen = chain(WAIVER)
    said = {"fair": "grace (income/1, until the end of 2026-11-30: holiday data)"}
    assert waived(seen, 1, "prod", "2026-11-30T23:59:59.999Z") == said
    assert waived(seen, 1, "prod", "2026-12-01T00:00:00.000Z") == {}
    assert waived(seen, 2, "prod", "2026-11-23T00:00:00.000Z") == {}
    assert waived(seen, 1, "staging", "2026-11-23T00:00:00.000Z") == {}


def identities(labels: str, snapshot: str) -> dict[str, str]:
    return {"train_identities_sha256": f"train-{snapshot}", "holdout_identities_sha256": f"rows-{labels}"}


def judged_on(labels: str, snapshot: str) -> Verdict:
    rows = records.data(labels_sha256=labels, snapshot=snapshot, **identities(labels, snapshot))
    return records.verdict(outcome="inconclusive", data=rows)


def added(labels: str, snapshot: str) -> Holdout:
    return records.holdout(labels, snapshot, **identities(labels, snapshot))


def test_what_a_fresh_holdout_is_compared_with_is_every_other_and_all_that_was_trained_on() -> None:
    unreadable = records.verdict(outcome="error")
    seen = chain(unreadable, judged_on("a", "1"), judged_on("a", "2"), added("b", "3"), records.deployment())
    trained = [SnapshotPart(each, "train", f"train-{each}") for each in "123"]
    others = [
        SnapshotPart("1", "holdout", "rows-a"),
        SnapshotPart("2", "holdout", "rows-a"),
        SnapshotPart("3", "holdout", "rows-b"),
    ]
    assert set(known_rows(seen, "c")) == {*trained, *others}
    assert set(known_rows(seen, "b")) == {*trained, *others[:2]}
    assert set(known_rows(seen, "a")) == {*trained, others[2]}


def test_waivers_are_numbered_by_their_place_also_when_they_hold_no_more() -> None:
    seen = chain(records.deployment(), WAIVER, replace(WAIVER, expires="2020"))
    assert (numbers(seen, 1), numbers(seen, 2)) == ([2, 3], [])


def test_rows_that_were_judged_before_numbers_were_shown_need_a_proof_from_afterwards() -> None:
    """From a budget to simple assurance on other rows, and back: the first rows may be among those that were shown."""
    shown = replace(decision("b"), feedback="numbers", assurance="simple")
    assert why_not(chain(decision("a")), data("a"), BUDGET, 2) == ""
    why = why_not(chain(decision("a"), shown), data("a"), BUDGET, 2)
    assert "no record that these rows are fresh since authors last saw numbers" in why
    assert "no record that these rows are fresh since" in why_not(chain(proof("a"), shown), data("a"), BUDGET, 2)
    assert why_not(chain(decision("b"), shown, proof("c")), data("c"), BUDGET, 2) == ""


def test_a_holdout_that_a_newer_one_replaced_stays_retired_when_its_snapshot_is_chosen_again() -> None:
    seen = chain(decision("a"), proof("b"), decision("b"))
    said = why_not(seen, data("a"), BUDGET, 2)
    assert "found it retired: holdout b has judged since" in said
    assert "(`lockgate snapshot --use SNAPSHOT`), and `lockgate deliver COMMIT --again`" in said
    assert why_not(seen, data("b"), BUDGET, 2) == ""
    assert why_not(seen, data("a"), Simple(0.05), 2) == "", "it promises nothing over several decisions"
    assert why_not(seen, data("a"), BUDGET, 1) == "", "a version that it judged before goes its own way up"
    assert why_not(chain(*[decision("a")] * 2, decision("b"), proof("a")), data("a"), BUDGET, 2) == "", "proved since"
