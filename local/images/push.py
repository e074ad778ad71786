"""Push an image to a registry over its HTTP API (version 2), as docker does, and keep built images on disk."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local.images.builder import MANIFEST, BuiltImage

_REFERENCE = re.compile(r"(?P<host>[^/]+)/(?P<repository>[a-z0-9._/-]+):(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*)")


class RegistryError(Exception):
    """The registry refused; the message has its own code and words."""


@dataclass(frozen=True)
class ImageReference:
    """`host/repository:tag`."""

    host: str
    repository: str
    tag: str


def reference(text: str) -> ImageReference:
    """Raises ValueError when `text` is not host/repository:tag."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text}: expected HOST/REPOSITORY:TAG")
    return ImageReference(found["host"], found["repository"], found["tag"])


def store(build: BuiltImage, folder: Path) -> None:
    """Write an image as an OCI image layout."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for digest, content in build.blobs.items():
        (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry = {"mediaType": MANIFEST, "digest": build.digest, "size": len(build.manifest)}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def load(folder: Path) -> BuiltImage:
    """Read back what `store` wrote."""
    digest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    blobs = {f"sha256:{file.name}": file.read_bytes() for file in (folder / "blobs" / "sha256").iterdir()}
    return BuiltImage(digest, blobs, ())


def push(build: BuiltImage, to: ImageReference, endpoint: str, ca_bundle: str, token: str) -> None:
    """Upload what the registry lacks, then the manifest under its tag. `token` is that of `docker login`.

    The registry is reached at `endpoint`, under its own name. Raises RegistryError.
    """
    url = urlsplit(endpoint)
    connection = http.client.HTTPSConnection(
        url.hostname or "", url.port, context=ssl.create_default_context(cafile=ca_bundle), timeout=60
    )
    credentials = base64.b64encode(f"AWS:{token}".encode()).decode()
    headers = {"Host": to.host, "Authorization": f"Basic {credentials}"}
    try:
        for digest, content in build.blobs.items():
            if digest != build.digest:
                _push_blob(connection, to, digest, content, headers)
        manifest = {**headers, "Content-Type": MANIFEST}
        _ask(connection, "PUT", f"/v2/{to.repository}/manifests/{to.tag}", manifest, build.manifest)
    finally:
        connection.close()


def _push_blob(
    connection: http.client.HTTPSConnection, to: ImageReference, digest: str, content: bytes, headers: Mapping[str, str]
) -> None:
    if _ask(connection, "HEAD", f"/v2/{to.repository}/blobs/{digest}", headers, missing_is_fine=True) is not None:
        return
    answer = _ask(connection, "POST", f"/v2/{to.repository}/blobs/uploads/", headers) or {}
    upload = urlsplit(answer["location"])
    _ask(connection, "PUT", f"{upload.path}?digest={digest}", headers, content)


def _ask(
    connection: http.client.HTTPSConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    missing_is_fine: bool = False,
) -> dict[str, str] | None:
    """Headers of the answer in lower case; None for a 404 that was expected."""
    connection.request(method, path, body=body, headers=dict(headers))
    response = connection.getresponse()
    text = response.read()
    if response.status == http.HTTPStatus.NOT_FOUND and missing_is_fine:
        return None
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        # A HEAD answer has no body to say why; asking whether a layer exists needs ecr:BatchCheckLayerAvailability.
        words = _words(text) or response.reason
        raise RegistryError(f"{method} {path}: {response.status} {words}")
    return {name.lower(): value for name, value in response.getheaders()}


def _words(text: bytes) -> str:
    try:
        errors = json.loads(text)["errors"]
        return "; ".join(f"{error['code']}: {error['message']}" for error in errors)
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")
