"""Evidence: what the evaluator measured, bound to the exact artifacts it measured.

The evaluator (runtime/) writes it as canonical JSON; the gate reads it after recomputing its SHA-256. Reading is
strict: a missing, mistyped or non-finite part is an EvidenceError, with one exception: a single metric that cannot be
read is kept as unreadable, so that the rule that needs it says so and the others still report.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lockgate import canonical
from lockgate.errors import EvidenceError

SCHEMA = "lockgate.evidence/1"
HEX = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
IMAGE = re.compile(r"[a-z0-9./:-]+@sha256:[0-9a-f]{64}")
MOST_ROWS = 2**53  # a larger count is none that a float could hold exactly


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
    """The holdout rows with one value of a protected attribute, at the threshold that serving uses.

    Counts of label and prediction (true means equal); `metrics` as for the whole holdout, but for those that its rows
    do not have: no roc_auc where one label occurs only.
    residual, residual_squares: sums over the rows of score - label, from -1 to 1 each, and of its square.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    residual: float
    residual_squares: float
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()}}


@dataclass(frozen=True)
class Champion:
    """The version that was served, measured on the same holdout rows as the version under judgement.

    metrics: the champion's own. paired: metric -> sums over the rows of both models together: for accuracy the counts
    of rows that only one of them has right, for roc_auc DeLong's variances and covariance, for a mean loss the sums of
    the differences (challenger - champion) and of their squares.
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
    if document.get("schema") != SCHEMA:
        raise EvidenceError(f"evidence: schema: found {document.get('schema')!r}, expected {SCHEMA!r}")
    rows = _object(document, "data")
    metrics, unreadable = _metrics(_object(document, "metrics"))
    return Evidence(
        model=_text(document, "model"),
        commit=_text(document, "commit", COMMIT),
        image=_text(document, "image", IMAGE),
        execution=_text(document, "execution"),
        actor=_text(document, "actor"),
        model_sha256=_text(document, "model_sha256", HEX),
        contents_sha256=_text(document, "contents_sha256", HEX),
        data=Data(
            snapshot=_text(rows, "snapshot"),
            train_sha256=_text(rows, "train_sha256", HEX),
            features_sha256=_text(rows, "features_sha256", HEX),
            labels_sha256=_text(rows, "labels_sha256", HEX),
            train_identities_sha256=_text(rows, "train_identities_sha256", HEX),
            holdout_identities_sha256=_text(rows, "holdout_identities_sha256", HEX),
            train_rows=_count(rows, "train_rows"),
            holdout_rows=_count(rows, "holdout_rows"),
        ),
        features=_texts(document, "features"),
        parameters=_object(document, "parameters"),
        engine=_object(document, "engine"),
        replay_sha256=_text(document, "replay_sha256", HEX),
        metrics=metrics,
        groups=_groups(_object(document, "groups")),
        champion=None if document.get("champion") is None else _champion(_object(document, "champion")),
        champion_missing=_text(document, "champion_missing") if "champion_missing" in document else "",
        drift=_drift(_object(document, "drift")),
        unreadable=unreadable,
    )


def _groups(document: dict[str, Any]) -> dict[str, dict[str, Group]]:
    return {
        attribute: {value: _group(_object(values, value)) for value in values}
        for attribute in document
        for values in [_object(document, attribute)]
    }


def _group(document: dict[str, Any]) -> Group:
    """A metric of a group that cannot be read is an error of the whole: it has no name that a rule could miss."""
    return Group(
        true_positives=_count(document, "true_positives"),
        false_positives=_count(document, "false_positives"),
        false_negatives=_count(document, "false_negatives"),
        true_negatives=_count(document, "true_negatives"),
        residual=_number(document, "residual"),
        residual_squares=_number(document, "residual_squares"),
        metrics=_readable(_object(document, "metrics")),
    )


def _drift(document: dict[str, Any]) -> dict[str, Drift]:
    found = {feature: _object(document, feature) for feature in document}
    return {name: Drift(_number(drift, "psi"), _number(drift, "effect_size")) for name, drift in found.items()}


def _champion(document: dict[str, Any]) -> Champion:
    paired = _object(document, "paired")
    return Champion(
        model_sha256=_text(document, "model_sha256", HEX),
        metrics=_readable(_object(document, "metrics")),
        paired={name: {key: _number(sums, key) for key in sums} for name in paired for sums in [_object(paired, name)]},
    )


def _readable(document: dict[str, Any]) -> dict[str, Metric]:
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
            statistics = _object(found, "statistics")
            metrics[name] = Metric(
                value=_number(found, "value"),
                rows=_count(found, "rows"),
                statistics={key: _number(statistics, key) for key in statistics},
            )
        except EvidenceError as error:
            unreadable[name] = str(error)
    return metrics, unreadable


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    if not isinstance(found, dict):
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected an object")
    return found


def _text(document: Mapping[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
    found = document.get(key)
    if not isinstance(found, str) or not found or (pattern and not pattern.fullmatch(found)):
        expected = f"text like {pattern.pattern}" if pattern else "text"
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected {expected}")
    return found


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected a list of texts")
    return tuple(found)


def _count(document: Mapping[str, Any], key: str) -> int:
    found = document.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= MOST_ROWS:
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected a count")
    return found


def _number(document: Mapping[str, Any], key: str) -> float:
    found = document.get(key)
    try:
        number = math.nan if isinstance(found, bool) or not isinstance(found, int | float) else float(found)
    except OverflowError:  # an integer that no float can hold
        number = math.inf
    if not math.isfinite(number):
        raise EvidenceError(f"evidence: {key}: found {found!r}, expected a finite number")
    return number
