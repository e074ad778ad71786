"""CloudFormation types that the emulator rejects and our stacks declare, each on the service that exists there.

A type whose service does nothing (flow logs, scaling) is kept and shown in the list of what was only recorded. And a
stack takes one update at a time, where the emulator would carry out a change set beside an update that runs, and tells
EventBridge of each status that it comes to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from local import recorded
from local.eventbridge.service_events import emit
from local.seams import handler_of, rebind, wrap
from local.settings import Settings

Properties = dict[str, Any]
Provisioned = tuple[str, dict[str, Any]]
Handler = dict[str, Any]

# What a stack is in when it can be updated, or is not there: then the emulator says so itself.
_CHANGEABLE = (
    "CREATE_COMPLETE",
    "DELETE_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
)


def install(settings: Settings) -> None:
    """Register the types. `settings` is not needed; every extension has this signature."""
    for module in ("handlers", "changesets", "stacks"):
        wrap(f"services.cloudformation.{module}._add_event", _announced)
    for call in ("CreateChangeSet", "ExecuteChangeSet", "UpdateStack"):
        wrap(f"services.cloudformation.handlers._ACTION_HANDLERS[{call}]", partial(_one_at_a_time, call=call))
    for kind, handler in {
        "AWS::IAM::OIDCProvider": _kept_in_place(_create_oidc_provider, _delete_oidc_provider),
        "AWS::EC2::SecurityGroupIngress": _rule("IpPermissions"),
        "AWS::EC2::SecurityGroupEgress": _rule("IpPermissionsEgress"),
        "AWS::CloudWatch::CompositeAlarm": _kept_in_place(_put_composite_alarm, _delete_composite_alarm),
        "AWS::EC2::FlowLog": _kept_in_place(_create_flow_log, _delete_flow_log),
        "AWS::ApplicationAutoScaling::ScalableTarget": _recorded_scaling("target", _scalable_target_id),
        "AWS::ApplicationAutoScaling::ScalingPolicy": _recorded_scaling("policy", _scaling_policy_id),
    }.items():
        rebind(handler_of(kind), handler)
    wrap(handler_of("AWS::EC2::VPC"), _with_address_blocks)
    wrap("services.cloudformation.provisioners._cw_metric_alarm_record", _with_metric_math)


def _announced(original: Callable[..., None]) -> Callable[..., None]:
    """Keep an event of a stack, and put it on the default bus if it is the stack's own."""

    def add(
        stack_id: str,
        stack_name: str,
        logical_id: str,
        kind: str,
        status: str,
        reason: str = "",
        *rest: Any,
        **more: Any,
    ) -> None:
        original(stack_id, stack_name, logical_id, kind, status, reason, *rest, **more)
        if logical_id == stack_name and kind == "AWS::CloudFormation::Stack":
            _, _, _, region, account, _ = stack_id.split(":", 5)
            details = {"status": status, "status-reason": reason}
            detail = {"stack-id": stack_id, "status-details": details}
            emit("aws.cloudformation", "CloudFormation Stack Status Change", detail, [stack_id], account, region)

    return add


def _one_at_a_time(original: Callable[[Any], Any], call: str) -> Callable[[Any], Any]:
    """Refuse what AWS refuses for a stack that is being changed, or that only a person can bring on."""
    from ministack.services.cloudformation.handlers import _resolve_stack
    from ministack.services.cloudformation.helpers import _error, _p

    def checked(request: Any) -> Any:
        stack = _resolve_stack(_p(request, "StackName"))
        status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
        if status in _CHANGEABLE or (call == "CreateChangeSet" and _p(request, "ChangeSetType") == "CREATE"):
            return original(request)
        said = f"Stack:{stack['StackId']} is in {status} state and can not be updated."
        return _error("InvalidChangeSetStatus" if call == "ExecuteChangeSet" else "ValidationError", said)

    return checked


def _kept_in_place(
    create: Callable[[str, Properties, str], Provisioned], delete: Callable[[str, Properties], None]
) -> Handler:
    """Handler of a type whose create, run again, updates what it made: it names it by its properties."""

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
        made, attributes = create(logical_id, new, stack_name)
        if made != physical_id:
            delete(physical_id, old)
        return made, attributes

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _create_oidc_provider(logical_id: str, props: Properties, stack_name: str) -> Provisioned:
    from ministack.core.responses import get_account_id, now_iso
    from ministack.services import iam

    host = props["Url"].removeprefix("https://").rstrip("/")
    arn = f"arn:aws:iam::{get_account_id()}:oidc-provider/{host}"
    iam._oidc_providers[arn] = {
        "Url": props["Url"],
        "ClientIDList": list(props.get("ClientIdList", [])),
        "ThumbprintList": list(props.get("ThumbprintList", [])),
        "Arn": arn,
        "CreateDate": now_iso(),
        "Tags": props.get("Tags", []),
    }
    return arn, {"Arn": arn}


def _delete_oidc_provider(physical_id: str, props: Properties) -> None:
    from ministack.services import iam

    iam._oidc_providers.pop(physical_id, None)


