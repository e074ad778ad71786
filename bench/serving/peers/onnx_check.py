"""What ONNX Runtime predicts after skl2onnx's conversion, beside scikit-learn, on every row.

    python onnx_check.py case.joblib    prints {"difference": ..., "off": rows that are 0.01 away} or {"refused": ...}

The case holds an estimator, the encoded rows that it sees, and what scikit-learn predicts for them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import joblib
import numpy as np
import onnxruntime
from skl2onnx import to_onnx


def compared(estimator: Any, rows: np.ndarray, expected: np.ndarray) -> dict[str, Any]:
    classifies = hasattr(estimator, "predict_proba")
    narrow = rows.astype(np.float32)
    try:
        options = {id(estimator): {"zipmap": False}} if classifies else None
        converted = to_onnx(estimator, narrow[:1], options=options)
        session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(None, {session.get_inputs()[0].name: narrow})[-1]
    except Exception as error:  # whatever a converter raises is a refusal
        return {"refused": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120]}"}
    found = np.asarray(found, dtype=np.float64).reshape(len(rows), -1)
    if classifies and found.shape[1] == 2:
        found = found[:, 1]
    away = np.abs(found.reshape(expected.shape) - expected)
    return {"difference": float(away.max()), "off": int((away.reshape(len(rows), -1).max(axis=1) > 0.01).sum())}


if __name__ == "__main__":
    print(json.dumps(compared(*joblib.load(sys.argv[1]))))
