"""Verify the ledger: every chain whole and unchanged, and grown from the head that the anchor account keeps.

The hash chain finds a record that was changed, dropped, reordered or inserted; the head in another account finds
records cut off at the end, or a chain written anew. Heads come a moment after their records; one that is an hour late
is an error.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import Any

from cli.context import json_argument, open_context
from cli.terminal import line, outcome, show, show_json
from lockgate import clock, names
from lockgate.aws.anchor import Anchor
from lockgate.errors import LedgerError
from lockgate.ledger.chain import Chain, Head, refuse_unless_extends

LATEST = timedelta(hours=1)

EXAMPLE = "lockgate verify"


def arguments(parser: argparse.ArgumentParser) -> None:
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    store, tools = context.ledger, context.tools
    kept: dict[str, Head] = {}
    heads: dict[str, Head] = {}
    if tools.anchored:
        anchor = Anchor(context.client("s3"), names.anchor_bucket(tools.anchor_account, tools.region))
        kept = {model: anchor.last(model) for model in anchor.models()}  # before the chains, which may grow meanwhile
    for model in sorted({*store.chains(), *kept}):
        chain = store.chain(model)
        if tools.anchored:
            head = kept.setdefault(model, Chain(model).head)
            refuse_unless_extends(model, chain, head)
            _refuse_late(model, chain, head)
        heads[model] = chain.head
    if arguments.json:
        show_json({name: {m: vars(head) for m, head in found.items()} for name, found in _named(heads, kept)})
    else:
        for model, head in heads.items():
            anchored = "not anchored: whoever may rewrite the ledger could cut it unseen"
            if model in kept:
                anchored = f"{kept[model].sequence} anchored in account {tools.anchor_account}"
            said = line(f"{model}: {head.sequence} records ", outcome("verified"), f", {anchored}; head {head.sha256}")
            show(said)
    return 0


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
