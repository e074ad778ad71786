"""ECR's own way to copy an image without docker: layers through the API, an image put under the digest it has.

The emulator's API accepts layers and forgets them. Here a part is kept, a completed layer must have its digest, a
download is a URL that needs no credentials, and an image is put only where its layers are.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region, json_response, request_scope
from ministack.services import ecr

Answer = Any
_PART_BYTES = 10 * 1024**2
_SIGNATURE = "X-Amz-Signature"
# Signature of a download URL -> account, region, repository and digest that it is good for.
_signed: dict[str, tuple[str, str, str, str]] = {}


def answer(operation: str, request: Mapping[str, Any]) -> Answer:
    """The answer to an operation about layers; None for every other operation."""
    perform = _OPERATIONS.get(operation)
    if perform is None or request.get("repositoryName") not in ecr._repositories:
        return None
    return perform(request)


def download(path: str, query: Mapping[str, Any]) -> Answer:
    """The layer behind a download URL; None where the request is not signed as one."""
    signature = query.get(_SIGNATURE, "")
    found = _signed.get(signature[0] if isinstance(signature, list) else signature)
    if found is None or not path.endswith(f"/{found[2]}/blobs/{found[3]}"):
        return None
    account, region, repository, digest = found
    with request_scope(account, region):
        return ecr._v2_get_blob(repository, digest)


def _availability(request: Mapping[str, Any]) -> Answer:
    blobs = ecr._layer_blobs.get(request["repositoryName"]) or {}
    layers = [
        {"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": len(blobs[digest])}
        if digest in blobs
        else {"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}
        for digest in request["layerDigests"]
    ]
    return json_response({"layers": layers, "failures": []})


def _url(request: Mapping[str, Any]) -> Answer:
    repository, digest = request["repositoryName"], request["layerDigest"]
    if digest not in (ecr._layer_blobs.get(repository) or {}):
        return _refused("LayersNotFoundException", f"The specified layer {digest} could not be found")
    signature = secrets.token_urlsafe(32)
    account, region = get_account_id(), get_region()
    _signed[signature] = (account, region, repository, digest)
    host = f"{account}.dkr.ecr.{region}.amazonaws.com"
    url = f"https://{host}/v2/{repository}/blobs/{digest}?{_SIGNATURE}={signature}"
    return json_response({"downloadUrl": url, "layerDigest": digest})


def _initiate(request: Mapping[str, Any]) -> Answer:
    upload = secrets.token_hex(16)
    ecr._uploads.setdefault(request["repositoryName"], {})[upload] = bytearray()
    return json_response({"uploadId": upload, "partSize": _PART_BYTES})


def _part(request: Mapping[str, Any]) -> Answer:
    received = (ecr._uploads.get(request["repositoryName"]) or {}).get(request["uploadId"])
    if received is None:
        return _refused("UploadNotFoundException", "The upload could not be found")
    if request["partFirstByte"] != len(received):
        return _refused("InvalidLayerPartException", f"expected the part that begins at {len(received)}")
    received.extend(base64.b64decode(request["layerPartBlob"]))
    return json_response({"uploadId": request["uploadId"], "lastByteReceived": len(received) - 1})


def _complete(request: Mapping[str, Any]) -> Answer:
    repository, (digest,) = request["repositoryName"], request["layerDigests"]
    received = (ecr._uploads.get(repository) or {}).get(request["uploadId"])
    if received is None:
        return _refused("UploadNotFoundException", "The upload could not be found")
    blobs = ecr._layer_blobs.setdefault(repository, {})
    if digest in blobs:
        return _refused("LayerAlreadyExistsException", f"Layer {digest} already exists")
    if f"sha256:{hashlib.sha256(received).hexdigest()}" != digest:
        return _refused("InvalidLayerException", f"The layer's bytes do not have the digest {digest}")
    blobs[digest] = bytes(received)
    del ecr._uploads[repository][request["uploadId"]]
    return json_response({"uploadId": request["uploadId"], "layerDigest": digest})


def _put(request: Mapping[str, Any]) -> Answer:
    """What ECR checks before the emulator keeps an image; None when it may."""
    repository, manifest = request["repositoryName"], request["imageManifest"].encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    if request.get("imageDigest", digest) != digest:
        return _refused("ImageDigestDoesNotMatchException", f"The manifest has the digest {digest}")
    document = json.loads(manifest)
    blobs = ecr._layer_blobs.get(repository) or {}
    named = [document["config"], *document["layers"]] if "config" in document else []
    missing = [entry["digest"] for entry in named if entry["digest"] not in blobs]
    if missing:
        return _refused("LayersNotFoundException", f"The layers {missing} do not exist in {repository}")
    present = ecr._find_image(repository, {"imageDigest": digest})
    if present and request.get("imageTag") in (None, *present.get("imageTags", [])):
        return _refused("ImageAlreadyExistsException", f"Image with digest {digest} already exists")
    ecr._manifest_blobs.setdefault(repository, {})[digest] = manifest
    return None


_OPERATIONS: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
    "BatchCheckLayerAvailability": _availability,
    "GetDownloadUrlForLayer": _url,
    "InitiateLayerUpload": _initiate,
    "UploadLayerPart": _part,
    "CompleteLayerUpload": _complete,
    "PutImage": _put,
}


def _refused(code: str, message: str) -> Answer:
    return ecr.error_response_json(code, message, 400)
