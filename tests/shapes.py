"""Six shapes of data as they lie about, made from a seed: what `lockgate new` has to make a model of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

Random = np.random.Generator


def imbalanced(rng: Random) -> pd.DataFrame:
    """Small, with one row in ten positive."""
    rows = 900
    age, spent = rng.integers(18, 80, rows), rng.gamma(2.0, 50.0, rows).round(2)
    risk = 1 / (1 + np.exp(5.5 - 0.03 * age - spent / 45))
    left = np.where(rng.random(rows) < risk, "yes", "no")
    return pd.DataFrame({"customer_no": np.arange(7000, 7000 + rows), "age": age, "spent": spent, "left": left})


def digits(rng: Random) -> pd.DataFrame:
    """Ten classes of scikit-learn's handwritten digits."""
    from sklearn.datasets import load_digits

    found: pd.DataFrame = load_digits(as_frame=True).frame
    return found


def prices(rng: Random) -> pd.DataFrame:
    """A long tail: most cost little, a few a hundred times as much."""
    rows = 4000
    size, rooms = rng.gamma(2.0, 40.0, rows).round(1) + 10, rng.integers(1, 9, rows)
    place = np.array(["coast", "forest", "meadow", "town"])[rng.integers(0, 4, rows)]
    price = np.exp(10.5 + 0.006 * size + 0.1 * rooms + 0.3 * (place == "coast") + 0.15 * rng.normal(size=rows))
    return pd.DataFrame({"size": size, "rooms": rooms, "place": place, "price": price.round(0)})


def wide(rng: Random) -> pd.DataFrame:
    """500 columns, of which twenty matter."""
    rows = 1200
    values = rng.normal(size=(rows, 500)).round(3)
    fails = values[:, :20].sum(axis=1) + rng.normal(size=rows) > 0
    return pd.DataFrame({**{f"v{place}": values[:, place] for place in range(500)}, "fails": fails})


def visits(rng: Random) -> pd.DataFrame:
    """Categories with nulls, truth values, a date that orders the rows, and a birthday that does not."""
    rows = 3000
    kind = rng.integers(0, 4, rows)
    site = np.array(["north", "south", "east", "west"], dtype=object)[kind]
    site[rng.random(rows) < 0.1] = None
    opened = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 500, rows)), unit="D")
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 20_000, rows), unit="D")
    urgent = rng.random(rows) < 0.3
    came = np.where(rng.random(rows) < 0.15 + 0.2 * kind + 0.1 * urgent, "came", "stayed away")
    columns = {"opened": opened.date, "born": born.date, "site": site, "urgent": urgent}
    return pd.DataFrame({**columns, "weight": rng.normal(70, 9, rows), "came": came})


def machines(rng: Random) -> pd.DataFrame:
    """Many rows of one machine each, which a split must not divide."""
    rows = 2400
    machine = rng.integers(0, 120, rows)
    heat, load = rng.normal(60, 8, rows) + machine % 7, rng.random(rows)
    state = np.select([heat + 20 * load > 82, heat + 20 * load > 70], ["hot", "warm"], "cold")
    return pd.DataFrame({"machine_id": [f"m-{each}" for each in machine], "heat": heat, "load": load, "state": state})


SHAPES: dict[str, tuple[Callable[[Random], pd.DataFrame], str]] = {
    "imbalanced": (imbalanced, "left"),
    "digits": (digits, "target"),
    "prices": (prices, "price"),
    "wide": (wide, "fails"),
    "visits": (visits, "came"),
    "machines": (machines, "state"),
}


def made(name: str) -> pd.DataFrame:
    make: Any = SHAPES[name][0]
    found: pd.DataFrame = make(np.random.default_rng([16, *name.encode()]))
    return found
