"""`make fuzz [SECONDS=3600] [SEED=n]`: damaged requests against a real server, each judged by a slow reference.

Every case is made from a number, SEED + its place, so a finding is repeated with SECONDS=0 SEED=<its number>. A finding
is an answer of another status than documented, one that breaks the error shape or shows a trace, one that accepts what
the data contract's reference refuses or the other way round, predictions other than scikit-learn's, or no answer.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pyarrow.parquet as pq

from bench.serving.exactness import estimator_of
from bench.serving.models import CENSUS, ROOT, declared, train
from bench.serving.servers import Contender, running
from lockgate.configuration.model import Model
from runtime.artifact import answers
from runtime.contract import first_violation
from runtime.frames import frame_of_instances
from runtime.serving.http import IDLE_SECONDS
from runtime.serving.rows import MAXIMUM_ROWS

STATUSES = {200, 400, 408, 411, 413, 415, 429}
COMPARED = 8  # of so many accepted requests one is also predicted by scikit-learn, which is slow
NASTY: tuple[Any, ...] = (
    None, True, False, 0, -0.0, 1, -1, 99, 100, 1e308, -1e308, 5e-324, 2**53 + 1, 2**64, 10**400, 0.1, 33.5, 33.0,
    "", " ", "1", "01", "1 ", "nan", "NaN", "\x00", "\ud800", "\U0001f600", "é", "a" * 5000, [], [1], {}, {"AGEP": 1},
    math.nan, math.inf,
)  # fmt: skip
TOKENS = (
    b"NaN", b"Infinity", b"-", b"1e999", b"1e-999", b"0x10", b"01", b"1.", b"\\u0000", b"\\ud800", b"\xff", b"\xc3\x28",
    b"\xef\xbb\xbf", b"//", b"/**/", b",", b",,", b":", b"]", b"}", b"[", b"{", b'"', b"\\", b"\n", b"\x00", b"null",
)  # fmt: skip
MEDIA = ("application/json", "application/json; charset=utf-8", "text/csv", "text/plain", "", "APPLICATION/JSON", "*/*")


class WrongAnswerError(Exception):
    """What was wrong with an answer."""


class Unclear(Exception):  # noqa: N818 - a question that is not asked
    """A body that may be taken or refused: a key given twice, quotes or lone line ends in CSV."""


class Reference:
    """What an answer must be, by the plain rules: Python's JSON, split lines, `first_violation`, and scikit-learn."""

    def __init__(self, model: Model, archive: Path) -> None:
        self._model, self._estimator = model, estimator_of(model, archive)
        self._categories = {feature.name for feature in model.features if feature.type == "category"}

    def accepted(self, body: bytes, media_type: str) -> list[dict[str, Any]] | None:
        """The rows; None where they must be refused. Raises Unclear."""
        rows = self._csv(body) if media_type == "text/csv" else self._json(body)
        if not 0 < len(rows) <= MAXIMUM_ROWS or first_violation(rows, self._model):
            return None
        return rows

    def _json(self, body: bytes) -> list[Any]:
        try:
            document = json.loads(
                body.decode(), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_once_each
            )
        except (ValueError, RecursionError):
            return []
        if not isinstance(document, dict) or len(document) != 1:
            return []
        [(form, found)] = document.items()
        if form == "instances" and isinstance(found, list):
            return found
        if (
            form != "columns"
            or not isinstance(found, dict)
            or not all(isinstance(each, list) for each in found.values())
        ):
            return []
        if len({len(values) for values in found.values()}) != 1:
            return []
        return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]

    def _csv(self, body: bytes) -> list[Any]:
        try:
            text = body.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return []
        if '"' in text or "\r" in text:
            raise Unclear
        lines = [line.split(",") for line in text.split("\n") if line]
        names = [feature.name for feature in self._model.features]
        if lines and sorted(lines[0]) == sorted(names):
            names = lines.pop(0)
        if any(len(line) != len(names) for line in lines):
            return []
        return [{name: self._value(name, text) for name, text in zip(names, line, strict=True)} for line in lines]

    def _value(self, name: str, text: str) -> object:
        if name in self._categories or not text.isascii() or "_" in text:
            return text or None
        try:
            return _finite(text)
        except ValueError:
            return text or None

    def predictions(self, instances: Sequence[Mapping[str, Any]]) -> list[float]:
        found: list[float] = answers(self._estimator, frame_of_instances(instances, self._model), self._model).tolist()
        return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _refuse(text)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise Unclear
    return found


