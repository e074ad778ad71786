"""Sessions of the SDK: in whose name the command line calls, or a function calls another account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def open_session(region: str) -> Any:
    """A session with the credentials of the process's environment."""
    import boto3  # heavy, and a function that uses lockgate.aws.clients alone needs no session

    return boto3.Session(region_name=region)


def session_with(credentials: Mapping[str, str], region: str) -> Any:
    """A session with the credentials that STS answered when a role was taken."""
    import boto3

    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=region,
    )


def variables_of(session: Any) -> dict[str, str]:
    """A session's credentials as environment variables, for a process that is to call in its name."""
    keys = session.get_credentials().get_frozen_credentials()
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }


def caller_of(session: Any) -> tuple[str, str]:
    """Account and ARN of who a session calls as, as AWS says."""
    identity = session.client("sts").get_caller_identity()
    return str(identity["Account"]), str(identity["Arn"])
