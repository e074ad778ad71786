"""What roles may do, read from the templates: exact resources, exact passing of roles, exact trust."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Actions that have no resource to name, as the service authorization reference says.
WITHOUT_RESOURCE = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "ecs:DeregisterTaskDefinition",
    "ecs:DescribeTaskDefinition",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "sagemaker:ListModelPackages",
    "cloudwatch:GetMetricData",
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(synthesized: Any, stack: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of an identity's policy."""
    yield from synthesized.statements(stack)


def of_role(synthesized: Any, stack: str, fragment: str) -> list[dict[str, Any]]:
    found = [
        statement for name, statement in statements(synthesized, stack) if name.rpartition("/")[2].startswith(fragment)
    ]
    assert found, f"no policy of {fragment} in {stack}"
    return found


def test_only_actions_without_resources_are_allowed_on_everything(synthesized: Any) -> None:
    for name, statement in statements(synthesized):
        if statement["Effect"] == "Allow" and "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= WITHOUT_RESOURCE, name


def test_no_action_is_a_pattern(synthesized: Any) -> None:
    for name, statement in statements(synthesized):
        assert not [action for action in listed(statement["Action"]) if "*" in action], name


def test_no_role_has_a_managed_policy(synthesized: Any) -> None:
    for name, role in synthesized.resources("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role["Properties"], name


def test_roles_are_passed_by_exact_name_and_to_one_service(synthesized: Any) -> None:
    seen = 0
    for name, statement in statements(synthesized):
        if "iam:PassRole" in listed(statement["Action"]):
            seen += 1
            assert listed(statement["Action"]) == ["iam:PassRole"], name
            assert "*" not in json.dumps(statement["Resource"]), name
            (service,) = listed(statement["Condition"]["StringEquals"]["iam:PassedToService"])
            assert service.endswith(".amazonaws.com"), name
    assert seen >= 1 + 3 * 3  # the pipeline's, and in each environment two of the release's role and one of deploy


def test_no_trust_policy_has_a_pattern(synthesized: Any) -> None:
    for name, role in synthesized.resources("AWS::IAM::Role"):
        assert "*" not in json.dumps(role["Properties"]["AssumeRolePolicyDocument"]), name


def test_delivery_is_trusted_to_one_branch_of_one_repository_by_exact_claims(synthesized: Any) -> None:
    role = synthesized.only("AWS::IAM::Role", RoleName="lockgate-delivery")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": "repo:your-org@1001/your-models@2002:ref:refs/heads/main",
            f"{issuer}:repository_id": "2002",
            f"{issuer}:ref": "refs/heads/main",
            "sts:RoleSessionName": f"${{{issuer}:actor_id}}",
        }
    }


def test_delivery_can_do_nothing_but_deliver(synthesized: Any) -> None:
    allowed = {
        action
        for statement in of_role(synthesized, "lockgate-tools-delivery", "GitHubRole")
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
    }
    assert allowed == {
        "codebuild:BatchGetBuilds",
        "codebuild:ListBuildsForProject",
        "codebuild:StartBuild",
        "ecr:BatchGetImage",  # listing what refers to an image asks for it
        "ecr:DescribeImages",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sagemaker:DescribePipeline",
        "sagemaker:ListPipelineExecutionSteps",
        "sagemaker:ListPipelineExecutions",
        "sagemaker:ListPipelineParametersForExecution",
        "sagemaker:StartPipelineExecution",
    }
    read = [
        s
        for s in of_role(synthesized, "lockgate-tools-delivery", "GitHubRole")
        if "s3:GetObject" in listed(s["Action"])
    ]
    assert all("/champions/" in resource for s in read for resource in map(json.dumps, listed(s["Resource"])))


