"""Exchange a GitHub Actions run's identity for an AWS session: no stored keys."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from lockgate.aws.sessions import session_with
from lockgate.errors import RefusedError

AUDIENCE = "sts.amazonaws.com"


def session(environment: Mapping[str, str], role_arn: str, region: str) -> Any:
    """A boto3 session as `role_arn`, from the token that the run may ask GitHub for.

    Source: https://docs.github.com/actions/reference/security/oidc. Raises RefusedError when this is no such run.
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
    credentials = sts.assume_role_with_web_identity(
        RoleArn=role_arn,
        RoleSessionName=environment.get("GITHUB_ACTOR_ID", "unknown"),  # the role's trust takes no other name
        WebIdentityToken=token,
        DurationSeconds=3600,
    )["Credentials"]
    return session_with(credentials, region)
