"""What is known of what a policy can require."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate.evidence.document import Drift, Evidence, Metric
from lockgate.gate.readings import Reading, readings_of
from lockgate.ledger.chain import Chain, ReleaseChain
from lockgate.ledger.kinds import Approval, Rejection
from tests import records

NOW = "2026-11-22T12:00:00.000Z"


def readings(evidence: Evidence, ended: str = "", chain: ReleaseChain | None = None) -> dict[str, Reading]:
    return dict(readings_of(evidence, ended=ended, now=NOW, chain=chain or Chain("income"), version=3))


def chain(*answers: tuple[int, Approval | Rejection]) -> ReleaseChain:
    return records.chain_of(*(records.entry(body, version, "staging") for version, body in answers))


def test_what_was_not_measured_is_not_there(make_evidence: Callable[..., Evidence]) -> None:
    assert set(readings(make_evidence())) == {"lineage", "data_contract", "approvals"}
    assert readings(make_evidence())["lineage"].value == readings(make_evidence())["data_contract"].value == 0


def test_drift_is_that_of_the_feature_that_drifts_most(make_evidence: Callable[..., Evidence]) -> None:
    found = readings(make_evidence(drift={"b": Drift(0.1, 0.4), "a": Drift(0.3, 0.2), "c": Drift(0.3, 0.1)}))
    assert found["drift"] == Reading(0.3, "the largest of 3 features, of a, holdout against training rows")
    assert found["effect_size"] == Reading(0.4, "the largest of 3 features, of b, holdout against training rows")


def test_evidence_is_as_old_as_its_evaluation(make_evidence: Callable[..., Evidence]) -> None:
    found = readings(make_evidence(), ended="2026-11-21T00:00:00.500Z")["evidence_age"]
    assert round(found.value, 5) == round(1.5 - 0.5 / 86_400, 5)
    assert found.note == "days since the evaluation ended at 2026-11-21T00:00:00Z"


def test_parity_is_what_the_evaluator_measured(make_evidence: Callable[..., Evidence]) -> None:
    measured: dict[str, Any] = {"serving_difference": Metric(2e-7, 1000)}
    note = "largest difference from scikit-learn of 1000 rows that the serving engine answered"
    assert readings(make_evidence(metrics=measured))["parity"] == Reading(2e-7, note)


def test_approvals_are_different_persons_who_approved_this_version(make_evidence: Callable[..., Evidence]) -> None:
    said = chain(
        (3, records.approval("grace")),
        (3, records.approval("alan")),
        (3, records.approval("grace")),
        (2, records.approval("kay")),
        (3, records.rejection("olga")),
    )
    assert readings(make_evidence(), chain=said)["approvals"] == Reading(2.0, "by grace, alan")
    assert readings(make_evidence())["approvals"] == Reading(0.0, "by nobody so far")
