"""`python3 -m runtime serve`: fetch the released model, prove that it is the released one, and answer requests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict

from lockgate.configuration.model import Model
from lockgate.evidence.distribution import PROBABILITIES
from runtime import commit
from runtime.job import Job
from runtime.serving import model_data
from runtime.serving.application import Application, ServedVersion
from runtime.serving.shift import SECONDS, ShiftWatch
from runtime.serving.telemetry import Telemetry


def serve(job: Job) -> None:
    """Nothing listens before the model is ready.

    Raises ConfigError, RefusedError (the data cannot be fetched) or EvidenceError (it is not what was released).
    """
    fetched = model_data.fetching(job)
    limit_threads()
    from runtime.serving import server, task  # noqa: F401 - while the model data is on its way

    model = commit.declared_model(job.setting("MODEL"))
    processes = server.workers()
    application = released_application(job, model, fetched(), processes)
    listening = server.listening_sockets(job.setting("BIND_HOST"), int(job.setting("BIND_PORT")), processes)
    server.run(application, listening)


def limit_threads() -> None:
    """A worker a core: more threads of OpenMP, BLAS or joblib would only wait for each other.

    To be called before NumPy is imported, which reads it then.
    """
    for name in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
        os.environ.setdefault(name, "1")


def released_application(job: Job, model: Model, files: Mapping[str, bytes], processes: int = 1) -> Application:
    """The application of the released model, from its checked files."""
    release = ServedVersion(job.setting("RELEASE_VERSION"), job.setting("RELEASE_COMMIT"), job.setting("VERDICT_ID"))
    expected, place = model_data.evaluated_predictions(files, model), job.environment.get("ENVIRONMENT")
    bins = expected.bins if expected else PROBABILITIES
    telemetry = Telemetry({"model": model.name, **asdict(release)}, processes, bins, model.target.classes)
    engine = model_data.engine_of(files, model)
    application = Application(model, release, engine, telemetry, model_data.threshold_of(files, model))
    if expected and place:  # elsewhere, as on an endpoint of SageMaker, no alarm looks at it
        from runtime.serving.task import ENDPOINT, task_definition

        tasks = task_definition(job.setting(ENDPOINT))
        dimensions = {"Environment": place, "Model": model.name, "Release": release.version, "TaskDefinition": tasks}
        seconds = float(job.environment.get("METRIC_SECONDS", SECONDS))
        watch = ShiftWatch(telemetry, application.access, expected.counts, dimensions, seconds)
        application.beside.append(watch.look_forever)
    return application
