"""Serve one released model over HTTP, after its data proved to be the released bytes."""

from __future__ import annotations

from lockgate import canonical
from lockgate.errors import EvidenceError, RefusedError
from runtime import commit
from runtime.application import Application, Release
from runtime.artifact import score
from runtime.frames import matrix_of_instances
from runtime.job import Job
from runtime.predict import load


def serve(job: Job) -> None:
    """Answer until SIGTERM, then finish what was begun. Nothing listens before the model is ready.

    Raises ConfigError, RefusedError (the data cannot be fetched) or EvidenceError (it is not what was released).
    """
    import uvicorn

    application = released_application(job, fetched(job))
    uvicorn.run(
        application,
        host=job.setting("BIND_HOST"),
        port=int(job.setting("BIND_PORT")),
        lifespan="off",
        access_log=False,
        log_level="info",
        timeout_graceful_shutdown=20,
    )


def released_application(job: Job, archive: bytes) -> Application:
    """The application of the released model; the archive's digest is checked before anything reads the archive."""
    expected = job.setting("MODEL_DATA_SHA256")
    found = canonical.sha256(archive)
    if found != expected:
        raise EvidenceError(f"model data: SHA-256 found {found}, the release pins {expected}: it is not served")
    model = commit.declared_model(job.setting("MODEL"))
    estimator = load(model, archive)
    release = Release(job.setting("RELEASE_VERSION"), job.setting("RELEASE_COMMIT"), job.setting("VERDICT_ID"))
    return Application(
        model, release, lambda instances: score(estimator, matrix_of_instances(instances, model)).tolist()
    )


def fetched(job: Job) -> bytes:
    """The pinned S3 version of the model data, with the task's own role."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    place = {
        "Bucket": job.setting("MODEL_DATA_BUCKET"),
        "Key": job.setting("MODEL_DATA_KEY"),
        "VersionId": job.setting("MODEL_DATA_VERSION_ID"),
    }
    try:
        data: bytes = boto3.client("s3").get_object(**place)["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise RefusedError(f"model data: s3://{place['Bucket']}/{place['Key']}: {error}") from error
    return data
