"""The view of `lockgate explain --fairness`: how a version treats the groups of each protected attribute."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cli.context import Context
from cli.terminal import Shown, outcome, show, show_json, table
from lockgate.aws.evidence import kept
from lockgate.errors import EvidenceError, NotFoundError
from lockgate.evidence import fairness
from lockgate.evidence.document import Evidence, read_evidence
from lockgate.evidence.measurement import Measured, Unmeasured
from lockgate.ledger.kinds import Verdict
from lockgate.tasks.task import measures_of, task_of

DEFAULTS: dict[str, Any] = {"measure": "", "ceiling": 0.1, "alpha": 0.025}


def arguments(parser: argparse._ArgumentGroup) -> None:
    """The options of this view. One that is not given is not in the namespace, so that `given` sees which are."""
    absent = argparse.SUPPRESS
    parser.add_argument("--measure", default=absent, help="what is compared (the first of the model's task)")
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
    wanted["measure"] = _measure(wanted["measure"], evidence)
    names = task_of(evidence.target).shown(evidence.target)
    tables = {attribute: list(fairness.table(evidence, attribute, **wanted)) for attribute in evidence.groups}
    if arguments.json:
        show_json({attribute: [_facts(row, names) for row in rows] for attribute, rows in tables.items()})
        return 0
    show(
        f"{model} version {arguments.version}: each group beside the largest of its attribute, as evaluation measured "
        f"it. Asked for here is a gap in {wanted['measure']} of at most {wanted['ceiling']:g}, each end of an interval "
        f"wrong with probability {wanted['alpha']:g}. The gate decides by the model's policy.toml, never by this view.",
        "",
    )
    for attribute, rows in tables.items():
        heading = (
            attribute,
            "people",
            *(name.replace("_", " ") for name in names),
            wanted["measure"].replace("_", " "),
        )
        cells = [(row.group, str(row.rows), *(_cell(found) for found in row.numbers), _said(row)) for row in rows]
        show(*table(cells, heading), "")
    return 0


def _measure(asked: str, evidence: Evidence) -> str:
    """One of the model's task; the first where none was asked for."""
    known = list(measures_of(evidence.target))
    if asked and asked not in known:
        raise NotFoundError(f"--measure: found {asked!r}, expected one of {', '.join(known)}")
    return asked or known[0]


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


def _cell(found: Measured | Unmeasured) -> str:
    if isinstance(found, Unmeasured):
        return "no row"
    return f"{found.value:.4g} [{found.interval.low:.4g}, {found.interval.high:.4g}]"


def _said(row: fairness.Row) -> Shown:
    return outcome(row.outcome.value) if row.outcome else "largest group"


def _facts(row: fairness.Row, names: Sequence[str]) -> dict[str, Any]:
    numbers = {name: _number(found) for name, found in zip(names, row.numbers, strict=True)}
    return {"group": row.group, "rows": row.rows, **numbers, "outcome": row.outcome.value if row.outcome else None}


def _number(found: Measured | Unmeasured) -> dict[str, float | None]:
    if isinstance(found, Unmeasured):
        return {"value": None, "low": None, "high": None}
    return {"value": found.value, "low": found.interval.low, "high": found.interval.high}
