"""Looking into an environment's account from the tools account, with the environment's read-only role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate import names
from lockgate.aws.sessions import session_with


def look_into(sts: Any, *, account: str, region: str, environment: str) -> Callable[[str], Any]:
    """Makes clients of the environment's reader role. Raises ClientError when the role cannot be assumed."""
    answer = sts.assume_role(
        RoleArn=names.role_arn(account, names.reader_role(environment)), RoleSessionName="lockgate-tools"
    )
    client: Callable[[str], Any] = session_with(answer["Credentials"], region).client
    return client
