"""The resource each operation is authorized on, as AWS's service authorization reference lists it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from local.iam.resources import judge_on

# operation -> (resource kind, member that names it by name or ARN)
_GROUP = ("model-package-group", "ModelPackageGroupName")
_PIPELINE = ("pipeline", "PipelineName")
_EXECUTION = ("pipeline", "PipelineExecutionArn")
_RESOURCES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("CreateModelPackageGroup", "DescribeModelPackageGroup", "DeleteModelPackageGroup"), _GROUP),
    **dict.fromkeys(("DescribeModelPackage", "DeleteModelPackage"), ("model-package", "ModelPackageName")),
    "UpdateModelPackage": ("model-package", "ModelPackageArn"),
    **dict.fromkeys(
        ("CreatePipeline", "UpdatePipeline", "DescribePipeline", "DeletePipeline", "StartPipelineExecution"), _PIPELINE
    ),
    "ListPipelineExecutions": _PIPELINE,
    **dict.fromkeys(
        (
            "StopPipelineExecution",
            "DescribePipelineExecution",
            "ListPipelineExecutionSteps",
            "ListPipelineParametersForExecution",
            "DescribePipelineDefinitionForExecution",
        ),
        _EXECUTION,
    ),
    "DescribeProcessingJob": ("processing-job", "ProcessingJobName"),
    "DescribeTrainingJob": ("training-job", "TrainingJobName"),
    **dict.fromkeys(("AddTags", "ListTags", "DeleteTags"), ("", "ResourceArn")),
}


def install() -> None:
    """Let the emulator's IAM ask here for requests to SageMaker."""

    def resource(headers: Mapping[str, str], body: bytes, region: str, account: str) -> str:
        operation = headers.get("x-amz-target", "").partition(".")[2]
        return resource_of(operation, body, f"arn:aws:sagemaker:{region}:{account}:")

    judge_on("sagemaker", resource)


def resource_of(operation: str, body: bytes, prefix: str) -> str:
    """The ARN that a request acts on; "*" for the operations that know no resource (lists)."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return "*"  # the service refuses it
    if not isinstance(request, dict):
        return "*"
    if operation == "CreateModelPackage":
        group = str(request.get("ModelPackageGroupName", "")).removeprefix(f"{prefix}model-package-group/")
        return f"{prefix}model-package/{group}/*"
    kind, member = _RESOURCES.get(operation, ("", ""))
    name = str(request.get(member, ""))
    if name.startswith("arn:"):
        return name
    return f"{prefix}{kind}/{name}" if kind and name else "*"
