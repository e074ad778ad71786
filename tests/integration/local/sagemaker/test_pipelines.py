"""Pipelines run: real processes, S3 through the job's role, the registry, events, and how each thing fails."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import time
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

_RULES = (
    "SageMaker Model Package State Change",
    "SageMaker Model Building Pipeline Execution Status Change",
    "SageMaker Model Building Pipeline Execution Step Status Change",
)


def _join(*values: Any) -> dict[str, Any]:
    return {"Std:Join": {"On": "/", "Values": list(values)}}


def _census(embedded: Any) -> list[dict[str, Any]]:
    """prepare -> train -> evaluate -> good? -> register, or fail. Listed backwards: order is what the DAG says."""
    out = _join("s3://rows/runs", {"Get": "Execution.PipelineExecutionId"})
    prepare = embedded.processing(
        "prepare", "prepare", {"Get": "Parameters.Seed"}, inputs={"input": "s3://rows/raw"}, outputs={"train": out}
    )
    prepare["Arguments"]["AppSpecification"]["ContainerArguments"][1] = _join({"Get": "Parameters.Seed"})
    train = {
        "Name": "train",
        "Type": "Training",
        "Arguments": {
            "RoleArn": embedded.job_role,
            "AlgorithmSpecification": {"TrainingImage": embedded.image, "TrainingInputMode": "File"},
            "HyperParameters": {"depth": _join({"Get": "Parameters.Depth"})},
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": {"Get": "Steps.prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"},
                        }
                    },
                }
            ],
            "OutputDataConfig": {"S3OutputPath": _join(out, "models")},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "EnableNetworkIsolation": True,
        },
    }
    evaluate = embedded.processing(
        "evaluate",
        "evaluate",
        {"Get": "Parameters.Accuracy"},
        inputs={"model": {"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"}},
        outputs={"evidence": _join(out, "evidence")},
        step={
            "PropertyFiles": [{"PropertyFileName": "evidence", "OutputName": "evidence", "FilePath": "evidence.json"}]
        },
    )
    accuracy = {
        "Std:JsonGet": {"PropertyFile": {"Get": "Steps.evaluate.PropertyFiles.evidence"}, "Path": "metrics[0].accuracy"}
    }
    good = {
        "Name": "good",
        "Type": "Condition",
        "DependsOn": ["evaluate"],
        "Arguments": {
            "Conditions": [{"Type": "GreaterThanOrEqualTo", "LeftValue": accuracy, "RightValue": 0.7}],
            "IfSteps": [
                {
                    "Name": "register",
                    "Type": "RegisterModel",
                    "Arguments": {
                        "ModelPackageGroupName": {"Get": "Parameters.Group"},
                        "InferenceSpecification": {
                            "Containers": [
                                {
                                    "Image": embedded.image,
                                    "ModelDataUrl": {"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"},
                                }
                            ],
                            "SupportedContentTypes": ["text/csv"],
                            "SupportedResponseMIMETypes": ["text/csv"],
                        },
                    },
                }
            ],
            "ElseSteps": [
                {"Name": "refuse", "Type": "Fail", "Arguments": {"ErrorMessage": _join("accuracy", accuracy)}}
            ],
        },
    }
    return [good, evaluate, train, prepare]


_PARAMETERS = (
    {"Name": "Seed", "Type": "Integer", "DefaultValue": 7},
    {"Name": "Depth", "Type": "Integer", "DefaultValue": 3},
    {"Name": "Accuracy", "Type": "String", "DefaultValue": "0.8"},
    {"Name": "Group", "Type": "String"},
)


@pytest.fixture(scope="module")
def census(embedded: Any) -> Any:
    """The pipeline `census`, and a queue that gets every SageMaker event."""
    sagemaker = embedded.pipeline("run-census", *_census(embedded), parameters=_PARAMETERS)
    sagemaker.create_model_package_group(ModelPackageGroupName="run-census")
    queue = embedded.client("sqs").create_queue(QueueName="events")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{embedded.account}:events"
    events = embedded.client("events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])
    return {"sagemaker": sagemaker, "queue": queue}


def _events(embedded: Any, census: Any, arn: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = embedded.client("sqs").receive_message(QueueUrl=census["queue"], MaxNumberOfMessages=10)
        if not answer.get("Messages"):
            return [event for event in found if arn in json.dumps(event)]
        for message in answer["Messages"]:
            found.append(json.loads(message["Body"]))
            embedded.client("sqs").delete_message(QueueUrl=census["queue"], ReceiptHandle=message["ReceiptHandle"])


def test_a_pipeline_prepares_trains_evaluates_and_registers(embedded: Any, census: Any) -> None:
    sagemaker = census["sagemaker"]
    request = {
        "PipelineName": "run-census",
        "PipelineParameters": [{"Name": "Group", "Value": "run-census"}, {"Name": "Depth", "Value": "5"}],
        "ClientRequestToken": "the-same-token-for-the-same-commit",
    }
    arn = sagemaker.start_pipeline_execution(**request)["PipelineExecutionArn"]
    assert sagemaker.start_pipeline_execution(**request)["PipelineExecutionArn"] == arn
    ended = embedded.finish(arn)
    assert ended["PipelineExecutionStatus"] == "Succeeded", ended
    assert set(ended["steps"]) == {"prepare", "train", "evaluate", "good", "register"}
    assert {step["StepStatus"] for step in ended["steps"].values()} == {"Succeeded"}
    assert ended["steps"]["good"]["Metadata"] == {"Condition": {"Outcome": "True"}}

    job = ended["steps"]["train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    described = sagemaker.describe_training_job(TrainingJobName=job)
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Completed"
    assert described["AlgorithmSpecification"]["TrainingImage"] == embedded.image
    assert described["RoleArn"] == embedded.job_role
    run = arn.rpartition("/")[2]
    uri = f"s3://rows/runs/{run}/models/{job}/output/model.tar.gz"
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == uri
    archive = embedded.client("s3").get_object(Bucket="rows", Key=uri.removeprefix("s3://rows/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.getmember("model.json")
        assert member.mtime == 0
        content = tar.extractfile(member)
        assert content is not None
        assert json.load(content) == {"rows": 3, "access": False, "depth": "5"}  # isolated: no credentials

    package = ended["steps"]["register"]["Metadata"]["RegisterModel"]["Arn"]
    version = sagemaker.describe_model_package(ModelPackageName=package)
    assert version["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == uri
    assert version["MetadataProperties"]["GeneratedBy"] == arn

    values = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
    assert {item["Name"]: item["Value"] for item in values}["Depth"] == "5"
    group = "/aws/sagemaker/TrainingJobs"
    logs = embedded.client("logs")
    stream = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=job)["logStreams"][0]["logStreamName"]
    messages = [event["message"] for event in logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]]
    assert any(message.startswith("running train") for message in messages)

    seen = _events(embedded, census, arn)
    assert {event["detail-type"] for event in seen} == set(_RULES)
    last = [event for event in seen if event["detail-type"] == _RULES[1]][-1]
    assert last["source"] == "aws.sagemaker"
    assert last["account"] == embedded.account
    assert last["resources"] == [arn.partition("/execution/")[0], arn]
    assert last["detail"]["previousPipelineExecutionStatus"] == "Executing"
    assert last["detail"]["currentPipelineExecutionStatus"] == "Succeeded"
    steps = [event["detail"] for event in seen if event["detail-type"] == _RULES[2]]
    assert {"processingJob"} == set(next(s for s in steps if s["stepName"] == "evaluate" and s["metadata"])["metadata"])
    registered = next(event["detail"] for event in seen if event["detail-type"] == _RULES[0])
    assert registered["ModelPackageVersion"] == 1
    assert registered["ModelApprovalStatus"] == "PendingManualApproval"


def test_a_fail_step_in_the_branch_taken_ends_the_execution_with_its_message(embedded: Any, census: Any) -> None:
    parameters = [{"Name": "Group", "Value": "run-census"}, {"Name": "Accuracy", "Value": "0.6"}]
    arn = census["sagemaker"].start_pipeline_execution(PipelineName="run-census", PipelineParameters=parameters)
    ended = embedded.finish(arn["PipelineExecutionArn"])
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert "refuse" in ended["FailureReason"]
    assert ended["steps"]["refuse"]["Metadata"] == {"Fail": {"ErrorMessage": "accuracy/0.6"}}
    assert "register" not in ended["steps"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([], "Group"),
        ([{"Name": "Group", "Value": "g"}, {"Name": "Colour", "Value": "red"}], "Colour"),
        ([{"Name": "Group", "Value": "g"}, {"Name": "Depth", "Value": "deep"}], "Depth"),
    ],
)
def test_a_missing_unknown_or_mistyped_parameter_starts_nothing(
    census: Any, parameters: list[dict[str, str]], message: str
) -> None:
    before = census["sagemaker"].list_pipeline_executions(PipelineName="run-census", MaxResults=100)
    with pytest.raises(ClientError, match=message) as caught:
        census["sagemaker"].start_pipeline_execution(PipelineName="run-census", PipelineParameters=parameters)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    after = census["sagemaker"].list_pipeline_executions(PipelineName="run-census", MaxResults=100)
    assert len(after["PipelineExecutionSummaries"]) == len(before["PipelineExecutionSummaries"])


def test_a_failing_container_fails_step_and_execution_with_its_exit_message(embedded: Any) -> None:
    ended = embedded.run(
        "breaks",
        embedded.processing("prepare", "break"),
        embedded.processing("next", "x", step={"DependsOn": ["prepare"]}),
    )
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert "prepare" in ended["FailureReason"]
    step = ended["steps"]["prepare"]
    assert step["StepStatus"] == "Failed"
    assert step["FailureReason"] == "AlgorithmError: column age is missing in rows 3 and 4, exit code: 1"
    assert "next" not in ended["steps"]
    job = step["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    described = embedded.client("sagemaker").describe_processing_job(ProcessingJobName=job)
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["ExitMessage"] == "column age is missing in rows 3 and 4"


def test_a_job_whose_role_may_not_read_an_input_fails_with_the_refusal_of_s3(embedded: Any) -> None:
    anything = {"Effect": "Allow", "Action": ["ecr:*", "logs:*", "s3:ListBucket"], "Resource": "*"}
    role = embedded.role("job-blind", [anything])
    ended = embedded.run(
        "blind", embedded.processing("prepare", "prepare", role=role, inputs={"input": "s3://rows/raw"})
    )
    assert ended["PipelineExecutionStatus"] == "Failed"
    reason = ended["steps"]["prepare"]["FailureReason"]
    assert reason.startswith("ClientError: Data download failed:Failed to download data. AccessDenied")
    assert "s3:GetObject" in reason


def test_a_pipeline_role_may_only_pass_the_roles_its_policy_names(embedded: Any) -> None:
    role = embedded.role("unpassable", [])
    ended = embedded.run("passes", embedded.processing("prepare", "prepare", role=role))
    reason = ended["steps"]["prepare"]["FailureReason"]
    assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: User:")
    assert "iam:PassRole" in reason


def test_arguments_that_aws_would_refuse_fail_the_step(embedded: Any) -> None:
    step = embedded.processing("prepare", "prepare")
    step["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceType"] = "ml.huge"
    reason = embedded.run("mistyped", step)["steps"]["prepare"]["FailureReason"]
    assert "processingResources.clusterConfig.instanceType" in reason


def test_a_definition_that_cannot_run_is_refused_when_it_is_created(embedded: Any) -> None:
    with pytest.raises(ClientError, match="nowhere"):
        embedded.pipeline("dangling", embedded.processing("a", "x", step={"DependsOn": ["nowhere"]}))
    with pytest.raises(ClientError, match="cycle"):
        embedded.pipeline(
            "cycle",
            embedded.processing("a", "x", step={"DependsOn": ["b"]}),
            embedded.processing("b", "x", step={"DependsOn": ["a"]}),
        )


def test_stopping_an_execution_ends_its_process(embedded: Any) -> None:
    sagemaker = embedded.pipeline("stops", embedded.processing("prepare", "sleep", "stops"))
    arn = sagemaker.start_pipeline_execution(PipelineName="stops")["PipelineExecutionArn"]
    pid = _pid(embedded, "stops")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    ended = embedded.finish(arn)
    assert ended["PipelineExecutionStatus"] == "Stopped"
    assert ended["steps"]["prepare"]["StepStatus"] == "Stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_killed_process_fails_its_step(embedded: Any) -> None:
    sagemaker = embedded.pipeline("killed", embedded.processing("prepare", "sleep", "killed"))
    arn = sagemaker.start_pipeline_execution(PipelineName="killed")["PipelineExecutionArn"]
    os.kill(_pid(embedded, "killed"), signal.SIGKILL)
    ended = embedded.finish(arn)
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert ended["steps"]["prepare"]["FailureReason"].endswith("exit code: 137")


def _pid(embedded: Any, name: str) -> int:
    file = embedded.settings.work / f"pid-{name}"
    deadline = time.monotonic() + 10
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(file.read_text())


def test_a_lambda_step_hands_its_outputs_on(embedded: Any) -> None:
    source = "def handler(event, context):\n    return {'doubled': event['number'] * 2}\n"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", source)
    functions = embedded.client("lambda")
    function = functions.create_function(
        FunctionName="double",
        Runtime="python3.13",
        Handler="index.handler",
        Role=embedded.role("double", [], service="lambda.amazonaws.com"),
        Code={"ZipFile": code.getvalue()},
    )["FunctionArn"]
    double = {
        "Name": "double",
        "Type": "Lambda",
        "FunctionArn": function,
        "Arguments": {"number": 21},
        "OutputParameters": [{"OutputName": "doubled", "OutputType": "Integer"}],
    }
    message = _join("got", {"Get": "Steps.double.OutputParameters['doubled']"})
    fail = {"Name": "fail", "Type": "Fail", "Arguments": {"ErrorMessage": message}}
    refused = embedded.run("may-not-invoke", double)
    assert "lambda:InvokeFunction" in refused["steps"]["double"]["FailureReason"]
    allow = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    ended = embedded.run("invokes", double, fail, role=embedded.role("invoker", [allow]))
    assert ended["steps"]["double"]["StepStatus"] == "Succeeded", ended
    assert ended["steps"]["fail"]["FailureReason"] == "got/42"


def test_independent_steps_run_at_the_same_time_and_one_failure_lets_the_other_end(embedded: Any) -> None:
    ended = embedded.run("parallel", embedded.processing("good", "nothing"), embedded.processing("bad", "break"))
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert {name: step["StepStatus"] for name, step in ended["steps"].items()} == {"good": "Succeeded", "bad": "Failed"}


def test_an_image_that_is_not_there_fails_the_step(embedded: Any) -> None:
    step = embedded.processing("prepare", "prepare")
    step["Arguments"]["AppSpecification"]["ImageUri"] = embedded.image.replace("/model@", "/nothing@")
    assert "not found" in embedded.run("no-image", step)["steps"]["prepare"]["FailureReason"]


def test_a_job_that_runs_too_long_is_stopped(embedded: Any) -> None:
    step = embedded.processing("prepare", "sleep", "too-long")
    step["Arguments"]["StoppingCondition"] = {"MaxRuntimeInSeconds": 1}
    ended = embedded.run("too-long", step)
    assert ended["steps"]["prepare"]["StepStatus"] == "Failed"
    assert "MaxRuntimeExceeded" in ended["steps"]["prepare"]["FailureReason"]
