"""Evidence: what the evaluator measured, bound to the exact artifacts it measured.

The evaluator (runtime/) writes it as canonical JSON; the gate reads it after recomputing its SHA-256. Reading is
strict: a missing, mistyped or non-finite part is an EvidenceError, with one exception: a single metric that cannot be
read is kept as unreadable, so that the rule that needs it says so and the others still report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lockgate import canonical
from lockgate.errors import EvidenceError
from lockgate.evidence import evidence_0_1
from lockgate.evidence.fields import count_in, number_in, object_in, text_in, texts_in
from lockgate.tasks.target import Target, binary, read_target

SCHEMA = "lockgate.evidence/2"
BEFORE = "lockgate.evidence/1"  # of version 0.1, whose only task was a binary one
HEX = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
IMAGE = re.compile(r"[a-z0-9./:-]+@sha256:[0-9a-f]{64}")
BINARY_TARGET = binary("")


@dataclass(frozen=True)
class Metric:
    """One number over `rows` holdout rows; `statistics` are the sums it was computed from."""

    value: float
    rows: int
    statistics: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, "rows": self.rows, "statistics": dict(self.statistics)}


@dataclass(frozen=True)
class Group:
    """The holdout rows with one value of a protected attribute: their number, and the metrics that they have.

    A metric that no row of the group counts for is absent, such as roc_auc where one label occurs only.
    """

    rows: int
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()}}


@dataclass(frozen=True)
class Champion:
    """The version that was served, measured on the same holdout rows as the version under judgement.

    metrics: the champion's own. paired: metric -> sums over the rows of both models together, as its kind says
    (lockgate.tasks.kinds).
    """

    model_sha256: str
    metrics: Mapping[str, Metric]
    paired: Mapping[str, Mapping[str, float]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "model_sha256": self.model_sha256,
            "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()},
            "paired": {name: dict(sums) for name, sums in self.paired.items()},
        }


@dataclass(frozen=True)
class Drift:
    """How a feature differs between training rows and holdout, from 0: population stability index, and effect size
    (Cohen's d of a number, Cramer's V of a category)."""

    psi: float
    effect_size: float


@dataclass(frozen=True)
class Data:
    """The rows that training and evaluation used, by the SHA-256 of files in hexadecimal digits."""

    snapshot: str
    """Id of the data snapshot."""
    train_sha256: str
    """Of the training rows."""
    features_sha256: str
    """Of the holdout's features."""
    labels_sha256: str
    """Of the holdout's labels, which is the holdout's name."""
    train_identities_sha256: str
    """Of the digests that say which rows were trained on (lockgate.data.row_identities)."""
    holdout_identities_sha256: str
    """Of the digests that say which rows the holdout has."""
    train_rows: int
    """How many rows were trained on."""
    holdout_rows: int
    """How many rows the holdout has."""


