"""The view of `lockgate explain` on a version's records: verdicts, where it came from, who approved, where it went."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, assert_never

from cli.context import Context
from cli.terminal import Shown, line, outcome, pairs, progress, show, show_json, styled, whole
from lockgate import schema
from lockgate.errors import NotFoundError
from lockgate.gate.waiver import last_day
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import (
    Acknowledgement,
    Approval,
    ApprovalRequest,
    BreakGlass,
    Deployment,
    Holdout,
    Reason,
    Rejection,
    ReleaseBody,
    Restore,
    Retirement,
    Rollback,
    SnapshotChoice,
    Verdict,
    Waiver,
)
from lockgate.ledger.records import Record
from lockgate.ledger.standing import seconds_to_traffic, unmoved
from lockgate.release.advice import deliver_again

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
    chain = context.ledger.look(model)
    every = records = chain.about(arguments.version)
    if arguments.env:
        environment = context.environment(arguments.env)
        records = tuple(record for record in records if record.entry.environment == environment)
    for bad in chain.bad:
        progress(line(f"{bad.why}; see `lockgate verify`"))
    if not records:
        known = sorted({record.entry.version for record in chain})
        raise NotFoundError(f"{model} version {arguments.version}: no record; the ledger knows versions {known}")
    if arguments.json:
        facts = [_facts(record, chain) for record in records]
        again = _evaluate_again(every)
        show_json({"model": model, "version": arguments.version, "evaluate_again": again, "records": facts})
    else:
        show(*_text(model, arguments.version, records, chain, _accountable(context, model)))
    return 0


Records = tuple[Record[ReleaseBody], ...]


def _evaluate_again(records: Records) -> str | None:
    """The command that trains and evaluates the version's commit anew on the same rows; None where they are not known.

    It makes a version of its own, compared with what is served by then, whose decision spends of the holdout.
    """
    verdict = _known(records)
    return deliver_again(verdict.commit, verdict.snapshot).strip("`") if verdict else None


def _known(records: Records) -> Verdict | None:
    """The newest verdict that knows where the version came from."""
    bodies = (record.entry.body for record in reversed(records))
    return next((body for body in bodies if isinstance(body, Verdict) and body.commit), None)


def _facts(record: Record[ReleaseBody], chain: ReleaseChain) -> dict[str, Any]:
    body = {key: value for key, value in schema.write(record.entry.body).items() if key != "task_token"}
    took = seconds_to_traffic(chain, record)
    if took:
        let_go, seconds = took
        body["to_traffic"] = {"seconds": seconds, "after": let_go.entry.kind, "record": let_go.reference}
    return {
        "sequence": record.sequence,
        "sha256": record.sha256,
        "time": record.time,
        "kind": record.entry.kind,
        "environment": record.entry.environment,
        **body,
    }


def _accountable(context: Context, name: str) -> dict[str, str]:
    """Who answers for the model, and for what it is, as model.toml says today."""
    model = next((found for found in context.configuration.models if found.name == name), None)
    if model is None:  # its folder is gone; its history stays
        return {}
    said = {"owner": model.owner, "intended use": model.intended_use, "tier": model.tier}
    return {key: value for key, value in said.items() if value}


def _text(
    model: str, version: int, records: Records, chain: ReleaseChain, accountable: Mapping[str, str]
) -> list[Shown]:
    lines: list[Shown] = [styled(f"{model} version {version}", "bold"), *pairs(list(accountable.items()))]
    verdict = _known(chain.about(version))  # of any environment: a break-glass has no verdict in its own
    if verdict:
        facts = [(name, str(getattr(verdict, name))) for name in LINEAGE if getattr(verdict, name)]
        facts += [(name, str(getattr(verdict.data, name))) for name in DATA if verdict.data]
        facts += [(name, str(getattr(verdict.origin, name))) for name in ORIGIN if verdict.origin]
        facts += [("features", ", ".join(verdict.features))] if verdict.features else []
        parameters = [f"{name}={value}" for name, value in (verdict.parameters or {}).items()]
        facts += [("parameters", ", ".join(parameters))] if parameters else []
        lines += [*pairs(facts), "  evaluate it again:", whole(f"    {_evaluate_again(chain.about(version))}")]
    for record in records:
        where = f"{record.entry.environment} {record.time[:19]}Z"
        ended, said = _said(record)
        lines += ["", line(f"{where}  {record.entry.kind} ", outcome(ended), f"  [{record.reference}]"), *said]
        took = seconds_to_traffic(chain, record)
        body = record.entry.body
        if isinstance(body, Deployment) and unmoved(chain, record):  # type: ignore[arg-type]  # not narrowed by its body
            lines += ["  nothing moved: this release served already"]
        if took:
            lines += [f"  all traffic {took[1]:.1f} s after the {took[0].entry.kind} [{took[0].reference}]"]
    return lines


def _said(record: Record[ReleaseBody]) -> tuple[str, list[Shown]]:
    """How it ended or who said it, in a word, and lines with what else there is to say."""
    match record.entry.body:
        case Verdict() as verdict:
            reasons = [reason_line(reason) for reason in verdict.reasons]
            return verdict.outcome, [*reasons, f"  policy {verdict.policy_sha256[:12]}", *_decided_on(verdict)]
        case Waiver() as waiver:
            return f"by {waiver.person}", [
                f"  {waiver.rule} let go until the end of {last_day(waiver.expires)}: {waiver.reason}"
            ]
        case Deployment() as deployment:
            url = f"asked at {deployment.url}/invocations" if deployment.url else ""
            return deployment.outcome, [f"  {said}" for said in (deployment.reason, url) if said]
        case Approval() | Rejection() | BreakGlass() | Acknowledgement() as by:
            return f"by {by.person}", [f"  {by.reason}"] if by.reason else []
        case Retirement() as by:
            served = f"  it served in {', '.join(by.cut_off)}" if by.cut_off else "  it served nowhere"
            return f"by {by.person}", [f"  {by.reason}", served]
        case Rollback() | Restore() as asked:
            return f"by {asked.person}", [f"  {asked.reason}"] if asked.reason else []
        case SnapshotChoice() as chosen:
            return f"by {chosen.person}", [f"  {chosen.snapshot}: {chosen.reason}"]
        case Holdout() as holdout:
            return f"by {holdout.person}", []
        case ApprovalRequest():
            return "", []
        case _:
            assert_never(record.entry.body)


def reason_line(reason: Reason) -> Shown:
    """A reason of a verdict: its rule, how it ended, and the numbers."""
    dry = " (dry run, decides nothing)" if reason.dry_run else ""
    return line(f"  {reason.rule}{dry}: ", outcome(reason.outcome), f": {reason.message}")


def _decided_on(verdict: Verdict) -> list[Shown]:
    """The champion that was served, the assurance, and what the decision spent of the holdout."""
    champion = verdict.champion
    served = f"version {champion.version}, model {champion.model_sha256[:12]}" if champion else "nothing was served"
    lines: list[Shown] = [f"  champion: {served}", f"  approvals asked for: {verdict.approvals}"]
    if verdict.alpha is None or verdict.spent_before is None:
        return [*lines, f"  assurance: {verdict.assurance}"]
    if verdict.budget is None:
        said = f"simple, each decision at error {verdict.alpha:.2g} with no promise over repeated use"
    else:
        said = f"budget, decision {verdict.spent_before + 1} on holdout {verdict.holdout} at error {verdict.alpha:.2g}"
    return [*lines, f"  assurance: {said}; feedback to authors: {verdict.feedback}"]
