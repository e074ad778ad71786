"""A decision as a function of its case and of the chain, without AWS; the case is one in which everything agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.decision import MODEL, ROOT, Answers
from lockgate import schema
from lockgate.configuration.project import read_configuration
from lockgate.gate.decision import Case, decide, entry_of, mark_of, may_mark, name_of, recorded, unmarked
from lockgate.gate.holdout import usage
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Approval, Deployment, Outcome, ReleaseBody, Verdict, Waiver
from lockgate.ledger.records import Entry
from lockgate.policy.rules import Compare, Require
from lockgate.release.parameters import Release
from lockgate.statistics.budget import Budget, Simple
from tests import records

NOW = "2026-11-21T00:00:00.000Z"
ANSWERS = Answers()
CONFIGURATION = read_configuration(ROOT)
DEV, STAGING, PROD = CONFIGURATION.environments
POLICIES = {environment.name: CONFIGURATION.policy(environment, MODEL) for environment in CONFIGURATION.environments}
POLICY = POLICIES["prod"]


def case(**changes: object) -> Case:
    made = Case(ANSWERS.expected, ANSWERS.artifacts(), PROD, POLICY, PROD.name, NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


def without_attestations() -> Case:
    return case(artifacts=replace(ANSWERS.artifacts(), attestations=()))


def chain_of(*entries: Entry[ReleaseBody]) -> ReleaseChain:
    chain = ReleaseChain(MODEL)
    for entry in entries:
        chain = chain.extended(entry, NOW)
    return chain


def entry(body: ReleaseBody, name: str = "1", version: int = 99) -> Entry[ReleaseBody]:
    return Entry(name, version, PROD.name, body)


def deployment(image: str = ANSWERS.image) -> Entry[ReleaseBody]:
    release = Release(
        version="1",
        commit="1" * 40,
        package_arn="package/1",
        image=image,
        model_sha256="9" * 64,
        replay_sha256="e" * 64,
        policy_sha256="d" * 64,
        verdict_id=f"{MODEL}/1",
        model_version_id="v1",
    )
    return entry(Deployment(outcome="succeeded", release=release, url=None, reason="", place=1), version=1)


def outcomes(verdict: Verdict) -> Sequence[tuple[str, str]]:
    return [(reason.rule, reason.outcome) for reason in verdict.reasons]


def test_a_decision_says_what_it_spent_of_the_holdout_and_of_what_it_was_made() -> None:
    verdict = decide(case(), chain_of(deployment()))
    assert verdict.outcome == "passed"
    assert verdict.alpha is not None
    assert (verdict.spent_before, verdict.holdout, verdict.holdout_sha256) == (0, 1, verdict.data and "3" * 64)
    assert (verdict.commit, verdict.image) == ("c" * 40, ANSWERS.image)
    assert verdict.champion and (verdict.champion.version, verdict.champion.model_sha256) == (1, "9" * 64)


def test_the_same_case_and_the_same_chain_give_the_same_verdict() -> None:
    assert decide(case(), chain_of(deployment())) == decide(case(), chain_of(deployment()))


def test_what_cannot_be_verified_is_an_error_that_looks_at_no_row_and_spends_nothing() -> None:
    verdict = decide(without_attestations(), chain_of())
    assert verdict.outcome == "error"
    assert outcomes(verdict)[0] == ("provenance", "error")
    assert (verdict.alpha, verdict.holdout_sha256, verdict.data, verdict.metrics) == (None, None, None, {})
    assert verdict.commit == "c" * 40  # what was read is said nevertheless


def test_no_package_is_an_error_about_which_nothing_is_known() -> None:
    verdict = decide(case(artifacts=replace(ANSWERS.artifacts(), package=None)), chain_of())
    assert (verdict.outcome, verdict.commit, verdict.package_arn) == ("error", None, ANSWERS.arn)


def test_a_holdout_that_may_not_serve_is_inconclusive_and_no_rule_is_asked() -> None:
    other = decide(case(), chain_of())
    spent = chain_of(entry(replace(other, holdout_sha256="7" * 64, decision="7" * 64)))
    verdict = decide(case(), spent)
    assert (verdict.outcome, outcomes(verdict), verdict.alpha) == ("inconclusive", [("holdout", "inconclusive")], None)
    assert verdict.data  # the evidence is believed; it is the rows that are used up


def test_a_champion_whose_predictions_another_image_made_is_not_compared_with() -> None:
    same, other = (decide(case(), chain_of(deployment(image))) for image in (ANSWERS.image, "r@sha256:" + "f" * 64))
    compare = {rule.name for rule in POLICY.rules if isinstance(rule, Compare)}
    assert {rule for rule, outcome in outcomes(other) if outcome != "passed"} == compare != set()
    assert same.outcome == "passed"


def test_a_refusal_of_an_earlier_gate_does_not_keep_a_package_out_but_a_persons_rejection_does() -> None:
    package = ANSWERS.artifacts().package
    assert package
    rejected = replace(package, approval="Rejected")
    refused = chain_of(entry(replace(decide(case(), chain_of()), outcome="failed")))
    assert unmarked(rejected, refused, 99).approval == "PendingManualApproval"
    assert unmarked(rejected, chain_of(), 99).approval == "Rejected"
    assert unmarked(rejected, refused, 98).approval == "Rejected"
    artifacts = replace(ANSWERS.artifacts(), package=rejected)
    assert "package" not in {rule for rule, _ in outcomes(decide(case(artifacts=artifacts), refused))}
    assert ("package", "error") in outcomes(decide(case(artifacts=artifacts), chain_of()))


def test_another_policy_package_or_waiver_asks_anew_and_a_break_glass_by_itself() -> None:
    waiver = Waiver(person="ada", user_arn="arn", reason="r", rule="x", expires="2027-01-01", verdict_id="m/1")
    names = [
        name_of(ANSWERS.expected, "prod", POLICY, chain_of(), NOW),
        name_of(ANSWERS.expected, "dev", POLICY, chain_of(), NOW),
        name_of(ANSWERS.expected, "prod", POLICIES["dev"], chain_of(), NOW),
        name_of(replace(ANSWERS.expected, package_arn="other"), "prod", POLICY, chain_of(), NOW),
        name_of(ANSWERS.expected, "prod", POLICY, chain_of(entry(waiver)), NOW),
        name_of(ANSWERS.expected, "prod", POLICY, chain_of(), NOW, break_glass=f"{MODEL}/7"),
    ]
    assert len(set(names)) == 6
    assert name_of(ANSWERS.expected, "prod", POLICY, chain_of(entry(waiver)), "2027-01-02") == names[0]


def test_a_decision_that_was_made_is_found_by_its_name() -> None:
    made = entry_of("verdict:1", case(), chain_of())
    chain = chain_of(made)
    verdict = recorded(chain, "verdict:1")
    assert verdict and (verdict.entry.id, verdict.entry.version, verdict.entry.environment) == ("verdict:1", 99, "prod")
    assert recorded(chain, "verdict:2") is None


def test_a_verdict_for_a_break_glass_names_it() -> None:
    assert decide(replace(without_attestations(), break_glass=f"{MODEL}/7"), chain_of()).break_glass == f"{MODEL}/7"


@pytest.mark.parametrize(
    ("feedback", "outcome", "marks"),
    [
        ("every-verdict", "failed", True),
        ("first-pass", "failed", False),
        ("first-pass", "passed", True),
        ("none", "passed", False),
    ],
)
def test_the_registry_shows_authors_no_more_than_the_budget_counts_on(feedback: str, outcome: str, marks: bool) -> None:
    package = ANSWERS.artifacts().package
    assert package
    body = replace(decide(case(), chain_of()), feedback=feedback, outcome=outcome)  # type: ignore[arg-type]
    verdict = recorded(chain_of(entry(body)), "1")
    assert verdict
    assert may_mark(package, verdict) is marks
    assert not may_mark(replace(package, arn="another"), verdict)
    assert not may_mark(replace(package, version=98), verdict)


def judged(verdict: Verdict) -> dict[str, tuple[str, str]]:
    return {reason.rule: (reason.outcome, reason.message) for reason in verdict.reasons}


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_the_same_decision_again_is_made_at_the_first_ones_level_and_spends_nothing(outcome: Outcome) -> None:
    first = replace(decide(case(), chain_of(deployment())), outcome=outcome)
    chain = chain_of(deployment(), entry(first, "2", version=2))
    for place in range(3, 9):
        again = decide(case(), chain)
        assert again.same_as == f"{MODEL}/2"
        assert (again.alpha, again.decision, again.holdout_sha256) == (first.alpha, first.decision, None)
        assert judged(again) == judged(first), "the same numbers at the same level say the same"
        chain = chain.extended(entry(again, str(place), version=place), NOW)
    assert usage(chain, "3" * 64, 99) == (1, 1, int(outcome == "passed"), 0)


def test_another_environment_that_asks_the_same_of_the_rows_makes_the_same_decision() -> None:
    staging = case(environment=STAGING, policy=POLICIES["staging"])
    assert staging.policy.rules == POLICY.rules
    chain = chain_of(deployment(), entry(decide(staging, chain_of(deployment())), "2"))
    assert decide(case(), chain).same_as == f"{MODEL}/2"
    assert decide(case(environment=DEV, policy=POLICIES["dev"]), chain).same_as is None, "dev asks less"


def test_a_used_up_holdout_still_answers_what_it_was_asked_before() -> None:
    first = decide(case(), chain_of(deployment()))
    chain = chain_of(deployment(), entry(first, "2", version=2))
    assert isinstance(POLICY.assurance, Budget)
    for place in range(3, 3 + POLICY.assurance.decisions):
        chain = chain.extended(entry(replace(first, decision=f"{place:064d}"), str(place), version=place), NOW)
    assert decide(case(), chain).outcome == first.outcome
    assert outcomes(decide(case(environment=DEV, policy=POLICIES["dev"]), chain)) == [("holdout", "inconclusive")]


def test_what_needs_no_row_is_judged_anew() -> None:
    agreed = Require("agreed", "approvals", "floor", 1.0)
    asked = case(policy=replace(POLICY, rules=(*POLICY.rules, agreed)))
    chain = chain_of(deployment(), entry(decide(asked, chain_of(deployment())), "2"))
    approval = Approval(
        person="olga", user_arn="arn", reason="", request=f"{MODEL}/2", authors=(), verdict_id=f"{MODEL}/2"
    )
    before, after = decide(asked, chain), decide(asked, chain.extended(entry(approval, "3"), NOW))
    assert (before.same_as, after.same_as) == (f"{MODEL}/2", f"{MODEL}/2")
    assert (judged(before)["agreed"][0], judged(after)["agreed"][0]) == ("failed", "passed")


def served(first: Verdict) -> ReleaseChain:
    """A chain in which the model of this verdict is live."""
    made = deployment().body
    assert isinstance(made, Deployment)
    release = replace(made.release, verdict_id=f"{MODEL}/1")
    return chain_of(entry(first, "1", version=1), entry(replace(made, release=release), "2", version=1))


def test_the_model_that_is_served_is_unchanged_and_no_rule_looks_at_a_row() -> None:
    first = decide(case(), chain_of())
    verdict = decide(case(), served(first))
    assert verdict.outcome == "passed"
    assert (verdict.alpha, verdict.decision, verdict.holdout_sha256, verdict.same_as) == (None, None, None, None)
    looked = [rule.name for rule in POLICY.rules if not isinstance(rule, Require)]
    said = judged(verdict)
    assert {said[rule][1] for rule in looked} == {"unchanged: version 1 serves this very model; no row was looked at"}
    assert usage(served(first).extended(entry(verdict, "3"), NOW), "3" * 64, 99).spent == 1


@pytest.mark.parametrize("change", ["contents_sha256", "metrics", "data"])
def test_a_model_that_answers_otherwise_or_on_other_rows_is_not_unchanged(change: str) -> None:
    first = decide(case(), chain_of())
    assert first.data
    other: dict[str, Any] = {
        "contents_sha256": "0" * 64,
        "metrics": {},
        "data": replace(first.data, labels_sha256="0" * 64),
    }
    assert decision_is_made(served(replace(first, **{change: other[change]})))
    assert decision_is_made(served(replace(first, contents_sha256=None))), "as 0.1 wrote it"


def decision_is_made(chain: ReleaseChain) -> bool:
    reasons = [reason.message for reason in decide(case(), chain).reasons]
    return not any("unchanged" in reason for reason in reasons)


def test_what_0_1_wrote_of_a_verdict_has_the_bytes_of_before() -> None:
    plain = replace(decide(case(), chain_of()), contents_sha256=None, decision=None, same_as=None)
    assert {"contents_sha256", "decision", "same_as"} & set(schema.write(plain)) == set()


def simple(**changes: object) -> Case:
    return case(policy=replace(POLICY, assurance=Simple(0.05)), **changes)


def test_under_simple_assurance_each_decision_has_the_stated_error_and_authors_see_its_numbers() -> None:
    chain = chain_of(deployment())
    for place in range(2, 5):
        verdict = decide(simple(), chain)
        assert (verdict.assurance, verdict.alpha, verdict.budget, verdict.feedback) == ("simple", 0.05, None, "numbers")
        assert (verdict.outcome, verdict.same_as) == ("passed", None)
        chain = chain.extended(entry(replace(verdict, decision=f"{place:064d}"), str(place), version=place), NOW)


def test_what_simple_assurance_judged_serves_no_budget_and_fresh_rows_that_are_recorded_do() -> None:
    judged_simply = entry(replace(decide(simple(), chain_of()), decision="7" * 64), version=2)
    verdict = decide(case(), chain_of(judged_simply))
    assert (verdict.outcome, outcomes(verdict)) == ("inconclusive", [("holdout", "inconclusive")])
    assert "found it judged under simple assurance" in verdict.reasons[0].message
    fresh = replace(judged_simply.body, holdout_sha256="8" * 64)
    verdict = decide(case(), chain_of(entry(fresh, version=2)))
    assert "found no record that these rows are fresh" in verdict.reasons[0].message
    recorded_fresh = records.holdout("3" * 64, holdout_identities_sha256="7" * 64)
    verdict = decide(case(), chain_of(entry(fresh, version=2), records.entry(recorded_fresh, 0, "")))
    assert (verdict.outcome, verdict.holdout) == ("passed", 1), "simple assurance spent nothing of the rate"


@pytest.mark.parametrize("asked", [case, simple])
def test_the_registry_shows_authors_numbers_under_simple_assurance_alone(asked: Any) -> None:
    record = chain_of(entry(decide(asked(), chain_of()))).of(Verdict)[0]
    assert mark_of(record).startswith(f"verdict {MODEL}/1: passed")
    assert ("roc_auc" in mark_of(record)) == (asked is simple)