def test_delivery_cannot_bring_its_own_build_commands_identity_or_machine(synthesized: Any) -> None:
    denied = [s for s in of_role(synthesized, "lockgate-tools-delivery", "GitHubRole") if s["Effect"] == "Deny"]
    assert {key for s in denied for key in s["Condition"]["Null"]} == {
        "codebuild:source.buildspec",
        "codebuild:serviceRole",
        "codebuild:environment.image",
    }
    assert all(
        s["Action"] == "codebuild:StartBuild" and set(s["Condition"]["Null"].values()) == {"false"} for s in denied
    )


def test_delivery_starts_the_image_build_but_not_the_evaluators(synthesized: Any) -> None:
    starting = [
        s
        for s in of_role(synthesized, "lockgate-tools-delivery", "GitHubRole")
        if "codebuild:StartBuild" in listed(s["Action"])
    ]
    assert "EvaluatorBuild" not in json.dumps(starting)


ENVIRONMENTS = {
    "tools": "111111111111",
    "anchor": "555555555555",
    "dev": "222222222222",
    "staging": "333333333333",
    "prod": "444444444444",
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_run_that_deploys_takes_the_cdk_roles_of_its_environment_and_asks_whether_it_may(
    synthesized: Any, environment: str
) -> None:
    role = synthesized.only("AWS::IAM::Role", RoleName=f"lockgate-{environment}-infrastructure")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert trust["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": f"repo:your-org@1001/your-models@2002:environment:{environment}",
        f"{issuer}:repository_id": "2002",
        f"{issuer}:ref": "refs/heads/main",
        "sts:RoleSessionName": f"${{{issuer}:actor_id}}",
    }
    account = ENVIRONMENTS[environment]
    rights = of_role(synthesized, "lockgate-tools-delivery", f"GitHubInfrastructure{environment}")
    (taking,) = [s for s in rights if "sts:AssumeRole" in listed(s["Action"])]
    assert taking["Resource"] == [
        f"arn:aws:iam::{account}:role/cdk-hnb659fds-{purpose}-role-{account}-us-east-1"
        for purpose in ("deploy", "file-publishing")
    ]
    others = [s for s in rights if s is not taking]
    assert {action for s in others for action in listed(s["Action"])} == {
        "lambda:GetFunctionUrlConfig",
        "lambda:InvokeFunction",
        "lambda:InvokeFunctionUrl",
    }
    assert all("function:lockgate-decide" in json.dumps(s["Resource"]) for s in others)


def test_a_run_that_reviews_reads_what_was_deployed_and_nothing_else(synthesized: Any) -> None:
    rights = of_role(synthesized, "lockgate-tools-delivery", "GitHubReview")
    actions = {action for s in rights for action in listed(s["Action"])}
    assert actions == {"kms:Decrypt", "s3:GetObject", "s3:ListBucket"}
    (reading,) = [s for s in rights if s["Action"] == "s3:GetObject"]
    assert json.dumps(reading["Resource"]).endswith('/infrastructure/*"')
    (listing,) = [s for s in rights if s["Action"] == "s3:ListBucket"]
    assert listing["Condition"] == {"StringEquals": {"s3:prefix": "infrastructure/"}}


def test_every_role_carries_its_environments_boundary(synthesized: Any) -> None:
    roles = [entry for entry in synthesized.resources("AWS::IAM::") if entry[1]["Type"].endswith(("::Role", "::User"))]
    assert len(roles) > 40
    for name, role in roles:
        environment = name.split("-")[1]
        account = ENVIRONMENTS[environment]
        wanted = f"arn:aws:iam::{account}:policy/lockgate-{environment}-boundary"
        assert role["Properties"]["PermissionsBoundary"] == wanted, name


def test_training_never_reads_labels_nor_writes_evidence(synthesized: Any) -> None:
    text = json.dumps(of_role(synthesized, "lockgate-tools-training", "Training"))
    assert "lockgate-labels" not in text
    assert "lockgate-evidence" not in text


def test_an_approver_is_who_the_session_says_and_may_only_say_what_persons_decide(synthesized: Any) -> None:
    role = synthesized.only("AWS::IAM::Role", RoleName="lockgate-approver")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}
    rights = of_role(synthesized, "lockgate-tools-promotion", "Approver")
    assert {tuple(listed(s["Action"])) for s in rights} == {
        ("lambda:GetFunctionUrlConfig", "lambda:InvokeFunctionUrl"),
        ("lambda:InvokeFunction",),
    }
    (direct,) = [s for s in rights if s["Action"] == "lambda:InvokeFunction"]
    assert direct["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    for statement in rights:
        resources = [json.dumps(resource) for resource in listed(statement["Resource"])]
        assert all("DecideFunction" in resource for resource in resources)


def test_only_the_function_that_hears_persons_wakes_the_workflow(synthesized: Any) -> None:
    holders = {
        name.rpartition("/")[2][:6]
        for name, statement in statements(synthesized)
        if "states:SendTaskSuccess" in listed(statement["Action"])
    }
    assert holders == {"Decide"}


def test_each_environment_has_one_updater_of_its_own_releases_with_one_role(synthesized: Any) -> None:
    for environment in ("dev", "staging", "prod"):
        stack = f"lockgate-{environment}-edge"
        found = [
            (name, s)
            for name, s in statements(synthesized, stack)
            if "cloudformation:UpdateStack" in listed(s["Action"])
        ]
        ((name, statement),) = found
        assert name.startswith(f"{stack}/Deploy")
        assert "ReleaseRole" in json.dumps(statement["Condition"]["StringEquals"]["cloudformation:RoleArn"])
        for resource in listed(statement["Resource"]):
            assert f":stack/lockgate-{environment}-release-" in resource


def test_only_the_promotion_workflow_calls_the_deploy_function(synthesized: Any) -> None:
    for environment in ("dev", "staging", "prod"):
        role = synthesized.only("AWS::IAM::Role", RoleName=f"lockgate-{environment}-promote")
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        workflow = "arn:aws:iam::111111111111:role/lockgate-promotion"
        assert trust["Condition"] == {"ArnEquals": {"aws:PrincipalArn": workflow}}


def test_key_policies_let_services_act_for_this_account_only(synthesized: Any) -> None:
    for name, key in synthesized.resources("AWS::KMS::Key"):
        for statement in key["Properties"]["KeyPolicy"]["Statement"]:
            if "Service" in statement["Principal"]:
                assert statement["Condition"], name


def test_an_operator_may_only_call_the_door_of_his_environment_under_his_own_name(synthesized: Any) -> None:
    for environment in ("dev", "staging", "prod"):
        role = synthesized.only("AWS::IAM::Role", RoleName=f"lockgate-{environment}-operator")
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Condition"] == {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}
        rights = of_role(synthesized, f"lockgate-{environment}-edge", "OperatorsOperator")
        assert {tuple(listed(s["Action"])) for s in rights} == {
            ("lambda:GetFunctionUrlConfig", "lambda:InvokeFunctionUrl"),
            ("lambda:InvokeFunction",),
        }
        (direct,) = [s for s in rights if s["Action"] == "lambda:InvokeFunction"]
        assert direct["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
        assert all("DeployFunction" in json.dumps(s["Resource"]) for s in rights)


def test_the_tools_account_reads_an_environment_and_changes_nothing_there(synthesized: Any) -> None:
    for environment in ("dev", "staging", "prod"):
        role = synthesized.only("AWS::IAM::Role", RoleName=f"lockgate-{environment}-reader")
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert ":iam::111111111111:root" in json.dumps(trust["Principal"])
        actions = {
            action
            for s in of_role(synthesized, f"lockgate-{environment}-edge", "Reader")
            for action in listed(s["Action"])
        }
        assert actions == {
            "cloudformation:DescribeStacks",
            "cloudformation:ListStackResources",
            "ecs:DescribeServices",
            "kms:Decrypt",
            "s3:GetObject",
            "s3:ListBucket",
        }


def test_no_role_of_ours_writes_iam(synthesized: Any) -> None:
    """But for roles that AWS defines and one service uses, which application auto scaling needs once an account."""
    for name, statement in statements(synthesized):
        if statement["Effect"] != "Allow":
            continue
        actions = {action for action in listed(statement["Action"]) if action.startswith("iam:")}
        assert actions <= {"iam:PassRole", "iam:CreateServiceLinkedRole"}, name
        if "iam:CreateServiceLinkedRole" in actions:
            assert all(":role/aws-service-role/" in json.dumps(r) for r in listed(statement["Resource"])), name
            assert statement["Condition"]["StringEquals"].keys() == {"iam:AWSServiceName"}, name


def test_a_role_of_an_environment_names_no_account_but_its_own_and_the_tools(synthesized: Any) -> None:
    accounts = {"dev": "222222222222", "staging": "333333333333", "prod": "444444444444"}
    for environment in accounts:
        others = {account for name, account in accounts.items() if name != environment}
        for name, statement in statements(synthesized, f"lockgate-{environment}"):
            assert not [other for other in others if other in json.dumps(statement)], name
        for name, role in synthesized.resources("AWS::IAM::Role", f"lockgate-{environment}"):
            assert not [other for other in others if other in json.dumps(role)], name


def test_tools_reach_an_environment_only_by_taking_its_promote_role_or_its_reader(synthesized: Any) -> None:
    for name, statement in statements(synthesized, "lockgate-tools"):
        for account in ("222222222222", "333333333333", "444444444444"):
            reached = [resource for resource in listed(statement["Resource"]) if account in json.dumps(resource)]
            if reached:
                assert listed(statement["Action"]) == ["sts:AssumeRole"], name
                roles = [str(resource).rpartition("/")[2] for resource in reached]
                ours = all(role.endswith(("-promote", "-reader")) for role in roles)
                assert ours or ("GitHubInfrastructure" in name and all(role.startswith("cdk-") for role in roles)), name


def delivery_of(project: Path, out: Path, new_app: Callable[[Path, Path], Any]) -> dict[str, Any]:
    stages = new_app(project, out).synth().nested_assemblies
    (found,) = (
        stack.template
        for stage in stages
        for stack in stage.nested_assembly.stacks
        if stack.stack_name == "lockgate-tools-delivery"
    )
    return dict(found["Resources"])


def test_the_old_subject_and_an_existing_provider_are_taken_from_the_configuration(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    arn = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
    file = project / "environments" / "tools.toml"
    settings = f'branch = "main"\nsubject_form = "names"\nprovider_arn = "{arn}"'
    file.write_text(file.read_text().replace('branch = "main"', settings))
    resources = delivery_of(project, tmp_path / "out", new_app).values()
    assert "AWS::IAM::OIDCProvider" not in {resource["Type"] for resource in resources}
    (role,) = (r["Properties"] for r in resources if r.get("Properties", {}).get("RoleName") == "lockgate-delivery")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Federated": arn}
    claims = {key.rpartition(":")[2]: value for key, value in trust["Condition"]["StringEquals"].items()}
    assert claims["sub"] == "repo:your-org/your-models:ref:refs/heads/main"
    assert claims["repository_id"] == "2002"


def test_a_task_starts_with_nothing_of_another_account(synthesized: Any) -> None:
    for environment in ("dev", "staging", "prod"):
        stack = f"lockgate-{environment}-edge"
        for statement in of_role(synthesized, stack, "ExecutionRole") + of_role(synthesized, stack, "TaskRole"):
            assert "111111111111" not in json.dumps(statement["Resource"])


def test_the_deploy_function_copies_images_from_one_repository_into_one(synthesized: Any) -> None:
    wanted = {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    }
    read, write = (
        statement
        for statement in of_role(synthesized, "lockgate-prod-edge", "DeployRole")
        if any(action.startswith("ecr:") for action in listed(statement["Action"]))
    )
    assert set(listed(read["Action"])) == {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    assert read["Resource"] == "arn:aws:ecr:us-east-1:111111111111:repository/lockgate-models"
    assert set(listed(write["Action"])) == wanted
    assert write["Resource"]["Fn::GetAtt"][0].startswith("Images")


def resources_of(
    project: Path, out: Path, new_app: Callable[[Path, Path], Any], stack_name: str
) -> dict[str, dict[str, Any]]:
    stages = new_app(project, out).synth().nested_assemblies
    stacks = [stack for stage in stages for stack in stage.nested_assembly.stacks]
    return dict(next(stack.template for stack in stacks if stack.stack_name == stack_name)["Resources"])


def test_a_permission_set_gets_the_approvers_rights_by_a_policy_it_can_name_and_a_second_role_its_own(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    file = project / "environments" / "prod.toml"
    roles = 'approvers = ["AWSReservedSSO_Releases", "lockgate-prod-approver"]\n'
    file.write_text(roles + file.read_text())
    resources = resources_of(project, tmp_path / "out", new_app, "lockgate-tools-promotion").values()
    named = {r["Properties"].get("RoleName") for r in resources if r["Type"] == "AWS::IAM::Role"}
    assert {"lockgate-approver", "lockgate-prod-approver"} <= named
    assert not [name for name in named if "AWSReservedSSO" in str(name)]
    (policy,) = (r["Properties"] for r in resources if r["Type"] == "AWS::IAM::ManagedPolicy")
    assert policy["ManagedPolicyName"] == "lockgate-approver"
    url, invoke = policy["PolicyDocument"]["Statement"]
    assert url["Action"] == ["lambda:GetFunctionUrlConfig", "lambda:InvokeFunctionUrl"]
    assert invoke["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}


def test_whoever_may_take_a_role_of_a_person_does_so_under_his_own_name(synthesized: Any) -> None:
    """A role that trusts a whole account forces the name, or names the one role of ours that takes it."""
    for name, role in synthesized.resources("AWS::IAM::Role"):
        for trust in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if ":root" not in json.dumps(trust["Principal"]) or name.rpartition("/")[2].startswith("Reader"):
                continue  # the reader reads only
            condition = trust["Condition"]
            forced = condition.get("StringEquals", {}).get("sts:RoleSessionName") == "${aws:username}"
            assert forced or condition["ArnEquals"]["aws:PrincipalArn"], name


def test_who_breaks_the_glass_does_so_under_his_own_name_and_may_do_nothing_else(synthesized: Any) -> None:
    role = synthesized.only("AWS::IAM::Role", RoleName="lockgate-break-glass")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}
    stack = "lockgate-tools-promotion"
    for statement in of_role(synthesized, stack, "BreakGlass"):
        assert all(action.startswith("lambda:") for action in listed(statement["Action"]))
        assert "PastTheGate" in json.dumps(statement["Resource"])


def test_the_break_glass_function_starts_the_workflow_and_changes_nothing_itself(synthesized: Any) -> None:
    rights = of_role(synthesized, "lockgate-tools-promotion", "PastTheGate")
    actions = {action for s in rights for action in listed(s["Action"]) if not action.startswith("logs:")}
    assert actions == {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sagemaker:DescribeModelPackage",
        "sns:Publish",
        "states:StartExecution",
    }


def test_a_call_of_the_break_glass_function_is_an_alarm(synthesized: Any) -> None:
    alarms = [a["Properties"] for _, a in synthesized.resources("AWS::CloudWatch::Alarm", "lockgate-tools-promotion")]
    (found,) = [a for a in alarms if a.get("AlarmDescription", "").startswith("Somebody breaks the glass")]
    (dimension,) = found["Dimensions"]
    assert (found["MetricName"], found["Threshold"]) == ("Invocations", 1)
    assert "PastTheGate" in dimension["Value"]["Ref"]
    assert found["AlarmActions"]


def test_a_role_holds_its_rights_itself(synthesized: Any) -> None:
    assert not synthesized.resources("AWS::IAM::Policy")
