"""`python3 -m runtime.serving.fetch`: the pinned S3 version of the model data, on standard output.

A process of its own, so that the one that serves never holds the AWS SDK in its memory.
"""

from __future__ import annotations

import sys

from lockgate.errors import LockgateError, RefusedError
from runtime.job import Job, this_job


def fetched(job: Job) -> bytes:
    """Read with the task's own role. Raises ConfigError, or RefusedError with what S3 said."""
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


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(fetched(this_job()))
    except LockgateError as error:
        sys.stderr.write(str(error) + "\n")
        sys.exit(1)
