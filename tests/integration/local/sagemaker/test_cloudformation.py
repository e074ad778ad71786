"""Stacks own pipelines and groups; state machines reach the registry."""

from __future__ import annotations

import json
import time
from typing import Any

_FAIL = {"Name": "f", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}


def _template(embedded: Any, message: str) -> str:
    step = {**_FAIL, "Arguments": {"ErrorMessage": message}}
    return json.dumps(
        {
            "Resources": {
                "Group": {
                    "Type": "AWS::SageMaker::ModelPackageGroup",
                    "Properties": {"ModelPackageGroupName": "stacked", "Tags": [{"Key": "model", "Value": "census"}]},
                },
                "Pipeline": {
                    "Type": "AWS::SageMaker::Pipeline",
                    "Properties": {
                        "PipelineName": "stacked",
                        "PipelineDefinition": {
                            "PipelineDefinitionBody": json.dumps({"Version": "2020-12-01", "Steps": [step]})
                        },
                        "RoleArn": embedded.pipeline_role,
                        "ParallelismConfiguration": {"MaxParallelExecutionSteps": 2},
                    },
                },
            },
            "Outputs": {
                "GroupArn": {"Value": {"Ref": "Group"}},
                "SameArn": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}},
                "Pipeline": {"Value": {"Ref": "Pipeline"}},
            },
        }
    )


def test_a_stack_creates_updates_and_deletes_pipeline_and_group(embedded: Any) -> None:
    formation, sagemaker = embedded.client("cloudformation"), embedded.client("sagemaker")
    owner = {"Key": "owner", "Value": "team"}
    formation.create_stack(StackName="ml", TemplateBody=_template(embedded, "one"), Tags=[owner])
    stack = _settled(formation, "CREATE_COMPLETE")
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    arn = f"arn:aws:sagemaker:us-east-1:{embedded.account}:model-package-group/stacked"
    assert outputs == {"GroupArn": arn, "SameArn": arn, "Pipeline": "stacked"}
    tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert {"Key": "model", "Value": "census"} in tags
    assert owner in tags  # a stack's tags reach its resources

    formation.update_stack(StackName="ml", TemplateBody=_template(embedded, "two"))
    _settled(formation, "UPDATE_COMPLETE")
    described = sagemaker.describe_pipeline(PipelineName="stacked")
    assert json.loads(described["PipelineDefinition"])["Steps"][0]["Arguments"] == {"ErrorMessage": "two"}
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}

    renamed = _template(embedded, "two").replace('"PipelineName": "stacked"', '"PipelineName": "stacked-anew"')
    formation.update_stack(StackName="ml", TemplateBody=renamed)
    _settled(formation, "UPDATE_COMPLETE")
    listed = sagemaker.list_pipelines(PipelineNamePrefix="stacked")["PipelineSummaries"]
    assert [item["PipelineName"] for item in listed] == ["stacked-anew"]

    formation.delete_stack(StackName="ml")
    deadline = time.monotonic() + 10
    while sagemaker.list_model_package_groups(NameContains="stacked")["ModelPackageGroupSummaryList"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not sagemaker.list_pipelines(PipelineNamePrefix="stacked")["PipelineSummaries"]


def test_a_stack_with_a_definition_aws_refuses_rolls_back(embedded: Any) -> None:
    formation = embedded.client("cloudformation")
    template = json.loads(_template(embedded, "one"))
    properties = template["Resources"]["Pipeline"]["Properties"]
    properties["PipelineName"] = "broken"
    properties["PipelineDefinition"]["PipelineDefinitionBody"] = '{"Version": "2020-12-01", "Steps": []}'
    template["Resources"]["Group"]["Properties"]["ModelPackageGroupName"] = "broken"
    formation.create_stack(StackName="broken", TemplateBody=json.dumps(template))
    _settled(formation, "ROLLBACK_COMPLETE", "broken")
    events = formation.describe_stack_events(StackName="broken")["StackEvents"]
    assert any("At least 1 step" in event.get("ResourceStatusReason", "") for event in events)


def test_a_state_machine_approves_a_package_through_the_sdk_integration(embedded: Any) -> None:
    sagemaker, states = embedded.client("sagemaker"), embedded.client("stepfunctions")
    sagemaker.create_model_package_group(ModelPackageGroupName="walked")
    package = sagemaker.create_model_package(ModelPackageGroupName="walked")["ModelPackageArn"]
    allow = {"Effect": "Allow", "Action": "sagemaker:UpdateModelPackage", "Resource": "*"}
    machine = states.create_state_machine(
        name="approve",
        roleArn=embedded.role("walker", [allow], service="states.amazonaws.com"),
        definition=json.dumps(
            {
                "StartAt": "Approve",
                "States": {
                    "Approve": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::aws-sdk:sagemaker:updateModelPackage",
                        "Parameters": {"ModelPackageArn": package, "ModelApprovalStatus": "Approved"},
                        "End": True,
                    }
                },
            }
        ),
    )["stateMachineArn"]
    run = states.start_execution(stateMachineArn=machine)["executionArn"]
    deadline = time.monotonic() + 10
    while (described := states.describe_execution(executionArn=run))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert described["status"] == "SUCCEEDED", described
    assert sagemaker.describe_model_package(ModelPackageName=package)["ModelApprovalStatus"] == "Approved"


def _settled(formation: Any, wanted: str, name: str = "ml") -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while True:
        stack: dict[str, Any] = formation.describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stack["StackStatus"] == wanted, stack
    return stack
