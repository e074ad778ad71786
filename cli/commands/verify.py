"""Verify the ledger: every chain whole and unchanged, and grown from the head that the anchor account keeps.

The hash chain finds a record that was changed, dropped, reordered or inserted; the head in another account finds
records cut off at the end, or a chain written anew. Heads come a moment after their records; one that is an hour late
is an error. It looks at every chain, whatever is wrong with one, and says where the first change is, as far as heads
that were kept can tell.
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
    broken: list[str] = []
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
