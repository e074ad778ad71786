"""The view of `lockgate explain --fairness`: how a version treats the groups of each protected attribute."""

from __future__ import annotations

import argparse
from typing import Any

from cli.context import Context
from cli.terminal import Shown, outcome, show, show_json, table
from lockgate.aws.evidence import kept
from lockgate.errors import EvidenceError, NotFoundError
from lockgate.evidence import fairness
from lockgate.evidence.document import Evidence, read_evidence
from lockgate.ledger.kinds import Verdict
from lockgate.policy.rules import MEASURES
from lockgate.statistics.interval import Interval

DEFAULTS: dict[str, Any] = {"measure": "equal_opportunity", "ceiling": 0.1, "alpha": 0.025}


def arguments(parser: argparse._ArgumentGroup) -> None:
    """The options of this view. One that is not given is not in the namespace, so that `given` sees which are."""
    absent = argparse.SUPPRESS
    parser.add_argument("--measure", choices=MEASURES, default=absent, help="what is compared (equal_opportunity)")
    parser.add_argument("--ceiling", type=float, default=absent, help="largest gap to the largest group (0.1)")
    parser.add_argument(
        "--alpha", type=float, default=absent, help="how often an end of an interval may be wrong (0.025)"
    )


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of this view that the caller gave."""
    return {name: getattr(arguments, name) for name in DEFAULTS if name in arguments}


def run(context: Context, model: str, arguments: argparse.Namespace) -> int:
    evidence = _evidence(context, model, arguments.version)
    wanted = {**DEFAULTS, **given(arguments)}
    tables = {attribute: list(fairness.table(groups, **wanted)) for attribute, groups in evidence.groups.items()}
    if arguments.json:
        show_json({attribute: [_facts(row) for row in rows] for attribute, rows in tables.items()})
        return 0
    for attribute, rows in tables.items():
        heading = (
            attribute,
            "people",
            *(name.replace("_", " ") for name in fairness.SHOWN),
            wanted["measure"].replace("_", " "),
        )
        cells = [(row.group, str(row.rows), *(_cell(*found) for found in row.rates), _said(row)) for row in rows]
        show(*table(cells, heading), "")
    return 0


def _evidence(context: Context, model: str, version: int) -> Evidence:
    """What the newest verdict on the version was based on, verified against its digest there."""
    bodies = (record.entry.body for record in reversed(context.ledger.chain(model).of(Verdict, version)))
    verdict = next((body for body in bodies if body.evidence_uri and body.evidence_sha256), None)
    if verdict is None or verdict.evidence_uri is None or verdict.evidence_sha256 is None:
        raise NotFoundError(f"{model} version {version}: no verdict with evidence in the ledger")
    evidence = read_evidence(kept(context.client("s3"), verdict.evidence_uri), verdict.evidence_sha256)
    if not evidence.groups:
        raise EvidenceError(f"{model} version {version}: model.toml names no protected attribute")
    return evidence


def _cell(value: float | None, interval: Interval) -> str:
    return "no row" if value is None else f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _said(row: fairness.Row) -> Shown:
    return outcome(row.outcome.value) if row.outcome else "largest group"


def _facts(row: fairness.Row) -> dict[str, Any]:
    rates = {
        name: {"value": value, "low": interval.low, "high": interval.high}
        for name, (value, interval) in zip(fairness.SHOWN, row.rates, strict=True)
    }
    return {"group": row.group, "rows": row.rows, **rates, "outcome": row.outcome.value if row.outcome else None}
