"""Scan results of the embedded ECR. No scanner runs: a result is what a test put into `scans.json`, else "no findings".

The file maps an image's digest, or "*", to {"status": ScanStatus of ECR, "counts": {severity: number}, "enhanced":
whether the registry uses enhanced scanning}. A status of "NONE" is an image that nobody scanned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ministack.core.responses import get_account_id, json_response
from ministack.services import ecr

from local import recorded
from local.settings import Settings

NOTE = "image scans: no scanner runs; findings are empty unless a test says otherwise"
DESCRIPTION = "recorded only: no scanner ran"


_file: Path | None = None


def install(settings: Settings) -> None:
    global _file
    _file = settings.scans


def result(digest: str) -> dict[str, Any]:
    recorded.note("ecr", NOTE)
    given: dict[str, Any] = json.loads(_file.read_text()) if _file and _file.is_file() else {}
    found = given.get(digest) or given.get("*") or {}
    return {"status": "COMPLETE", "counts": {}, "enhanced": False, **found}


def describe(request: Mapping[str, Any]) -> Any:
    """DescribeImageScanFindings."""
    repository = request["repositoryName"]
    image = ecr._find_image(repository, request["imageId"]) if repository in ecr._repositories else None
    if image is None:
        return ecr.error_response_json("ImageNotFoundException", "The image requested does not exist", 400)
    found = result(image["imageDigest"])
    if found["status"] == "NONE":
        message = f"Image scan does not exist for the image with '{request['imageId']}' in repository '{repository}'"
        return ecr.error_response_json("ScanNotFoundException", message, 400)
    answer = {
        "registryId": get_account_id(),
        "repositoryName": repository,
        "imageId": image["imageId"],
        "imageScanStatus": {"status": found["status"], "description": DESCRIPTION},
    }
    if found["status"] in ("COMPLETE", "ACTIVE"):
        kind = "enhancedFindings" if found["enhanced"] else "findings"
        answer["imageScanFindings"] = {kind: [], "findingSeverityCounts": found["counts"]}
    return json_response(answer)
