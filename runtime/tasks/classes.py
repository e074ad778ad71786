"""Columns of declared classes as places in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lockgate.tasks.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 5  # values in one message


def places(column: pa.ChunkedArray, target: Target) -> npt.NDArray[np.int64]:
    """The place of each row's class; -1 for null and for what is no class."""
    encoded = column.combine_chunks().dictionary_encode()
    order = {value: place for place, value in enumerate(target.classes)}
    known = [order.get(value, -1) for value in encoded.dictionary.to_pylist()]
    indices = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int64] = np.array([*known, -1], dtype=np.int64)[indices]
    return found


def refusal(column: pa.ChunkedArray, target: Target, every: bool) -> str:
    found = column.unique().to_pylist()
    classes = ", ".join(map(repr, target.classes))
    missing = [value for value in target.classes if value not in found]
    if all(value in target.classes for value in found) and not (every and missing):
        return ""
    shown = sorted(found, key=repr)
    more = ", …" if len(shown) > SHOWN else ""
    said = ", ".join(repr(value)[:40] for value in shown[:SHOWN]) or "no row"
    return f"found {said}{more}, expected {'each of' if every else 'only'} {classes}{' and no other' if every else ''}"
