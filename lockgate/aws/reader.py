"""Looking into an environment's account from the tools account, with the environment's read-only role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate import names


def look_into(sts: Any, *, account: str, region: str, environment: str) -> Callable[[str], Any]:
    """Makes clients of the environment's reader role. Raises ClientError when the role cannot be assumed."""
    import boto3

    answer = sts.assume_role(
        RoleArn=names.role_arn(account, names.reader_role(environment)), RoleSessionName="lockgate-tools"
    )
    found = answer["Credentials"]
    session = boto3.Session(
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
        region_name=region,
    )
    client: Callable[[str], Any] = session.client
    return client
