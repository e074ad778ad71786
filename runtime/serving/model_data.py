"""The released model: its bytes are compared with the release before anything reads them, then an engine is made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lockgate import canonical
from lockgate.configuration.model import Model
from lockgate.errors import EvidenceError, RefusedError
from lockgate.evidence.distribution import Bins, read_bins
from runtime.archive import read_archive
from runtime.job import Job
from runtime.model_json import ENCODED, ESTIMATOR, WALKER, WALKER_FILE, refuse_other_model
from runtime.serving.batching import Engine
from runtime.serving.declared_range import within_range
from runtime.serving.program import read_program
from runtime.serving.walker import Walker, library


def fetching(job: Job) -> Callable[[], dict[str, bytes]]:
    """Begin to fetch the model data; the result waits for the end and gives the checked files.

    Raises ConfigError. The result raises RefusedError (it cannot be fetched) or EvidenceError (it is not what was
    released). SageMaker has already unpacked the archive; then the release pins the digest of its contents.
    """
    if job.environment.get("MODEL_CONTENTS_SHA256"):
        return lambda: unpacked(job)
    expected = job.setting("MODEL_DATA_SHA256")
    child = subprocess.Popen(
        [sys.executable, "-m", "runtime.serving.fetch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

    def wait() -> dict[str, bytes]:
        archive, message = child.communicate()
        if child.returncode:
            lines = message.decode(errors="replace").strip().splitlines()
            raise RefusedError(lines[-1] if lines else f"model data: the download ended with {child.returncode}")
        return checked(archive, expected)

    return wait


def checked(archive: bytes, expected: str) -> dict[str, bytes]:
    """Raises EvidenceError before the archive is opened, if its digest is not the released one."""
    found = canonical.sha256(archive)
    if found != expected:
        raise EvidenceError(f"model data: SHA-256 found {found}, the release pins {expected}: it is not served")
    return read_archive(archive)


def unpacked(job: Job) -> dict[str, bytes]:
    """The files of <root>/model, where SageMaker unpacks model.tar.gz."""
    folder = job.root / "model"
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    found, expected = canonical.contents_sha256(files), job.setting("MODEL_CONTENTS_SHA256")
    if found != expected:
        raise EvidenceError(
            f"model data: contents' SHA-256 found {found}, the release pins {expected}: it is not served"
        )
    return files


def engine_of(files: Mapping[str, bytes], model: Model) -> Engine:
    """The engine with which the model was evaluated; a library is imported only where that engine needs it.

    Raises EvidenceError when the files are not a model of this image, or the engine is not in it.
    """
    facts = canonical.from_bytes(files.get("model.json", b"{}"), "model.json")
    engine = facts.get("engine")
    name = engine.get("name") if isinstance(engine, dict) else None
    if name == WALKER:
        return within_range(_walker(files, model, facts), model.target)
    if name not in (ENCODED, ESTIMATOR):
        raise EvidenceError(f"model.json: engine: found {name!r}, expected one of {[WALKER, ENCODED, ESTIMATOR]}")
    from runtime.artifact import read_artifact
    from runtime.serving.encoded import EncodedEngine
    from runtime.serving.engines import EstimatorEngine

    estimator = read_artifact(files, model)
    return EncodedEngine(estimator, model) if name == ENCODED else EstimatorEngine(estimator, model)


@dataclass(frozen=True)
class EvaluatedPredictions:
    """Evaluation's counts of predictions by bin; the evaluator found them right."""

    bins: Bins
    counts: tuple[int, ...]


def evaluated_predictions(files: Mapping[str, bytes], model: Model) -> EvaluatedPredictions | None:
    """None for a model whose predictions are not counted. Raises EvidenceError for bins that are none."""
    engine = canonical.from_bytes(files["model.json"], "model.json").get("engine")
    counts = engine.get("holdout_scores") if isinstance(engine, dict) else None
    if not isinstance(counts, list) or not isinstance(engine, dict):
        return None
    return EvaluatedPredictions(read_bins(engine.get("bounds"), model.target.outputs), tuple(counts))


def threshold_of(files: Mapping[str, bytes], model: Model) -> float | None:
    """From which score on the model predicts the positive class; None of a task without one, as in evaluation."""
    found = canonical.from_bytes(files["model.json"], "model.json").get("threshold", 0.5)
    return float(found) if model.threshold and isinstance(found, int | float) else None


def _walker(files: Mapping[str, bytes], model: Model, facts: Mapping[str, object]) -> Walker:
    refuse_other_model(facts, model, files)
    compiled = library()
    if compiled is None:
        raise EvidenceError("the walker is not compiled in this image, and this model was evaluated with it")
    return Walker(read_program(files[WALKER_FILE]), compiled)
