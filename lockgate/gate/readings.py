"""What is known of the things a policy can require. What nobody measured is absent, and to a rule that is an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from lockgate.evidence.document import Evidence
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Approval

SECONDS_A_DAY = 86_400


class Reading(NamedTuple):
    """A number, None where it cannot be known yet, and what a reader must know of it; "" where it says all itself."""

    value: float | None
    note: str = ""


def readings_of(
    evidence: Evidence, *, ended: str, now: str, chain: ReleaseChain, version: int
) -> Mapping[str, Reading]:
    """Readings of a version whose package, lineage and evidence were verified.

    ended: when SageMaker says that the evaluation ended, "" where it does not; now: both UTC, ISO 8601.
    lineage and data_contract count what is missing: nothing, or there would be no evidence to trust.
    """
    readings = {
        "lineage": Reading(0.0, "complete"),
        "data_contract": Reading(0.0, "kept: the step prepare checked every row"),
    }
    if evidence.drift:
        readings |= {"drift": _largest(evidence, "psi"), "effect_size": _largest(evidence, "effect_size")}
    if ended:
        readings["evidence_age"] = Reading(_days(ended, now), f"days since the evaluation ended at {ended[:19]}Z")
    if "serving_difference" in evidence.metrics:
        metric = evidence.metrics["serving_difference"]
        note = f"largest difference from scikit-learn of {metric.rows} rows that the serving engine answered"
        readings["parity"] = Reading(metric.value, note)
    persons = _approvers(chain, version)
    readings["approvals"] = Reading(float(len(persons)), f"by {', '.join(persons)}" if persons else "by nobody so far")
    return readings


def _largest(evidence: Evidence, name: str) -> Reading:
    values = {feature: getattr(drift, name) for feature, drift in evidence.drift.items()}
    feature = max(sorted(values), key=lambda each: values[each])
    return Reading(
        values[feature], f"the largest of {len(values)} features, of {feature}, holdout against training rows"
    )


def _days(ended: str, now: str) -> float:
    return (datetime.fromisoformat(now) - datetime.fromisoformat(ended)).total_seconds() / SECONDS_A_DAY


def _approvers(chain: ReleaseChain, version: int) -> list[str]:
    """The different persons who approved this version anywhere, in the order of the chain."""
    return list(dict.fromkeys(record.entry.body.person for record in chain.of(Approval, version)))
