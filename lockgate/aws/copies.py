"""An environment's own copies of what a release names: its model data and its recorded rows, each under its digest."""

from __future__ import annotations

import base64
import tempfile
from typing import Any

from botocore.exceptions import ClientError

from lockgate import canonical, names
from lockgate.aws.clients import code
from lockgate.aws.evidence import CHUNK, fingerprint, read
from lockgate.aws.write_once import put_once
from lockgate.errors import RefusedError
from lockgate.release.workflow import ModelDataSource, Rows

LARGEST = 500 * 1024**2  # what fits on the temporary disk of the deploy function


def copy_model(s3: Any, source: ModelDataSource, bucket: str, model: str, sha256: str) -> str:
    """Copy one S3 version of model data into the environment's bucket; the version id of the copy.

    The bytes go to a temporary file while they are hashed, and only bytes with the
    right SHA-256 become visible. A copy that is there is read again. Raises RefusedError for other bytes, more than
    LARGEST, a source that is gone, or a bucket without versions.
    """
    key = names.released_model_key(model, sha256)
    if fingerprint(s3, bucket, key) is None:
        with tempfile.TemporaryFile() as file:
            try:
                original = s3.get_object(Bucket=source.bucket, Key=source.key, VersionId=source.version_id)
            except ClientError as error:
                if code(error) not in ("NoSuchKey", "NoSuchVersion"):
                    raise
                raise RefusedError(f"model data: {source} is gone: {error}") from error
            if original["ContentLength"] > LARGEST:
                raise RefusedError(f"model data: found {original['ContentLength']} bytes, expected at most {LARGEST}")
            digest = canonical.sha256(_written(original["Body"].iter_chunks(CHUNK), file))
            _refuse_other(digest, sha256, f"s3://{source.bucket}/{source.key}")
            file.seek(0)
            _put(s3, bucket, key, file, sha256)
    copy = fingerprint(s3, bucket, key)
    if copy is None or not copy.version_id:
        raise RefusedError(
            f"s3://{bucket}/{key}: found {copy}, expected a version of the copy: is the bucket versioned?"
        )
    _refuse_other(copy.sha256, sha256, f"s3://{bucket}/{key}")
    return copy.version_id


def copy_replay(s3: Any, source: Rows, bucket: str, model: str, sha256: str) -> None:
    """Copy the rows that evaluation recorded into the environment's bucket, under their digest; once there, it stays.

    Raises RefusedError for other bytes, or a source that is gone.
    """
    key = names.replay_key(model, sha256)
    if fingerprint(s3, bucket, key) is not None:
        return
    uri = f"s3://{source.bucket}/{source.key}"
    rows = read(s3, source.bucket, uri)
    if rows is None:
        raise RefusedError(f"recorded rows: {uri} is gone")
    _refuse_other(canonical.sha256(rows), sha256, uri, "recorded rows")
    _put(s3, bucket, key, rows, sha256)


def _written(chunks: Any, file: Any) -> Any:
    for chunk in chunks:
        file.write(chunk)
        yield chunk


def _put(s3: Any, bucket: str, key: str, body: Any, sha256: str) -> None:
    checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
    put_once(s3, bucket, key, body, ChecksumSHA256=checksum)


def _refuse_other(found: str, expected: str, where: str, what: str = "model data") -> None:
    if found != expected:
        raise RefusedError(f"{what}: {where}: SHA-256 found {found}, expected {expected}: it was replaced")
