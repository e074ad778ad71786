"""What ECR's scanner found in an image."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lockgate.aws.clients import code
from lockgate.gate.scan import ImageScan

ABSENT = ("ImageNotFoundException", "RepositoryNotFoundException")


def scan_of(ecr: Any, account: str, repository: str, digest: str) -> ImageScan | None:
    """What ECR says of an image's scan, basic or enhanced: status NONE where it knows of none; None for no image."""
    image = {"imageDigest": digest}
    where = {"registryId": account, "repositoryName": repository}
    asked = {**where, "imageId": image}
    try:
        pushed = ecr.describe_images(**where, imageIds=[image])["imageDetails"][0]["imagePushedAt"].isoformat()
    except ClientError as error:
        if code(error) in ABSENT:
            return None
        raise
    try:
        answer = ecr.describe_image_scan_findings(**asked, maxResults=1)
    except ClientError as error:
        if code(error) != "ScanNotFoundException":
            raise
        return ImageScan("NONE", "ECR knows of no scan of this image", {}, pushed)
    status = answer.get("imageScanStatus", {})
    counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
    return ImageScan(
        status.get("status", "NONE"),
        status.get("description", "no description"),
        {severity.lower(): count for severity, count in counts.items()},
        pushed,
    )
