"""Reject a release that waits for a person; the promotion stops, and the reason is kept."""

from __future__ import annotations

import argparse

from cli.commands.approve import decide, decision_arguments

EXAMPLE = 'lockgate reject 3 --env prod --reason "the campaign ends first"'


def arguments(parser: argparse.ArgumentParser) -> None:
    decision_arguments(parser)
    parser.add_argument("--reason", required=True, help="why, for the record and for the author")


def run(arguments: argparse.Namespace) -> int:
    return decide(arguments, "reject")
