"""The command `lockgate`: the same against AWS and against the embedded AWS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from cli.terminal import error_line
from lockgate.aws.failures import FAILURES, told
from lockgate.errors import LockgateError

# In the order of the help page: the embedded AWS, what an operator does, what a reader asks.
COMMANDS = (
    "up",
    "down",
    "doctor",
    "bootstrap",
    "snapshot",
    "deliver",
    "follow",
    "promote",
    "approve",
    "reject",
    "infrastructure",
    "waive",
    "break-glass",
    "rollback",
    "status",
    "explain",
    "replay",
    "policy",
    "verify",
    "review",
)

EXIT_CODES = """\
exit codes:
  0  done (follow: live in every environment)
  1  an error, said in one line on standard error
  2  wrong usage
  3  refused: a gate or a person said no (follow, explain --dry-run, infrastructure), predictions differ (replay),
     or the evaluator is not the pinned one (bootstrap --evaluator)
  4  waiting for a person's approval (follow, infrastructure)
  5  a risk at or above the threshold (review)
  130  interrupted
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="lockgate",
        description="CI/CD for machine learning on AWS: from commit to production, with reasons.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = import_module(f"cli.commands.{name.replace('-', '_')}")
        summary = (module.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(name, help=summary.rstrip("."), description=module.__doc__)
        module.arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except LockgateError as error:
        return error_line(str(error))
    except FAILURES as error:
        return error_line(told(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away, as `head` does
        return 1
    except KeyboardInterrupt:
        return 130
