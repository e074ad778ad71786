"""The view of `lockgate explain` on a version's records: verdicts, where it came from, who approved, where it went."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from cli.context import Context
from cli.terminal import Shown, line, outcome, show, show_json, styled, table, whole
from lockgate.errors import NotFoundError
from lockgate.ledger.approval import reference
from lockgate.ledger.records import Record
from lockgate.ledger.standing import of_version, seconds_to_traffic

LINEAGE = (
    "execution",
    "commit",
    "actor",
    "delivered_by",
    "image",
    "evaluator_image",
    "model_sha256",
    "snapshot",
    "evidence_uri",
    "evidence_sha256",
)
# Of the image, as its signed provenance and bill of materials say.
ORIGIN = ("builder", "build", "source", "source_sha256", "base_image", "sbom_sha256", "components")
DATA = ("train_sha256", "features_sha256", "labels_sha256", "train_rows", "holdout_rows")


def run(context: Context, model: str, arguments: argparse.Namespace) -> int:
    chain = context.ledger.chain(model)
    records = of_version(chain, arguments.version)
    if arguments.env:
        environment = context.environment(arguments.env)
        records = tuple(record for record in records if record.entry.environment == environment)
    if not records:
        known = sorted({record.entry.version for record in chain})
        raise NotFoundError(f"{model} version {arguments.version}: no record; the ledger knows versions {known}")
    if arguments.json:
        facts = [_facts(record, chain) for record in records]
        again = _evaluate_again(records)
        show_json({"model": model, "version": arguments.version, "evaluate_again": again, "records": facts})
    else:
        show(*_text(model, arguments.version, records, chain))
    return 0


def _evaluate_again(records: Sequence[Record]) -> str | None:
    """The command that trains and evaluates the version's commit anew on the same rows; None where they are not known.

    It makes a version of its own, compared with what is served by then, whose decision spends of the holdout.
    """
    known = _known(records)
    return f"lockgate deliver {known['commit']} --snapshot {known['snapshot']} --again" if known else None


def _known(records: Sequence[Record]) -> Mapping[str, Any] | None:
    """The body of the newest verdict that knows where the version came from."""
    bodies = (record.entry.body for record in reversed(records) if record.entry.kind == "verdict")
    return next((body for body in bodies if body["commit"]), None)


def _facts(record: Record, chain: Sequence[Record]) -> dict[str, Any]:
    body = {key: value for key, value in record.entry.body.items() if key != "task_token"}
    took = seconds_to_traffic(chain, record)
    if took:
        let_go, seconds = took
        body["to_traffic"] = {"seconds": seconds, "after": let_go.entry.kind, "record": reference(let_go)}
    return {
        "sequence": record.sequence,
        "sha256": record.sha256,
        "time": record.time,
        "kind": record.entry.kind,
        "environment": record.entry.environment,
        **body,
    }


def _text(model: str, version: int, records: Sequence[Record], chain: Sequence[Record]) -> list[Shown]:
    lines: list[Shown] = [styled(f"{model} version {version}", "bold")]
    body = _known(records)
    if body:
        facts = [(f"  {key}", str(body[key])) for key in LINEAGE if body.get(key)]
        facts += [(f"  {key}", str(body["data"][key])) for key in DATA if body.get("data")]
        facts += [(f"  {key}", str(body["origin"][key])) for key in ORIGIN if body.get("origin")]
        facts += [(f"  {key}", _listed(body[key])) for key in ("features", "parameters") if body.get(key)]
        lines += [*table(facts), "  evaluate it again:", whole(f"    {_evaluate_again(records)}")]
    for record in records:
        body, where = record.entry.body, f"{record.entry.environment} {record.time[:19]}Z"
        said = body.get("outcome") or (f"by {body['person']}" if "person" in body else "")
        lines += ["", line(f"{where}  {record.entry.kind} ", outcome(said), f"  [{model}/{record.sequence}]")]
        if record.entry.kind == "verdict":
            lines += [reason_line(reason) for reason in body["reasons"]]
            lines += [f"  policy {body['policy_sha256'][:12]}", *_decided_on(body)]
        elif record.entry.kind == "waiver":
            lines += [f"  {body['rule']} let go until {body['expires'][:10]}: {body['reason']}"]
        elif body.get("reason"):
            lines += [f"  {body['reason']}"]
        elif body.get("url"):
            lines += [f"  {body['url']}"]
        took = seconds_to_traffic(chain, record)
        if took:
            lines += [f"  all traffic {took[1]:.1f} s after the {took[0].entry.kind} [{reference(took[0])}]"]
    return lines


def reason_line(reason: Mapping[str, Any]) -> Shown:
    """A reason of a verdict: its rule, how it ended, and the numbers."""
    dry = " (dry run, decides nothing)" if reason.get("dry_run") else ""
    return line(f"  {reason['rule']}{dry}: ", outcome(reason["outcome"]), f": {reason['message']}")


def _decided_on(body: Mapping[str, Any]) -> list[str]:
    """The champion that was served, and what the decision spent of the holdout."""
    champion = body["champion"]
    served = (
        f"version {champion['version']}, model {champion['model_sha256'][:12]}" if champion else "nothing was served"
    )
    lines = [f"  champion: {served}", f"  approvals asked for: {body['approvals']}"]
    if body["alpha"] is not None:
        spent = f"decision {body['spent_before'] + 1} on holdout {body['holdout']}, at error {body['alpha']:.2g}"
        lines += [f"  {spent}; feedback to authors: {body['feedback']}"]
    return lines


def _listed(found: Any) -> str:
    """Features and parameters in one line each."""
    pairs = [f"{key}={value}" for key, value in found.items()] if isinstance(found, dict) else found
    return ", ".join(pairs)
