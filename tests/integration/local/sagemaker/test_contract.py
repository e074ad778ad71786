"""Requests are refused, and answered, as AWS's service model says."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

_ARN = "arn:aws:sagemaker:us-east-1:111122223333:model-package/p/1"


def _raw(embedded: Any, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send what botocore's own checks would not let through."""
    client = embedded.client("sagemaker")
    client.meta.events.register(
        f"before-call.sagemaker.{operation}", lambda params, **_: params.update(body=json.dumps(body).encode())
    )
    calls = {
        "UpdateModelPackage": lambda: client.update_model_package(ModelPackageArn=_ARN),
        "DescribePipeline": lambda: client.describe_pipeline(PipelineName="p"),
    }
    with pytest.raises(ClientError) as caught:
        calls[operation]()
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"], caught.value.response["Error"]


def test_an_invalid_enum_names_the_member_and_the_allowed_values(embedded: Any) -> None:
    status, error = _raw(embedded, "UpdateModelPackage", {"ModelPackageArn": _ARN, "ModelApprovalStatus": "Fine"})
    assert status == 400
    assert error["Code"] == "ValidationException"
    assert error["Message"] == (
        "1 validation error detected: Value 'Fine' at 'modelApprovalStatus' failed to satisfy constraint: "
        "Member must satisfy enum value set: [Approved, Rejected, PendingManualApproval]"
    )


def test_a_missing_member_must_not_be_null(embedded: Any) -> None:
    _, error = _raw(embedded, "DescribePipeline", {})
    assert error["Code"] == "ValidationException"
    assert error["Message"] == (
        "1 validation error detected: Value null at 'pipelineName' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_an_unknown_member_is_refused(embedded: Any) -> None:
    _, error = _raw(embedded, "DescribePipeline", {"PipelineName": "p", "Pipelinename": "p"})
    assert error["Code"] == "ValidationException"
    assert "pipelinename" in error["Message"]


def test_a_number_where_a_string_belongs_cannot_be_read(embedded: Any) -> None:
    _, error = _raw(embedded, "DescribePipeline", {"PipelineName": 7})
    assert error["Code"] == "SerializationException"


def test_a_pipeline_that_does_not_exist_is_not_found(embedded: Any) -> None:
    with pytest.raises(ClientError) as caught:
        embedded.client("sagemaker").describe_pipeline(PipelineName="nowhere")
    assert caught.value.response["Error"] == {
        "Code": "ResourceNotFound",
        "Message": f"Pipeline 'arn:aws:sagemaker:us-east-1:{embedded.account}:pipeline/nowhere' does not exist.",
    }


def test_an_operation_that_is_not_there_says_so(embedded: Any) -> None:
    with pytest.raises(ClientError, match="UnknownOperation"):
        embedded.client("sagemaker").list_endpoints()


def test_iam_decides_by_action_and_resource(embedded: Any) -> None:
    sagemaker = embedded.client("sagemaker")
    for name in ("allowed", "other"):
        sagemaker.create_model_package_group(ModelPackageGroupName=name)
    arn = f"arn:aws:sagemaker:us-east-1:{embedded.account}"
    embedded.client("iam").create_user(UserName="reader")
    allow = {
        "Effect": "Allow",
        "Action": "sagemaker:DescribeModelPackageGroup",
        "Resource": f"{arn}:model-package-group/allowed",
    }
    embedded.client("iam").put_user_policy(
        UserName="reader", PolicyName="p", PolicyDocument=json.dumps({"Statement": [allow]})
    )
    key = embedded.client("iam").create_access_key(UserName="reader")["AccessKey"]
    reader = embedded.client("sagemaker", key["AccessKeyId"], key["SecretAccessKey"])
    assert reader.describe_model_package_group(ModelPackageGroupName="allowed")
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:DescribeModelPackageGroup"):
        reader.describe_model_package_group(ModelPackageGroupName="other")
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateModelPackage"):
        reader.create_model_package(ModelPackageGroupName="allowed")


def test_a_pipeline_needs_a_role_that_trusts_sagemaker(embedded: Any) -> None:
    role = embedded.role("lambda-only", [], service="lambda.amazonaws.com")
    with pytest.raises(ClientError, match=r"allows principal 'sagemaker\.amazonaws\.com'"):
        embedded.pipeline("untrusted", {"Name": "f", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}, role=role)


def test_answers_satisfy_the_model_to_the_last_member(embedded: Any) -> None:
    """botocore's own validator, which knows required members and types, reads every kind of answer here."""
    sagemaker = embedded.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="model-check")
    package = sagemaker.create_model_package(ModelPackageGroupName="model-check")["ModelPackageArn"]
    embedded.run("model-check", embedded.processing("prepare", "nothing"))
    execution = sagemaker.list_pipeline_executions(PipelineName="model-check")["PipelineExecutionSummaries"][0]
    arn = {"PipelineExecutionArn": execution["PipelineExecutionArn"]}
    step = sagemaker.list_pipeline_execution_steps(**arn)["PipelineExecutionSteps"][0]
    job = step["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("DescribeModelPackageGroup", "describe_model_package_group", {"ModelPackageGroupName": "model-check"}),
        ("ListModelPackageGroups", "list_model_package_groups", {}),
        ("DescribeModelPackage", "describe_model_package", {"ModelPackageName": package}),
        ("ListModelPackages", "list_model_packages", {"ModelPackageGroupName": "model-check"}),
        ("DescribePipeline", "describe_pipeline", {"PipelineName": "model-check"}),
        ("ListPipelines", "list_pipelines", {}),
        ("DescribePipelineExecution", "describe_pipeline_execution", arn),
        ("ListPipelineExecutions", "list_pipeline_executions", {"PipelineName": "model-check"}),
        ("ListPipelineExecutionSteps", "list_pipeline_execution_steps", arn),
        ("ListPipelineParametersForExecution", "list_pipeline_parameters_for_execution", arn),
        ("DescribePipelineDefinitionForExecution", "describe_pipeline_definition_for_execution", arn),
        ("DescribeProcessingJob", "describe_processing_job", {"ProcessingJobName": job}),
        ("ListTags", "list_tags", {"ResourceArn": package}),
    ]
    model = botocore.session.get_session().get_service_model("sagemaker")
    for operation, method, request in calls:
        answer = getattr(sagemaker, method)(**request)
        del answer["ResponseMetadata"]
        report = ParamValidator().validate(answer, model.operation_model(operation).output_shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
