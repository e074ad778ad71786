"""An environment's own copies of the images it serves, by digest, so that no task waits for another account."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from lockgate import canonical
from lockgate.aws.clients import code
from lockgate.errors import RefusedError

# A manifest is asked for as it was pushed: ECR would convert it otherwise, and it would have another digest.
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/(?P<repository>[^:@]+)@(?P<digest>.+)")
SECONDS = 60


class Repository(NamedTuple):
    """A repository of images in some account's registry."""

    account: str
    name: str


def has_image(ecr: Any, repository: str, digest: str) -> bool:
    """Whether a repository of this account has the image; one that is there has all its layers."""
    return bool(ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["images"])


def copy_image(ecr: Any, source: str, repository: str, tag: str) -> None:
    """Copy an image (`source`: its URI with digest) into a repository of this account, under `tag`.

    A layer that is there is not sent again, so what died in the middle goes on there. Memory stays at one part of a
    layer. ECR refuses bytes that do not have their digest. Raises RefusedError when the source is gone, or when the
    tag is another image's.
    """
    parts = URI.fullmatch(source)
    if parts is None:
        raise RefusedError(f"image: found {source!r}, expected the URI of an image in ECR with its digest")
    if not has_image(ecr, repository, parts["digest"]):
        _copy(ecr, Repository(parts["account"], parts["repository"]), parts["digest"], repository, tag)


def _copy(ecr: Any, source: Repository, digest: str, repository: str, tag: str | None) -> None:
    answer = ecr.batch_get_image(
        registryId=source.account,
        repositoryName=source.name,
        imageIds=[{"imageDigest": digest}],
        acceptedMediaTypes=MANIFESTS,
    )
    if not answer["images"]:
        raise RefusedError(f"image: {source.name}@{digest} of {source.account} is gone: {answer['failures']}")
    text = str(answer["images"][0]["imageManifest"])
    if f"sha256:{canonical.sha256(text.encode())}" != digest:
        raise RefusedError(f"image: {source.name}@{digest} of {source.account}: its manifest was replaced")
    manifest = json.loads(text)
    for part in manifest.get("manifests", ()):  # an index of several platforms
        _copy(ecr, source, part["digest"], repository, None)
    if "config" in manifest:
        for layer in (manifest["config"], *manifest["layers"]):
            _copy_layer(ecr, source, layer["digest"], repository)
    put = {"imageManifest": text, "imageManifestMediaType": _media_type(manifest, answer["images"][0])}
    try:
        ecr.put_image(repositoryName=repository, imageDigest=digest, **put, **({"imageTag": tag} if tag else {}))
    except ClientError as error:
        if code(error) == "ImageTagAlreadyExistsException":
            raise RefusedError(f"image: the tag {tag} of {repository} is another image's, not {digest}'s") from error
        if code(error) != "ImageAlreadyExistsException":
            raise


def _media_type(manifest: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    return str(manifest.get("mediaType") or image["imageManifestMediaType"])


def _copy_layer(ecr: Any, source: Repository, digest: str, repository: str) -> None:
    def parts(size: int) -> Iterator[bytes]:
        where = {"registryId": source.account, "repositoryName": source.name}
        url = ecr.get_download_url_for_layer(**where, layerDigest=digest)["downloadUrl"]
        return download(url, size)

    upload_layer(ecr, repository, digest, parts)


def upload_layer(ecr: Any, repository: str, digest: str, parts: Callable[[int], Iterator[bytes]]) -> None:
    """Send a layer that the repository lacks; `parts` gives its bytes in pieces of a size, the last may be smaller."""
    known = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[digest])
    if known["layers"] and known["layers"][0]["layerAvailability"] == "AVAILABLE":
        return
    upload = ecr.initiate_layer_upload(repositoryName=repository)
    first = 0
    for part in parts(upload["partSize"]):
        ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload["uploadId"],
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
        first += len(part)
    try:
        ecr.complete_layer_upload(repositoryName=repository, uploadId=upload["uploadId"], layerDigests=[digest])
    except ClientError as error:
        # With LayerAlreadyExistsException another attempt was faster, and the layer is there.
        if code(error) != "LayerAlreadyExistsException":
            raise


def download(url: str, size: int) -> Iterator[bytes]:
    """The bytes behind an https URL that AWS gave out, in pieces of a size."""
    if not url.startswith("https://"):
        raise RefusedError(f"layer: found {url!r}, expected https")
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - checked above
        while part := answer.read(size):
            yield part
