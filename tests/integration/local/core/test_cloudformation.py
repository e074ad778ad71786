"""Templates with what our stacks declare are created, updated and deleted, and what they make is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.7.0.0/16"}}


def group(description: str) -> dict[str, Any]:
    return {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": description, "VpcId": {"Ref": "Vpc"}}}


def outputs(**values: Any) -> dict[str, Any]:
    return {name: {"Value": value} for name, value in values.items()}


def test_an_oidc_provider_exists_with_its_clients_and_changes_in_place(aws: Any) -> None:
    def provider(*clients: str) -> dict[str, Any]:
        properties = {"Url": "https://issuer.example.com", "ClientIdList": list(clients)}
        return {"Provider": {"Type": "AWS::IAM::OIDCProvider", "Properties": properties}}

    arn = aws.deploy("oidc", provider("one"), Outputs=outputs(Arn={"Ref": "Provider"}))["Arn"]
    assert arn == f"arn:aws:iam::{aws.tools}:oidc-provider/issuer.example.com"
    assert aws.deploy("oidc", provider("one", "two"), Outputs=outputs(Arn={"Ref": "Provider"}))["Arn"] == arn
    found = aws.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert found["ClientIDList"] == ["one", "two"]


def test_rules_between_security_groups_are_added_and_taken_away(aws: Any) -> None:
    def rule(kind: str, port: int, other: str) -> dict[str, Any]:
        of = {"GroupId": {"Fn::GetAtt": ["A", "GroupId"]}, other: {"Fn::GetAtt": ["B", "GroupId"]}}
        properties = {**of, "IpProtocol": "tcp", "FromPort": port, "ToPort": port}
        return {"Type": f"AWS::EC2::SecurityGroup{kind}", "Properties": properties}

    base = {"Vpc": VPC, "A": group("a"), "B": group("b")}
    out = {"Outputs": outputs(A={"Ref": "A"}, B={"Ref": "B"})}
    into, onto = rule("Ingress", 8080, "SourceSecurityGroupId"), rule("Egress", 8081, "DestinationSecurityGroupId")
    groups = aws.deploy("rules", {**base, "In": into, "Out": onto}, **out)

    def found(side: str) -> list[tuple[int, str]]:
        described = aws.client("ec2").describe_security_groups(GroupIds=[groups["A"]])["SecurityGroups"][0]
        return [
            (rule["FromPort"], rule["UserIdGroupPairs"][0]["GroupId"]) for rule in described[side] if "FromPort" in rule
        ]

    assert found("IpPermissions") == [(8080, groups["B"])]
    assert found("IpPermissionsEgress") == [(8081, groups["B"])]
    aws.deploy("rules", {**base, "In": rule("Ingress", 9090, "SourceSecurityGroupId")}, **out)
    assert found("IpPermissions") == [(9090, groups["B"])]
    assert found("IpPermissionsEgress") == []


def test_a_vpc_gives_its_address_block(aws: Any) -> None:
    block = {"Fn::GetAtt": ["Vpc", "CidrBlock"]}
    assert aws.deploy("block", {"Vpc": VPC}, Outputs=outputs(Block=block))["Block"] == "10.7.0.0/16"


def alarm(metric: str) -> dict[str, Any]:
    properties = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 0}
    metric_of = {"Namespace": "Tests", "MetricName": metric, "Statistic": "Sum", "Period": 60}
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": {**properties, **metric_of}}


def test_a_composite_alarm_follows_its_children(aws: Any, wait_until: Any) -> None:
    any_of = {"Fn::Sub": 'ALARM("${First}") OR ALARM("${Second}")'}
    composite = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": any_of}}
    resources = {"First": alarm("First"), "Second": alarm("Second"), "Any": composite}
    name = aws.deploy("composite", resources, Outputs=outputs(Any={"Ref": "Any"}))["Any"]
    cloudwatch = aws.client("cloudwatch")

    def state() -> str:
        found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        value: str = found[0]["StateValue"]
        return value

    assert state() != "ALARM"
    cloudwatch.put_metric_data(Namespace="Tests", MetricData=[{"MetricName": "Second", "Value": 1}])
    wait_until(lambda: state() == "ALARM")


def test_an_alarm_on_an_expression_is_kept_and_listed_as_only_recorded(aws: Any) -> None:
    single = alarm("unused")["Properties"]
    of = {key: single[key] for key in ("ComparisonOperator", "EvaluationPeriods", "Threshold")}
    metric = {"Metric": {"Namespace": "Tests", "MetricName": "m"}, "Stat": "Sum", "Period": 60}
    metrics = [{"Id": "e", "Expression": "m*2"}, {"Id": "m", "MetricStat": metric, "ReturnData": False}]
    resources = {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**of, "Metrics": metrics}}}
    name = aws.deploy("expression", resources, Outputs=outputs(Name={"Ref": "Alarm"}))["Name"]
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    assert found["StateValue"] == "INSUFFICIENT_DATA"
    assert "MetricName" not in found
    recorded = json.loads(aws.session.settings.recorded_file.read_text())
    assert "alarms on metric expressions are kept and never change their state" in recorded["cloudwatch"]


def test_scaling_and_flow_logs_are_kept_and_listed_as_only_recorded(aws: Any) -> None:
    target = {
        "MinCapacity": 1,
        "MaxCapacity": 2,
        "ResourceId": "service/c/s",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ServiceNamespace": "ecs",
    }
    tracking = {"PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", "ScalingTargetId": {"Ref": "Target"}}
    flow = {"ResourceId": {"Ref": "Vpc"}, "ResourceType": "VPC", "TrafficType": "ALL"}
    resources = {
        "Vpc": VPC,
        "Flow": {"Type": "AWS::EC2::FlowLog", "Properties": flow},
        "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": target},
        "Policy": {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": tracking},
    }
    made = aws.deploy("kept", resources, Outputs=outputs(Flow={"Ref": "Flow"}, Target={"Ref": "Target"}))
    assert made["Target"] == "service/c/s|ecs:service:DesiredCount|ecs"
    assert aws.client("ec2").describe_flow_logs()["FlowLogs"][0]["FlowLogId"] == made["Flow"]
    recorded = json.loads(aws.session.settings.recorded_file.read_text())
    assert {"application-autoscaling", "ec2"} <= recorded.keys()


def test_a_release_is_its_parameters_and_another_update_keeps_them(aws: Any) -> None:
    """The mechanism of promotion: previous template, previous values, a resource that exists with a release only."""
    sections = {
        "Parameters": {"Release": {"Type": "String", "Default": ""}, "Size": {"Type": "String", "Default": "1"}},
        "Conditions": {"Live": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Release"}, ""]}]}},
        "Outputs": outputs(Size={"Ref": "Size"}),
    }
    queue = {"Type": "AWS::SQS::Queue", "Condition": "Live", "Properties": {"QueueName": {"Ref": "Release"}}}
    conditional = {"Fn::If": ["Live", "live", {"Ref": "AWS::NoValue"}]}
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": conditional}}
    resources = {"Queue": queue, "Topic": topic}
    aws.deploy("release", resources, **sections)
    names = aws.client("sqs").list_queues(QueueNamePrefix="release-").get("QueueUrls", [])
    assert names == []

    cloudformation = aws.client("cloudformation")
    promote = [
        {"ParameterKey": "Release", "ParameterValue": "release-1"},
        {"ParameterKey": "Size", "UsePreviousValue": True},
    ]
    cloudformation.update_stack(StackName="release", UsePreviousTemplate=True, Parameters=promote)
    cloudformation.get_waiter("stack_update_complete").wait(StackName="release", WaiterConfig={"Delay": 1})
    keep = [{"ParameterKey": "Release", "UsePreviousValue": True}, {"ParameterKey": "Size", "ParameterValue": "2"}]
    assert aws.deploy("release", resources, parameters=keep, **sections)["Size"] == "2"
    assert len(aws.client("sqs").list_queues(QueueNamePrefix="release-1")["QueueUrls"]) == 1
    with pytest.raises(ClientError, match="No updates are to be performed"):
        aws.deploy("release", resources, parameters=keep, **sections)


def test_what_one_stack_exports_another_imports(aws: Any) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "exported"}}
    exported = {"Topic": {"Value": {"Ref": "Topic"}, "Export": {"Name": "tests:topic"}}}
    aws.deploy("exporter", {"Topic": topic}, Outputs=exported)
    parameter = {"Name": "/imported", "Type": "String", "Value": {"Fn::ImportValue": "tests:topic"}}
    aws.deploy("importer", {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": parameter}})
    value = aws.client("ssm").get_parameter(Name="/imported")["Parameter"]["Value"]
    assert value == f"arn:aws:sns:us-east-1:{aws.tools}:exported"


def test_an_export_that_another_stack_imports_does_not_go_and_goes_when_nobody_does(aws: Any) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "needed"}}
    other = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "other"}}
    exported = {"Topic": {"Value": {"Ref": "Topic"}, "Export": {"Name": "tests:needed"}}}
    aws.deploy("needed", {"Topic": topic, "Other": other}, Outputs=exported)
    parameter = {"Name": "/needs", "Type": "String", "Value": {"Fn::ImportValue": "tests:needed"}}
    aws.deploy("needs", {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": parameter}})
    with pytest.raises(AssertionError, match="UPDATE_ROLLBACK_COMPLETE"):
        aws.deploy("needed", {"Other": other})
    cloudformation = aws.client("cloudformation")
    events = cloudformation.describe_stack_events(StackName="needed")["StackEvents"]
    said = "Export tests:needed cannot be deleted as it is in use by needs"
    assert said in [event.get("ResourceStatusReason") for event in events]
    topics = [found["TopicArn"].rpartition(":")[2] for found in aws.client("sns").list_topics()["Topics"]]
    assert "needed" in topics, "what was to go is there still"
    cloudformation.delete_stack(StackName="needs")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="needs", WaiterConfig={"Delay": 1})
    aws.deploy("needed", {"Other": other})


def test_a_type_that_nobody_provides_is_refused_by_name(aws: Any) -> None:
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        aws.deploy("unknown", {"Thing": {"Type": "AWS::CodeDeploy::Application", "Properties": {}}})
