"""Exchange a GitHub Actions run's identity for an AWS session: no stored keys."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from lockgate.aws.clients import code
from lockgate.aws.sessions import session_with
from lockgate.errors import RefusedError

AUDIENCE = "sts.amazonaws.com"
UNTRUSTED = ("AccessDenied", "ExpiredTokenException", "InvalidIdentityToken")


def session(environment: Mapping[str, str], role_arn: str, region: str, trusted: Mapping[str, str]) -> Any:
    """A boto3 session as `role_arn`, from the token that the run may ask GitHub for.

    trusted: the claims that the role asks of a token, as the configuration has them.

    Source: https://docs.github.com/actions/reference/security/oidc. Raises RefusedError when this is no such run, and
    with the claims of both sides when AWS does not trust it.
    """
    url, bearer = (environment.get(f"ACTIONS_ID_TOKEN_REQUEST_{part}") for part in ("URL", "TOKEN"))
    if not url or not bearer:
        raise RefusedError("not a GitHub Actions run that may ask for a token: it needs `permissions: id-token: write`")
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise RefusedError(f"ACTIONS_ID_TOKEN_REQUEST_URL: found {url!r}, expected https")
    separator = "&" if "?" in url else "?"
    request = urllib.request.Request(  # noqa: S310 - checked above
        f"{url}{separator}audience={AUDIENCE}", headers={"Authorization": f"bearer {bearer}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        token = json.load(answer)["value"]
    sts = boto3.client("sts", region_name=region, config=Config(signature_version=UNSIGNED))
    try:
        credentials = sts.assume_role_with_web_identity(
            RoleArn=role_arn,
            RoleSessionName=environment.get("GITHUB_ACTOR_ID", "unknown"),  # the role's trust takes no other name
            WebIdentityToken=token,
            DurationSeconds=3600,
        )["Credentials"]
    except ClientError as error:
        if code(error) not in UNTRUSTED:
            raise
        raise RefusedError(_untrusted(role_arn, token, trusted, code(error))) from error
    return session_with(credentials, region)


def _untrusted(role_arn: str, token: str, trusted: Mapping[str, str], refusal: str) -> str:
    """What the token says and the role expects, claim by claim."""
    claims = _claims(token)
    differ = [
        f"{claim} {claims.get(claim)!r}, expected {value!r}"
        for claim, value in trusted.items()
        if claims.get(claim) != value
    ]
    if differ:
        return (
            f"asked AWS for {role_arn} ({refusal}): found a token with {'; '.join(differ)}: run it from that "
            "repository and branch, or change [github] of environments/tools.toml and deploy"
        )
    return (
        f"asked AWS for {role_arn} ({refusal}): found a token with the claims that environments/tools.toml names, "
        "expected a role that trusts them: deploy the stacks of this configuration (cdk deploy 'tools/*')"
    )


def _claims(token: str) -> dict[str, Any]:
    """What a token says of itself, for a message; AWS alone verifies it. Empty where it is no such token."""
    try:
        body = token.split(".")[1]
        read = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
