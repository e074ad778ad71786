"""What the accounts hold about a package: evidence, evaluation job, image and model data, as found."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lockgate import canonical, names
from lockgate.aws.attestations import Attestations
from lockgate.aws.clients import code
from lockgate.aws.registry import Registry
from lockgate.configuration.forms import DIGEST
from lockgate.errors import EvidenceError
from lockgate.gate.verification import Artifacts, Expected, ModelData, Package, lineage_of

ABSENT_OBJECT = ("NoSuchKey", "NoSuchVersion", "404")
ABSENT_IMAGE = ("ImageNotFoundException", "RepositoryNotFoundException")
CHUNK = 1 << 20


def artifacts_of(
    expected: Expected, package: Package | None, registry: Registry, s3: Any, ecr: Any, kms: Any, signing_key: str
) -> Artifacts:
    """Fetch what the package's lineage points to, from our own buckets and pipeline only; what is absent stays None.

    The model data is streamed, so that memory stays at one chunk whatever its size. It raises AWS failures other than
    "no such thing", so that they are retried and never become a verdict.
    """
    lineage = lineage_of(package) if package else None
    if package is None or lineage is None:
        return Artifacts(package)
    ours = lineage.execution.startswith(expected.executions)
    digest = lineage.image.rpartition("@")[2]
    images = Attestations(ecr, expected.account, names.MODELS_REPOSITORY)
    return Artifacts(
        package=package,
        evidence=read(s3, expected.evidence_bucket, lineage.evidence_uri),
        evaluation=registry.evaluation(lineage.execution) if ours else None,
        started_by=registry.started_by(lineage.execution) if ours else "",
        image_digest=digest_of_tag(ecr, expected.account, lineage.commit),
        model_data=model_data(s3, expected.models_bucket, package.model_data_uri),
        attestations=images.find(digest, kms, signing_key) if expected.attestation and DIGEST.fullmatch(digest) else (),
    )


def read(s3: Any, bucket: str, uri: str) -> bytes | None:
    """A small object of `bucket`; None when it is absent or the URI (s3://) points elsewhere."""
    key = _key_in(bucket, uri)
    if key is None:
        return None
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if code(error) in ABSENT_OBJECT:
            return None
        raise


def kept(s3: Any, uri: str) -> bytes:
    """A small object that the ledger names (s3://). Raises EvidenceError when it is gone."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    data = read(s3, bucket, uri)
    if data is None:
        raise EvidenceError(f"{uri}: found nothing there, expected what the ledger names")
    return data


def model_data(s3: Any, bucket: str, uri: str) -> ModelData | None:
    """The current version of model data in `bucket`, with its SHA-256; None as in `read`."""
    key = _key_in(bucket, uri)
    return None if key is None else fingerprint(s3, bucket, key)


def fingerprint(s3: Any, bucket: str, key: str) -> ModelData | None:
    """SHA-256 and S3 version of an object, read in chunks; None when it is absent."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code(error) in ABSENT_OBJECT:
            return None
        raise
    digest = canonical.sha256(answer["Body"].iter_chunks(CHUNK))
    version_id = answer.get("VersionId", "null")
    return ModelData(bucket, key, "" if version_id == "null" else version_id, digest)


def digest_of_tag(ecr: Any, account: str, commit: str) -> str | None:
    """The digest (sha256:...) that ECR has under the tag of a commit; None when there is none."""
    try:
        answer = ecr.describe_images(
            registryId=account, repositoryName=names.MODELS_REPOSITORY, imageIds=[{"imageTag": commit}]
        )
    except ClientError as error:
        if code(error) in ABSENT_IMAGE:
            return None
        raise
    return str(answer["imageDetails"][0]["imageDigest"])


def _key_in(bucket: str, uri: str) -> str | None:
    prefix = f"s3://{bucket}/"
    return uri.removeprefix(prefix) if uri.startswith(prefix) and len(uri) > len(prefix) else None