@dataclass(frozen=True)
class Evidence:
    """All that a gate may base a decision on.

    target: what is predicted, as an operator published it. threshold: from which score on a model of two classes
    predicts the positive one; it is part of the model, None of other tasks.
    model_sha256: digest of model.tar.gz; contents_sha256: digest of what is in it (reproducible).
    drift: feature -> how its holdout rows differ from those in training.
    groups: protected attribute -> its value as text -> the rows that have it. champion: None when none was measured,
    champion_missing: then why it could not be, "" where nothing was served.
    parameters, engine: what training says it used and which engine it chose, with why others were refused: notes for
    readers, on which no rule may rely. That the engine agrees with scikit-learn is the metric `serving_difference`.
    unreadable: metric name -> why its number cannot be used.
    """

    model: str
    commit: str
    image: str
    execution: str
    actor: str
    model_sha256: str
    contents_sha256: str
    data: Data
    features: tuple[str, ...]
    parameters: Mapping[str, Any]
    replay_sha256: str
    metrics: Mapping[str, Metric]
    target: Target = BINARY_TARGET
    threshold: float | None = 0.5
    groups: Mapping[str, Mapping[str, Group]] = field(default_factory=dict)
    champion: Champion | None = None
    champion_missing: str = ""
    drift: Mapping[str, Drift] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Canonical JSON. Raises ValueError for NaN or infinity: the evaluator must not write what cannot be read."""
        return canonical.to_bytes(
            {
                "schema": SCHEMA,
                "model": self.model,
                "commit": self.commit,
                "image": self.image,
                "execution": self.execution,
                "actor": self.actor,
                "model_sha256": self.model_sha256,
                "contents_sha256": self.contents_sha256,
                "data": dict(vars(self.data)),
                "features": list(self.features),
                "parameters": dict(self.parameters),
                "engine": dict(self.engine),
                "replay_sha256": self.replay_sha256,
                "target": self.target.as_dict(),
                "threshold": self.threshold,
                "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()},
                "groups": {
                    attribute: {value: group.as_dict() for value, group in groups.items()}
                    for attribute, groups in self.groups.items()
                },
                "champion": self.champion.as_dict() if self.champion else None,
                **({"champion_missing": self.champion_missing} if self.champion_missing else {}),
                "drift": {feature: dict(vars(found)) for feature, found in self.drift.items()},
            }
        )


def read_evidence(data: bytes, expected_sha256: str) -> Evidence:
    """Evidence whose bytes have the digest that the registry recorded. Raises EvidenceError."""
    found = canonical.sha256(data)
    if found != expected_sha256:
        raise EvidenceError(
            f"evidence: SHA-256 found {found}, the registry recorded {expected_sha256}: it was altered or replaced"
        )
    document = canonical.from_bytes(data, "evidence")
    if document.get("schema") == BEFORE:
        document = evidence_0_1.as_of_now(document)
    elif document.get("schema") != SCHEMA:
        raise EvidenceError(f"evidence: schema: found {document.get('schema')!r}, expected {SCHEMA!r}")
    rows = object_in(document, "data")
    metrics, unreadable = _metrics(object_in(document, "metrics"))
    return Evidence(
        model=text_in(document, "model"),
        commit=text_in(document, "commit", COMMIT),
        image=text_in(document, "image", IMAGE),
        execution=text_in(document, "execution"),
        actor=text_in(document, "actor"),
        model_sha256=text_in(document, "model_sha256", HEX),
        contents_sha256=text_in(document, "contents_sha256", HEX),
        data=Data(
            snapshot=text_in(rows, "snapshot"),
            train_sha256=text_in(rows, "train_sha256", HEX),
            features_sha256=text_in(rows, "features_sha256", HEX),
            labels_sha256=text_in(rows, "labels_sha256", HEX),
            train_identities_sha256=text_in(rows, "train_identities_sha256", HEX),
            holdout_identities_sha256=text_in(rows, "holdout_identities_sha256", HEX),
            train_rows=count_in(rows, "train_rows"),
            holdout_rows=count_in(rows, "holdout_rows"),
        ),
        features=texts_in(document, "features"),
        parameters=object_in(document, "parameters"),
        engine=object_in(document, "engine"),
        replay_sha256=text_in(document, "replay_sha256", HEX),
        metrics=metrics,
        target=read_target(object_in(document, "target"), EvidenceError),
        threshold=None if document.get("threshold") is None else number_in(document, "threshold"),
        groups=_groups(object_in(document, "groups")),
        champion=None if document.get("champion") is None else _champion(object_in(document, "champion")),
        champion_missing=text_in(document, "champion_missing") if "champion_missing" in document else "",
        drift=_drift(object_in(document, "drift")),
        unreadable=unreadable,
    )


def _groups(document: dict[str, Any]) -> dict[str, dict[str, Group]]:
    return {
        attribute: {value: _group(object_in(values, value)) for value in values}
        for attribute in document
        for values in [object_in(document, attribute)]
    }


def _group(document: dict[str, Any]) -> Group:
    """A metric of a group that cannot be read is an error of the whole: it has no name that a rule could miss."""
    return Group(count_in(document, "rows"), metrics_in(object_in(document, "metrics")))


def _drift(document: dict[str, Any]) -> dict[str, Drift]:
    found = {feature: object_in(document, feature) for feature in document}
    return {name: Drift(number_in(drift, "psi"), number_in(drift, "effect_size")) for name, drift in found.items()}


def _champion(document: dict[str, Any]) -> Champion:
    paired = object_in(document, "paired")
    return Champion(
        model_sha256=text_in(document, "model_sha256", HEX),
        metrics=metrics_in(object_in(document, "metrics")),
        paired={
            name: {key: number_in(sums, key) for key in sums} for name in paired for sums in [object_in(paired, name)]
        },
    )


def metrics_in(document: dict[str, Any]) -> dict[str, Metric]:
    metrics, unreadable = _metrics(document)
    if unreadable:
        name = min(unreadable)
        raise EvidenceError(f"evidence: {name}: {unreadable[name]}")
    return metrics


def _metrics(document: dict[str, Any]) -> tuple[dict[str, Metric], dict[str, str]]:
    metrics: dict[str, Metric] = {}
    unreadable: dict[str, str] = {}
    for name, found in document.items():
        try:
            if not isinstance(found, dict):
                raise EvidenceError(f"found {type(found).__name__}, expected an object")
            statistics = object_in(found, "statistics")
            metrics[name] = Metric(
                value=number_in(found, "value"),
                rows=count_in(found, "rows"),
                statistics={key: number_in(statistics, key) for key in statistics},
            )
        except EvidenceError as error:
            unreadable[name] = str(error)
    return metrics, unreadable
