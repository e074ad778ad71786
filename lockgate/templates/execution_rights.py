"""What CloudFormation may do when it deploys: the calls behind the types of resources in the templates, and no more.

Which calls a type of resource needs is AWS's own list, in the type's schema, as cfn-lint brings it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lockgate import names

Statement = dict[str, Any]
Template = Mapping[str, Any]

# Types whose schema names no calls.
WITHOUT_SCHEMA = {
    "AWS::CodeBuild::Project": [f"codebuild:{verb}" for verb in ("CreateProject", "UpdateProject", "DeleteProject")]
    + ["codebuild:BatchGetProjects"]
}
# Where a service's resources have names, ours begin with lockgate-; CloudFormation begins with the stack's name.
NAMED = {
    "cloudwatch": ["cloudwatch:{region}:{account}:alarm:lockgate-*"],
    "codebuild": ["codebuild:{region}:{account}:project/lockgate-*"],
    "ecr": ["ecr:{region}:{account}:repository/lockgate-*"],
    "ecs": [
        "ecs:{region}:{account}:cluster/lockgate-*",
        "ecs:{region}:{account}:service/lockgate-*",
        "ecs:{region}:{account}:service-deployment/lockgate-*",
        "ecs:{region}:{account}:task-definition/lockgate-*",
    ],
    "events": ["events:{region}:{account}:rule/lockgate-*"],
    "lambda": ["lambda:{region}:{account}:function:lockgate-*"],
    "logs": ["logs:{region}:{account}:log-group:lockgate-*"],
    "s3": ["s3:::lockgate-*"],
    "sagemaker": [
        "sagemaker:{region}:{account}:pipeline/lockgate-*",
        "sagemaker:{region}:{account}:model-package-group/lockgate-*",
    ],
    "sns": ["sns:{region}:{account}:lockgate-*"],
    "sqs": ["sqs:{region}:{account}:lockgate-*"],
    "states": ["states:{region}:{account}:stateMachine:lockgate-*"],
}
# Calls of those services that have no resource to name.
UNNAMED = (
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "ecs:DeregisterTaskDefinition",
    "ecs:DescribeTaskDefinition",
    "lambda:GetLayerVersion",
    "logs:*LogDelivery",
    "logs:*ResourcePolic*",
    "logs:DescribeLogGroups",
    "sns:Unsubscribe",
)
# In some schema, and not for CloudFormation here: data, the whole account's settings, other services' doors.
NEVER = (
    "ecs:PutAccountSetting*",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "lambda:PassCapacityProvider",
    "s3:*Object",
    "s3:*ObjectAcl",
    "s3:*ObjectVersion",
    "s3:REST.*",
)
SHARED = {"kms"}  # services that types of others call
# A role of ours is made and changed only with its boundary on it.
ROLE_BOUNDED = ("CreateRole", "DeleteRolePolicy", "PutRolePermissionsBoundary", "PutRolePolicy")
ROLE_KEPT = (
    "DeleteRole",
    "GetRole",
    "GetRolePolicy",
    "ListAttachedRolePolicies",
    "ListRolePolicies",
    "TagRole",
    "UntagRole",
    "UpdateAssumeRolePolicy",
    "UpdateRole",
    "UpdateRoleDescription",
)
SERVICE_LINKED = (
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
)


def statements(templates: Sequence[Template], account: str, region: str, boundaries: Sequence[str]) -> list[Statement]:
    """What CloudFormation needs to make, read, change and delete the resources of these templates; no more."""
    resources = [resource for template in templates for resource in template.get("Resources", {}).values()]
    types = {str(resource["Type"]) for resource in resources} - {"AWS::CDK::Metadata"}
    by_service: dict[str, list[str]] = defaultdict(list)
    for action in sorted(calls(types, region)):
        by_service[action.partition(":")[0]].append(action)
    found: list[Statement] = []
    for service, actions in sorted(by_service.items()):
        if service not in NAMED:
            where = {"StringEquals": {"aws:RequestedRegion": region}}
            found.append({"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": where})
            continue
        unnamed = [action for action in actions if _is_one_of(action, UNNAMED)]
        arns = [f"arn:aws:{arn}".format(account=account, region=region) for arn in NAMED[service]]
        named = [action for action in actions if action not in unnamed]
        found.append({"Effect": "Allow", "Action": named, "Resource": arns})
        if unnamed:
            found.append({"Effect": "Allow", "Action": unnamed, "Resource": "*"})
    found.append(
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",  # the functions' code
            "Resource": f"arn:aws:s3:::cdk-hnb659fds-assets-{account}-{region}/*",
        }
    )
    found.append(
        {
            "Effect": "Allow",
            "Action": "ssm:GetParameters",  # every template asks for the version of the bootstrap
            "Resource": f"arn:aws:ssm:{region}:{account}:parameter/cdk-bootstrap/hnb659fds/version",
        }
    )
    named = [r["Properties"]["ManagedPolicyName"] for r in resources if r["Type"] == "AWS::IAM::ManagedPolicy"]
    if named:
        verbs = [*(f"{v}Policy" for v in ("Create", "Delete", "Get", "Tag", "Untag"))]
        verbs += [*(f"{v}PolicyVersion" for v in ("Create", "Delete", "Get")), "ListPolicyVersions", "ListPolicyTags"]
        verbs += ["ListEntitiesForPolicy", "SetDefaultPolicyVersion"]
        found.append(
            {
                "Effect": "Allow",
                "Action": [f"iam:{verb}" for verb in verbs],
                "Resource": [names.policy_arn(account, name) for name in sorted(named)],
            }
        )
    return [*found, *_iam(types, account, boundaries, sorted(_services(resources)))]


def calls(types: Iterable[str], region: str) -> set[str]:
    """The calls behind types of resources, but for IAM's, which have rules of their own below."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    needed: set[str] = set()
    known = sorted(types)
    own = SHARED | {_service(kind) for kind in known}
    for kind in known:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).schema.get("handlers", {})
        verbs = ("create", "read", "update", "delete")
        listed = {action for verb in verbs for action in handlers.get(verb, {}).get("permissions", [])}
        needed |= {action for action in listed or WITHOUT_SCHEMA[kind] if action.partition(":")[0] in own - {"iam"}}
    return {action for action in needed if not _is_one_of(action, NEVER)}


