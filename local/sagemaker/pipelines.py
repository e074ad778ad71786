"""The operations on pipelines and their executions."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from local.sagemaker import definition, roles, state
from local.sagemaker.contract import ApiError, invalid
from local.sagemaker.definition import Definition, DefinitionError
from local.sagemaker.execution import PipelineExecution, is_over
from local.sagemaker.steps import ExecutionContext


def create(request: Mapping[str, Any]) -> dict[str, Any]:
    name = request["PipelineName"]
    pipeline_arn = state.arn(f"pipeline/{name}")
    token = ("CreatePipeline", request["ClientRequestToken"])
    if token in state.tokens:
        return {"PipelineArn": state.tokens[token]}
    if name in state.pipelines:
        raise invalid(
            "Pipeline names must be unique within an AWS account and region. "
            f"Pipeline with name ({name}) already exists."
        )
    _parsed(_text(request))
    roles.assume(request["RoleArn"])
    created = state.now()
    state.pipelines[name] = {
        **request,
        "PipelineDefinition": _text(request),
        "PipelineDisplayName": request.get("PipelineDisplayName", name),
        "PipelineArn": pipeline_arn,
        "PipelineStatus": "Active",
        "CreationTime": created,
        "LastModifiedTime": created,
        "CreatedBy": state.caller(),
        "LastModifiedBy": state.caller(),
    }
    state.tokens[token] = pipeline_arn
    state.set_tags(pipeline_arn, request.get("Tags", []))
    return {"PipelineArn": pipeline_arn}


def update(request: Mapping[str, Any]) -> dict[str, Any]:
    pipeline = _pipeline(request["PipelineName"])
    given = dict(request, PipelineName=pipeline["PipelineName"])
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        given["PipelineDefinition"] = _text(request)
        _parsed(given["PipelineDefinition"])
    if "RoleArn" in request:
        roles.assume(request["RoleArn"])
    pipeline.update(given, LastModifiedTime=state.now(), LastModifiedBy=state.caller())
    return {"PipelineArn": pipeline["PipelineArn"]}


def describe(request: Mapping[str, Any]) -> dict[str, Any]:
    return _pipeline(request["PipelineName"])


def delete(request: Mapping[str, Any]) -> dict[str, Any]:
    pipeline = _pipeline(request["PipelineName"])
    if any(not is_over(execution.record) for execution in _executions_of(pipeline)):
        raise ApiError("ConflictException", f"Pipeline {pipeline['PipelineArn']} has running executions.")
    del state.pipelines[pipeline["PipelineName"]]
    state.tags.pop(pipeline["PipelineArn"], None)
    state.tokens.pop(("CreatePipeline", pipeline["ClientRequestToken"]), None)
    return {"PipelineArn": pipeline["PipelineArn"]}


def list_all(request: Mapping[str, Any]) -> dict[str, Any]:
    prefix = request.get("PipelineNamePrefix", "")
    found = [pipeline for pipeline in state.pipelines.values() if pipeline["PipelineName"].startswith(prefix)]
    sort_by = "PipelineName" if request.get("SortBy") == "Name" else "CreationTime"
    listed, rest = state.page(
        state.created_between(found, request), request, key=lambda item: item[sort_by], default_order="Descending"
    )
    summaries = [{**item, "LastExecutionTime": item.get("LastRunTime")} for item in listed]
    return {"PipelineSummaries": summaries, "NextToken": rest}


def start(request: Mapping[str, Any]) -> dict[str, Any]:
    """Start an execution. The same ClientRequestToken for the same pipeline answers the first one's ARN."""
    pipeline = _pipeline(request["PipelineName"])
    token = (f"StartPipelineExecution {pipeline['PipelineName']}", request["ClientRequestToken"])
    if token in state.tokens:
        return {"PipelineExecutionArn": state.tokens[token]}
    if "SelectiveExecutionConfig" in request or "PipelineVersionId" in request:
        raise invalid("The embedded SageMaker knows no SelectiveExecutionConfig and no PipelineVersionId.")
    plan = _parsed(pipeline["PipelineDefinition"])
    try:
        values = definition.arguments(plan, request.get("PipelineParameters", []))
    except DefinitionError as error:
        raise invalid(str(error)) from error
    execution_id = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))
    execution_arn = f"{pipeline['PipelineArn']}/execution/{execution_id}"
    started = state.now()
    record = {
        **{name: request[name] for name in ("PipelineExecutionDescription",) if name in request},
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": execution_arn,
        "PipelineExecutionDisplayName": request.get("PipelineExecutionDisplayName", f"execution-{int(started * 1000)}"),
        "PipelineExecutionStatus": "Executing",
        "CreationTime": started,
        "StartTime": started,
        "LastModifiedTime": started,
        "CreatedBy": state.caller(),
        "LastModifiedBy": state.caller(),
    }
    parallelism = request.get("ParallelismConfiguration") or pipeline.get("ParallelismConfiguration") or {}
    record["ParallelismConfiguration"] = parallelism or None
    context = ExecutionContext(
        execution_arn=execution_arn,
        execution_id=execution_id,
        role=pipeline["RoleArn"],
        values={
            **{f"Parameters.{name}": value for name, value in values.items()},
            "Execution.PipelineName": pipeline["PipelineName"],
            "Execution.PipelineArn": pipeline["PipelineArn"],
            "Execution.PipelineExecutionArn": execution_arn,
            "Execution.PipelineExecutionId": execution_id,
            "Execution.StartDateTime": state.iso(started),
        },
    )
    run = PipelineExecution(
        record, pipeline["PipelineDefinition"], plan, context, parallelism.get("MaxParallelExecutionSteps")
    )
    state.executions[execution_arn] = run
    state.tokens[token] = execution_arn
    pipeline["LastRunTime"] = started
    run.start()
    return {"PipelineExecutionArn": execution_arn}


