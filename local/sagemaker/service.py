"""The service as the emulator calls it: JSON 1.1, one function an operation, checked going in and coming out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.router import extract_access_key_id

from local.sagemaker import contract, pipelines, processing, registry, roles, state, tagging, training
from local.sagemaker.contract import ApiError

_OPERATIONS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "CreateModelPackageGroup": registry.create_group,
    "DescribeModelPackageGroup": registry.describe_group,
    "ListModelPackageGroups": registry.list_groups,
    "DeleteModelPackageGroup": registry.delete_group,
    "CreateModelPackage": registry.create_package,
    "DescribeModelPackage": registry.describe_package,
    "ListModelPackages": registry.list_packages,
    "UpdateModelPackage": registry.update_package,
    "DeleteModelPackage": registry.delete_package,
    "CreatePipeline": pipelines.create,
    "UpdatePipeline": pipelines.update,
    "DescribePipeline": pipelines.describe,
    "DeletePipeline": pipelines.delete,
    "ListPipelines": pipelines.list_all,
    "StartPipelineExecution": pipelines.start,
    "StopPipelineExecution": pipelines.stop,
    "DescribePipelineExecution": pipelines.describe_execution,
    "ListPipelineExecutions": pipelines.list_executions,
    "ListPipelineExecutionSteps": pipelines.list_steps,
    "ListPipelineParametersForExecution": pipelines.list_parameters,
    "DescribePipelineDefinitionForExecution": pipelines.describe_definition,
    "DescribeProcessingJob": processing.describe,
    "DescribeTrainingJob": training.describe,
    "AddTags": tagging.add_tags,
    "ListTags": tagging.list_tags,
    "DeleteTags": tagging.delete_tags,
}
_PASSES_ROLE = ("CreatePipeline", "UpdatePipeline")


async def handle_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
) -> contract.Response:
    operation = headers.get("x-amz-target", "").partition(".")[2]
    perform = _OPERATIONS.get(operation)
    try:
        if perform is None:
            raise ApiError("UnknownOperationException", f"The embedded SageMaker has no operation {operation}.")
        request = contract.parse(operation, body)
        if operation in _PASSES_ROLE and "RoleArn" in request:
            refusal = roles.pass_refusal(extract_access_key_id(headers, query_params), request["RoleArn"])
            if refusal:
                raise ApiError("AccessDeniedException", refusal)
        return contract.succeed(operation, perform(request))
    except ApiError as error:
        return contract.fail(error)


def reset() -> None:
    state.clear()


def get_state() -> None:
    """Nothing: executions are threads and processes, which no restart brings back."""


def load_persisted_state(data: object) -> None:
    """Nothing was kept, see `get_state`."""
