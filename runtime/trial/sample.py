"""Which rows are tried."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lockgate.configuration.model import Model
from runtime.folds import Places


def sampled(table: pa.Table, model: Model, rows: int) -> Places:
    """The places of about so many of the rows at random, the same ones each time, in their order.

    Rows of one entity are all taken or none of them is.
    """
    order = np.random.default_rng(0)
    if not model.entity:
        return np.sort(order.permutation(table.num_rows)[:rows])
    _, unit, sizes = np.unique(table[model.entity].to_numpy(), return_inverse=True, return_counts=True)
    mixed = order.permutation(len(sizes))
    return np.flatnonzero(np.isin(unit, mixed[: 1 + int(np.searchsorted(np.cumsum(sizes[mixed]), rows))]))
