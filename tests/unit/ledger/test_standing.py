from __future__ import annotations

from typing import Any

from lockgate.ledger.chain import Chain, ReleaseChain
from lockgate.ledger.kinds import Deployment, Ending, Rollback
from lockgate.ledger.records import Entry
from lockgate.ledger.standing import (
    commits,
    failed_deployments,
    live_facts,
    refused,
    rollbacks,
    seconds_to_traffic,
    unmoved,
    waiting,
)
from tests import records

NOW = "2026-01-02T00:00:00Z"


def chain_of(*entries: Entry[Any], seconds: int = 1) -> ReleaseChain:
    """Records of a second each, or of so many."""
    chain: ReleaseChain = Chain("census")
    for number, entry in enumerate(entries):
        chain = chain.extended(entry, f"2026-01-01T00:00:{number * seconds:02}Z")
    return chain


def deployment(version: int, outcome: Ending, reason: str = "") -> Entry[Any]:
    return records.entry(records.deployment(outcome, version, reason=reason), version)


def failed(version: int) -> Entry[Any]:
    return deployment(version, "failed", "replay: 3 of 100 rows differ")


def test_nothing_is_live_before_a_deployment_succeeded() -> None:
    assert live_facts(chain_of(deployment(1, "failed")), "dev") is None


def test_a_failed_deployment_leaves_the_one_before_live() -> None:
    facts = live_facts(chain_of(deployment(1, "succeeded"), deployment(2, "failed")), "dev")
    assert facts is not None
    assert facts["version"] == 1
    assert facts["since"] == "2026-01-01T00:00:00Z"
    assert facts["image_digest"] == "sha256:" + "1" * 64


def test_a_version_whose_deployment_failed_is_told_with_the_reason_until_it_or_a_newer_one_is_live() -> None:
    assert failed_deployments({"census": chain_of(deployment(1, "succeeded"), failed(2))}) == [
        {
            "model": "census",
            "version": 2,
            "environment": "dev",
            "reason": "replay: 3 of 100 rows differ",
            "time": "2026-01-01T00:00:01Z",
        }
    ]
    for version in (2, 3):
        assert failed_deployments({"census": chain_of(failed(2), deployment(version, "succeeded"))}) == []


def test_a_deployment_is_live_only_in_its_environment() -> None:
    assert live_facts(chain_of(deployment(1, "succeeded")), "prod") is None


def test_a_verdict_that_did_not_pass_is_a_refusal_with_only_the_reasons_against() -> None:
    reasons = (
        records.reason("good", "passed", "fine"),
        records.reason("ranking", "failed", "roc_auc 0.7 < floor 0.8"),
    )
    chain = chain_of(records.entry(records.verdict(outcome="failed", reasons=reasons), 2))
    assert refused({"census": chain}) == [
        {
            "model": "census",
            "version": 2,
            "environment": "dev",
            "reasons": ["ranking failed: roc_auc 0.7 < floor 0.8"],
            "time": "2026-01-01T00:00:00Z",
        }
    ]


REQUEST = records.entry(records.request(expires="2026-01-08T00:00:00Z", approvals=2))


def approval(person: str) -> Entry[Any]:
    return records.entry(records.approval(person, "census/1"))


REJECTION = records.entry(records.rejection("grace", "census/1", reason="because"))


def test_a_rejection_is_a_refusal_with_the_person_and_the_reason() -> None:
    chain = chain_of(REQUEST, REJECTION)
    assert refused({"census": chain})[0]["reasons"] == ["rejected by grace: because"]


def test_a_request_waits_until_enough_different_persons_approved_or_one_rejected() -> None:
    grace, alan = approval("grace"), approval("alan")
    for open_still in ((), (grace,), (grace, grace)):
        assert [entry["version"] for entry in waiting({"census": chain_of(REQUEST, *open_still)}, NOW)] == [1]
    for decided in ((grace, alan), (REJECTION,)):
        assert waiting({"census": chain_of(REQUEST, *decided)}, NOW) == []


def test_a_request_that_expired_waits_no_more() -> None:
    assert waiting({"census": chain_of(REQUEST)}, "2026-01-08T00:00:00Z") == []


def test_a_newer_request_takes_the_place_of_the_older() -> None:
    assert [entry["since"] for entry in waiting({"census": chain_of(REQUEST, REQUEST)}, NOW)] == [
        "2026-01-01T00:00:01Z"
    ]


def test_records_of_a_version_keep_their_order() -> None:
    chain = chain_of(deployment(1, "failed"), deployment(2, "succeeded"), deployment(1, "succeeded"))
    assert [record.sequence for record in chain.about(1)] == [1, 3]


def test_a_rollback_says_from_where_to_where_who_and_why() -> None:
    body = records.rollback(2, 1, person="olga", reason="too slow", at="2026-01-01T00:00:00Z")
    assert rollbacks({"census": chain_of(records.entry(body, 2, "prod"))}) == [
        {
            "model": "census",
            "environment": "prod",
            "from": "2",
            "to": "1",
            "person": "olga",
            "reason": "too slow",
            "at": "2026-01-01T00:00:00Z",
        }
    ]