def stop(request: Mapping[str, Any]) -> dict[str, Any]:
    run = _execution(request)
    if is_over(run.record):
        status = run.record["PipelineExecutionStatus"]
        raise invalid(f"Pipeline execution with ARN {request['PipelineExecutionArn']} status is {status}.")
    run.stop()
    return {"PipelineExecutionArn": run.record["PipelineExecutionArn"]}


def describe_execution(request: Mapping[str, Any]) -> dict[str, Any]:
    return _execution(request).record


def list_executions(request: Mapping[str, Any]) -> dict[str, Any]:
    found = [run.record for run in _executions_of(_pipeline(request["PipelineName"]))]
    sort_by = "PipelineExecutionArn" if request.get("SortBy") == "PipelineExecutionArn" else "CreationTime"
    listed, rest = state.page(
        state.created_between(found, request), request, key=lambda item: item[sort_by], default_order="Descending"
    )
    summaries = [{**item, "PipelineExecutionFailureReason": item.get("FailureReason")} for item in listed]
    return {"PipelineExecutionSummaries": summaries, "NextToken": rest}


def list_steps(request: Mapping[str, Any]) -> dict[str, Any]:
    """The steps that started, newest first. A step that waits, or whose branch was not taken, is not listed."""
    if "PipelineExecutionArn" not in request:
        raise invalid("PipelineExecutionArn is required.")
    listed, rest = state.page(
        _execution(request).steps, request, key=lambda step: step["StartTime"], default_order="Descending"
    )
    return {"PipelineExecutionSteps": listed, "NextToken": rest}


def list_parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    values = _execution(request).context.values
    named = [
        {"Name": name.removeprefix("Parameters."), "Value": str(value)}
        for name, value in values.items()
        if name.startswith("Parameters.")
    ]
    listed, rest = state.page(named, request, key=lambda item: item["Name"], default_order="Ascending")
    return {"PipelineParameters": listed, "NextToken": rest}


def describe_definition(request: Mapping[str, Any]) -> dict[str, Any]:
    run = _execution(request)
    return {"PipelineDefinition": run.text, "CreationTime": run.record["CreationTime"]}


def _text(request: Mapping[str, Any]) -> str:
    if "PipelineDefinition" not in request:
        raise invalid("The embedded SageMaker reads no PipelineDefinitionS3Location: give PipelineDefinition.")
    return str(request["PipelineDefinition"])


def _parsed(text: str) -> Definition:
    try:
        return definition.parse(text)
    except DefinitionError as error:
        raise invalid(str(error)) from error


def _pipeline(name_or_arn: str) -> dict[str, Any]:
    name = state.name_of("pipeline", name_or_arn)
    pipeline: dict[str, Any] | None = state.pipelines.get(name)
    if pipeline is None:
        raise ApiError("ResourceNotFound", f"Pipeline '{state.arn(f'pipeline/{name}')}' does not exist.")
    return pipeline


def _execution(request: Mapping[str, Any]) -> PipelineExecution:
    execution_arn = request["PipelineExecutionArn"]
    run: PipelineExecution | None = state.executions.get(execution_arn)
    if run is None:
        raise ApiError("ResourceNotFound", f"Pipeline execution with ARN {execution_arn} does not exist.")
    return run


def _executions_of(pipeline: Mapping[str, Any]) -> list[PipelineExecution]:
    return [run for run in state.executions.values() if run.record["PipelineArn"] == pipeline["PipelineArn"]]
