"""Verify the ledger: every chain whole and unchanged, and grown from the heads that were kept before.

The hash chain finds a record that was changed, dropped, reordered or inserted. Only a head kept elsewhere finds records
cut off at the end: keep the output of `lockgate verify --json` where nobody with rights here can write, and give it to
--since the next time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cli.context import json_argument, open_context
from cli.terminal import outcome, show_json
from lockgate.errors import LedgerError
from lockgate.ledger import Head, head_of, refuse_unless_extends


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=Path, help="what `lockgate verify --json` printed before")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    kept = _read(arguments.since) if arguments.since else {}
    store = open_context().ledger
    chains = {model: store.chain(model) for model in store.models()}
    for model, head in kept.items():
        refuse_unless_extends(model, chains.get(model, ()), head)
    heads = {model: head_of(chain) for model, chain in chains.items()}
    if arguments.json:
        show_json({"heads": {model: vars(head) for model, head in heads.items()}})
    else:
        for model, head in heads.items():
            since = f", grown from record {kept[model].sequence}" if model in kept else ""
            print(f"{model}: {head.sequence} records {outcome('verified')}{since}; head {head.sha256}")
    return 0


def _read(file: Path) -> dict[str, Head]:
    """The heads of an earlier run. Raises LedgerError when the file is no such thing."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())["heads"]
        return {model: Head(int(head["sequence"]), str(head["sha256"])) for model, head in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"{file}: expected what `lockgate verify --json` prints: {error!r}") from error
