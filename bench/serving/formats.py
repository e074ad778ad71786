"""`python -m bench.serving.formats`: the census model as skops, as joblib (which is pickle) and for the walker.

Bytes, and the best time of several to load them: skops with its check of every type, the walker's with its proof.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import joblib  # type: ignore[import-untyped]

from bench.serving.exactness import estimator_of
from bench.serving.models import CENSUS, ROOT, declared, train
from runtime.archive import read_archive
from runtime.artifact import read_artifact
from runtime.model_json import WALKER_FILE
from runtime.serving.program import read_program

TIMES = 9


def best(load: Callable[[], object]) -> float:
    """Seconds."""
    found = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        load()
        found.append(time.perf_counter() - begin)
    return min(found)


def main() -> None:
    build = ROOT / "build" / "formats"
    build.mkdir(parents=True, exist_ok=True)
    archive, model = train(CENSUS, build), declared(CENSUS)
    files = read_archive(archive.read_bytes())
    pickled = io.BytesIO()
    joblib.dump(estimator_of(model, archive), pickled)
    for name, data, load in (
        ("skops", files["model.skops"], lambda: read_artifact(files, model)),
        ("joblib", pickled.getvalue(), lambda: joblib.load(io.BytesIO(pickled.getvalue()))),
        ("walker", files[WALKER_FILE], lambda: read_program(files[WALKER_FILE])),
    ):
        print(f"formats: {name}: {len(data):,} bytes, loaded in {best(load) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
