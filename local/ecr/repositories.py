"""The emulated registry with ECR's own rules: who may push and pull, and the events a push causes.

The emulator's registry accepts any push. Here `docker login` gets a token that stands for the caller's identity,
and every registry request is judged by IAM and the repository's policy.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region, json_response
from ministack.core.router import extract_access_key_id
from ministack.services import ecr

from local import faults
from local.ecr import layers as ecr_layers
from local.ecr import referrers, scans
from local.eventbridge.service_events import emit
from local.iam import roles
from local.seams import rebind
from local.settings import Settings

# What each registry request needs, by kind of path and method; docker logout and ping need no action.
_ACTIONS = {
    ("blob_uploads", "POST"): "ecr:InitiateLayerUpload",
    ("blob_upload_session", "GET"): "ecr:InitiateLayerUpload",
    ("blob_upload_session", "PATCH"): "ecr:UploadLayerPart",
    ("blob_upload_session", "PUT"): "ecr:CompleteLayerUpload",
    ("blob_upload_session", "DELETE"): "ecr:InitiateLayerUpload",
    ("blob", "HEAD"): "ecr:BatchCheckLayerAvailability",
    ("blob", "GET"): "ecr:GetDownloadUrlForLayer",
    ("manifest", "HEAD"): "ecr:BatchGetImage",
    ("manifest", "GET"): "ecr:BatchGetImage",
    ("manifest", "PUT"): "ecr:PutImage",
    ("tags_list", "GET"): "ecr:ListImages",
    ("referrers", "GET"): "ecr:BatchGetImage",
}
_PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")

# Token of `docker login` -> access key it was made for.
_tokens: dict[str, str] = {}
_scan_types: dict[tuple[str, str], Mapping[str, Any]] = {}
_handle_request = ecr.handle_request
_handle_registry_request = ecr.handle_registry_request


def install(settings: Settings) -> None:
    """Extend the emulator's ECR in place."""
    referrers.install()
    scans.install(settings)
    rebind("services.ecr.handle_request", _request)
    rebind("services.ecr.handle_registry_request", _registry_request)


def refusal_to_pull(access_key: str, image_uri: str) -> str | None:
    """Why the holder of an access key may not pull an image, as ECR words it; None when it may."""
    registry, _, path = image_uri.partition("/")
    account, region = registry.split(".")[0], registry.split(".")[3]
    if faults.closed(account):
        return f"the registry {registry} does not answer"
    repository = path.partition("@")[0].partition(":")[0]
    if not roles.allowed(access_key, "ecr:GetAuthorizationToken", "*"):
        return "not authorized to perform: ecr:GetAuthorizationToken on resource: *"
    for action in _PULL:
        arn = _repository_arn(account, region, repository)
        if not roles.allowed(access_key, action, arn, _policy(account, region, repository), account):
            return f"not authorized to perform: {action} on resource: {arn}"
    return None


def _repository_arn(account: str, region: str, repository: str) -> str:
    return f"arn:aws:ecr:{region}:{account}:repository/{repository}"


def _policy(account: str, region: str, repository: str) -> str:
    return ecr._repo_policies.get_scoped(account, region, repository) or ""