VERDICT = records.entry(records.verdict())
APPROVAL = records.entry(records.approval())


def live_by(attempt: str, outcome: Ending = "succeeded", at: str | None = None) -> Entry[Any]:
    body = records.deployment(outcome, release=records.release(1, verdict_id="census/1"), at=at)
    return Entry(Deployment.id(1, "dev", attempt, outcome), 1, "dev", body)


def asked(token: str, at: str) -> Entry[Any]:
    return Entry(Rollback.id("dev", token), 2, "dev", records.rollback(at=at))


def took(*entries: Entry[Any]) -> tuple[str, float] | None:
    """After what the last of these records came, ten seconds from one to the next, and in how many seconds."""
    chain = chain_of(*entries, seconds=10)
    found = seconds_to_traffic(chain, chain.records[-1])
    return (found[0].entry.kind, found[1]) if found else None


def test_the_time_to_traffic_counts_from_the_verdict_or_from_the_last_approval() -> None:
    assert took(VERDICT, live_by("census-1")) == ("verdict", 10)
    assert took(VERDICT, APPROVAL, APPROVAL, live_by("census-1")) == ("approval", 10)


def test_the_time_to_traffic_of_a_rollback_counts_from_the_operators_word_also_if_it_was_recorded_late() -> None:
    own, other = asked("rollback-1", "2026-01-01T00:00:12Z"), asked("rollback-2", "2026-01-01T00:00:13Z")
    late = live_by("rollback-1", at="2026-01-01T00:00:17Z")
    assert took(VERDICT, live_by("census-1"), own, other, late) == ("rollback", 5)


def test_what_failed_or_is_no_deployment_took_no_time_to_traffic() -> None:
    assert took(VERDICT, live_by("census-1", "failed")) is None
    assert took(VERDICT) is None
    assert took(live_by("census-1")) is None


def test_what_an_environment_judged_and_what_it_serves_each_have_their_commit() -> None:
    assert commits(chain_of(), 2, "dev") == (None, None)
    served, judged = deployment(1, "succeeded"), records.entry(records.verdict(commit="d" * 40), 2)
    found = commits(chain_of(served, judged), 2, "dev")
    assert found == ("d" * 40, served.body.release.commit)


def test_a_promotion_of_what_serves_already_moves_neither_the_figure_nor_the_time() -> None:
    chain = chain_of(VERDICT, live_by("census-1"), live_by("census-1-R2"), seconds=10)
    facts = live_facts(chain, "dev")
    assert facts is not None
    assert facts["since"] == "2026-01-01T00:00:10Z"
    assert seconds_to_traffic(chain, chain.records[2]) is None
    assert unmoved(chain, chain.of(Deployment)[1]) is chain.records[1]
    assert unmoved(chain, chain.of(Deployment)[0]) is None


def test_what_an_operator_restored_did_move() -> None:
    word, end = asked("rollback-1", "2026-01-01T00:00:12Z"), live_by("rollback-1", at="2026-01-01T00:00:17Z")
    facts = live_facts(chain_of(VERDICT, live_by("census-1"), word, end, seconds=10), "dev")
    assert facts is not None
    assert facts["since"] == "2026-01-01T00:00:17Z"


def test_a_refusal_is_history_once_the_version_or_a_newer_one_is_live_or_was_decided_anew() -> None:
    no = records.entry(records.verdict(outcome="failed", reasons=(records.reason(outcome="failed"),)), 2)
    yes = records.entry(records.verdict(), 2)
    assert len(refused({"census": chain_of(no)})) == 1
    assert len(refused({"census": chain_of(no, deployment(1, "succeeded"))})) == 1
    for later in (deployment(2, "succeeded"), deployment(3, "succeeded"), yes):
        assert refused({"census": chain_of(no, later)}) == []


def test_a_rollback_is_history_once_something_else_is_live() -> None:
    back = records.entry(records.rollback(2, 1, place=5), 2)

    def at(version: int, place: int) -> Entry[Any]:
        return records.entry(records.deployment("succeeded", version, place=place), version)

    assert len(rollbacks({"census": chain_of(at(2, 4), back)})) == 1, "its end is not recorded yet"
    assert len(rollbacks({"census": chain_of(at(2, 4), back, at(1, 6))})) == 1
    assert rollbacks({"census": chain_of(at(2, 4), back, at(1, 6), at(3, 8))}) == []


def test_what_a_break_glass_let_serve_is_no_verdicts() -> None:
    glass = records.entry(records.break_glass())
    body = records.deployment("succeeded", release=records.release(1, verdict_id="census/1"))
    facts = live_facts(chain_of(glass, records.entry(body)), "dev")
    assert facts is not None
    assert facts["break_glass"] is True


def test_a_request_says_how_many_approved_and_who() -> None:
    (entry,) = waiting({"census": chain_of(REQUEST, approval("grace"))}, NOW)
    assert (entry["approvals"], entry["approved_by"]) == (2, ["grace"])
