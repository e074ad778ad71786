"""Nothing fails in silence: targets, dead letters, logs and alarms."""

from __future__ import annotations

import json
from typing import Any

from lockgate import names


def test_every_target_is_retried_and_has_a_dead_letter_queue(synthesized: Any) -> None:
    rules = synthesized.resources("AWS::Events::Rule")
    assert rules
    for name, rule in rules:
        assert rule["Properties"]["Targets"], name
        for target in rule["Properties"]["Targets"]:
            assert target["DeadLetterConfig"]["Arn"], name
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0, name


def test_every_queue_and_topic_is_encrypted_with_a_key_of_ours(synthesized: Any) -> None:
    for name, queue in synthesized.resources("AWS::SQS::Queue"):
        if queue["Type"] == "AWS::SQS::Queue":
            assert queue["Properties"]["KmsMasterKeyId"], name
    for name, topic in synthesized.resources("AWS::SNS::Topic"):
        if topic["Type"] == "AWS::SNS::Topic":
            assert topic["Properties"]["KmsMasterKeyId"], name


def test_every_dead_letter_queue_is_announced(synthesized: Any) -> None:
    watched = {
        json.dumps([stack.partition("/")[0], alarm["Properties"]["Dimensions"]])
        for stack, alarm in synthesized.resources("AWS::CloudWatch::Alarm")
        if alarm["Properties"].get("Namespace") == "AWS/SQS"
    }
    queues = [entry for entry in synthesized.resources("AWS::SQS::Queue") if entry[1]["Type"] == "AWS::SQS::Queue"]
    assert len(watched) == len(queues) > 0


def test_every_function_has_an_alarm_of_its_own(synthesized: Any) -> None:
    functions = {name for name, _ in synthesized.resources("AWS::Lambda::Function")}
    watched = {
        f"{name.partition('/')[0]}/{alarm['Properties']['Dimensions'][0]['Value']['Ref']}"
        for name, alarm in synthesized.resources("AWS::CloudWatch::Alarm")
        if alarm["Properties"].get("Namespace") == "AWS/Lambda"
    }
    assert functions == watched


def test_failed_builds_and_promotions_raise_alarms(synthesized: Any) -> None:
    watched = {
        (alarm["Properties"].get("Namespace"), alarm["Properties"].get("MetricName"))
        for _, alarm in synthesized.resources("AWS::CloudWatch::Alarm", "lockgate-tools")
    }
    assert {
        ("AWS/CodeBuild", "FailedBuilds"),
        ("AWS/States", "ExecutionsFailed"),
        ("AWS/States", "ExecutionsTimedOut"),
        ("AWS/States", "ExecutionsAborted"),
    } <= watched


def test_every_alarm_says_so_and_needs_no_metric_math(synthesized: Any) -> None:
    for name, alarm in synthesized.resources("AWS::CloudWatch::Alarm"):
        assert alarm["Properties"]["AlarmActions"], name
        assert alarm["Properties"]["AlarmDescription"], name
        assert "Metrics" not in alarm["Properties"], name


def test_every_alarm_decides_what_no_data_means_and_says_why(synthesized: Any) -> None:
    for name, alarm in synthesized.resources("AWS::CloudWatch::Alarm"):
        said = alarm["Properties"]["AlarmDescription"].partition(" No data is ")[2]
        meant = {"breaching": "an alarm: ", "notBreaching": "no alarm: "}[alarm["Properties"]["TreatMissingData"]]
        assert said.startswith(meant), (name, said)
        assert len(said.removeprefix(meant).split()) > 5, (name, said)


# Functions that clocks call, and that have no alarm on calls that do not come.
WATCHED_OTHERWISE = {
    "lockgate-controller": "each look for lost versions sends Lockgate/Stuck, whose alarm takes no data for a call",
    "lockgate-decide": "the same clock calls it; persons call it too, and see at once that nobody answers",
}


def test_what_a_clock_calls_has_an_alarm_that_goes_off_when_nobody_calls(synthesized: Any) -> None:
    clocked, silent = set(), set()
    for name, rule in synthesized.resources("AWS::Events::Rule"):
        if "ScheduleExpression" in rule["Properties"]:
            stack = name.partition("/")[0]
            clocked |= {f"{stack}/{target['Arn']['Fn::GetAtt'][0]}" for target in rule["Properties"]["Targets"]}
    for name, alarm in synthesized.resources("AWS::CloudWatch::Alarm"):
        said = alarm["Properties"]
        if said["TreatMissingData"] == "breaching" and said["MetricName"] == "Invocations":
            silent.add(f"{name.partition('/')[0]}/{said['Dimensions'][0]['Value']['Ref']}")
            assert (said["ComparisonOperator"], said["Threshold"], said["Statistic"]) == ("LessThanThreshold", 1, "Sum")
            assert said["Period"] == 900, "one call that comes late is no alarm"
    functions = dict(synthesized.resources("AWS::Lambda::Function"))
    otherwise = {functions[name]["Properties"]["FunctionName"] for name in clocked - silent}
    assert otherwise == set(WATCHED_OTHERWISE)
    assert silent <= clocked
    assert len(silent) == 4, "the anchor, and the deploy function of each environment"


