"""A model's versions side by side: what each was trained on and with, what it measured, and how it was judged.

All of it is in the ledger. A number is shown where its verdict tells authors numbers, and nowhere else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.terminal import Shown, show, show_json, styled, table, whole
from lockgate.errors import NotFoundError
from lockgate.gate.holdout import tells_numbers
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Verdict

MOST = 5  # versions side by side in text; CSV and JSON have all
HIDDEN = "its policy tells authors no number of this holdout"


@dataclass(frozen=True)
class VersionFacts:
    """verdicts: environment -> how its newest gate decided. live: where it serves, by the ledger. metrics: None where
    nobody may be told, which `hidden` says."""

    version: int
    commit: str
    snapshot: str
    train_rows: int | None
    holdout_rows: int | None
    verdicts: Mapping[str, str]
    live: tuple[str, ...]
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    hidden: str = ""


def versions_of(chain: ReleaseChain) -> tuple[VersionFacts, ...]:
    """Each version that a gate knows, oldest first."""
    return tuple(_facts(chain, version) for version in sorted({record.entry.version for record in chain.of(Verdict)}))


def _facts(chain: ReleaseChain, version: int) -> VersionFacts:
    verdicts = [record for record in chain.of(Verdict, version) if record.entry.body.break_glass is None]
    bodies = [record.entry.body for record in verdicts or chain.of(Verdict, version)]
    known = next((body for body in reversed(bodies) if body.commit), bodies[-1])
    told = next((body for body in reversed(bodies) if body.metrics and tells_numbers(body)), None)
    measured = any(body.metrics for body in bodies)
    places = dict.fromkeys(record.entry.environment for record in chain)
    return VersionFacts(
        version=version,
        commit=known.commit or "",
        snapshot=known.snapshot or "",
        train_rows=known.data.train_rows if known.data else None,
        holdout_rows=known.data.holdout_rows if known.data else None,
        verdicts={record.entry.environment: record.entry.body.outcome for record in verdicts},
        live=tuple(name for name in places if (live := chain.live(name)) and live.entry.version == version),
        parameters=dict(known.parameters or {}),
        metrics={name: number.value for name, number in told.metrics.items()} if told else {},
        hidden=HIDDEN if measured and told is None else "",
    )


def chosen(versions: Sequence[VersionFacts], wanted: Sequence[int] | None, model: str) -> list[VersionFacts]:
    """Two versions for a comparison, or all. Raises NotFoundError."""
    if not wanted:
        return list(versions)
    known = {each.version: each for each in versions}
    for version in wanted:
        if version not in known:
            raise NotFoundError(f"{model} version {version}: no verdict; the ledger knows versions {sorted(known)}")
    return [known[version] for version in wanted]


def fields_of(versions: Sequence[VersionFacts]) -> dict[str, list[Any]]:
    """Name -> the value of each version, None where it has none: what a table's rows or a file's columns are."""
    found: dict[str, list[Any]] = {
        "commit": [each.commit for each in versions],
        "snapshot": [each.snapshot for each in versions],
        "training rows": [each.train_rows for each in versions],
        "holdout rows": [each.holdout_rows for each in versions],
    }
    for group, of in (
        ("verdict", [each.verdicts for each in versions]),
        ("parameter", [each.parameters for each in versions]),
        ("metric", [each.metrics for each in versions]),
    ):
        for name in dict.fromkeys(name for values in of for name in values):
            found[f"{group} {name}"] = [values.get(name) for values in of]
    found["live in"] = [" ".join(each.live) for each in versions]
    return found


def show_versions(model: str, versions: Sequence[VersionFacts], *, as_json: bool, as_csv: bool, differ: bool) -> None:
    """differ: two versions, with how far their numbers are apart."""
    if as_json:
        show_json({"model": model, "versions": [{**vars(each), "live": list(each.live)} for each in versions]})
    elif as_csv:
        show(*map(whole, csv_of(versions, differ).splitlines()))
    else:
        show(*lines_of(model, versions, differ))


def csv_of(versions: Sequence[VersionFacts], differ: bool) -> str:
    """One row a version; of two that are compared, one row a field."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    fields = fields_of(versions)
    if differ:
        rows.writerow(["field", *(f"version {each.version}" for each in versions), "difference"])
        rows.writerows([_cell(name), *map(_cell, values), _cell(_apart(values))] for name, values in fields.items())
    else:
        rows.writerow(["version", *map(_cell, fields)])
        rows.writerows(
            [each.version, *(_cell(values[place]) for values in fields.values())] for place, each in enumerate(versions)
        )
    return written.getvalue()


def _cell(value: Any) -> Any:
    """A spreadsheet calculates what begins so; training chose these texts."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" and value else value


def lines_of(model: str, versions: Sequence[VersionFacts], differ: bool) -> Iterator[Shown]:
    """A table with a column a version, of the newest where there are many."""
    if not versions:
        yield f"{model}: no gate has decided about a version yet"
        return
    newest = versions if differ else versions[-MOST:]
    heading = (model, *(f"version {each.version}" for each in newest), *(["difference"] if differ else []))
    rows = []
    for name, values in fields_of(newest).items():
        apart = [_text(_apart(values))] if differ else []
        same = differ and values[0] == values[1]
        cells: list[Shown] = [_text(value, short=name in ("commit", "snapshot")) for value in values]
        rows.append([name, *([styled(str(cell), "dim") for cell in cells] if same else cells), *apart])
    yield from table(rows, heading)
    for each in newest:
        if each.hidden:
            yield f"version {each.version}: no metric: {each.hidden}"
    if len(newest) < len(versions):
        yield f"{len(versions) - len(newest)} older versions: --csv and --json have them, and --diff two"


def _apart(values: Sequence[Any]) -> float | None:
    """The second minus the first, of numbers."""
    first, second = values
    whole_numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (first, second))
    return second - first if whole_numbers and second != first else None


def _text(value: Any, *, short: bool = False) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)[:8] if short else str(value)
