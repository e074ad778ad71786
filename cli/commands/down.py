"""Stop the embedded AWS and remove what it kept."""

from __future__ import annotations

import argparse

from cli.terminal import show

EXAMPLE = "lockgate down"


def arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    from local import embedded  # late: it is an extra
    from local.settings import default_state

    show("The embedded AWS is down." if embedded.stop(default_state()) else "No embedded AWS was running.")
    return 0
