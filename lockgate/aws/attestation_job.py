"""Vouch for an image: who built it from what, and what is in it. Runs in the attestation project, never in a build.

    python3 -m lockgate.aws.attestation_job

Whoever starts it names a build and nothing else. Everything that it signs comes from CodeBuild's own record of that
build, from the registry and from the source bucket. It signs nothing when the build is not one of ours, when the image
is not the one that the build pushed, or when the archive is not of the commit. It leaves an image alone that is
vouched for already.

Environment: BUILD (its id), SIGNING_KEY (ARN), SOURCE_BUCKET.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from lockgate import canonical, names
from lockgate.aws import clients, delivery
from lockgate.aws.attestations import Attestations, sign
from lockgate.configuration.tools import read_tools
from lockgate.errors import LockgateError
from lockgate.evidence.provenance import (
    PROVENANCE,
    SBOM,
    Build,
    ProvenanceError,
    bundle,
    predicate_of,
    statement,
    vouched,
)

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Product:
    """What an image project makes: where its images go, and under which key its archives lie."""

    repository: str
    source_prefix: str


PRODUCTS = {
    names.IMAGE_PROJECT: Product(names.MODELS_REPOSITORY, names.source_key("").removesuffix(".zip")),
    names.EVALUATOR_PROJECT: Product(names.EVALUATOR_REPOSITORY, names.evaluator_source_key("").removesuffix(".zip")),
}


def main() -> int:
    try:
        digest = attest(os.environ["BUILD"], os.environ["SIGNING_KEY"], os.environ["SOURCE_BUCKET"])
    except LockgateError as error:
        sys.stderr.write(f"not attested: {error}\n")
        return 1
    sys.stdout.write(f"attested: {digest}\n")
    return 0


def attest(build_id: str, key: str, bucket: str) -> str:
    """Digest of the image that is vouched for afterwards. Raises ProvenanceError."""
    project_name = build_id.partition(":")[0]
    product = PRODUCTS.get(project_name)
    if product is None:
        raise ProvenanceError(f"build {build_id}: found project {project_name!r}, expected {', '.join(PRODUCTS)}")
    tools = read_tools(ROOT / "environments" / "tools.toml")
    codebuild, ecr, kms = (clients.client(service) for service in ("codebuild", "ecr", "kms"))
    builds = codebuild.batch_get_builds(ids=[build_id])["builds"]
    projects = codebuild.batch_get_projects(names=[project_name])["projects"]
    if not builds or not projects:
        raise ProvenanceError(f"build {build_id}: found no such build, expected one of {project_name}")
    build, commit = builds[0], delivery.commit_of_build(builds[0])
    uri = names.repository_uri(tools.account, tools.region, product.repository)
    image = delivery.find_image(ecr, product.repository, uri, commit)
    if image is None:
        raise ProvenanceError(f"build {build_id}: found no image under the tag {commit!r} in {product.repository}")
    source = f"{product.source_prefix}{commit}.zip"
    vouched(build, projects[0], source=f"{bucket}/{source}", commit=commit, digest=image.digest)
    images = Attestations(ecr, tools.account, product.repository)
    if images.attested(image.digest) and _ours(images, image.digest, kms, key):
        return image.digest
    origin = _origin(build, commit, bucket, source, tools.region, tools.account)
    public_key = kms.get_public_key(KeyId=key)["PublicKey"]
    # Provenance last: where it is, everything is.
    for kind, predicate in ((SBOM, bill_of_materials(images, image.digest)), (PROVENANCE, predicate_of(origin))):
        payload = statement(uri, image.digest, kind, predicate)
        images.attach(image.digest, kind, bundle(payload, sign(kms, key, payload), public_key))
    return image.digest


def _ours(images: Attestations, digest: str, kms: Any, key: str) -> bool:
    kinds = {json.loads(one.payload).get("predicateType") for one in images.find(digest, kms, key) if one.signed}
    return kinds >= {SBOM, PROVENANCE}


def _origin(build: dict[str, Any], commit: str, bucket: str, key: str, region: str, account: str) -> Build:
    stored = clients.client("s3").get_object(Bucket=bucket, Key=key)
    archive = stored["Body"].read()
    if archive_commit(archive) != commit:
        raise ProvenanceError(
            f"s3://{bucket}/{key}: found an archive of {archive_commit(archive)!r}, expected {commit}"
        )
    variables = {entry["name"]: entry["value"] for entry in build["environment"]["environmentVariables"]}
    return Build(
        project_arn=names.project_arn(account, region, build["projectName"]),
        build_arn=build["arn"],
        commit=commit,
        source_uri=f"s3://{bucket}/{key}",
        source_version=stored.get("VersionId", ""),
        source_sha256=canonical.sha256(archive),
        base_image=variables["BASE_IMAGE"],
        started=build["startTime"].isoformat(),
        finished=build["endTime"].isoformat(),
    )


def archive_commit(archive: bytes) -> str:
    """The commit that a delivery wrote into its archive; "" where none is. Raises ProvenanceError for no zip."""
    try:
        with zipfile.ZipFile(BytesIO(archive)) as opened:
            return opened.comment.decode(errors="replace")
    except zipfile.BadZipFile as error:
        raise ProvenanceError(f"archive of the commit: {error}") from error


def bill_of_materials(images: Attestations, digest: str) -> dict[str, Any]:
    """CycloneDX, as syft reads it from the image's own files: system packages and Python distributions."""
    with tempfile.TemporaryDirectory() as folder:
        layout = Path(folder) / "image"
        images.save(digest, layout)
        command = [
            str(Path(sysconfig.get_path("scripts"), "syft")),
            "scan",
            "--quiet",
            f"oci-dir:{layout}",
            "--output",
            "cyclonedx-json",
            "--source-name",
            digest,
        ]
        # What reads a commit's files gets nothing else: no credentials, no network of its own accord.
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise ProvenanceError(f"syft: exit code {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


if __name__ == "__main__":
    sys.exit(main())