class Cases:
    """Requests from numbers."""

    def __init__(self, instances: Sequence[Mapping[str, Any]]) -> None:
        self._instances = instances
        self._names = list(instances[0])

    def case(self, number: int) -> tuple[str, bytes, str]:
        """Path, body and content type."""
        dice = random.Random(number)  # noqa: S311 - repeatable, not secret
        rows = [dict(row) for row in dice.sample(self._instances, dice.choice((1, 1, 1, 2, 5, 40)))]
        form = dice.choice(("instances", "instances", "instances", "columns", "csv", "infer"))
        if dice.random() < 0.6:
            self._damage_values(dice, rows)
        path, media_type = "/invocations", "application/json"
        if form == "csv":
            media_type, body = "text/csv", self._csv(dice, rows)
        else:
            document: Any = {"instances": rows}
            if form == "columns":
                document = {"columns": {name: [row.get(name) for row in rows] for name in self._names}}
            elif form == "infer":
                path, document = f"/v2/models/{CENSUS}/infer", {"inputs": self._tensors(dice, rows)}
            if dice.random() < 0.15:
                self._damage_structure(dice, document)
            body = json.dumps(document, ensure_ascii=dice.random() < 0.7).encode(errors="surrogatepass")
        if dice.random() < 0.35:
            body = damaged(dice, body)
        if dice.random() < 0.05:
            media_type = dice.choice(MEDIA)
        return path, body, media_type

    def _damage_values(self, dice: random.Random, rows: list[dict[str, Any]]) -> None:
        for _ in range(dice.choice((1, 1, 2))):
            row = dice.choice(rows)
            name = dice.choice(self._names)
            match dice.randrange(4):
                case 0:
                    row.pop(name, None)
                case 1:
                    row[dice.choice((name.lower(), name + " ", "", "f0", "__proto__", "é"))] = dice.choice(NASTY)
                case _:
                    row[name] = dice.choice(NASTY)

    def _damage_structure(self, dice: random.Random, document: Any) -> None:
        place = document
        while dice.random() < 0.7 and isinstance(place, dict | list) and place:
            key = dice.choice(list(place)) if isinstance(place, dict) else dice.randrange(len(place))
            if dice.random() < 0.3:
                place[key] = dice.choice(NASTY)
                return
            place = place[key]
        if isinstance(place, list):
            place.append(dice.choice(NASTY))
        elif isinstance(place, dict):
            place[dice.choice(("instances", "columns", "inputs", "more"))] = dice.choice(NASTY)

    def _tensors(self, dice: random.Random, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        tensors: list[dict[str, Any]] = [
            {
                "name": name,
                "shape": [len(rows), 1] if dice.random() < 0.2 else [len(rows)],
                "datatype": "INT64" if name == "AGEP" else "BYTES",
                "data": [row.get(name) for row in rows],
            }
            for name in self._names
        ]
        if dice.random() < 0.3:
            tensor = dice.choice(tensors)
            tensor[dice.choice(list(tensor))] = dice.choice((*NASTY, [0], [-1], [2**63], [len(rows), 2], [1] * 50))
        return tensors

    def _csv(self, dice: random.Random, rows: list[dict[str, Any]]) -> bytes:
        lines = [self._names] if dice.random() < 0.5 else []
        lines += [[str(row.get(name, "")) for name in self._names] for row in rows]
        return dice.choice(("\n", "\r\n", "\r")).join(map(",".join, lines)).encode(errors="surrogatepass")


def damaged(dice: random.Random, body: bytes) -> bytes:
    """Some bytes cut, changed, doubled or replaced by tokens that parsers stumble over."""
    for _ in range(dice.choice((1, 1, 1, 2, 8))):
        at = dice.randrange(len(body) + 1)
        to = min(len(body), at + dice.choice((1, 1, 2, 10, 100)))
        match dice.randrange(6):
            case 0:
                body = body[:at]
            case 1:
                body = body[:at] + body[to:]
            case 2:
                body = body[:to] + body[at:]
            case 3:
                body = body[:at] + dice.randbytes(1) + body[to:]
            case 4:
                body = body[:at] + dice.choice((b"[", b'{"a":')) * dice.choice((10, 2000)) + body[at:]
            case _:
                body = body[:at] + dice.choice(TOKENS) + body[to if dice.random() < 0.5 else at :]
    return body


def judge(reference: Reference, case: tuple[str, bytes, str], status: int, answer: bytes) -> None:
    """Raises Finding."""
    path, body, media_type = case
    if status not in STATUSES:
        raise WrongAnswerError(f"status {status}: {answer[:300]!r}")
    if b"Traceback" in answer or b'File "' in answer:
        raise WrongAnswerError(f"a stack trace: {answer[:300]!r}")
    document = json.loads(answer)
    if status != 200:
        error = document.get("error", {})
        if not {"row", "column", "found", "expected"} <= set(error) or len(answer) > 4096:
            raise WrongAnswerError(f"another error shape: {answer[:300]!r}")
    if path == "/invocations" and media_type in ("application/json", "text/csv"):
        try:
            rows = reference.accepted(body, media_type)
        except Unclear:
            return
        if (status == 200) != (rows is not None):
            raise WrongAnswerError(
                f"status {status}, the reference {'refuses' if rows is None else 'accepts'}: {answer[:300]!r}"
            )
        if rows is None:
            return
        found, compared = document["predictions"], len(body) % COMPARED == 0
        if len(found) != len(rows) or (compared and found != reference.predictions(rows)):
            raise WrongAnswerError(f"predictions {found[:3]} for {rows[:3]}")
    elif status == 200:
        found = document["predictions"] if "predictions" in document else document["outputs"][0]["data"]
        if not found or not all(isinstance(one, float) and 0 <= one <= 1 for one in found):
            raise WrongAnswerError(f"predictions {found[:3]}")


def hunt(url: str, cases: Cases, reference: Reference, seed: int, seconds: float) -> tuple[int, dict[int, int]]:
    """Ask until the time is over, at least once. Returns how many cases there were and how often each status."""
    port = int(url.split(":")[2].split("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    statuses: dict[int, int] = {}
    end, number, answered = time.monotonic() + seconds, seed, time.monotonic()
    while True:
        case = cases.case(number)
        path, body, media_type = case
        if time.monotonic() - answered > IDLE_SECONDS / 2:  # a busy machine: the server may close what is idle
            connection.close()
        try:
            connection.request("POST", path, body, {"content-type": media_type})
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
            answered = time.monotonic()
            judge(reference, case, status, content)
        except (WrongAnswerError, OSError, ValueError, http.client.HTTPException) as error:
            raise WrongAnswerError(f"case {number}: {type(error).__name__}: {error}") from error
        if answer.getheader("connection") == "close":
            connection.close()
        statuses[status] = statuses.get(status, 0) + 1
        number += 1
        if time.monotonic() >= end:
            return number - seed, statuses


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=None, help="the first case's number; else from the clock")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else time.time_ns() // 10**9 * 10**6
    build = ROOT / "build" / "fuzz"
    build.mkdir(parents=True, exist_ok=True)
    archive = train(CENSUS, build)
    model = declared(CENSUS)
    table = pq.read_table(ROOT / model.holdout_data).slice(0, 2000)
    cases = Cases(table.select([feature.name for feature in model.features]).to_pylist())
    settings = {"MODEL": CENSUS, "MODEL_ARCHIVE": str(archive), "ML_ROOT": str(build / "root"), "TASK_CPU": "1024"}
    server = Contender("fuzzed", (sys.executable, "-m", "bench.serving.ours"), settings, path="/ping")
    record = build / "seeds.txt"
    with running(server, ROOT, build / "server.log", None) as process, record.open("a") as log:
        try:
            count, statuses = hunt(process.url, cases, Reference(model, archive), seed, given.seconds)
        except WrongAnswerError as finding:
            print(f"fuzz: {finding}")
            log.write(f"{seed} finding: {finding}\n")
            return 1
        found = ", ".join(f"{status}: {times}" for status, times in sorted(statuses.items()))
        print(f"fuzz: seed {seed}, {count} cases, nothing found; answers by status {found}; seeds are in {record}")
        log.write(f"{seed} {count} nothing\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
