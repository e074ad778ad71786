"""The load balancer's jwt-validation action: a request goes on only with a token that the configured issuer signed.

As AWS documents it: RS256 only; `iss` and `exp` must be there, `nbf` and `iat` are checked where they are; further
claims are compared by their format. Keys come from the JWKS endpoint and are kept for five minutes; a set of more than
ten keys lets nobody in. The token goes on to the target as it is.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jwt

_MOST_KEYS = 10


class StrangerError(Exception):
    """A request that does not go on, and why."""


async def refuse(action: Mapping[str, Any], headers: Mapping[str, str], ca_bundle: str) -> Any:
    """AWS's answer to a request that this action does not let through; None for one that goes on."""
    try:
        await asyncio.to_thread(_check, action["JwtValidationConfig"], headers, ca_bundle)
    except (StrangerError, jwt.PyJWTError) as error:
        body = json.dumps({"message": f"Unauthorized: {error}"}).encode()
        return 401, {"Content-Type": "application/json", "WWW-Authenticate": "Bearer"}, body
    return None


def _check(config: Mapping[str, Any], headers: Mapping[str, str], ca_bundle: str) -> None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise StrangerError("no token")
    keys = _keys(config["JwksEndpoint"], ca_bundle)
    if len(keys.get_signing_keys()) > _MOST_KEYS:
        raise StrangerError(f"the issuer has more than {_MOST_KEYS} keys")
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256"],
        issuer=config["Issuer"],
        options={"require": ["iss", "exp"], "verify_aud": False},  # an audience is one of the additional claims
    )
    for claim in config.get("AdditionalClaims") or ():
        if not set(_values(claims.get(claim["Name"]), claim["Format"])) & set(claim["Values"]):
            raise StrangerError(f"the claim {claim['Name']} is another")


def _values(found: object, form: str) -> Sequence[str]:
    """The texts of a claim in the format that is configured; none when it has another."""
    if form == "string-array":
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
    if not isinstance(found, str):
        return []
    return found.split() if form == "space-separated-values" else [found]


@cache
def _keys(endpoint: str, ca_bundle: str) -> jwt.PyJWKClient:
    trust = ssl.create_default_context(cafile=ca_bundle)
    return jwt.PyJWKClient(endpoint, lifespan=300, timeout=5, ssl_context=trust)
