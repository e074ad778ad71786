"""Read a Dockerfile into instructions; what we do not understand is an error that names the line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")


class DockerfileError(Exception):
    """`Dockerfile line N: what was found and what was expected`."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"Dockerfile line {line}: {what}")


@dataclass(frozen=True)
class Instruction:
    """One instruction: upper-case word, its --flags, and the rest of the text as written."""

    line: int
    word: str
    flags: Mapping[str, str]
    text: str

    def words(self, values: Mapping[str, str]) -> list[str]:
        """The arguments split as a shell would, after variables were filled in; a JSON array is taken as it is."""
        exec_form = self.exec_form()
        given = exec_form if exec_form is not None else shlex.split(self.text)
        return [substitute(word, values) for word in given]

    def exec_form(self) -> list[str] | None:
        if not self.text.startswith("["):
            return None
        try:
            parsed = json.loads(self.text)
        except json.JSONDecodeError:
            return None
        return parsed if isinstance(parsed, list) and all(isinstance(word, str) for word in parsed) else None

    def command(self) -> list[str]:
        """ENTRYPOINT, CMD or HEALTHCHECK CMD: exec form, or the shell form wrapped as docker wraps it."""
        exec_form = self.exec_form()
        return exec_form if exec_form is not None else ["/bin/sh", "-c", self.text]

    def pairs(self, values: Mapping[str, str]) -> dict[str, str]:
        """`K=V K2="V 2"` of ENV and LABEL, and the old form `K the rest`."""
        first = self.text.split(maxsplit=1)
        if "=" not in first[0]:
            if len(first) != 2:
                raise DockerfileError(self.line, f"{self.word} {self.text}: expected KEY=VALUE")
            return {first[0]: substitute(first[1], values)}
        found = {}
        for word in shlex.split(self.text):
            key, equals, value = word.partition("=")
            if not equals:
                raise DockerfileError(self.line, f"{self.word} {word}: expected KEY=VALUE")
            found[key] = substitute(value, values)
        return found


def parse(text: str) -> list[Instruction]:
    """Every instruction in order, continuation lines joined, comments and blank lines dropped."""
    found, start, joined = [], 0, ""
    for number, raw in enumerate(text.splitlines(), start=1):
        if raw.lstrip().startswith("#") or (not raw.strip() and not joined):
            continue
        start = start if joined else number
        line = raw.rstrip()
        if line.endswith("\\"):
            joined += line[:-1].strip() + " "
            continue
        found.append(_instruction(start, joined + line.strip()))
        joined = ""
    if joined:
        raise DockerfileError(start, "the last line ends with a continuation")
    return found


def substitute(text: str, values: Mapping[str, str]) -> str:
    """`$X`, `${X}`, `${X:-default}` and `${X:+other}`; an unset variable is empty, as in docker."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "\\$":
            return "$"
        found = values.get(match[1] or match[2], "")
        if match[3] == "-":
            return found or match[4]
        if match[3] == "+":
            return match[4] if found else ""
        return found

    return _VARIABLE.sub(value, text)


def _instruction(line: int, text: str) -> Instruction:
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    flags = {}
    while match := re.match(r"--([a-z-]+)(?:=(\S+))?(?:\s+|$)", rest):
        flags[match[1]] = match[2] or "true"
        rest = rest[match.end() :]
    if word.upper() != "RUN" and re.search(r"<<-?['\"]?\w", rest):
        raise DockerfileError(line, "here-documents are not supported")
    if not rest:
        raise DockerfileError(line, f"{word} without arguments")
    return Instruction(line, word.upper(), flags, rest)