def _service(kind: str) -> str:
    """The prefix of a type's own calls."""
    word = kind.split("::")[1].lower()
    renamed = {"elasticloadbalancingv2": "elasticloadbalancing", "stepfunctions": "states"}
    return {**renamed, "applicationautoscaling": "application-autoscaling"}.get(word, word)


def _services(resources: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Service principals that take the roles of the templates: only to them may a role be handed."""
    for resource in resources:
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            principal = statement.get("Principal", {})
            service = principal.get("Service", []) if isinstance(principal, dict) else []
            yield from [service] if isinstance(service, str) else service


def _iam(types: set[str], account: str, boundaries: Sequence[str], services: Sequence[str]) -> list[Statement]:
    roles = f"arn:aws:iam::{account}:role/lockgate-*"
    bound = [names.policy_arn(account, name) for name in boundaries]
    found: list[Statement] = [
        {
            "Effect": "Allow",
            "Action": [f"iam:{verb}" for verb in ROLE_BOUNDED],
            "Resource": roles,
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": bound}},
        },
        {"Effect": "Allow", "Action": [f"iam:{verb}" for verb in ROLE_KEPT], "Resource": roles},
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": roles,
            "Condition": {"StringEquals": {"iam:PassedToService": sorted(set(services))}},
        },
        {
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": f"arn:aws:iam::{account}:role/aws-service-role/*",
            "Condition": {"StringEquals": {"iam:AWSServiceName": list(SERVICE_LINKED)}},
        },
    ]
    if "AWS::IAM::OIDCProvider" in types:
        verbs = ("Create{}", "Delete{}", "Get{}", "List{}Tags", "Tag{}", "Untag{}", "Update{}Thumbprint")
        actions = [f"iam:{verb.format('OpenIDConnectProvider')}" for verb in verbs]
        actions += [f"iam:{verb}OpenIDConnectProvider" for verb in ("AddClientIDTo", "RemoveClientIDFrom")]
        provider = f"arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com"
        found.append({"Effect": "Allow", "Action": actions, "Resource": provider})
    return found


def _is_one_of(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in patterns)
