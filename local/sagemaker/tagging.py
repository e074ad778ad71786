"""AddTags, ListTags, DeleteTags: tags of groups, packages and pipelines by ARN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.sagemaker import state
from local.sagemaker.contract import ApiError


def add_tags(request: Mapping[str, Any]) -> dict[str, Any]:
    known = _tags_of(request["ResourceArn"])
    known.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
    return {"Tags": _listed(known)}


def list_tags(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"Tags": _listed(_tags_of(request["ResourceArn"]))}


def delete_tags(request: Mapping[str, Any]) -> dict[str, Any]:
    known = _tags_of(request["ResourceArn"])
    for key in request["TagKeys"]:
        known.pop(key, None)
    return {}


def _tags_of(resource: str) -> dict[str, str]:
    known: dict[str, str] | None = state.tags.get(resource)
    if known is None:
        raise ApiError("ResourceNotFound", f"Resource {resource} does not exist")
    return known


def _listed(known: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in known.items()]
