"""A decision as a function of its case and of the chain, without AWS; the case is one in which everything agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.decision import MODEL, ROOT, Answers
from lockgate.configuration.project import read_configuration
from lockgate.gate.decision import Case, decide, entry_of, may_mark, name_of, recorded, unmarked
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Deployment, ReleaseBody, Verdict, Waiver
from lockgate.ledger.records import Entry
from lockgate.policy.rules import Compare
from lockgate.release.parameters import Release

NOW = "2026-11-21T00:00:00.000Z"
ANSWERS = Answers()
ENVIRONMENTS = read_configuration(ROOT).environments
DEV, PROD = ENVIRONMENTS[0], ENVIRONMENTS[-1]


def case(**changes: object) -> Case:
    made = Case(ANSWERS.expected, ANSWERS.artifacts(), PROD, PROD.name, NOW)
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
    spent = chain_of(entry(replace(other, holdout_sha256="7" * 64)))
    verdict = decide(case(), spent)
    assert (verdict.outcome, outcomes(verdict), verdict.alpha) == ("inconclusive", [("holdout", "inconclusive")], None)
    assert verdict.data  # the evidence is believed; it is the rows that are used up


def test_a_champion_whose_predictions_another_image_made_is_not_compared_with() -> None:
    same, other = (decide(case(), chain_of(deployment(image))) for image in (ANSWERS.image, "r@sha256:" + "f" * 64))
    compare = {rule.name for rule in PROD.policy.rules if isinstance(rule, Compare)}
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
        name_of(ANSWERS.expected, PROD, chain_of(), NOW),
        name_of(ANSWERS.expected, DEV, chain_of(), NOW),
        name_of(ANSWERS.expected, replace(PROD, policy=DEV.policy), chain_of(), NOW),
        name_of(replace(ANSWERS.expected, package_arn="other"), PROD, chain_of(), NOW),
        name_of(ANSWERS.expected, PROD, chain_of(entry(waiver)), NOW),
        name_of(ANSWERS.expected, PROD, chain_of(), NOW, break_glass=f"{MODEL}/7"),
    ]
    assert len(set(names)) == 6
    assert name_of(ANSWERS.expected, PROD, chain_of(entry(waiver)), "2027-01-02") == names[0]


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
