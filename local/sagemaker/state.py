"""What the service remembers, per account and region, and the small things every operation needs."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack.core.iam_evaluator import caller_arn
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from local.clock import CLOCK
from local.sagemaker.contract import invalid

groups = AccountRegionScopedDict()  # group name -> group
packages = AccountRegionScopedDict()  # package ARN -> package
pipelines = AccountRegionScopedDict()  # pipeline name -> pipeline
executions = AccountRegionScopedDict()  # execution ARN -> execution.Execution
processing_jobs = AccountRegionScopedDict()  # job name -> DescribeProcessingJob's answer
training_jobs = AccountRegionScopedDict()  # job name -> DescribeTrainingJob's answer
tags = AccountRegionScopedDict()  # resource ARN -> {key: value}
tokens = AccountRegionScopedDict()  # (operation, client token) -> ARN that the first call made

_ALL = (groups, packages, pipelines, executions, processing_jobs, training_jobs, tags, tokens)
_PAGE = 10


def clear() -> None:
    for store in _ALL:
        store.clear()


def arn(resource: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{resource}"


def now() -> float:
    """Seconds since the epoch, as AWS's JSON protocol writes a timestamp."""
    return CLOCK.now()


def iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def caller() -> dict[str, Any]:
    """The caller as CreatedBy and LastModifiedBy show it."""
    return {"IamIdentity": {"Arn": caller_arn()}}


def name_of(kind: str, name_or_arn: str) -> str:
    """The name in a member that takes a name or an ARN of `kind` ("pipeline")."""
    return name_or_arn.removeprefix(arn(f"{kind}/"))


def page(
    items: Sequence[Mapping[str, Any]],
    request: Mapping[str, Any],
    *,
    key: Callable[[Mapping[str, Any]], Any],
    default_order: str,
) -> tuple[list[Mapping[str, Any]], str | None]:
    """Sort and cut a listing by the request's SortOrder, MaxResults and NextToken; the rest's token or None."""
    newest_first = request.get("SortOrder", default_order) == "Descending"
    ordered = sorted(items, key=key, reverse=newest_first)
    start = _offset(request["NextToken"]) if "NextToken" in request else 0
    end = start + request.get("MaxResults", _PAGE)
    rest = base64.b64encode(str(end).encode()).decode() if end < len(ordered) else None
    return ordered[start:end], rest


def _offset(token: str) -> int:
    try:
        return int(base64.b64decode(token, validate=True))
    except ValueError as error:
        raise invalid("Invalid pagination token") from error


def created_between(items: Sequence[Mapping[str, Any]], request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The items that the request's creation-time bounds leave."""
    after = request.get("CreationTimeAfter", request.get("CreatedAfter", 0))
    before = request.get("CreationTimeBefore", request.get("CreatedBefore", float("inf")))
    return [item for item in items if after <= item["CreationTime"] <= before]


def set_tags(resource: str, given: Sequence[Mapping[str, str]]) -> None:
    tags[resource] = {tag["Key"]: tag["Value"] for tag in given}
