"""Calls of Function URLs with real proofs, and an STS that checks their signatures, for tests of handlers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lockgate import names, proof
from lockgate.aws import caller_identity
from lockgate.proof import HEADER, Audience, ProvedCall

ACCOUNT, REGION = "123456789012", "us-east-1"
DECIDE = Audience(ACCOUNT, REGION, names.DECIDE_FUNCTION)
BREAK_GLASS = Audience(ACCOUNT, REGION, names.BREAK_GLASS_FUNCTION)
DEPLOY = Audience(ACCOUNT, REGION, names.deploy_function("prod"))

_known: dict[str, tuple[Credentials, str]] = {}  # access key -> what it signs with, and whose it is


def session(arn: str) -> Any:
    """A session of a principal whom the STS of `answer` knows."""
    digest = hashlib.sha256(arn.encode()).hexdigest()
    keys = Credentials(f"ASIA{digest[:16].upper()}", digest, f"token-{digest}")
    _known[keys.access_key] = keys, arn
    return SimpleNamespace(get_credentials=lambda: keys, region_name=REGION)


def proved(arn: str, body: object, path: str, audience: Audience = DECIDE) -> str:
    """A proof that `arn` makes this call; of an empty call where the body is no object."""
    said = body if isinstance(body, dict) else _object(body)
    return caller_identity.prove(session(arn), ProvedCall(audience, path, said)).to_text()


def event(arn: str, body: object, path: str, audience: Audience = DECIDE) -> dict[str, Any]:
    """What Lambda makes of a call of a URL; what it says of the caller is a lie, which nobody may believe."""
    return {
        "version": "2.0",
        "rawPath": f"/{path}",
        "headers": {HEADER: proved(arn, body, path, audience)} if arn else {},
        "requestContext": {"authorizer": {"iam": {"userArn": f"arn:aws:iam::{ACCOUNT}:root"}}},
        "body": body if isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def answer(host: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """As STS answers: it signs what it got with the key that it knows, and compares."""
    authorization = headers["authorization"]
    access_key = authorization.partition("Credential=")[2].partition("/")[0]
    if access_key not in _known:
        return 403, _error("InvalidClientTokenId", "The security token included in the request is invalid.")
    keys, arn = _known[access_key]
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    call = AWSRequest("POST", f"https://{host}/", data=proof.BODY)
    for name in signed:
        call.headers[name] = headers[name]
    call.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(keys, "sts", host.split(".")[1])
    expected = signer.signature(signer.string_to_sign(call, signer.canonical_request(call)), call)
    if headers.get("x-amz-security-token") != keys.token or not authorization.endswith(f"Signature={expected}"):
        return 403, _error("SignatureDoesNotMatch", "The request signature we calculated does not match.")
    return 200, f"<GetCallerIdentityResponse><Arn>{arn}</Arn><Account>{arn.split(':')[4]}</Account></…>"


def _error(code: str, message: str) -> str:
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"


def _object(body: object) -> dict[str, Any]:
    try:
        found = json.loads(str(body))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
