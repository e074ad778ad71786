"""A job's way to S3: folders down and up with the job role's credentials; what S3 refuses fails the job."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from local.sagemaker import host
from local.sagemaker.host import Credentials


class JobFailed(Exception):  # noqa: N818  (the status AWS gives it)
    """The job ends as Failed; the message is its FailureReason."""


class Storage:
    def __init__(self, credentials: Credentials, kms_key: str | None) -> None:
        self._client = host.client("s3", credentials)
        self._role = credentials.role
        self._region = credentials.region
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}

    def download(self, uri: str, folder: Path) -> None:
        """Every object below the prefix `uri`, or the one object it names, into `folder`."""
        bucket, prefix = _split(uri)
        try:
            keys = [key for key in self._keys(bucket, prefix) if not key.endswith("/")]
            for key in keys:
                target = folder / (key.removeprefix(prefix).lstrip("/") or Path(key).name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(self._client.get_object(Bucket=bucket, Key=key)["Body"], file)
        except ClientError as error:
            raise JobFailed(f"ClientError: Data download failed:Failed to download data. {_said(error)}") from error
        if not keys:
            raise JobFailed(
                f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data '
                f"source. Please ensure that the bucket exists in the selected region ({self._region}), that objects "
                f'exist under that S3 prefix, and that the role "{self._role}" has "s3:ListBucket" permissions on '
                f'bucket "{bucket}".'
            )

    def upload_folder(self, folder: Path, uri: str) -> None:
        for file in _files(folder):
            with file.open("rb") as content:
                self._put(f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}", content)

    def upload_archive(self, folder: Path, uri: str) -> None:
        self._put(uri, archive(folder))

    def _put(self, uri: str, content: Any) -> None:
        bucket, key = _split(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=content, **self._encryption)
        except ClientError as error:
            raise JobFailed(f"ClientError: Artifact upload failed: {_said(error)}") from error

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (item["Key"] for item in page.get("Contents", []))


def archive(folder: Path) -> bytes:
    """A .tar.gz of a folder's files that depends on their paths, bytes and executable bits only."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for file in _files(folder):
            member = tarfile.TarInfo(file.relative_to(folder).as_posix())
            member.size = file.stat().st_size
            member.mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
            with file.open("rb") as content:
                tar.addfile(member, content)
    return buffer.getvalue()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise JobFailed(f"ClientError: {uri} is not an S3 URI")
    return parts.netloc, parts.path.lstrip("/")


def _said(error: ClientError) -> str:
    answer = error.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return f"{answer['Error']['Code']} ({status}): {answer['Error']['Message']}"
