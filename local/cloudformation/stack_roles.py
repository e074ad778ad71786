"""CloudFormation makes and changes a stack's resources as the role that the stack was given, if IAM lets it.

The emulator acts without a role. Here the one call by which each type of resource comes to be, and the one by which it
changes, is asked of IAM first, on the resource's own ARN; the further calls of a type are not, nor are deletions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from local import recorded
from local.cloudformation.types import provisioner_name
from local.iam import roles
from local.seams import handler_of, wrap
from local.settings import Settings

Properties = dict[str, Any]


@dataclass(frozen=True)
class ProvisioningCall:
    """create, update: actions. arn: without `arn:aws:`; its {name} is the property `named`, or CloudFormation's."""

    create: str
    update: str
    arn: str = "*"
    named: str = ""


CALLS = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ProvisioningCall(
        "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:{region}:{account}:scalable-target/made-by-aws",
    ),
    "AWS::CloudWatch::Alarm": ProvisioningCall(
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:{region}:{account}:alarm:{name}",
        "AlarmName",
    ),
    "AWS::CodeBuild::Project": ProvisioningCall(
        "codebuild:CreateProject", "codebuild:UpdateProject", "codebuild:{region}:{account}:project/{name}", "Name"
    ),
    "AWS::EC2::SecurityGroup": ProvisioningCall("ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress"),
    "AWS::EC2::Subnet": ProvisioningCall("ec2:CreateSubnet", "ec2:ModifySubnetAttribute"),
    "AWS::EC2::VPC": ProvisioningCall("ec2:CreateVpc", "ec2:ModifyVpcAttribute"),
    "AWS::ECR::Repository": ProvisioningCall(
        "ecr:CreateRepository",
        "ecr:SetRepositoryPolicy",
        "ecr:{region}:{account}:repository/{name}",
        "RepositoryName",
    ),
    "AWS::ECS::Cluster": ProvisioningCall(
        "ecs:CreateCluster", "ecs:UpdateCluster", "ecs:{region}:{account}:cluster/{name}", "ClusterName"
    ),
    "AWS::ECS::TaskDefinition": ProvisioningCall(
        "ecs:RegisterTaskDefinition",
        "ecs:RegisterTaskDefinition",
        "ecs:{region}:{account}:task-definition/{name}:1",
        "Family",
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ProvisioningCall(
        "elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:ModifyLoadBalancerAttributes"
    ),
    "AWS::Events::Rule": ProvisioningCall(
        "events:PutRule", "events:PutRule", "events:{region}:{account}:rule/{name}", "Name"
    ),
    "AWS::IAM::Role": ProvisioningCall("iam:CreateRole", "iam:UpdateRole", "iam::{account}:role/{name}", "RoleName"),
    "AWS::KMS::Key": ProvisioningCall("kms:CreateKey", "kms:PutKeyPolicy"),
    "AWS::Lambda::Function": ProvisioningCall(
        "lambda:CreateFunction",
        "lambda:UpdateFunctionConfiguration",
        "lambda:{region}:{account}:function:{name}",
        "FunctionName",
    ),
    "AWS::Logs::LogGroup": ProvisioningCall(
        "logs:CreateLogGroup",
        "logs:PutRetentionPolicy",
        "logs:{region}:{account}:log-group:{name}",
        "LogGroupName",
    ),
    "AWS::S3::Bucket": ProvisioningCall(
        "s3:CreateBucket", "s3:PutEncryptionConfiguration", "s3:::{name}", "BucketName"
    ),
    "AWS::SageMaker::ModelPackageGroup": ProvisioningCall(
        "sagemaker:CreateModelPackageGroup",
        "sagemaker:AddTags",
        "sagemaker:{region}:{account}:model-package-group/{name}",
        "ModelPackageGroupName",
    ),
    "AWS::SageMaker::Pipeline": ProvisioningCall(
        "sagemaker:CreatePipeline",
        "sagemaker:UpdatePipeline",
        "sagemaker:{region}:{account}:pipeline/{name}",
        "PipelineName",
    ),
    "AWS::SNS::Topic": ProvisioningCall(
        "sns:CreateTopic", "sns:SetTopicAttributes", "sns:{region}:{account}:{name}", "TopicName"
    ),
    "AWS::SQS::Queue": ProvisioningCall(
        "sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:{region}:{account}:{name}", "QueueName"
    ),
    "AWS::StepFunctions::StateMachine": ProvisioningCall(
        "states:CreateStateMachine",
        "states:UpdateStateMachine",
        "states:{region}:{account}:stateMachine:{name}",
        "StateMachineName",
    ),
}