def _rule(side: str) -> Handler:
    """Handler of one rule of a security group; `side` is the group's list that holds it."""

    def permission(props: Properties) -> dict[str, Any]:
        from ministack.services.cloudformation import provisioners

        made: list[dict[str, Any]] = provisioners._ec2_sg_permissions([props])
        return made[0]

    def create(logical_id: str, props: Properties, stack_name: str) -> Provisioned:
        from ministack.services import ec2

        group = ec2._security_groups.get(props["GroupId"])
        if group is None:
            raise ValueError(f"The security group '{props['GroupId']}' does not exist")
        group[side].append(permission(props))
        rule_id = provisioner_name(stack_name, logical_id)
        return rule_id, {"Id": rule_id}

    def delete(physical_id: str, props: Properties) -> None:
        from ministack.services import ec2

        group = ec2._security_groups.get(props["GroupId"])
        if group is not None and permission(props) in group[side]:
            group[side].remove(permission(props))

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
        delete(physical_id, old)
        return create(logical_id, new, stack_name)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def provisioner_name(stack_name: str, logical_id: str, length: int = 128) -> str:
    """Name that CloudFormation gives a resource without one."""
    from ministack.services.cloudformation import provisioners

    name: str = provisioners._physical_name(stack_name, logical_id, max_len=length)
    return name


def _put_composite_alarm(logical_id: str, props: Properties, stack_name: str) -> Provisioned:
    from ministack.services import cloudwatch

    name = props.get("AlarmName") or provisioner_name(stack_name, logical_id, 255)
    status, _, body = cloudwatch._put_composite_alarm({}, {**props, "AlarmName": name}, False, True)
    if status != 200:
        raise ValueError(body.decode())
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}


def _delete_composite_alarm(physical_id: str, props: Properties) -> None:
    from ministack.services import cloudwatch

    cloudwatch._composite_alarms.pop(physical_id, None)


def _create_flow_log(logical_id: str, props: Properties, stack_name: str) -> Provisioned:
    from ministack.core.responses import now_iso
    from ministack.services import ec2

    recorded.note("ec2", "flow logs are created, and no traffic is logged")
    flow_log = "fl-" + provisioner_name(stack_name, logical_id)[-13:].lower()
    ec2._flow_logs[flow_log] = {
        "FlowLogId": flow_log,
        "ResourceId": props["ResourceId"],
        "ResourceType": props["ResourceType"],
        "TrafficType": props.get("TrafficType", "ALL"),
        "LogDestinationType": props.get("LogDestinationType", "cloud-watch-logs"),
        "LogDestination": props.get("LogDestination") or props.get("LogGroupName", ""),
        "FlowLogStatus": "ACTIVE",
        "CreationTime": now_iso(),
    }
    return flow_log, {"Id": flow_log}


def _delete_flow_log(physical_id: str, props: Properties) -> None:
    from ministack.services import ec2

    ec2._flow_logs.pop(physical_id, None)


def _recorded_scaling(what: str, name: Callable[[Properties], str]) -> Handler:
    def create(logical_id: str, props: Properties, stack_name: str) -> Provisioned:
        recorded.note("application-autoscaling", f"a scaling {what} is kept, and no capacity follows it")
        made = name({"PolicyName": provisioner_name(stack_name, logical_id), **props})
        return made, {"Id": made, "Arn": made}

    return _kept_in_place(create, lambda physical_id, props: None)


def _scalable_target_id(props: Properties) -> str:
    return "|".join((props["ResourceId"], props["ScalableDimension"], props["ServiceNamespace"]))


def _scaling_policy_id(props: Properties) -> str:
    from ministack.core.responses import get_account_id, get_region, new_uuid

    namespace, resource = props.get("ServiceNamespace", "ecs"), props.get("ResourceId", "")
    if "ScalingTargetId" in props:
        resource, _, namespace = props["ScalingTargetId"].split("|")
    return (
        f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{new_uuid()}:"
        f"resource/{namespace}/{resource}:policyName/{props['PolicyName']}"
    )


def _with_address_blocks(handler: Handler) -> Handler:
    """Let Fn::GetAtt read the address blocks of a VPC."""
    create, update = handler["create"], handler["update"]

    def with_blocks(provisioned: Provisioned, props: Properties) -> Provisioned:
        vpc, attributes = provisioned
        association = f"vpc-cidr-assoc-{vpc.removeprefix('vpc-')}"
        blocks = {"CidrBlock": props["CidrBlock"], "CidrBlockAssociations": [association], "Ipv6CidrBlocks": []}
        return vpc, {**attributes, **blocks}

    return {
        **handler,
        "create": lambda logical_id, props, stack: with_blocks(create(logical_id, props, stack), props),
        "update": lambda made, old, new, *rest: with_blocks(update(made, old, new, *rest), new),
    }


def _with_metric_math(original: Callable[[str, Properties], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Keep an alarm on an expression, which the emulator refuses; nothing evaluates it."""

    def record(name: str, props: Properties) -> dict[str, Any]:
        if not props.get("Metrics"):
            return original(name, props)
        recorded.note("cloudwatch", "alarms on metric expressions are kept and never change their state")
        single = {key: value for key, value in props.items() if key != "Metrics"}
        alarm = original(name, {**single, "MetricName": "expression", "Namespace": "expression"})
        for key in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"):
            del alarm[key]
        return {**alarm, "Metrics": props["Metrics"]}

    return record
