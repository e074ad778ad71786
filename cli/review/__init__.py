"""Say what a reviewer must know of an infrastructure change.

Compares two cloud assemblies (folders that `cdk synth --output` wrote): what is deleted or replaced, who may do more,
which doors open, which guards weaken, which rules of the policy loosen. Everything else is folded. Asks no account.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.context import find_root, json_argument
from cli.review import render
from cli.review.assembly import read_assembly
from cli.review.compare import review
from cli.review.finding import Risk
from cli.terminal import show_json

REFUSED = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", type=Path, help="assembly of what is there")
    parser.add_argument("head", type=Path, help="assembly of what is proposed")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--markdown", action="store_true", help="print Markdown for a pull request")
    json_argument(shown)
    words = [risk.word for risk in Risk]
    parser.add_argument(
        "--threshold", choices=[*words, "none"], default="high", help="risk from which the exit code is 5 (high)"
    )


def run(arguments: argparse.Namespace) -> int:
    found = review(find_root(Path.cwd()), read_assembly(arguments.base), read_assembly(arguments.head))
    if arguments.json:
        show_json(render.as_json(found))
    else:
        print((render.as_markdown if arguments.markdown else render.as_text)(found), end="")
    if arguments.threshold == "none" or found.risk is None:
        return 0
    return REFUSED if found.risk >= Risk[arguments.threshold.upper()] else 0
