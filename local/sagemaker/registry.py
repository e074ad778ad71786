"""The model registry: model package groups and their numbered versions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from local import recorded
from local.sagemaker import events, state
from local.sagemaker.contract import ApiError, invalid

_versions = threading.Lock()
_UPDATABLE = (
    "ModelApprovalStatus",
    "ModelPackageRegistrationType",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)


def create_group(request: Mapping[str, Any]) -> dict[str, Any]:
    name = request["ModelPackageGroupName"]
    group_arn = state.arn(f"model-package-group/{name}")
    if name in state.groups:
        raise invalid(f"Model Package Group already exists: {group_arn}")
    state.groups[name] = {
        **request,
        "ModelPackageGroupArn": group_arn,
        "ModelPackageGroupStatus": "Completed",
        "CreationTime": state.now(),
        "CreatedBy": state.caller(),
        "next_version": 1,
    }
    state.set_tags(group_arn, request.get("Tags", []))
    return {"ModelPackageGroupArn": group_arn}


def describe_group(request: Mapping[str, Any]) -> dict[str, Any]:
    return _group(request["ModelPackageGroupName"])


def list_groups(request: Mapping[str, Any]) -> dict[str, Any]:
    wanted = request.get("NameContains", "")
    found = [group for group in state.groups.values() if wanted in group["ModelPackageGroupName"]]
    sort_by = "ModelPackageGroupName" if request.get("SortBy") == "Name" else "CreationTime"
    listed, rest = state.page(
        state.created_between(found, request), request, key=lambda group: group[sort_by], default_order="Ascending"
    )
    return {"ModelPackageGroupSummaryList": listed, "NextToken": rest}


def delete_group(request: Mapping[str, Any]) -> dict[str, Any]:
    group = _group(request["ModelPackageGroupName"])
    name = group["ModelPackageGroupName"]
    if _versions_of(name):
        raise ApiError(
            "ConflictException",
            f"Model Package Group {group['ModelPackageGroupArn']} cannot be deleted because it still contains "
            "Model Packages.",
        )
    del state.groups[name]
    state.tags.pop(group["ModelPackageGroupArn"], None)
    return {}


def create_package(request: Mapping[str, Any]) -> dict[str, Any]:
    """Register the next version of a group. Versions are never used again, not even after a deletion."""
    if "ModelPackageGroupName" not in request:
        raise invalid("The embedded SageMaker keeps versioned model packages only: give ModelPackageGroupName.")
    if "ModelPackageName" in request:
        raise invalid("Both ModelPackageName and ModelPackageGroupName cannot be specified in the same request.")
    if request.get("Tags"):
        raise invalid("Tags cannot be specified for a model package version: it uses the tags of its group.")
    recorded.note("sagemaker", "CreateModelPackage does not check that image and model data exist")
    token = ("CreateModelPackage", request.get("ClientToken"))
    if "ClientToken" in request and token in state.tokens:
        return {"ModelPackageArn": state.tokens[token]}
    group = _group(request["ModelPackageGroupName"])
    with _versions:
        version = group["next_version"]
        group["next_version"] = version + 1
    name = group["ModelPackageGroupName"]
    package_arn = state.arn(f"model-package/{name}/{version}")
    created = state.now()
    package = {
        "ModelApprovalStatus": "PendingManualApproval",
        "CertifyForMarketplace": False,
        **request,
        "ModelPackageName": name,  # required by the model although a version has no name of its own
        "ModelPackageGroupName": name,
        "ModelPackageVersion": version,
        "ModelPackageArn": package_arn,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CreationTime": created,
        "LastModifiedTime": created,
        "CreatedBy": state.caller(),
    }
    _fill_image_digests(package)
    state.packages[package_arn] = package
    state.set_tags(package_arn, [])
    if "ClientToken" in request:
        state.tokens[token] = package_arn
    events.package_changed(package)
    return {"ModelPackageArn": package_arn}


def describe_package(request: Mapping[str, Any]) -> dict[str, Any]:
    return _package(request["ModelPackageName"])


def list_packages(request: Mapping[str, Any]) -> dict[str, Any]:
    """Versions of one group; without a group AWS lists the unversioned packages, of which there are none here."""
    found: list[dict[str, Any]] = []
    if "ModelPackageGroupName" in request:
        found = _versions_of(_group(request["ModelPackageGroupName"])["ModelPackageGroupName"])
    if "ModelApprovalStatus" in request:
        found = [item for item in found if item["ModelApprovalStatus"] == request["ModelApprovalStatus"]]
    listed, rest = state.page(
        state.created_between(found, request),
        request,
        key=lambda item: (item["CreationTime"], item["ModelPackageVersion"]),
        default_order="Ascending",
    )
    return {"ModelPackageSummaryList": listed, "NextToken": rest}


def update_package(request: Mapping[str, Any]) -> dict[str, Any]:
    package = _package(request["ModelPackageArn"])
    updated = [name for name in _UPDATABLE if name in request]
    package.update({name: request[name] for name in updated})
    if "CustomerMetadataProperties" in request or "CustomerMetadataPropertiesToRemove" in request:
        removed = request.get("CustomerMetadataPropertiesToRemove", [])
        known = {**package.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
        package["CustomerMetadataProperties"] = {key: known[key] for key in known if key not in removed}
        updated.append("CustomerMetadataProperties")
    if "AdditionalInferenceSpecificationsToAdd" in request:
        known_specifications = package.setdefault("AdditionalInferenceSpecifications", [])
        known_specifications += request["AdditionalInferenceSpecificationsToAdd"]
        updated.append("AdditionalInferenceSpecifications")
    _fill_image_digests(package)
    package.update(LastModifiedTime=state.now(), LastModifiedBy=state.caller())
    events.package_changed(package, updated)
    return {"ModelPackageArn": package["ModelPackageArn"]}


def delete_package(request: Mapping[str, Any]) -> dict[str, Any]:
    package = _package(request["ModelPackageName"])
    del state.packages[package["ModelPackageArn"]]
    state.tags.pop(package["ModelPackageArn"], None)
    return {}


def _group(name_or_arn: str) -> dict[str, Any]:
    name = state.name_of("model-package-group", name_or_arn)
    group: dict[str, Any] | None = state.groups.get(name)
    if group is None:
        raise invalid(f"ModelPackageGroup {state.arn(f'model-package-group/{name}')} does not exist.")
    return group


def _package(name_or_arn: str) -> dict[str, Any]:
    package_arn = state.arn(f"model-package/{state.name_of('model-package', name_or_arn)}")
    package: dict[str, Any] | None = state.packages.get(package_arn)
    if package is None:
        raise invalid(f"ModelPackage {package_arn} does not exist.")
    return package


def _versions_of(group: str) -> list[dict[str, Any]]:
    return [package for package in state.packages.values() if package["ModelPackageGroupName"] == group]


def _fill_image_digests(package: dict[str, Any]) -> None:
    """AWS adds the digest of each container's image; an image named by tag keeps none here."""
    specification = package.get("InferenceSpecification")
    if specification is None:
        return
    containers = [
        {"ImageDigest": container["Image"].partition("@")[2], **container}
        if "@sha256:" in container.get("Image", "")
        else container
        for container in specification.get("Containers", [])
    ]
    package["InferenceSpecification"] = {**specification, "Containers": containers}
