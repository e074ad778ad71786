"""Statements about an image, kept beside it in ECR as artifacts that refer to it (OCI 1.1), and signed with KMS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lockgate import canonical
from lockgate.aws.clients import code
from lockgate.aws.images import download, upload_layer
from lockgate.errors import NotFoundError
from lockgate.evidence.provenance import (
    BUNDLE,
    EMPTY,
    EMPTY_CONTENT,
    MANIFEST,
    PROVENANCE,
    Attestation,
    ProvenanceError,
    descriptor,
    read_bundle,
    referrer,
    signed_bytes,
)

ABSENT = ("ImageNotFoundException", "RepositoryNotFoundException")
ALGORITHM = "ECDSA_SHA_256"
CHUNK = 1 << 20
# An image has two of ours; whoever may push could add others, and must not keep a gate busy with them.
MOST_REFERRERS = 50
NEWEST = 20


class Attestations:
    """Those in one repository of one account."""

    def __init__(self, ecr: Any, account: str, repository: str) -> None:
        self._ecr = ecr
        self._where = {"registryId": account, "repositoryName": repository}

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """Descriptors of the bundles that refer to an image; none where there is no such image."""
        descriptors: list[dict[str, Any]] = []
        asked = {**self._where, "subjectId": {"imageDigest": digest}, "filter": {"artifactTypes": [BUNDLE]}}
        try:
            while len(descriptors) < MOST_REFERRERS:
                answer = self._ecr.list_image_referrers(**asked)
                descriptors += answer["referrers"]
                if not answer.get("nextToken"):
                    break
                asked["nextToken"] = answer["nextToken"]
        except ClientError as error:
            if code(error) in ABSENT:
                return []
            raise
        return descriptors[:MOST_REFERRERS]

    def attested(self, digest: str) -> bool:
        """Whether somebody put provenance beside an image; whose it is, a gate finds out."""
        kinds = [one.get("annotations", {}).get("dev.sigstore.bundle.predicateType") for one in self.referrers(digest)]
        return PROVENANCE in kinds

    def missing(self) -> list[dict[str, str]]:
        """The newest images under a tag that nobody has vouched for: built elsewhere, or their attestation failed."""
        pages = self._ecr.get_paginator("describe_images").paginate(**self._where, filter={"tagStatus": "TAGGED"})
        tagged = [image for page in pages for image in page["imageDetails"] if image.get("imageTags")]
        newest = sorted(tagged, key=lambda image: image["imagePushedAt"], reverse=True)[:NEWEST]
        return [
            {"tag": image["imageTags"][0], "digest": image["imageDigest"], "since": image["imagePushedAt"].isoformat()}
            for image in newest
            if not self.attested(image["imageDigest"])
        ]

    def find(self, digest: str, kms: Any, key: str) -> tuple[Attestation, ...]:
        """Every statement kept beside an image, and whether KMS says that `key` signed it."""
        statements = []
        for one in self.referrers(digest):
            try:
                manifest = json.loads(self.manifest(one["digest"])["imageManifest"])
                payload, signature = read_bundle(self.blob(manifest["layers"][0]["digest"]))
            except (ProvenanceError, NotFoundError, LookupError, TypeError, ValueError):
                statements.append(Attestation(b"", signed=False))
                continue
            statements.append(Attestation(payload, verified(kms, key, payload, signature)))
        return tuple(statements)

    def manifest(self, digest: str) -> dict[str, Any]:
        """ECR's description of a manifest, with its text. Raises NotFoundError."""
        answer = self._ecr.batch_get_image(**self._where, imageIds=[{"imageDigest": digest}])
        if not answer["images"]:
            raise NotFoundError(f"{self._where['repositoryName']}@{digest}: no such image")
        found: dict[str, Any] = answer["images"][0]
        return found

    def blob(self, digest: str) -> bytes:
        """A blob whose content is what its digest says; else NotFoundError."""
        content = b"".join(self.chunks(digest))
        if f"sha256:{canonical.sha256(content)}" != digest:
            raise NotFoundError(
                f"{self._where['repositoryName']}: blob {digest}: found other content under this digest"
            )
        return content

    def chunks(self, digest: str) -> Iterator[bytes]:
        answer = self._ecr.get_download_url_for_layer(**self._where, layerDigest=digest)
        return download(answer["downloadUrl"], CHUNK)

    def save(self, digest: str, folder: Path) -> None:
        """Write an image as an OCI image layout, blob by blob, without unpacking anything."""
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        text = self.manifest(digest)["imageManifest"].encode()
        manifest = json.loads(text)
        (blobs / digest.removeprefix("sha256:")).write_bytes(text)
        for one in (manifest["config"], *manifest["layers"]):
            with (blobs / one["digest"].removeprefix("sha256:")).open("wb") as file:
                file.writelines(self.chunks(one["digest"]))
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        index = [{"mediaType": manifest.get("mediaType", MANIFEST), "digest": digest, "size": len(text)}]
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}))

    def attach(self, digest: str, kind: str, bundle: bytes) -> str:
        """Keep a bundle beside an image, without a tag; digest of its manifest. The same again changes nothing."""
        subject = self.manifest(digest)
        text = subject["imageManifest"].encode()
        about = {"mediaType": subject["imageManifestMediaType"], "digest": digest, "size": len(text)}
        for content in (EMPTY_CONTENT, bundle):
            upload_layer(
                self._ecr, self._where["repositoryName"], descriptor(EMPTY, content)["digest"], pieces(content)
            )
        manifest = referrer(bundle, kind, about)
        own = descriptor(MANIFEST, manifest)["digest"]
        try:
            self._ecr.put_image(
                **self._where, imageManifest=manifest.decode(), imageManifestMediaType=MANIFEST, imageDigest=own
            )
        except ClientError as error:
            if code(error) != "ImageAlreadyExistsException":
                raise
        return str(own)


def pieces(content: bytes) -> Callable[[int], Iterator[bytes]]:
    """The bytes in parts of a size."""
    return lambda size: (content[first : first + size] for first in range(0, len(content), size))


def sign(kms: Any, key: str, payload: bytes) -> bytes:
    """Signature of a statement by a P-256 key in KMS: ECDSA over the SHA-256 of DSSE's bytes, in DER."""
    digest = bytes.fromhex(canonical.sha256(signed_bytes(payload)))
    answer = kms.sign(KeyId=key, Message=digest, MessageType="DIGEST", SigningAlgorithm=ALGORITHM)
    return bytes(answer["Signature"])


def verified(kms: Any, key: str, payload: bytes, signature: bytes) -> bool:
    """Whether KMS says that `key` made this signature over exactly this statement."""
    if not signature:
        return False
    digest = bytes.fromhex(canonical.sha256(signed_bytes(payload)))
    try:
        answer = kms.verify(
            KeyId=key, Message=digest, MessageType="DIGEST", Signature=signature, SigningAlgorithm=ALGORITHM
        )
    except ClientError as error:
        if code(error) == "KMSInvalidSignatureException":
            return False
        raise
    return answer["SignatureValid"] is True
