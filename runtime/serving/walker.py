"""The compiled walker (walker.c) as a function of rows. It is absent where nobody compiled it: then it is not used."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

from runtime.serving.program import TREE, Program

LIBRARY = "lockgate_walker.so"  # beside the installed packages, as the image's build and set-up leave it

_INTEGERS = ("features", "width", "count", "outputs", "logistic", "linear")


class _Model(ctypes.Structure):
    """Model of walker.c."""

    _fields_ = [
        *((name, ctypes.c_char_p) for name in
          ("columns", "tables", "nodes", "leaves", "trees", "sets", "baseline", "coefficients")),
        *((name, ctypes.c_int32) for name in _INTEGERS),
    ]  # fmt: skip


@cache
def library() -> ctypes.CDLL | None:
    for folder in sys.path:
        file = Path(folder) / LIBRARY
        if file.is_file():
            return ctypes.CDLL(str(file))
    return None


class Walker:
    """Predicts one program. The interpreter's lock is released meanwhile, so a thread may predict a large batch."""

    def __init__(self, program: Program, compiled: ctypes.CDLL) -> None:
        sections = [ctypes.c_char_p(section) for section in program.sections()]
        logistic = int(program.link == "logistic")
        self._model = _Model(
            *sections,
            program.features,
            program.width,
            len(program.trees) // TREE.size,
            program.outputs,
            logistic,
            int(program.linear),
        )
        self._program = program  # its bytes are what the pointers point to
        self._reference = ctypes.byref(self._model)
        self._predict = compiled.lockgate_predict
        self._predict.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p)
        self._predict.restype = ctypes.c_int
        self._one = ctypes.c_double * program.outputs

    def predict(self, codes: bytes, rows: int) -> list[float] | list[list[float]]:
        """codes: rows x features as float64, categories as places in model.toml, NaN for null.

        Returns what `artifact.score` gives: one number a row, or a list a row where the model has several outputs.
        """
        outputs = self._program.outputs
        out = (ctypes.c_double * (rows * outputs))() if rows > 1 else self._one()
        if self._predict(self._reference, codes, rows, out):
            raise MemoryError("walker")
        if outputs == 1:
            return out[:]
        if self._program.link == "softmax":
            return _softmax(out, rows, outputs)
        return [out[at : at + outputs] for at in range(0, rows * outputs, outputs)]


def _softmax(out: ctypes.Array[ctypes.c_double], rows: int, outputs: int) -> list[list[float]]:
    """As sklearn.utils.extmath.softmax, with NumPy's own exponential: libm's differs in the last bit."""
    import numpy as np

    raw = np.asfortranarray(np.frombuffer(memoryview(out).cast("B"), dtype=np.float64).reshape(rows, outputs))
    raw -= np.max(raw, axis=1).reshape((-1, 1))
    np.exp(raw, raw)
    raw /= np.sum(raw, axis=1).reshape((-1, 1))
    found: list[list[float]] = raw.tolist()
    return found
