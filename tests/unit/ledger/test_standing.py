from __future__ import annotations

from typing import Any

from lockgate.ledger.records import Entry, Record, next_record
from lockgate.ledger.standing import (
    failed_deployments,
    live_facts,
    of_version,
    refused,
    rollbacks,
    seconds_to_traffic,
    waiting,
)

NOW = "2026-01-02T00:00:00Z"
RELEASE = {
    "version": "1",
    "commit": "c" * 40,
    "image": "repository@sha256:" + "1" * 64,
    "model_sha256": "2" * 64,
    "verdict_id": "census/1",
}


def chain_of(*entries: tuple[str, int, str, dict[str, Any]]) -> tuple[Record, ...]:
    chain: tuple[Record, ...] = ()
    for number, (kind, version, environment, body) in enumerate(entries):
        entry = Entry(kind, f"{kind}-{number}", version, environment, body)  # type: ignore[arg-type]
        chain = (*chain, next_record("census", chain, entry, f"2026-01-01T00:00:{number:02}Z"))
    return chain


def deployment(version: int, outcome: str) -> tuple[str, int, str, dict[str, Any]]:
    return ("deployment", version, "dev", {"outcome": outcome, "release": RELEASE | {"version": str(version)}})


def test_nothing_is_live_before_a_deployment_succeeded() -> None:
    assert live_facts(chain_of(deployment(1, "failed")), "dev") is None


def test_a_failed_deployment_leaves_the_one_before_live() -> None:
    facts = live_facts(chain_of(deployment(1, "succeeded"), deployment(2, "failed")), "dev")
    assert facts is not None
    assert facts["version"] == 1
    assert facts["since"] == "2026-01-01T00:00:00Z"
    assert facts["image_digest"] == "sha256:" + "1" * 64


def failed(version: int) -> tuple[str, int, str, dict[str, Any]]:
    kind, number, environment, body = deployment(version, "failed")
    return (kind, number, environment, body | {"reason": "replay: 3 of 100 rows differ"})


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
    reasons = [
        {"rule": "good", "outcome": "passed", "message": "fine"},
        {"rule": "ranking", "outcome": "failed", "message": "roc_auc 0.7 < floor 0.8"},
    ]
    chain = chain_of(("verdict", 2, "dev", {"outcome": "failed", "reasons": reasons}))
    assert refused({"census": chain}) == [
        {
            "model": "census",
            "version": 2,
            "environment": "dev",
            "reasons": ["ranking failed: roc_auc 0.7 < floor 0.8"],
            "time": "2026-01-01T00:00:00Z",
        }
    ]


REQUEST = ("approval-request", 1, "dev", {"expires": "2026-01-08T00:00:00Z", "approvals": 2})


def answer(kind: str, person: str) -> tuple[str, int, str, dict[str, Any]]:
    return (kind, 1, "dev", {"person": person, "reason": "because", "request": "census/1"})


def test_a_rejection_is_a_refusal_with_the_person_and_the_reason() -> None:
    chain = chain_of(REQUEST, answer("rejection", "grace"))
    assert refused({"census": chain})[0]["reasons"] == ["rejected by grace: because"]


def test_a_request_waits_until_enough_different_persons_approved_or_one_rejected() -> None:
    grace, alan = answer("approval", "grace"), answer("approval", "alan")
    for open_still in ((), (grace,), (grace, grace)):
        assert [entry["version"] for entry in waiting({"census": chain_of(REQUEST, *open_still)}, NOW)] == [1]
    for decided in ((grace, alan), (answer("rejection", "grace"),)):
        assert waiting({"census": chain_of(REQUEST, *decided)}, NOW) == []


def test_a_request_that_expired_waits_no_more() -> None:
    assert waiting({"census": chain_of(REQUEST)}, "2026-01-08T00:00:00Z") == []


def test_a_newer_request_takes_the_place_of_the_older() -> None:
    assert [entry["since"] for entry in waiting({"census": chain_of(REQUEST, REQUEST)}, NOW)] == [
        "2026-01-01T00:00:01Z"
    ]


def test_records_of_a_version_keep_their_order() -> None:
    chain = chain_of(deployment(1, "failed"), deployment(2, "succeeded"), deployment(1, "succeeded"))
    assert [record.sequence for record in of_version(chain, 1)] == [1, 3]


def test_a_rollback_says_from_where_to_where_who_and_why() -> None:
    body = {"from": "2", "to": "1", "person": "olga", "reason": "too slow", "at": "2026-01-01T00:00:00Z", "place": 3}
    (found,) = rollbacks({"census": chain_of(("rollback", 2, "prod", body))})
    assert found == {"model": "census", "environment": "prod", **{key: body[key] for key in body if key != "place"}}


def recorded(*entries: tuple[str, str, dict[str, Any]]) -> tuple[Record, ...]:
    """Records about version 1 in dev, ten seconds from one to the next, by kind and id."""
    chain: tuple[Record, ...] = ()
    for number, (kind, name, body) in enumerate(entries):
        entry = Entry(kind, name, 1, "dev", body)  # type: ignore[arg-type]
        chain = (*chain, next_record("census", chain, entry, f"2026-01-01T00:00:{number}0Z"))
    return chain


VERDICT = ("verdict", "verdict:1", {"outcome": "passed"})
APPROVAL = ("approval", "approval:1", {"person": "grace"})


def live_by(token: str, **body: Any) -> tuple[str, str, dict[str, Any]]:
    said = {"outcome": "succeeded", "release": RELEASE, **body}
    return ("deployment", f"deployment:1:dev:{token}:{said['outcome']}", said)


def took(chain: tuple[Record, ...]) -> tuple[str, float] | None:
    found = seconds_to_traffic(chain, chain[-1])
    return (found[0].entry.kind, found[1]) if found else None


def test_the_time_to_traffic_counts_from_the_verdict_or_from_the_last_approval() -> None:
    assert took(recorded(VERDICT, live_by("census-1"))) == ("verdict", 10)
    assert took(recorded(VERDICT, APPROVAL, APPROVAL, live_by("census-1"))) == ("approval", 10)


def test_the_time_to_traffic_of_a_rollback_counts_from_the_operators_word_also_if_it_was_recorded_late() -> None:
    asked = ("rollback", "rollback:dev:rollback-1", {"at": "2026-01-01T00:00:12Z"})
    other = ("rollback", "rollback:dev:rollback-2", {"at": "2026-01-01T00:00:13Z"})
    late = live_by("rollback-1", at="2026-01-01T00:00:17Z")
    assert took(recorded(VERDICT, live_by("census-1"), asked, other, late)) == ("rollback", 5)


def test_what_failed_or_is_no_deployment_took_no_time_to_traffic() -> None:
    assert took(recorded(VERDICT, live_by("census-1", outcome="failed"))) is None
    assert took(recorded(VERDICT)) is None
    assert took(recorded(live_by("census-1"))) is None
