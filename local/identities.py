"""Who exists in the accounts before Lockgate arrives: an administrator in each, and two persons in `tools`.

ada    administrator of the tools account, author and operator. Accounts bootstrapped with `--trust <tools>` let her
       deploy to them.
grace  may do nothing but assume the role `lockgate-approver` of the tools account, under her own name.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.settings import Settings

ADMINISTRATOR_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
APPROVER_ROLE = "lockgate-approver"


def create(settings: Settings, accounts: Mapping[str, str]) -> None:
    """Create the users through the IAM API, and write the AWS config and credentials files that hold their profiles.

    accounts: account name -> 12-digit id; `tools` must be among them. Names may share an id.
    """
    administrators: dict[str, dict[str, str]] = {}
    credentials: dict[str, dict[str, str]] = {}
    for name, account in accounts.items():
        if account not in administrators:
            administrators[account] = _administrator(_iam(settings, account), "administrator")
        credentials[name] = administrators[account]
    tools = _iam(settings, accounts["tools"])
    credentials["ada"] = _administrator(tools, "ada")
    role = f"arn:aws:iam::{accounts['tools']}:role/{APPROVER_ROLE}"
    tools.create_user(UserName="grace")
    tools.put_user_policy(
        UserName="grace",
        PolicyName="approve",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}],
            }
        ),
    )
    credentials["grace-user"] = _key(tools, "grace")
    common = {
        "region": settings.region,
        "endpoint_url": settings.endpoint,
        "ca_bundle": str(settings.ca_bundle),
    }
    profiles = {f"profile {name}": dict(common) for name in credentials}
    profiles["profile grace"] = {
        **common,
        "role_arn": role,
        "source_profile": "grace-user",
        "role_session_name": "grace",
    }
    _write(settings.aws_config_file, profiles)
    _write(settings.aws_credentials_file, credentials)


def _iam(settings: Settings, account: str) -> Any:
    """IAM client of an account's root."""
    import boto3

    return boto3.session.Session(
        aws_access_key_id=account,
        aws_secret_access_key=settings.root_secret_file.read_text(),
        region_name=settings.region,
    ).client("iam", endpoint_url=settings.endpoint, verify=str(settings.ca_bundle))


def _administrator(iam: Any, user: str) -> dict[str, str]:
    iam.create_user(UserName=user)
    iam.attach_user_policy(UserName=user, PolicyArn=ADMINISTRATOR_POLICY)
    return _key(iam, user)


def _key(iam: Any, user: str) -> dict[str, str]:
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def _write(file: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    file.touch(mode=0o600)
    with file.open("w") as lines:
        parser.write(lines)
