"""Who exists in the accounts before Lockgate arrives: an administrator in each, and a few persons.

ada    administrator of the tools account, author and operator. Accounts bootstrapped with `--trust <tools>` let her
       deploy to them.
       She takes the roles `lockgate-approver` and `lockgate-break-glass` under her own name as well.
grace  may do nothing but assume the role `lockgate-approver` of the tools account, under her own name.
olga   in the account of each environment, may do nothing but assume its role `lockgate-<environment>-operator`.

The emulator lets anybody act as an account's root; the embedded AWS refuses root keys at its door
(local.gateway.door), so these users are made inside the server, before it opens.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

from local.settings import Settings

ADMINISTRATOR_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"
APPROVER_ROLE = "lockgate-approver"
BREAK_GLASS_ROLE = "lockgate-break-glass"


async def create(settings: Settings, accounts: Mapping[str, str]) -> None:
    """Create the users through the IAM API, and write the AWS config and credentials files that hold their profiles.

    accounts: account name -> 12-digit id; `tools` must be among them. Names may share an id.
    """
    administrators: dict[str, dict[str, str]] = {}
    credentials: dict[str, dict[str, str]] = {}
    for name, account in accounts.items():
        if account not in administrators:
            administrators[account] = await _administrator(settings, account, "administrator")
        credentials[name] = administrators[account]
    tools = accounts["tools"]
    credentials["ada"] = await _administrator(settings, tools, "ada")
    approver, break_glass = (f"arn:aws:iam::{tools}:role/{role}" for role in (APPROVER_ROLE, BREAK_GLASS_ROLE))
    permission = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": approver}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [permission]})
    await _iam(settings, tools, "CreateUser", UserName="grace")
    await _iam(settings, tools, "PutUserPolicy", UserName="grace", PolicyName="approve", PolicyDocument=policy)
    credentials["grace-user"] = await _key(settings, tools, "grace")
    operators = await _operators(settings, {name: id_ for name, id_ in accounts.items() if name != "tools"})
    common = {
        "region": settings.region,
        "endpoint_url": settings.endpoint,
        "ca_bundle": str(settings.ca_bundle),
    }
    profiles = {f"profile {name}": common for name in credentials}
    for name, role, user in (
        ("grace", approver, "grace"),
        ("ada-approver", approver, "ada"),
        ("ada-break-glass", break_glass, "ada"),
    ):
        source = "grace-user" if user == "grace" else user
        profiles[f"profile {name}"] = {
            **common,
            "role_arn": role,
            "source_profile": source,
            "role_session_name": user,
        }
    for name, key in operators.items():
        credentials[f"{name}-operator-user"] = key
        operator = {"role_arn": operator_role(accounts[name], name), "source_profile": f"{name}-operator-user"}
        profiles[f"profile {name}-operator-user"] = common
        profiles[f"profile {name}-operator"] = {**common, **operator, "role_session_name": "olga"}
    settings.aws_config_file.parent.mkdir(exist_ok=True)
    _write(settings.aws_config_file, profiles)
    _write(settings.aws_credentials_file, credentials)


def operator_role(account: str, environment: str) -> str:
    return f"arn:aws:iam::{account}:role/lockgate-{environment}-operator"


async def _operators(settings: Settings, environments: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The key of olga for each environment; she is one user where environments share an account."""
    keys: dict[str, dict[str, str]] = {}
    for name, account in environments.items():
        if account not in keys:
            await _iam(settings, account, "CreateUser", UserName="olga")
            keys[account] = await _key(settings, account, "olga")
        permission = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": operator_role(account, name)}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [permission]})
        await _iam(
            settings, account, "PutUserPolicy", UserName="olga", PolicyName=f"operate-{name}", PolicyDocument=policy
        )
    return {name: keys[account] for name, account in environments.items()}


async def _iam(settings: Settings, account: str, action: str, **parameters: str) -> ElementTree.Element:
    """The answer of one IAM call as the account's root."""
    from ministack.core.responses import request_scope
    from ministack.services import iam

    body = urlencode({"Action": action, "Version": "2010-05-08", **parameters}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    with request_scope(account, settings.region):
        status, _, answer = await iam.handle_request("POST", "/", headers, body, {})
    if status != 200:
        raise RuntimeError(f"IAM refused {action} in account {account}: {answer!r}")
    return ElementTree.fromstring(answer)  # noqa: S314 - our own process wrote it


async def _administrator(settings: Settings, account: str, user: str) -> dict[str, str]:
    await _iam(settings, account, "CreateUser", UserName=user)
    await _iam(settings, account, "AttachUserPolicy", UserName=user, PolicyArn=ADMINISTRATOR_POLICY)
    return await _key(settings, account, user)


async def _key(settings: Settings, account: str, user: str) -> dict[str, str]:
    answer = await _iam(settings, account, "CreateAccessKey", UserName=user)
    return {
        "aws_access_key_id": answer.findtext(".//{*}AccessKeyId", ""),
        "aws_secret_access_key": answer.findtext(".//{*}SecretAccessKey", ""),
    }


def _write(file: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    file.touch(mode=0o600)
    with file.open("w") as lines:
        parser.write(lines)
