"""The events SageMaker itself puts on the default bus, with AWS's names and shapes (source aws.sagemaker)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.services import eventbridge

from local.sagemaker import contract
from local.sagemaker.state import iso

_METADATA_NAMES = {"ProcessingJob": "processingJob", "TrainingJob": "trainingJob", "RegisterModel": "registerModel"}


def package_changed(package: Mapping[str, Any], updated: Sequence[str] = ()) -> None:
    """A version was registered or changed; `updated` names the members that an update set."""
    detail = contract.select("DescribeModelPackageOutput", package)
    for name in ("ModelPackageName", "CreatedBy", "LastModifiedBy"):
        detail.pop(name, None)  # the event has none of them
    for name in ("CreationTime", "LastModifiedTime"):
        detail[name] = iso(detail[name])
    if updated:
        detail["UpdatedModelPackageFields"] = list(updated)
    _put("SageMaker Model Package State Change", [package["ModelPackageArn"]], detail)


def execution_changed(execution: Mapping[str, Any], previous: str | None) -> None:
    """A pipeline execution went from `previous` (None: it did not exist) to the status it has now."""
    status = execution["PipelineExecutionStatus"]
    ended = status in ("Succeeded", "Failed", "Stopped")
    detail = {
        "pipelineExecutionDisplayName": execution["PipelineExecutionDisplayName"],
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": previous,
        "executionStartTime": iso(execution["CreationTime"]),
        "executionEndTime": iso(execution["LastModifiedTime"]) if ended else None,
        "pipelineExecutionDescription": execution.get("PipelineExecutionDescription"),
        "pipelineArn": execution["PipelineArn"],
        "pipelineExecutionArn": execution["PipelineExecutionArn"],
    }
    _put_for("SageMaker Model Building Pipeline Execution Status Change", execution, detail)


def step_changed(execution: Mapping[str, Any], step: Mapping[str, Any], step_type: str, previous: str | None) -> None:
    """A step of an execution went from `previous` (None: it did not exist) to the status it has now."""
    metadata = {
        _METADATA_NAMES.get(kind, kind.lower()): {name[0].lower() + name[1:]: item for name, item in value.items()}
        for kind, value in step.get("Metadata", {}).items()
    }
    detail = {
        "metadata": metadata,
        "stepStartTime": iso(step["StartTime"]),
        "stepEndTime": iso(step["EndTime"]) if "EndTime" in step else None,
        "stepName": step["StepName"],
        "stepType": step_type,
        "previousStepStatus": previous,
        "currentStepStatus": step["StepStatus"],
        "failureReason": step.get("FailureReason"),
        "pipelineArn": execution["PipelineArn"],
        "pipelineExecutionArn": execution["PipelineExecutionArn"],
    }
    _put_for("SageMaker Model Building Pipeline Execution Step Status Change", execution, detail)


def _put_for(detail_type: str, execution: Mapping[str, Any], detail: Mapping[str, Any]) -> None:
    present = {name: value for name, value in detail.items() if value is not None}
    _put(detail_type, [execution["PipelineArn"], execution["PipelineExecutionArn"]], present)


def _put(detail_type: str, resources: Sequence[str], detail: Mapping[str, Any]) -> None:
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
