"""What each type of step does. A step either returns its properties or raises why it did not succeed."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from local import recorded
from local.sagemaker import contract, definition, host, roles, state
from local.sagemaker.contract import ApiError
from local.sagemaker.definition import DefinitionError, PipelineStep
from local.sagemaker.host import Credentials
from local.sagemaker.jobs import JobProcesses, SageMakerJob
from local.sagemaker.processing import ProcessingJob
from local.sagemaker.training import TrainingJob


class StepFailed(Exception):  # noqa: N818  (the status AWS gives it)
    """The step ends as Failed; the message is its FailureReason."""


class StepStopped(Exception):  # noqa: N818
    """The step ends as Stopped."""


class ExecutionFailed(StepFailed):
    """A Fail step ran: the whole execution ends as Failed."""


@dataclass
class ExecutionContext:
    """What the steps of one execution share. `values`: what references other than to steps resolve to."""

    execution_arn: str
    execution_id: str
    role: str
    values: Mapping[str, Any]
    running: JobProcesses = field(default_factory=JobProcesses)
    properties: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    property_files: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)


# Shows a step's Metadata (a member of PipelineExecutionStepMetadata) as soon as it is known.
Show = Callable[[Mapping[str, Any]], None]


def run(step: PipelineStep, context: ExecutionContext, show: Show) -> Mapping[str, Any]:
    """Run one step to its end and return its properties. Raises StepFailed or StepStopped."""
    if context.running.stopped:
        raise StepStopped
    for name in ("CacheConfig", "RetryPolicies"):
        if step.body.get(name):
            recorded.note("sagemaker", f"{name} of pipeline steps: every step runs once, never cached or retried")
    try:
        return _TYPES[step.type](step, context, show)
    except (DefinitionError, ApiError, ClientError, BotoCoreError) as error:
        raise StepFailed(f"ClientError: {_said(error)}") from error


def _process(step: PipelineStep, context: ExecutionContext, show: Show) -> Mapping[str, Any]:
    properties = _run_job(step, context, show, ProcessingJob, "ProcessingJob")
    for item in step.body.get("PropertyFiles", []):
        context.property_files[f"Steps.{step.name}.PropertyFiles.{item['PropertyFileName']}"] = (step.name, item)
    return properties


def _train(step: PipelineStep, context: ExecutionContext, show: Show) -> Mapping[str, Any]:
    return _run_job(step, context, show, TrainingJob, "TrainingJob")


def _run_job(
    step: PipelineStep, context: ExecutionContext, show: Show, kind: type[SageMakerJob], member: str
) -> Mapping[str, Any]:
    name = _job_name(context.execution_id, step.name)
    own = {f"Execution.{member}Name": name}
    request = _resolved(step.body["Arguments"], context, own)
    try:
        contract.check(kind.operation, {**request, f"{member}Name": name})
        _permit(kind.operation, f"{'-'.join(re.findall('[A-Z][a-z]+', member)).lower()}/{name}", request, context)
        job = kind(name, request)
    except ApiError as error:
        raise StepFailed(_not_invoked(f"sagemaker:{kind.operation}", error.message)) from error
    show({member: {"Arn": job.arn}})
    job.run(context.running)
    status = job.record[f"{member}Status"]
    if status == "Stopped" and context.running.stopped:
        raise StepStopped
    if status != "Completed":
        raise StepFailed(job.record["FailureReason"])
    return job.record


def _permit(operation: str, resource: str, request: Mapping[str, Any], context: ExecutionContext) -> None:
    """Raise unless the pipeline's role may create the job and pass its role, and that role trusts SageMaker."""
    key = roles.assume(context.role).access_key
    refusal = roles.refusal(key, f"sagemaker:{operation}", state.arn(resource)) or roles.pass_refusal(
        key, request["RoleArn"]
    )
    if refusal:
        raise ApiError("AccessDeniedException", refusal)
    roles.assume(request["RoleArn"])


def _register(step: PipelineStep, context: ExecutionContext, show: Show) -> Mapping[str, Any]:
    """Call CreateModelPackage as the pipeline's role, as SageMaker does: its permissions decide."""
    request = _resolved(step.body["Arguments"], context)
    metadata = {"GeneratedBy": context.execution_arn, **request.get("MetadataProperties", {})}
    sagemaker = host.client("sagemaker", roles.assume(context.role))
    try:
        created = sagemaker.create_model_package(**{**request, "MetadataProperties": metadata})
    except (ClientError, BotoCoreError) as error:
        raise StepFailed(_not_invoked("sagemaker:CreateModelPackage", _said(error))) from error
    show({"RegisterModel": {"Arn": created["ModelPackageArn"]}})
    package: Mapping[str, Any] = state.packages[created["ModelPackageArn"]]
    return package


