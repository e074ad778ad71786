"""AWS::SageMaker::Pipeline and AWS::SageMaker::ModelPackageGroup, on the service's own operations."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ministack.services.cloudformation import provisioners

from local.sagemaker import contract, pipelines, registry, state
from local.sagemaker.contract import invalid
from local.seams import handler_of, rebind

_GROUP_NAME_LIMIT, _PIPELINE_NAME_LIMIT = 63, 256
Created = tuple[str, dict[str, Any]]  # physical id, attributes


def install() -> None:
    handlers = {
        "AWS::SageMaker::ModelPackageGroup": {
            "create": _create_group,
            "update": _update_group,
            "delete": _delete_group,
        },
        "AWS::SageMaker::Pipeline": {
            "create": _create_pipeline,
            "update": _update_pipeline,
            "delete": _delete_pipeline,
        },
    }
    for kind, handler in handlers.items():
        rebind(handler_of(kind), handler)
        rebind(f"services.cloudformation.provisioners._STACK_TAG_PROPERTY[{kind}]", ("Tags", "list"))


def _create_group(logical_id: str, properties: Mapping[str, Any], stack: str) -> Created:
    name = properties.get("ModelPackageGroupName") or _name(stack, logical_id, _GROUP_NAME_LIMIT)
    request = {**_only(properties, "ModelPackageGroupDescription", "Tags"), "ModelPackageGroupName": name}
    contract.check("CreateModelPackageGroup", request)
    registry.create_group(request)
    return _group(name)


def _update_group(physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any], stack: str) -> Created:
    """Only tags change in place; another name is another group, and a description cannot change."""
    name = state.name_of("model-package-group", physical_id)
    if new.get("ModelPackageGroupName", name) != name:
        return _create_group("", new, stack)
    if new.get("ModelPackageGroupDescription") != old.get("ModelPackageGroupDescription"):
        raise ValueError("ModelPackageGroupDescription is create-only: give the group another name to replace it")
    state.set_tags(physical_id, new.get("Tags", []))
    return _group(name)


def _delete_group(physical_id: str, properties: Mapping[str, Any]) -> None:
    if state.name_of("model-package-group", physical_id) in state.groups:
        registry.delete_group({"ModelPackageGroupName": physical_id})


def _group(name: str) -> Created:
    group = registry.describe_group({"ModelPackageGroupName": name})
    group_arn = group["ModelPackageGroupArn"]
    return group_arn, {
        "ModelPackageGroupArn": group_arn,
        "ModelPackageGroupStatus": group["ModelPackageGroupStatus"],
        "CreationTime": state.iso(group["CreationTime"]),
    }


def _create_pipeline(logical_id: str, properties: Mapping[str, Any], stack: str) -> Created:
    name = properties.get("PipelineName") or _name(stack, logical_id, _PIPELINE_NAME_LIMIT)
    request = {**_request(properties), "PipelineName": name, "ClientRequestToken": str(uuid.uuid4())}
    contract.check("CreatePipeline", request)
    pipelines.create(request)
    return name, {}


def _update_pipeline(physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any], stack: str) -> Created:
    if new.get("PipelineName", physical_id) != physical_id:
        return _create_pipeline("", new, stack)
    request = {**_request(new), "PipelineName": physical_id}
    tags = request.pop("Tags", [])
    contract.check("UpdatePipeline", request)
    updated = pipelines.update(request)
    state.set_tags(updated["PipelineArn"], tags)
    return physical_id, {}


def _delete_pipeline(physical_id: str, properties: Mapping[str, Any]) -> None:
    if physical_id in state.pipelines:
        pipelines.delete({"PipelineName": physical_id})


def _request(properties: Mapping[str, Any]) -> dict[str, Any]:
    body = properties.get("PipelineDefinition", {}).get("PipelineDefinitionBody")
    if body is None:
        raise invalid("PipelineDefinition needs PipelineDefinitionBody: no PipelineDefinitionS3Location is read here.")
    request = _only(
        properties, "PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration", "Tags"
    )
    parallelism = request.get("ParallelismConfiguration")
    if parallelism:  # a template may carry the number as text
        request["ParallelismConfiguration"] = {key: int(value) for key, value in parallelism.items()}
    return {**request, "PipelineDefinition": body}


def _only(properties: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: properties[name] for name in names if name in properties}


def _name(stack: str, logical_id: str, limit: int) -> str:
    return str(provisioners._physical_name(stack, logical_id, max_len=limit))
