"""How far each engine's predictions are from scikit-learn's, on every row of the holdout.

python -m bench.serving.exactness MODEL ARCHIVE CASE    prints what the served engine does; CASE is written for ONNX
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.serving.models import ROOT, declare, declared
from lockgate.configuration.model import Model
from runtime.archive import read_archive
from runtime.artifact import answers, read_artifact
from runtime.columns import read_columns
from runtime.frames import codes_of_table, frame_of_instances, frame_of_table


def of_scikit_learn(name: str, archive: Path, instances: Sequence[Mapping[str, Any]]) -> Any:
    """One prediction an instance, by the archive's estimator itself."""
    declare(name)
    model = declared(name)
    return answers(estimator_of(model, archive), frame_of_instances(instances, model), model)


def estimator_of(model: Model, archive: Path) -> Any:
    return read_artifact(read_archive(archive.read_bytes()), model)


def main(name: str, archive: str, case: str) -> None:
    import joblib  # type: ignore[import-untyped]

    from runtime.serving.engines import largest_difference
    from runtime.serving.model_data import engine_of

    declare(name)
    model = declared(name)
    files = read_archive(Path(archive).read_bytes())
    estimator: Any = estimator_of(model, Path(archive))
    table = read_columns(ROOT / model.holdout_data, "holdout")
    frame, codes = frame_of_table(table, model), codes_of_table(table, model)
    expected = answers(estimator, frame, model)
    encoded = estimator[:-1].transform(frame)
    dense = encoded.toarray() if hasattr(encoded, "toarray") else encoded
    joblib.dump((estimator.steps[-1][1], dense.astype(float), expected), case)
    facts = json.loads(files["model.json"])["engine"]
    import numpy as np

    found = np.array(engine_of(files, model).predict(codes.tobytes(), len(codes)))
    print(
        json.dumps(
            {
                "engine": facts["name"],
                "rows": len(codes),
                "difference": largest_difference(found, expected),
                "refused": facts["refused"],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