def _decide(step: PipelineStep, context: ExecutionContext, show: Show) -> Mapping[str, Any]:
    conditions = _resolved(step.body["Arguments"]["Conditions"], context)
    outcome = "True" if all(definition.holds(condition) for condition in conditions) else "False"
    show({"Condition": {"Outcome": outcome}})
    return {"Outcome": outcome}


def _fail(step: PipelineStep, context: ExecutionContext, show: Show) -> Mapping[str, Any]:
    message = str(_resolved(step.body["Arguments"]["ErrorMessage"], context))
    show({"Fail": {"ErrorMessage": message}})
    raise ExecutionFailed(message)


def _invoke(step: PipelineStep, context: ExecutionContext, show: Show) -> Mapping[str, Any]:
    function = _resolved(step.body["FunctionArn"], context)
    payload = json.dumps(_resolved(step.body.get("Arguments", {}), context)).encode()
    answer = host.client("lambda", roles.assume(context.role)).invoke(FunctionName=function, Payload=payload)
    content = answer["Payload"].read()
    if "FunctionError" in answer:
        raise StepFailed(f"ClientError: Lambda function {function} failed: {content.decode(errors='replace')[:900]}")
    result = json.loads(content or b"null")
    declared = [item["OutputName"] for item in step.body.get("OutputParameters", [])]
    missing = [name for name in declared if not isinstance(result, dict) or name not in result]
    if missing:
        raise StepFailed(f"ClientError: Lambda function {function} did not return {', '.join(missing)}")
    outputs = {name: result[name] for name in declared}
    listed = [{"Name": name, "Value": str(value)} for name, value in outputs.items()]
    show({"Lambda": {"Arn": function, "OutputParameters": listed}})
    return {"OutputParameters": outputs}


_TYPES: dict[str, Callable[[PipelineStep, ExecutionContext, Show], Mapping[str, Any]]] = {
    "Processing": _process,
    "Training": _train,
    "RegisterModel": _register,
    "Condition": _decide,
    "Fail": _fail,
    "Lambda": _invoke,
}


def _resolved(value: Any, context: ExecutionContext, own: Mapping[str, Any] | None = None) -> Any:
    def look_up(reference: str) -> Any:
        if reference.startswith("Steps."):
            name, _, path = reference.removeprefix("Steps.").partition(".")
            if name not in context.properties:
                raise DefinitionError(f"Step [{name}] has not run, so [{reference}] has no value.")
            return definition.at(context.properties[name], path)
        known = {**context.values, **(own or {})}
        if reference == "Execution.CurrentDateTime":
            return state.iso(state.now())
        if reference not in known:
            raise DefinitionError(f"Unknown reference [{reference}].")
        return known[reference]

    def read(source: Mapping[str, Any]) -> Any:
        if "S3Uri" in source:
            return _read_json(_resolved(source["S3Uri"], context, own), roles.assume(context.role))
        reference = source["PropertyFile"]["Get"]
        if reference not in context.property_files:
            raise DefinitionError(f"Property file [{reference}] does not exist.")
        producer, declared = context.property_files[reference]
        output = definition.at(
            context.properties[producer], f"ProcessingOutputConfig.Outputs['{declared['OutputName']}'].S3Output.S3Uri"
        )
        return _read_json(f"{output.rstrip('/')}/{declared['FilePath']}", roles.assume(context.role))

    return definition.resolve(value, look_up, read)


def _read_json(uri: str, credentials: Credentials) -> Any:
    parts = urlsplit(uri)
    answer = host.client("s3", credentials).get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
    try:
        return json.loads(answer["Body"].read())
    except ValueError as error:
        raise DefinitionError(f"Property file {uri} is not JSON: {error}") from error


def _job_name(execution_id: str, step: str) -> str:
    """AWS's own form, pipelines-<execution>-<step>-<random>, within its 63 characters."""
    random = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(10))
    readable = re.sub(r"[^A-Za-z0-9-]", "-", step)[:28].strip("-")
    return f"pipelines-{execution_id}-{readable}-{random}"


def _not_invoked(action: str, details: str) -> str:
    return f"ClientError: Failed to invoke {action}. Error Details: {details}"


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return str(error)
