"""What lifecycle hooks are told by ECS, and the findings they leave in an environment's releases bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lockgate import names
from lockgate.aws.write_once import put_once
from lockgate.errors import RefusedError
from lockgate.release.hook_findings import HookFinding, read_finding


def hook_details(event: Mapping[str, Any], texts: Sequence[str], numbers: Sequence[str] = ()) -> dict[str, Any]:
    """The details that a release stack gives its hooks. Raises RefusedError when one is missing, or of another type."""
    details = event.get("hookDetails")
    if isinstance(details, str):
        details = json.loads(details)
    wanted: dict[str, type | tuple[type, ...]] = {**dict.fromkeys(texts, str), **dict.fromkeys(numbers, (int, float))}
    if not isinstance(details, dict) or not all(isinstance(details.get(name), kind) for name, kind in wanted.items()):
        raise RefusedError(f"hookDetails: found {details!r}, expected {', '.join(wanted)}")
    return details


def put_finding(s3: Any, bucket: str, model: str, about: str, finding: HookFinding) -> None:
    """Keep a finding under the id of a deployment's ARN, or of a token. The same again changes nothing."""
    name = f"{about.rpartition('/')[2]}-{'passed' if finding.passed else 'failed'}"
    put_once(s3, bucket, f"{names.findings_prefix(model)}{name}.json", finding.to_bytes())


def failed_findings(s3: Any, bucket: str, model: str, verdict_id: str, since: datetime) -> Iterator[HookFinding]:
    """Why deployments of a verdict's release failed since a moment, oldest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=names.findings_prefix(model))
    entries = [entry for page in pages for entry in page.get("Contents", ())]
    recent = [entry for entry in entries if entry["LastModified"] >= since.replace(microsecond=0)]
    for entry in sorted(recent, key=lambda entry: entry["LastModified"]):
        finding = read_finding(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
        if finding.verdict_id == verdict_id and not finding.passed:
            yield finding
