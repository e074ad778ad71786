"""How things are shown, by rich: colour and progress on a terminal only, tables that fit it, facts as JSON when asked.

Everything goes out through `show`, `progress`, `error_line` and `show_json`. The first three make harmless what
somebody else wrote; JSON escapes it by itself. rich's own markup is never read.
rich is imported late: what prints JSON, or nothing, does not pay for it.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias

from lockgate import clock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Shown: TypeAlias = "str | Text"  # a line, with or without styles
Style = Literal["green", "red", "yellow", "bold", "dim"]
_GOOD = frozenset({"passed", "live", "Succeeded", "succeeded", "verified"})
_BAD = frozenset({"failed", "error", "refused", "Failed", "rejected"})
_UNLIMITED = 100_000  # columns of what is no terminal: a file or a pipe, whose reader wants whole lines
_JOINERS = frozenset("\u200c\u200d")  # words of Persian and Hindi, and emoji, need them


class _Harmless(dict[int, int]):
    """Code points as they are shown; one for one, so that places in a text stay what they are."""

    def __missing__(self, code: int) -> int:
        category = unicodedata.category(chr(code))
        shown = code
        if code < 0x20:
            shown = 0x2400 + code  # the picture of the control character
        elif code == 0x7F:
            shown = 0x2421
        elif category in ("Cc", "Cf", "Cs", "Zl", "Zp") and chr(code) not in _JOINERS:
            shown = 0xFFFD  # C1 controls, marks that turn the direction of a text, halves of a pair
        self[code] = shown
        return shown


_HARMLESS = _Harmless()


def harmless(text: str) -> str:
    """A text that somebody else wrote as a terminal may get it: without line ends, escapes, and other controls."""
    return text.translate(_HARMLESS)


def styled(text: str, style: Style) -> Text:
    from rich.text import Text

    return Text(harmless(text), style=style)


def outcome(text: str) -> Text:
    """An outcome of a gate, a step or a deployment in its colour."""
    return styled(text, "green" if text in _GOOD else "red" if text in _BAD else "yellow")


def line(*parts: Shown) -> Text:
    """One line from parts, of which some have a style."""
    from rich.text import Text

    made = Text.assemble(*(harmless(part) if isinstance(part, str) else part for part in parts))
    made.plain = harmless(made.plain)
    return made


def whole(text: str) -> Text:
    """A line that is copied from the screen, such as a command: it is not broken between words."""
    shown = line(text)
    shown.no_wrap = True
    return shown


def table(rows: Sequence[Sequence[Shown]], heading: Sequence[str] = ()) -> list[Text]:
    """Lines of columns that fit the terminal; a cell that is too long continues below itself."""
    from rich.table import Table
    from rich.text import Text

    columns = len(heading or rows[0]) if heading or rows else 0
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        grid.add_column(overflow="fold")  # a digest is worth nothing when its end is cut off
    if heading:
        grid.add_row(*(styled(title, "bold") for title in heading))
    for row in rows:
        grid.add_row(*(line(cell) for cell in row))
    console = _console(sys.stdout)
    made = console.render_lines(grid, console.options.update(width=_width(console)), pad=False)
    lines = [Text.assemble(*((segment.text, segment.style or "") for segment in segments)) for segments in made]
    for each in lines:
        each.rstrip()
    return lines


def pairs(facts: Sequence[tuple[str, str]]) -> list[Text]:
    """Names and values below each other; a value without spaces, such as a digest or an address, stays whole."""
    width = max((len(name) for name, _ in facts), default=0)
    shown = [(f"  {name:<{width}}  {value}", value) for name, value in facts]
    return [line(text) if " " in value else whole(text) for text, value in shown]


def show(*lines: Shown) -> None:
    """Lines on standard output."""
    for each in lines:
        _print(each, sys.stdout)


def show_json(facts: Any) -> None:
    # json escapes every control character but one, and what is not ASCII.
    sys.stdout.write(json.dumps(facts, indent=2).replace("\x7f", "\\u007f") + "\n")


def progress(text: Shown) -> None:
    """One line about work that goes on; on standard error, so that --json stays clean."""
    _print(text, sys.stderr)


def error_line(text: str) -> int:
    """An error on standard error. Where it has several lines, those after the first are indented."""
    first, *others = text.splitlines() or [""]
    _print(f"lockgate: {first}", sys.stderr)
    for each in others:
        _print(f"  {each}", sys.stderr)
    return 1


@contextmanager
def working(text: str) -> Iterator[None]:
    """Say on a terminal that work goes on for as long as it does; `progress` writes above it."""
    console = _console(sys.stderr)
    if not console.is_terminal:
        yield
        return
    with console.status(line(text)):
        yield


def utc_now() -> str:
    """The one clock of the command line: UTC, ISO 8601, as the ledger's records have it."""
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(
        file=stream,
        force_terminal=stream.isatty(),
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )


def _width(console: Console) -> int:
    return console.width if console.is_terminal or "COLUMNS" in os.environ else _UNLIMITED


def _print(text: Shown, stream: TextIO) -> None:
    console, shown = _console(stream), line(text)
    shown.no_wrap = None if isinstance(text, str) else text.no_wrap
    for part in _fitted(shown, console):
        console.print(part, soft_wrap=True)
    stream.flush()


def _fitted(text: Text, console: Console) -> list[Text]:
    """A line broken between words for the terminal; what continues is indented by two more."""
    from rich.text import Text

    width, indent = _width(console), len(text.plain) - len(text.plain.lstrip(" "))
    if text.no_wrap or text.cell_len <= width or " " not in text.plain.strip():
        return [text]
    first, *others = text[indent:].wrap(console, max(width - indent - 2, 20))
    parts = [Text(" " * indent) + first, *(Text(" " * (indent + 2)) + other for other in others)]
    for part in parts:
        part.rstrip()
    return parts
