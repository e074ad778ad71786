"""`python -m examples.rows NAME FOLDER`: the rows of an example, made by a seed, as Parquet files in FOLDER/NAME."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 4000  # of each part
SITES = np.array(["coast", "forest", "meadow", "town"])


def species(rng: np.random.Generator) -> dict[str, Any]:
    """Ten classes, each with a length, a width and a season of its own."""
    kind = rng.integers(0, 10, ROWS)
    site = np.where(rng.random(ROWS) < 0.1, None, SITES[(kind + rng.integers(0, 2, ROWS)) % 4])
    days = np.datetime64("2024-01-01") + (kind * 30 + rng.integers(0, 60, ROWS)).astype("timedelta64[D]")
    return {
        "length": 10 + 4 * kind + 2.0 * rng.normal(size=ROWS),
        "width": 50 - 3 * kind + 2.0 * rng.normal(size=ROWS),
        "site": pa.array(site.tolist(), pa.string()),
        "seen": pa.array(days, pa.date32()),
        "species": [f"species {each}" for each in kind],
    }


def prices(rng: np.random.Generator) -> dict[str, Any]:
    """Most are small, a few are a hundred times as large."""
    size, rooms = rng.gamma(2.0, 40.0, ROWS).clip(10, 600), rng.integers(1, 9, ROWS)
    place = rng.integers(0, 4, ROWS)
    price = np.exp(10.5 + 0.006 * size + 0.1 * rooms + 0.3 * place + 0.15 * rng.normal(size=ROWS))
    columns = {"size": size, "rooms": rooms, "place": SITES[place].tolist(), "garden": rng.random(ROWS) < 0.5}
    return {**columns, "price": price.clip(10_000, 5_000_000)}


def refunds(rng: np.random.Generator) -> dict[str, Any]:
    """One in twenty is fraud, mostly where the account is young and the amount large."""
    age, amount = rng.integers(0, 2000, ROWS), rng.gamma(1.5, 60.0, ROWS).clip(0, 2000)
    risk = 1 / (1 + np.exp(3.0 - amount / 60 + age / 300))
    fraud = np.where(rng.random(ROWS) < risk, "fraud", "fair").tolist()
    return {"account_days": age, "amount": amount, "fraud": fraud, "customer_age": rng.integers(18, 95, ROWS)}


EXAMPLES: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
    "species": species,
    "prices": prices,
    "refunds": refunds,
}


def made(name: str) -> tuple[pa.Table, pa.Table]:
    """Training rows and holdout rows, with identifiers that no other row has."""
    rng = np.random.default_rng([2026, *name.encode()])
    parts = [EXAMPLES[name](rng) for _ in range(2)]
    ids = [[f"{name}-{part}-{row}" for row in range(ROWS)] for part in range(2)]
    train, holdout = (pa.table({"id": of_part, **part}) for of_part, part in zip(ids, parts, strict=True))
    return train, holdout


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in EXAMPLES:
        sys.stderr.write(f"found {arguments}, expected one of {', '.join(EXAMPLES)} and a folder\n")
        return 2
    folder = Path(arguments[1]) / arguments[0]
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in zip(("train", "holdout"), made(arguments[0]), strict=True):
        pq.write_table(table, folder / f"{name}.parquet")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