_given: dict[tuple[str, str], str] = {}
_keys: dict[str, str] = {}


def remember(account: str, stack: str, role: str) -> None:
    """The role that a stack, by name or ARN, keeps until it is given another."""
    _given[account, stack.split("/")[1] if stack.startswith("arn:") else stack] = role


def install(settings: Settings) -> None:
    """Wrap the types' handlers, the last of all extensions. `settings` is not needed; all have this signature."""
    for kind, call in CALLS.items():
        wrap(handler_of(kind), partial(_asked, kind=kind, call=call))
    wrap(handler_of("AWS::IAM::Role"), _with_boundary)
    recorded.note(
        "cloudformation",
        "a stack's role is asked for one call a resource made or changed, of "
        f"{len(CALLS)} types; not for their further calls, nor for deletions",
    )


def _asked(handler: dict[str, Any], kind: str, call: ProvisioningCall) -> dict[str, Any]:
    create, update = handler["create"], handler.get("update")

    def made(logical_id: str, props: Properties, stack: str) -> Any:
        _refuse_unless_allowed(call.create, call, props, stack, logical_id, kind)
        return create(logical_id, props, stack)

    def changed(physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any) -> Any:
        _refuse_unless_allowed(call.update, call, new, stack, rest[0] if rest else "", kind, physical_id)
        assert update is not None  # noqa: S101 - only then is this one used
        return update(physical_id, old, new, stack, *rest)

    return {**handler, "create": made, **({"update": changed} if update else {})}


def _refuse_unless_allowed(
    action: str,
    call: ProvisioningCall,
    props: Properties,
    stack: str,
    logical_id: str,
    kind: str,
    physical_id: str = "",
) -> None:
    from ministack.core.responses import get_account_id, get_region

    account, region = get_account_id(), get_region()
    role = _given.get((account, stack))
    if role is None:
        return  # deployed with its caller's own rights, which were asked for the call to CloudFormation
    name = props.get(call.named) or physical_id.rpartition("/")[2] or provisioner_name(stack, logical_id)
    arn = "*" if call.arn == "*" else "arn:aws:" + call.arn.format(account=account, region=region, name=name)
    if physical_id.startswith("arn:") and call.arn != "*":
        arn = physical_id
    keys = {"aws:RequestedRegion": region}
    if "PermissionsBoundary" in props:
        keys["iam:PermissionsBoundary"] = props["PermissionsBoundary"]
    if role not in _keys:
        _keys[role] = roles.assume(role, "cloudformation.amazonaws.com", "AWSCloudFormation")["AWS_ACCESS_KEY_ID"]
    if not roles.allowed(_keys[role], action, arn, keys=keys, account=account):
        raise ValueError(f"{kind}: {role} is not authorized to perform: {action} on resource: {arn}")


def _with_boundary(handler: dict[str, Any]) -> dict[str, Any]:
    """Keep the boundary of a role, which the emulator drops."""
    create: Callable[..., Any] = handler["create"]
    update: Callable[..., Any] = handler["update"]

    def keep(made: tuple[str, Any], props: Properties) -> tuple[str, Any]:
        from ministack.services import iam

        role = iam._roles.get(made[0])
        if props.get("PermissionsBoundary"):
            role["PermissionsBoundary"] = props["PermissionsBoundary"]
        else:
            role.pop("PermissionsBoundary", None)
        return made

    return {
        **handler,
        "create": lambda logical_id, props, stack: keep(create(logical_id, props, stack), props),
        "update": lambda made, old, new, *rest: keep(update(made, old, new, *rest), new),
    }
