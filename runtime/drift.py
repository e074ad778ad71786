"""How the holdout's rows differ from those in training, feature by feature, without looking at a label."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lockgate.evidence.document import Drift

Counts = npt.NDArray[np.float64]
BINS = 10  # of a number, cut at the deciles of training


def drift(train: pa.ChunkedArray, holdout: pa.ChunkedArray) -> Drift:
    """One feature's columns, of numbers or of anything that has equality; null is a value of its own."""
    counts, holdout_counts = _counts(train, holdout)
    numeric = pa.types.is_integer(train.type) or pa.types.is_floating(train.type)
    effect = _cohens_d(train, holdout) if numeric else _cramers_v(counts, holdout_counts)
    return Drift(psi(counts, holdout_counts), effect)


def psi(expected: Counts, actual: Counts) -> float:
    """Population stability index, sum (p - q) ln(p / q) over bins: Kullback and Leibler's divergence J(1, 2), Annals of
    Mathematical Statistics 22(1), 1951. Half a row is added to each bin, so that an empty one is finite."""
    q, p = ((found + 0.5) / (found.sum() + 0.5 * len(found)) for found in (expected, actual))
    return float(((p - q) * np.log(p / q)).sum())


def _counts(train: pa.ChunkedArray, holdout: pa.ChunkedArray) -> tuple[Counts, Counts]:
    if pa.types.is_integer(train.type) or pa.types.is_floating(train.type):
        known, known_holdout = _known(train), _known(holdout)
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.array([])
        return _binned(known, edges, len(train)), _binned(known_holdout, edges, len(holdout))
    texts, holdout_texts = ((pc.fill_null(found.cast(pa.string()), "\0null")) for found in (train, holdout))
    values = pa.chunked_array([*texts.chunks, *holdout_texts.chunks]).unique()
    first, second = (
        np.bincount(pc.index_in(found, value_set=values).to_numpy(), minlength=len(values)).astype(np.float64)
        for found in (texts, holdout_texts)
    )
    return first, second


def _binned(known: Counts, edges: Counts, rows: int) -> Counts:
    """Rows between the edges, and those without a number."""
    bins = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return np.append(bins, rows - len(known)).astype(np.float64)


def _known(column: pa.ChunkedArray) -> Counts:
    values = column.cast(pa.float64()).drop_null().to_numpy()
    finite: Counts = values[np.isfinite(values)]
    return finite


def _cohens_d(train: pa.ChunkedArray, holdout: pa.ChunkedArray) -> float:
    """Difference of the means in pooled standard deviations (Cohen, Statistical Power Analysis, 1988, section 2.2)."""
    a, b = _known(train), _known(holdout)
    if len(a) + len(b) < 3 or not len(a) or not len(b):
        return 0.0
    pooled = math.sqrt((((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / (len(a) + len(b) - 2))
    difference = abs(float(a.mean() - b.mean()))
    if pooled == 0.0:
        return 0.0 if difference == 0.0 else MOST
    return min(MOST, difference / pooled)


MOST = 1e6  # two constants that differ: no ratio, and evidence must be finite


def _cramers_v(one: Counts, other: Counts) -> float:
    """sqrt(chi squared / rows) of the table of values by part, which has two columns (Cramer 1946, section 21.9)."""
    table = np.array([one, other])
    rows, expected = table.sum(), np.outer(table.sum(axis=1), table.sum(axis=0))
    if not table.sum(axis=1).all():
        return 0.0
    expected /= rows
    return float(np.sqrt(((table - expected) ** 2 / expected).sum() / rows))
