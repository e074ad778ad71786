"""Stop the embedded AWS and remove what it kept."""

from __future__ import annotations

import argparse

from local import embedded
from local.settings import default_state


def arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    print("The embedded AWS is down." if embedded.stop(default_state()) else "No embedded AWS was running.")
    return 0