async def _request(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
    operation, request = headers.get("x-amz-target", "").rpartition(".")[2], json.loads(body or b"{}")
    if operation == "GetAuthorizationToken":
        return _authorization(extract_access_key_id(headers, query))
    if operation == "GetRegistryScanningConfiguration":
        return json_response({"registryId": get_account_id(), "scanningConfiguration": _scanning()})
    if operation == "PutRegistryScanningConfiguration":
        _scan_types[get_account_id(), get_region()] = request
        return json_response({"registryScanningConfiguration": _scanning()})
    if operation == "DescribeImageScanFindings":
        return scans.describe(request)
    if operation == "ListImageReferrers":
        return referrers.listed(request)
    if operation == "DescribeImages" and (absent := _absent_image(request)):
        return absent
    if layers := ecr_layers.answer(operation, request):
        return layers
    return await _handle_request(method, path, headers, body, query)


def _scanning() -> dict[str, Any]:
    """How an account's registry scans: basic, unless it was told otherwise."""
    told = _scan_types.get((get_account_id(), get_region()), {})
    return {"scanType": told.get("scanType", "BASIC"), "rules": told.get("rules", [])}


def _authorization(access_key: str) -> Any:
    token = secrets.token_urlsafe(48)
    _tokens[token] = access_key
    data = {
        "authorizationToken": base64.b64encode(f"AWS:{token}".encode()).decode(),
        "expiresAt": int(time.time()) + 12 * 3600,
        "proxyEndpoint": f"https://{get_account_id()}.dkr.ecr.{get_region()}.amazonaws.com",
    }
    return json_response({"authorizationData": [data]})


def _absent_image(request: Mapping[str, Any]) -> Any:
    """AWS's refusal when an image that was asked for does not exist; None when all do."""
    repository = request["repositoryName"]
    if repository not in ecr._repositories:
        return None
    for wanted in request.get("imageIds", []):
        if ecr._find_image(repository, wanted) is None:
            image = f"{{imageDigest:'{wanted.get('imageDigest')}', imageTag:'{wanted.get('imageTag')}'}}"
            message = f"The image with imageId {image} does not exist within the repository with name '{repository}'"
            return ecr.error_response_json("ImageNotFoundException", message, 400)
    return None


async def _registry_request(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
    if layer := ecr_layers.download(path, query):
        return layer
    parsed = referrers.parsed(path) or ecr._parse_v2_path(path)
    access_key = _bearer(headers)
    if access_key is None:
        status, answer, text = ecr._registry_error(401, "UNAUTHORIZED", "no basic auth credentials")
        return status, {**answer, "WWW-Authenticate": 'Basic realm="ecr",service="ecr.amazonaws.com"'}, text
    if parsed is None:
        return await _handle_registry_request(method, path, headers, body, query)
    kind, repository, reference = parsed
    ecr._select_registry_request_scope(repository, headers, query)
    account, region = get_account_id(), get_region()
    action = _ACTIONS.get((kind, method.upper()))
    arn = _repository_arn(account, region, repository)
    if action and not roles.allowed(access_key, action, arn, _policy(account, region, repository), account):
        return ecr._registry_error(403, "DENIED", f"User is not authorized to perform: {action} on resource: {arn}")
    if kind == "referrers":
        return referrers.answer(repository, reference, query)
    response = await _handle_registry_request(method, path, headers, body, query)
    if action == "ecr:PutImage" and response[0] == 201:
        if subject := referrers.subject_of(body):
            response[1]["OCI-Subject"] = subject
        _announce_push(repository, reference, response[1]["Docker-Content-Digest"], account, region)
    return response


def _bearer(headers: Mapping[str, str]) -> str | None:
    """The access key behind a request's basic auth; None when the token is not one we gave out."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, token = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return _tokens.get(token) if user == "AWS" else None


def _announce_push(repository: str, reference: str, digest: str, account: str, region: str) -> None:
    arn = _repository_arn(account, region, repository)
    tag = "" if reference.startswith("sha256:") else reference
    image = ecr._find_image(repository, {"imageDigest": digest})
    push = {
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": digest,
        "action-type": "PUSH",
        "image-tag": tag,
        "manifest-media-type": image["imageManifestMediaType"],
    }
    emit("aws.ecr", "ECR Image Action", push, [], account, region)
    scan_on_push = ecr._repositories[repository]["imageScanningConfiguration"].get("scanOnPush", False)
    # Templates say it as text. What only refers to an image is not scanned.
    if str(scan_on_push).lower() == "true" and not referrers.subject_of(image["imageManifest"].encode()):
        found = scans.result(digest)
        scan = {
            "scan-status": found["status"],
            "repository-name": repository,
            "finding-severity-counts": found["counts"],
            "image-digest": digest,
            "image-tags": [tag] if tag else [],
        }
        if found["status"] == "COMPLETE":
            emit("aws.ecr", "ECR Image Scan", scan, [arn], account, region)
