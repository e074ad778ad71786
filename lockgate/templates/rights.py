"""What CloudFormation may do in an account, and what no role there can do more than, read from the templates.

Which calls a type of resource needs is AWS's own list, in the type's schema, as cfn-lint brings it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lockgate import names
from lockgate.configuration.project import Configuration
from lockgate.errors import NotFoundError

EXECUTION = "lockgate-execution"
LONGEST = 6000  # characters of a managed policy; AWS takes 6144
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
# What changes who may do what, or undoes what is kept: not for a role that runs.
GRAVE = (
    "codebuild:UpdateProject",
    "ecr:DeleteRepository",
    "ecr:SetRepositoryPolicy",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "lambda:AddPermission",
    "lambda:UpdateFunction*",
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket*",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "states:UpdateStateMachine",
)


def documents(configuration: Configuration, assembly: Path, account: str) -> dict[str, dict[str, Any]]:
    """Policy documents of an account by name: lockgate-execution-<n>, and the boundary of each environment in it."""
    stages, tools = configuration.stages, configuration.tools
    mine = [name for name, found in stages.items() if found == account]
    templates = {name: _templates(assembly, name) for name in mine}
    every = [template for found in templates.values() for template in found]
    execution = pack(execution_statements(every, account, tools.region, [names.boundary(name) for name in mine]))
    found = {f"{EXECUTION}-{number}": document for number, document in enumerate(execution, start=1)}
    anchor = names.anchor_bucket(tools.anchor_account, tools.region)
    kept = [f"arn:aws:s3:::{anchor}", f"arn:aws:s3:::{anchor}/*"]
    kept.append(f"arn:aws:kms:{tools.region}:{tools.anchor_account}:key/*")
    for name in mine:
        others = set(stages.values()) - {account, tools.account}
        found[names.boundary(name)] = document(boundary_statements(templates[name], name, others, kept))
    return found


def _templates(assembly: Path, environment: str) -> list[Template]:
    folder = assembly / f"assembly-{environment}"
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.template.json"))]
    if not found:
        raise NotFoundError(f"{folder}: found no templates, expected what `make synth` writes")
    return found


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def pack(statements: Iterable[Statement]) -> list[dict[str, Any]]:
    """As few documents as hold the statements in order, none too long for a managed policy."""
    packed: list[list[Statement]] = [[]]
    for statement in statements:
        if len(json.dumps(document([*packed[-1], statement]), separators=(",", ":"))) > LONGEST:
            packed.append([])
        packed[-1].append(statement)
    return [document(each) for each in packed]


def execution_statements(
    templates: Sequence[Template], account: str, region: str, boundaries: Sequence[str]
) -> list[Statement]:
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


def boundary_statements(
    templates: Sequence[Template], environment: str, others: set[str], kept: Sequence[str]
) -> list[Statement]:
    """No IAM, nothing that changes who may do what, nothing in `others`, the accounts of other environments.

    kept: where the ledger's heads are kept, wherever that is; the tools account alone adds to it.
    Each role's own policy is exact; this holds even where one of them is not.
    """
    used = {action for template in templates for action in _actions(template)}
    services = sorted({action.partition(":")[0] for action in used} - {"iam", "sts"})
    taken = ["arn:aws:iam::*:role/lockgate-*"]
    if environment == "tools":  # the roles that deploy, for workflow runs
        taken += [f"arn:aws:iam::*:role/cdk-hnb659fds-{purpose}-role-*" for purpose in ("deploy", "file-publishing")]
    every = [f"{service}:*" for service in services]
    found: list[Statement] = [{"Effect": "Allow", "Action": every, "Resource": "*"}] if every else []
    found += [
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/lockgate-*"},
        {
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": "arn:aws:iam::*:role/aws-service-role/*",
        },
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": taken},
        {"Effect": "Deny", "Action": list(GRAVE), "Resource": "*"},
    ]
    if others:
        where = {"StringEquals": {"aws:ResourceAccount": sorted(others)}}
        denied: Statement = {"Action": "*", "Resource": "*"}
        if environment == "tools":  # it reaches an environment by taking a role there, and keeps its heads
            denied = {"NotAction": "sts:AssumeRole", "NotResource": list(kept)}
        found.append({"Effect": "Deny", **denied, "Condition": where})
    return found


def _actions(template: Template) -> Iterator[str]:
    """Actions that identities' policies in a template allow."""
    for resource in template.get("Resources", {}).values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    yield from [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def _is_one_of(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in patterns)
