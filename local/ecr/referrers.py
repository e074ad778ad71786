"""What refers to an image in the embedded ECR (OCI distribution specification 1.1), by both of its APIs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import json_response
from ministack.services import ecr

from local.seams import wrap

INDEX = "application/vnd.oci.image.index.v1+json"
_PATH = re.compile(r"/v2/(.+)/referrers/(sha256:[0-9a-f]{64})")


def install() -> None:
    """Listing referrers asks for the permission to read images; AWS has no action of its own name."""
    wrap("core.iam_actions.extract_iam_action", _as_reading_images)
    wrap("app._is_ecr_registry_path", _or_of_referrers)


def _as_reading_images(original: Callable[..., Any]) -> Callable[..., Any]:
    def action(*args: Any, **kwargs: Any) -> Any:
        named = original(*args, **kwargs)
        return "ecr:BatchGetImage" if named == "ecr:ListImageReferrers" else named

    return action


def _or_of_referrers(original: Callable[[str], bool]) -> Callable[[str], bool]:
    """The emulator's gateway does not know paths of referrers as the registry's, and takes them for a bucket's."""
    return lambda path: parsed(path) is not None or original(path)


def parsed(path: str) -> tuple[str, str, str] | None:
    """Kind, repository and digest of a registry request for referrers."""
    found = _PATH.fullmatch(path)
    return ("referrers", found[1], found[2]) if found else None


def referrers(repository: str, digest: str) -> list[dict[str, Any]]:
    """Descriptors of the manifests whose subject is `digest`, as the OCI distribution specification (1.1) has them."""
    found = []
    for image in ecr._images.get(repository, []):
        manifest = _parsed(image)
        if manifest.get("subject", {}).get("digest") != digest:
            continue
        kind = manifest.get("artifactType") or manifest.get("config", {}).get("mediaType", "")
        found.append(
            {
                "mediaType": image["imageManifestMediaType"],
                "digest": image["imageDigest"],
                "size": len(image["imageManifest"].encode()),
                "artifactType": kind,
                **({"annotations": manifest["annotations"]} if manifest.get("annotations") else {}),
            }
        )
    return found


def answer(repository: str, digest: str, query: Mapping[str, Any]) -> Any:
    """GET /v2/<repository>/referrers/<digest>: an index, empty where nothing refers."""
    if repository not in ecr._repositories:
        return ecr._registry_error(404, "NAME_UNKNOWN", f"repository name not known to registry: {repository}")
    found, headers = referrers(repository, digest), {"Content-Type": INDEX}
    if wanted := ecr._query_first(query, "artifactType"):
        found = [one for one in found if one["artifactType"] == wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode()
    return ecr._registry_ok(200, {**headers, "Content-Length": str(len(index))}, index)


def subject_of(manifest: bytes) -> str:
    """Digest of the image that a manifest refers to; "" when it refers to none."""
    try:
        return str(json.loads(manifest)["subject"]["digest"])
    except (ValueError, KeyError, TypeError):
        return ""


def _parsed(image: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(image.get("imageManifest", "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def listed(request: Mapping[str, Any]) -> Any:
    """ListImageReferrers."""
    name, digest = request["repositoryName"], request["subjectId"]["imageDigest"]
    if name not in ecr._repositories:
        return ecr.error_response_json("RepositoryNotFoundException", f"The repository {name} does not exist", 400)
    if ecr._find_image(name, {"imageDigest": digest}) is None:
        return ecr.error_response_json("ImageNotFoundException", f"The image {digest} does not exist", 400)
    kinds = request.get("filter", {}).get("artifactTypes")
    found = [one for one in referrers(name, digest) if not kinds or one["artifactType"] in kinds]
    return json_response({"referrers": [{**one, "artifactStatus": "ACTIVE"} for one in found]})
