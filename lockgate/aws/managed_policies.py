"""Managed policies of IAM that follow a document, each change as a new default version."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code

KEPT_VERSIONS = 5  # of a managed policy, by AWS's quota


def put_policy(iam: Any, account: str, name: str, document: dict[str, Any]) -> bool:
    """Make the policy of this name have this document as its default version; False where it has it already."""
    arn = names.policy_arn(account, name)
    text = json.dumps(document, separators=(",", ":"))
    try:
        iam.create_policy(PolicyName=name, PolicyDocument=text, Description="Made by lockgate bootstrap.")
    except ClientError as error:
        if code(error) != "EntityAlreadyExists":
            raise
        default = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        if iam.get_policy_version(PolicyArn=arn, VersionId=default)["PolicyVersion"]["Document"] == document:
            return False
        versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
        spare = sorted((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
        if len(versions) >= KEPT_VERSIONS:
            iam.delete_policy_version(PolicyArn=arn, VersionId=spare[0]["VersionId"])
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)
    return True
