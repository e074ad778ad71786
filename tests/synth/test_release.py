"""The release stacks: parameters are the release, resources exist only with one, and there is no IAM."""

from __future__ import annotations

import json
from typing import Any

from lockgate.release.parameters import PARAMETERS

ENVIRONMENTS = ("dev", "staging", "prod")


def releases(synthesized: Any) -> dict[str, dict[str, Any]]:
    return {name: template for name, template in synthesized.stacks.items() if "-release-" in name}


def test_each_model_has_a_release_stack_in_each_environment(synthesized: Any) -> None:
    assert set(releases(synthesized)) == {
        f"lockgate-{environment}-release-{model}" for environment in ENVIRONMENTS for model in ("alpha", "beta")
    }


def test_the_parameters_are_exactly_the_release_and_default_to_none(synthesized: Any) -> None:
    wanted: dict[str, Any] = {parameter: {"Type": "String", "Default": ""} for parameter in PARAMETERS.values()}
    wanted["ReleaseMode"] = {
        "Type": "String",
        "Default": "gradual",
        "AllowedValues": ["gradual", "at-once", "at-once-again"],
    }
    for name, template in releases(synthesized).items():
        assert template["Parameters"] == wanted, name


def test_cloudformation_itself_refuses_a_release_in_part(synthesized: Any) -> None:
    for name, template in releases(synthesized).items():
        (rule,) = template["Rules"].values()
        (assertion,) = rule["Assertions"]
        none, whole = (each["Fn::And"] for each in assertion["Assert"]["Fn::Or"])
        empty = [{"Fn::Equals": [{"Ref": parameter}, ""]} for parameter in PARAMETERS.values()]
        assert none == empty, name
        assert whole == [{"Fn::Not": [each]} for each in empty], name