def test_hooks_that_fall_silent_take_their_deployment_back(synthesized: Any) -> None:
    """So the functions `replay` and `watch`, which nothing calls regularly, need no alarm of this kind."""
    for name, service in synthesized.resources("AWS::ECS::Service"):
        for hook in service["Properties"]["DeploymentConfiguration"]["LifecycleHooks"]:
            assert hook["TimeoutConfiguration"]["Action"] == "ROLLBACK", name


def test_failed_trainings_and_stuck_releases_are_told(synthesized: Any) -> None:
    patterns = [rule["Properties"].get("EventPattern", {}) for _, rule in synthesized.resources("AWS::Events::Rule")]
    told = {pattern["detail-type"][0] for pattern in patterns if pattern}
    assert {
        "SageMaker Model Building Pipeline Execution Status Change",
        "CloudFormation Stack Status Change",
        "ECS Deployment State Change",
    } <= told


def test_intake_hears_of_pending_packages_of_our_groups(synthesized: Any) -> None:
    rules = [rule["Properties"] for _, rule in synthesized.resources("AWS::Events::Rule", "lockgate-tools-promotion")]
    patterns = [rule["EventPattern"] for rule in rules if "EventPattern" in rule]
    (pattern,) = [found for found in patterns if found["source"] == ["aws.sagemaker"]]
    assert pattern["detail"] == {
        "ModelPackageGroupName": ["lockgate-alpha", "lockgate-beta"],
        "ModelApprovalStatus": ["PendingManualApproval"],
    }


def test_what_was_lost_is_looked_for_regularly(synthesized: Any) -> None:
    def schedules(stack: str) -> dict[str, list[Any]]:
        rules = [rule["Properties"] for _, rule in synthesized.resources("AWS::Events::Rule", stack)]
        found: dict[str, list[Any]] = {}
        for rule in (rule for rule in rules if "ScheduleExpression" in rule):
            found.setdefault(rule["ScheduleExpression"], []).extend(rule["Targets"])
        return found

    ((every, called),) = schedules("lockgate-tools-promotion").items()
    assert every == "rate(5 minutes)"
    asked = sorted((t["Arn"]["Fn::GetAtt"][0][:6], json.loads(t.get("Input", "{}")).get("action")) for t in called)
    assert asked == [
        ("Anchor", None),
        ("Contro", "attest"),
        ("Contro", "collect"),
        ("Contro", "resume"),
        ("Decide", "wake"),
    ]
    for environment in ("dev", "staging", "prod"):
        ((every, targets),) = schedules(f"lockgate-{environment}-edge").items()
        assert every == "rate(5 minutes)"
        assert [json.loads(target["Input"]) for target in targets] == [
            {"action": "look", "model": "alpha"},
            {"action": "look", "model": "beta"},
        ]


def test_what_stays_stuck_raises_an_alarm(synthesized: Any) -> None:
    alarm = synthesized.only(
        "AWS::CloudWatch::Alarm", "lockgate-tools-promotion", Namespace=names.METRIC_NAMESPACE, MetricName=names.STUCK
    )
    assert (alarm["Threshold"], alarm["Statistic"], alarm["Period"]) == (1, "Maximum", 900)
    assert alarm["TreatMissingData"] == "breaching"


def test_every_log_group_is_encrypted_and_ends(synthesized: Any) -> None:
    groups = synthesized.resources("AWS::Logs::LogGroup")
    assert groups
    for name, group in groups:
        assert group["Properties"]["RetentionInDays"] == 90, name
        assert group["Properties"]["KmsKeyId"], name


def test_every_function_is_python_3_13_on_arm_with_its_own_log_group(synthesized: Any) -> None:
    functions = synthesized.resources("AWS::Lambda::Function")
    assert functions
    for name, function in functions:
        properties = function["Properties"]
        assert (properties["Runtime"], properties["Architectures"]) == ("python3.13", ["arm64"]), name
        assert properties["LoggingConfig"]["LogGroup"], name


def test_there_are_no_custom_resources(synthesized: Any) -> None:
    for name, resource in synthesized.resources():
        assert not resource["Type"].startswith(("Custom::", "AWS::CloudFormation::CustomResource")), name
