"""Say what a reviewer must know of an infrastructure change.

Compares two cloud assemblies (folders that `cdk synth --output` wrote): what is deleted or replaced, who may do more,
which doors open, which guards weaken, which rules of the policy loosen. Everything else is folded. Asks no account.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.context import find_root, json_argument
from cli.terminal import show, show_json, whole
from lockgate.configuration.tools import REVIEW_THRESHOLDS, read_tools
from lockgate.templates.review import render
from lockgate.templates.review.assembly import read_assembly
from lockgate.templates.review.compare import review
from lockgate.templates.review.finding import Risk

REFUSED = 5

EXAMPLE = "lockgate review build/review/base.out build/review/head.out --threshold high"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", type=Path, help="assembly of what is there")
    parser.add_argument("head", type=Path, help="assembly of what is proposed")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--markdown", action="store_true", help="print Markdown for a pull request")
    json_argument(shown)
    parser.add_argument(
        "--threshold",
        choices=REVIEW_THRESHOLDS,
        help="risk from which the exit code is 5 (review_threshold of environments/tools.toml)",
    )


def run(arguments: argparse.Namespace) -> int:
    root = find_root(Path.cwd())
    threshold = arguments.threshold or read_tools(root / "environments" / "tools.toml").review_threshold
    found = review(root, read_assembly(arguments.base), read_assembly(arguments.head))
    if arguments.json:
        show_json(render.as_json(found))
    elif arguments.markdown:
        show(*map(whole, render.as_markdown(found).splitlines()))
    else:
        show(*render.as_text(found).splitlines())
    if threshold == "none" or found.risk is None:
        return 0
    return REFUSED if found.risk >= Risk[threshold.upper()] else 0
