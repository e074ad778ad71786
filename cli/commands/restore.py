"""Put back the release that an environment served last, when its stack was lost and made anew; signs as rollback does.

It refuses where the stack pins a release: that was changed, not lost.
"""

from __future__ import annotations

import argparse

from cli.commands import rollback


def arguments(parser: argparse.ArgumentParser) -> None:
    rollback.arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    return rollback.operate(arguments, "restore")