def test_every_resource_exists_only_with_a_release(synthesized: Any) -> None:
    has_release = {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReleaseVersion"}, ""]}]}
    for name, template in releases(synthesized).items():
        at_once = {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReleaseMode"}, "gradual"]}]}
        assert template["Conditions"] == {"HasRelease": has_release, "AtOnce": at_once}, name
        assert {resource.get("Condition") for resource in template["Resources"].values()} == {"HasRelease"}, name


def test_a_release_stack_holds_no_iam(synthesized: Any) -> None:
    for name in releases(synthesized):
        assert not synthesized.resources("AWS::IAM::", name)


def test_a_release_holds_only_types_that_its_narrow_role_may_change(synthesized: Any) -> None:
    types = {resource["Type"] for name in releases(synthesized) for _, resource in synthesized.resources("", name)}
    assert types == {
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::CloudWatch::Alarm",
        "AWS::ECS::Service",
        "AWS::ECS::TaskDefinition",
    }


def test_dev_deploys_all_at_once_with_test_traffic_first_and_names_no_count(synthesized: Any) -> None:
    service = synthesized.only("AWS::ECS::Service", "lockgate-dev-release-alpha")
    assert "DesiredCount" not in service
    deployment = service["DeploymentConfiguration"]
    assert deployment["Strategy"] == {"Fn::If": ["AtOnce", "BLUE_GREEN", "BLUE_GREEN"]}
    assert deployment["BakeTimeInMinutes"] == {"Fn::If": ["AtOnce", 0, 0]}
    assert not {"CanaryConfiguration", "LinearConfiguration"} & set(deployment)
    (balancer,) = service["LoadBalancers"]
    assert set(balancer["AdvancedConfiguration"]) == {
        "AlternateTargetGroupArn",
        "ProductionListenerRule",
        "RoleArn",
        "TestListenerRule",
    }


def test_elsewhere_a_release_is_a_canary_unless_it_is_a_rollback(synthesized: Any) -> None:
    for environment in ("staging", "prod"):
        service = synthesized.only("AWS::ECS::Service", f"lockgate-{environment}-release-beta")
        deployment = service["DeploymentConfiguration"]
        assert deployment["Strategy"] == {"Fn::If": ["AtOnce", "BLUE_GREEN", "CANARY"]}
        canary = {"CanaryPercent": 10, "CanaryBakeTimeInMinutes": 0}  # a hook holds the step
        assert deployment["CanaryConfiguration"] == {"Fn::If": ["AtOnce", {"Ref": "AWS::NoValue"}, canary]}
        assert deployment["BakeTimeInMinutes"] == {"Fn::If": ["AtOnce", 0, 5]}


def test_every_service_is_deployed_with_test_traffic_never_rolling(synthesized: Any) -> None:
    for name, service in synthesized.resources("AWS::ECS::Service"):
        if service["Type"] == "AWS::ECS::Service":
            strategy = service["Properties"]["DeploymentConfiguration"]["Strategy"]
            assert set(strategy["Fn::If"][1:]) <= {"BLUE_GREEN", "CANARY"}, name


def test_a_deployment_waits_for_the_replay_and_a_canary_for_the_comparison_of_errors(synthesized: Any) -> None:
    for environment, account, stages in (
        ("dev", "222222222222", {"POST_TEST_TRAFFIC_SHIFT": "replay"}),
        (
            "prod",
            "444444444444",
            {"POST_TEST_TRAFFIC_SHIFT": "replay", "PRE_PRODUCTION_TRAFFIC_SHIFT": "watch"},
        ),
    ):
        service = synthesized.only("AWS::ECS::Service", f"lockgate-{environment}-release-alpha")
        hooks = service["DeploymentConfiguration"]["LifecycleHooks"]
        assert {stage: hook["HookTargetArn"] for hook in hooks for stage in hook["LifecycleStages"]} == {
            stage: f"arn:aws:lambda:us-east-1:{account}:function:lockgate-{environment}-{function}"
            for stage, function in stages.items()
        }
        for hook in hooks:
            assert hook["TimeoutConfiguration"]["Action"] == "ROLLBACK"
            details = "".join(str(part) for part in hook["HookDetails"]["Fn::Join"][1])
            for parameter in ("ReleaseVersion", "ReleaseVerdictId", "ReleaseReplaySha256", "ReleaseMode"):
                assert parameter in details
        minutes = {hook["LifecycleStages"][0]: hook["TimeoutConfiguration"]["TimeoutInMinutes"] for hook in hooks}
        assert minutes == {stage: {"replay": 10, "watch": 20}[function] for stage, function in stages.items()}


def test_the_comparison_of_errors_is_told_the_steps_that_its_deployment_was_started_with(synthesized: Any) -> None:
    service = synthesized.only("AWS::ECS::Service", "lockgate-prod-release-alpha")
    hooks = {hook["LifecycleStages"][0]: hook for hook in service["DeploymentConfiguration"]["LifecycleHooks"]}
    parts = hooks["PRE_PRODUCTION_TRAFFIC_SHIFT"]["HookDetails"]["Fn::Join"][1]
    details = json.loads("".join(part if isinstance(part, str) else "a parameter" for part in parts))
    told = {name: details[name] for name in ("step_minutes", "steps", "false_alarm_rate")}
    assert told == {"step_minutes": 10, "steps": 1, "false_alarm_rate": 0.001}


def test_errors_latency_and_health_of_both_target_groups_guard_each_deployment(synthesized: Any) -> None:
    stack = "lockgate-prod-release-alpha"
    service = synthesized.only("AWS::ECS::Service", stack)
    alarms = service["DeploymentConfiguration"]["Alarms"]
    assert (alarms["Enable"], alarms["Rollback"]) == (True, True)
    guarding = {name["Ref"] for name in alarms["AlarmNames"]}
    every = {
        name.rpartition("/")[2]: alarm["Properties"]
        for name, alarm in synthesized.resources("AWS::CloudWatch::Alarm", stack)
    }
    assert guarding == set(every)
    found = {name: alarm for name, alarm in every.items() if alarm["Namespace"] == "AWS/ApplicationELB"}
    assert len(every) == len(found) + 1  # how far its predictions are from evaluation's
    kinds: dict[str, set[str]] = {}
    for alarm in found.values():
        dimensions = {each["Name"]: json.dumps(each["Value"]) for each in alarm["Dimensions"]}
        assert set(dimensions) == {"LoadBalancer", "TargetGroup"}
        kinds.setdefault(alarm["MetricName"], set()).add(dimensions["TargetGroup"])
        assert (alarm["Period"], alarm["TreatMissingData"]) == (60, "notBreaching")
    assert {metric: len(groups) for metric, groups in kinds.items()} == {
        "HTTPCode_Target_5XX_Count": 2,
        "TargetResponseTime": 2,
        "UnHealthyHostCount": 2,
    }
    limits = {
        (alarm["MetricName"], alarm.get("ExtendedStatistic") or alarm["Statistic"]): (
            alarm["Threshold"],
            alarm["EvaluationPeriods"],
        )
        for alarm in found.values()
    }
    assert limits == {
        ("HTTPCode_Target_5XX_Count", "Sum"): (5, 1),
        ("TargetResponseTime", "p99"): (0.5, 2),
        ("UnHealthyHostCount", "Minimum"): (1, 2),
    }


def test_ecs_calls_the_hooks_with_a_role_that_may_do_nothing_else(synthesized: Any) -> None:
    for environment in ENVIRONMENTS:
        edge = f"lockgate-{environment}-edge"
        (role,) = {
            name.rpartition("/")[2]: resource["Properties"]
            for name, resource in synthesized.resources("AWS::IAM::Role", edge)
            if name.rpartition("/")[2].startswith("HooksRole")
        }.values()
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs.amazonaws.com"}
        (statement,) = (
            statement
            for name, statement in synthesized.statements(edge)
            if name.rpartition("/")[2].startswith("HooksRole")
        )
        assert statement["Action"] == "lambda:InvokeFunction"
        assert len(statement["Resource"]) == 2


def test_the_replay_reaches_the_test_listener_and_s3_and_nothing_else(synthesized: Any) -> None:
    for environment in ENVIRONMENTS:
        edge = f"lockgate-{environment}-edge"
        replay = synthesized.only(
            "AWS::Lambda::Function", edge, FunctionName=f"lockgate-{environment}-replay", MemorySize=512
        )
        assert len(replay["VpcConfig"]["SecurityGroupIds"]) == 1
        (endpoint,) = [resource["Properties"] for _, resource in synthesized.resources("AWS::EC2::VPCEndpoint", edge)]
        assert endpoint["VpcEndpointType"] == "Gateway"
        assert json.dumps(endpoint["ServiceName"]).count(".s3") == 1


def test_a_task_runs_the_pinned_image_on_the_pinned_model_data(synthesized: Any) -> None:
    definition = synthesized.only("AWS::ECS::TaskDefinition", "lockgate-prod-release-beta")
    (container,) = definition["ContainerDefinitions"]
    copies = "444444444444.dkr.ecr.us-east-1.amazonaws.com/lockgate-prod-releases"
    digest = {"Fn::Select": [1, {"Fn::Split": ["@", {"Ref": "ReleaseImage"}]}]}
    assert container["Image"] == {"Fn::Join": ["@", [copies, digest]]}
    assert (container["User"], container["ReadonlyRootFilesystem"]) == ("10001", True)
    variables = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    assert set(variables) == {
        "AWS_REGION",
        "BIND_HOST",
        "BIND_PORT",
        "ENVIRONMENT",
        "MODEL",
        "MODEL_DATA_BUCKET",
        "MODEL_DATA_KEY",
        "MODEL_DATA_SHA256",
        "MODEL_DATA_VERSION_ID",
        "RELEASE_COMMIT",
        "RELEASE_VERSION",
        "VERDICT_ID",
        "TASK_CPU",
    }
    assert variables["MODEL_DATA_SHA256"] == {"Ref": "ReleaseModelSha256"}
    assert variables["MODEL_DATA_VERSION_ID"] == {"Ref": "ReleaseModelVersionId"}
    assert json.dumps(variables["MODEL_DATA_KEY"]).count("ReleaseModelSha256") == 1


def test_predictions_unlike_evaluations_are_an_alarm_that_stops_the_deployment_of_that_release(
    synthesized: Any,
) -> None:
    for environment in ENVIRONMENTS:
        stack = f"lockgate-{environment}-release-alpha"
        alarms = [
            (name, alarm["Properties"])
            for name, alarm in synthesized.resources("AWS::CloudWatch::Alarm", stack)
            if alarm["Properties"]["MetricName"] == "PredictionDistance"
        ]
        ((name, alarm),) = alarms
        ((tasks, _),) = synthesized.resources("AWS::ECS::TaskDefinition", stack)
        assert alarm["Namespace"] == "Lockgate"
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
            "Environment": environment,
            "Model": "alpha",
            "Release": {"Ref": "ReleaseVersion"},
            "TaskDefinition": {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": tasks.split("/")[1]}]}]},
        }
        assert (alarm["Statistic"], alarm["Threshold"], alarm["TreatMissingData"]) == ("Maximum", 0.2, "notBreaching")
        service = synthesized.only("AWS::ECS::Service", stack)
        assert {"Ref": name.split("/")[1]} in service["DeploymentConfiguration"]["Alarms"]["AlarmNames"]
        (container,) = synthesized.only("AWS::ECS::TaskDefinition", stack)["ContainerDefinitions"]
        assert {"Name": "ENVIRONMENT", "Value": environment} in container["Environment"]


def test_capacity_is_the_environments(synthesized: Any) -> None:
    for environment, tasks in (("dev", 1), ("prod", 2)):
        target = synthesized.only(
            "AWS::ApplicationAutoScaling::ScalableTarget", f"lockgate-{environment}-release-alpha"
        )
        assert target["MinCapacity"] == tasks
        assert target["ResourceId"] == f"service/lockgate-{environment}/alpha"


def test_before_a_release_the_listeners_answer_503_in_json(synthesized: Any) -> None:
    listeners = synthesized.resources("AWS::ElasticLoadBalancingV2::Listener", "lockgate-dev-edge")
    listeners = [entry for entry in listeners if entry[1]["Type"].endswith("::Listener")]
    assert {listener["Properties"]["Port"] for _, listener in listeners} == {443, 8443}
    for _, listener in listeners:
        assert listener["Properties"]["Protocol"] == "HTTPS"
        (action,) = listener["Properties"]["DefaultActions"]
        assert action["FixedResponseConfig"]["StatusCode"] == "503"
        assert json.loads(action["FixedResponseConfig"]["MessageBody"])["error"]


def test_each_model_has_a_production_and_a_test_rule_that_start_at_blue(synthesized: Any) -> None:
    rules = [
        rule["Properties"]
        for _, rule in synthesized.resources("AWS::ElasticLoadBalancingV2::ListenerRule", "lockgate-dev")
    ]
    assert len(rules) == 2 * 2
    for rule in rules:
        (action,) = rule["Actions"]
        assert [group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]] == [100, 0]


def test_adding_a_model_does_not_move_the_rules_of_another() -> None:
    from lockgate_constructs.model_route import priority

    frozen = {"alpha": 5918, "beta": 28344, "employment": 40076}
    assert {name: priority(name) for name in frozen} == frozen


def test_the_tasks_are_reached_by_the_load_balancer_only(synthesized: Any) -> None:
    groups = {
        group["Properties"]["GroupDescription"]: group["Properties"]
        for _, group in synthesized.resources("AWS::EC2::SecurityGroup", "lockgate-dev")
        if group["Type"] == "AWS::EC2::SecurityGroup"
    }
    assert "SecurityGroupIngress" not in groups["The tasks that serve models"]
    (inside,) = groups["The load balancer"]["SecurityGroupIngress"]
    assert (inside["CidrIp"], inside["FromPort"], inside["ToPort"]) == ("10.20.0.0/20", 443, 443)
    ways = [rule["Properties"] for _, rule in synthesized.resources("AWS::EC2::SecurityGroupIngress", "lockgate-dev")]
    # to the tasks from the load balancer, to the test listener from the replay
    assert {way["FromPort"]: json.dumps(way["SourceSecurityGroupId"])[:40] for way in ways}.keys() == {8080, 8443}
    for way in ways:
        assert way["FromPort"] == way["ToPort"]
        source = {8080: "NetworkLoadBalancer", 8443: "NetworkReplay"}[way["FromPort"]]
        assert source in json.dumps(way["SourceSecurityGroupId"])


def test_the_load_balancer_is_internal(synthesized: Any) -> None:
    for environment in ENVIRONMENTS:
        balancer = synthesized.only("AWS::ElasticLoadBalancingV2::LoadBalancer", f"lockgate-{environment}-edge")
        assert balancer["Scheme"] == "internal"


def test_environments_know_tools_by_name_only(synthesized: Any) -> None:
    for name, template in synthesized.stacks.items():
        if not name.startswith("lockgate-tools"):
            assert "lockgate-tools-" not in json.dumps(template), name


def test_a_task_runs_as_a_user_without_rights(synthesized: Any) -> None:
    for _, task in synthesized.resources("AWS::ECS::TaskDefinition"):
        if task["Type"] == "AWS::ECS::TaskDefinition":
            assert [container["User"] for container in task["Properties"]["ContainerDefinitions"]] == ["10001"]
