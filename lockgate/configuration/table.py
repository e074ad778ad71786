"""A TOML table read key by key: a wrong type, a missing key or an unknown one is a ConfigError that names it."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from lockgate.configuration.moments import FIRST, LAST, code_of_moment
from lockgate.errors import ConfigError

Value = TypeVar("Value", int, str)
BYTE_ORDER_MARK = "\ufeff"  # some editors write it; TOML's own message says no more than "invalid statement"
_REQUIRED = object()


def _holds(found: date) -> bool:
    return FIRST.year <= found.year <= LAST.year


class Table:
    """One table of a TOML file; `finish` refuses every key that nobody asked for."""

    def __init__(self, file: str, path: str, data: Mapping[str, Any]) -> None:
        self.file, self.path, self.data = file, path, data
        self._asked: set[str] = set()

    @classmethod
    def read(cls, path: Path, shown_as: str) -> Table:
        """Read a whole file; `shown_as` is how messages name it."""
        try:
            text = path.read_text(encoding="utf-8")
            if text.startswith(BYTE_ORDER_MARK):
                raise ConfigError(shown_as, "file", "a byte order mark at its beginning", "UTF-8 without one")
            return cls(shown_as, "", tomllib.loads(text))
        except FileNotFoundError:
            raise ConfigError(shown_as, "file", "no such file", "a TOML file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(shown_as, "file", str(error), "valid TOML in UTF-8") from error

    def key(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        return name in self.data

    def _take(self, name: str, default: Any = _REQUIRED) -> Any:
        self._asked.add(name)
        if name in self.data:
            return self.data[name]
        if default is _REQUIRED:
            raise ConfigError(self.file, self.key(name), "nothing", "this key")
        return default

    def _refuse(self, name: str, found: object, expected: str) -> ConfigError:
        return ConfigError(self.file, self.key(name), found, expected)

    def text(self, name: str, pattern: re.Pattern[str] | None = None, expected: str = "text") -> str:
        found = self._take(name)
        if not isinstance(found, str) or not found or (pattern and not pattern.fullmatch(found)):
            raise self._refuse(name, found, expected)
        return found

    def optional_text(self, name: str, pattern: re.Pattern[str] | None = None, expected: str = "text") -> str | None:
        """None when the key is not there; there it must not be empty."""
        return None if self._take(name, None) is None else self.text(name, pattern, expected)

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._take(name)
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self._refuse(name, found, "a list of texts")
        return tuple(found)

    def names(self, name: str) -> tuple[str, ...]:
        """A list of different texts, at least one."""
        found = self.texts(name)
        if not found or len(set(found)) != len(found):
            raise self._refuse(name, list(found), "at least one text, each once")
        return found

    def codes(self, name: str) -> tuple[str, ...]:
        """As `names`; integers are taken too, all or none, and become their texts."""
        found = self._take(name)
        if isinstance(found, list) and found and all(type(item) is int for item in found):
            found = [str(item) for item in found]
        return Table(self.file, self.path, {name: found}).names(name)

    def moment(self, name: str, kind: str) -> float:
        """A day (`date`) or moment (`datetime`) of TOML, as its number."""
        found = self._take(name)
        if not isinstance(found, date) or isinstance(found, datetime) != (kind == "datetime") or not _holds(found):
            example = "2026-11-28" if kind == "date" else "2026-11-28T12:00:00Z"
            raise self._refuse(name, found, f"a {kind} without quotes, as {example}, from {FIRST.year} to {LAST.year}")
        return code_of_moment(kind, found) or 0.0

    def optional_names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """The same, or `default` when the key is not there."""
        return default if self._take(name, None) is None else self.names(name)

    def integer(self, name: str, low: int, high: int, default: Any = _REQUIRED) -> int:
        found = self._take(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise self._refuse(name, found, f"an integer from {low} to {high}")
        return found

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        found = self._take(name, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise self._refuse(name, found, "a finite number")
        return float(found)

    def optional_number(self, name: str) -> float | None:
        found = self._take(name, None)
        return None if found is None else self.number(name)

    def flag(self, name: str, default: bool = False) -> bool:
        found = self._take(name, default)
        if not isinstance(found, bool):
            raise self._refuse(name, found, "true or false")
        return found

    def choice(self, name: str, allowed: Sequence[Value], default: Any = _REQUIRED) -> Value:
        found = self._take(name, default)
        if isinstance(found, bool) or found not in allowed:
            raise self._refuse(name, found, f"one of {', '.join(map(str, allowed))}")
        return allowed[list(allowed).index(found)]

    def plain(self, name: str) -> Any:
        """Whatever stands there, for who checks it; a missing key is a ConfigError."""
        return self._take(name)

    def table(self, name: str) -> Table:
        found = self._take(name)
        if not isinstance(found, dict):
            raise self._refuse(name, found, "a table")
        return Table(self.file, self.key(name), found)

    def tables(self, name: str) -> tuple[Table, ...]:
        found = self._take(name)
        if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
            raise self._refuse(name, found, f"one or more [[{self.key(name)}]] tables")
        return tuple(Table(self.file, f"{self.key(name)}[{i}]", item) for i, item in enumerate(found))

    def values(self, name: str) -> dict[str, int | float | str | bool]:
        """A table of plain values under free keys."""
        table = self.table(name)
        for key, value in table.data.items():
            if not isinstance(value, int | float | str | bool):
                raise table._refuse(key, value, "a number, a text or true/false")
        return dict(table.data)

    def finish(self) -> None:
        """Refuse keys that nobody asked for: a typo must not be a silent default."""
        unknown = sorted(set(self.data) - self._asked)
        if unknown:
            raise self._refuse(
                unknown[0],
                self.data[unknown[0]],
                f"no such key; known keys: {', '.join(sorted(self._asked))}",
            )
