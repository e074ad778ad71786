"""Verify the ledger: every chain whole and unchanged, and grown from the head that the anchor account keeps.

The hash chain finds a record that was changed, dropped, reordered or inserted; the head in another account finds
records cut off at the end, or a chain written anew. Heads come a moment after their records; one that is an hour late
is an error. It looks at every chain, whatever is wrong with one, and says where the first change is, as far as heads
that were kept can tell.

What was served though neither a verdict with its approvals nor a break-glass let it in is named, and is an error where
its record does not say so. No record is younger than the store got it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cli.context import json_argument, open_context
from cli.terminal import line, outcome, show, show_json
from lockgate import clock, names
from lockgate.aws.anchor import Anchor
from lockgate.errors import LedgerError
from lockgate.ledger.chain import Chain, Head, ReleaseChain, refuse_unless_extends
from lockgate.ledger.reasons import unreasoned

LATEST = timedelta(hours=1)
CLOCKS = timedelta(minutes=15)  # that those of a function and of S3 may differ

EXAMPLE = "lockgate verify"


def arguments(parser: argparse.ArgumentParser) -> None:
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    store, tools = context.ledger, context.tools
    kept: dict[str, Head] = {}
    heads: dict[str, Head] = {}
    broken: list[str] = []
    without: list[str] = []
    anchor = Anchor(context.client("s3"), names.anchor_bucket(tools.anchor_account, tools.region))
    if tools.anchored:
        kept = {model: anchor.last(model) for model in anchor.models()}  # before the chains, which may grow meanwhile
    for model in sorted({*store.chains(), *kept}):
        try:
            chain = store.chain(model)
            if tools.anchored:
                head = kept.setdefault(model, Chain(model).head)
                refuse_unless_extends(model, chain, head)
                _refuse_late(model, chain, head)
            if model != names.INFRASTRUCTURE_CHAIN:
                without += _without(chain)
            _refuse_times(chain, store.stored(model))
            heads[model] = chain.head
        except LedgerError as error:
            broken += [str(error), *_where(store.digests(model), anchor.heads(model) if tools.anchored else [])]
    if arguments.json:
        show_json({name: {m: vars(head) for m, head in found.items()} for name, found in _named(heads, kept)})
    else:
        for model, head in heads.items():
            anchored = "not anchored: whoever may rewrite the ledger could cut it unseen"
            if model in kept:
                anchored = f"{kept[model].sequence} anchored in account {tools.anchor_account}"
            said = line(f"{model}: {head.sequence} records ", outcome("verified"), f", {anchored}; head {head.sha256}")
            show(said)
        for entry in without:
            show(line(outcome("error"), f": {entry}"))
    if broken:
        raise LedgerError("\n".join(broken))
    return 0


def _where(found: Mapping[int, str], kept: Sequence[Head]) -> list[str]:
    """Between which heads that the anchor kept the first record is that is another one now; nothing where none is."""
    before = 0
    for head in kept:
        if found.get(head.sequence) != head.sha256:
            which = (
                f"record {head.sequence}" if head.sequence == before + 1 else f"one of {before + 1} to {head.sequence}"
            )
            return [f"the anchor kept what was there: up to record {before} nothing was changed, and {which} was"]
        before = head.sequence
    return []


def _without(chain: ReleaseChain) -> list[str]:
    """What served without its reasons, as its record says; LedgerError where a record does not say so."""
    found = []
    for record, why in unreasoned(chain):
        where = f"{record.reference}: version {record.entry.version} in {record.entry.environment}"
        if record.entry.body.without is None:
            raise LedgerError(f"{where}: found a deployment that nothing let in: {why}; it was not recorded so")
        found.append(f"{where} was served though nothing let it in: {why}")
    return found


def _refuse_times(chain: Chain[Any], stored: Sequence[datetime]) -> None:
    """Raises LedgerError for a record of a time after which the store got it, or of one without a zone.

    One that is earlier may be: a store that was restored got all of its objects later.
    """
    for record, got in zip(chain.records, stored, strict=True):
        said = datetime.fromisoformat(record.time)
        if said.tzinfo is None or said > got + CLOCKS:
            raise LedgerError(
                f"ledger of {chain.model}: record {record.sequence}: found time {record.time}, and the store got it at "
                f"{got:%Y-%m-%dT%H:%M:%SZ}; expected a time before that, in UTC"
            )


def _named(heads: dict[str, Head], kept: dict[str, Head]) -> tuple[tuple[str, dict[str, Head]], ...]:
    return ("heads", heads), ("anchored", kept)


def _refuse_late(model: str, chain: Chain[Any], kept: Head) -> None:
    """Raises LedgerError when a record has waited for its anchor for longer than events and schedule explain."""
    waiting = chain.records[kept.sequence :]
    if waiting and clock.now() - datetime.fromisoformat(waiting[0].time) > LATEST:
        raise LedgerError(
            f"ledger of {model}: record {waiting[0].sequence} of {waiting[0].time} is not anchored, expected within an "
            f"hour; see the alarm of the function {names.ANCHOR_FUNCTION}"
        )
