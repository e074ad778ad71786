"""Stand-in for GitHub Actions: the variables of a workflow run, and the endpoint that gives the run its OIDC token.

A run's request token is bound to its claims by a file in the instance's state folder: the command line writes it,
the server reads it. The key pair is made when the server starts; STS in the embedded AWS checks signatures against it.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.settings import HOST, Settings
from lockgate.configuration.tools import GitHub

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = ".github/workflows/deliver.yml"
_TOKEN_SECONDS = 300


class ExpiredTokenError(ValueError):
    """The token was good and its time is over."""


class GitHubIssuer:
    """Signs tokens as GitHub's issuer and says what a token claims, or why it is not believed."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = uuid.uuid4().hex

    def token(self, claims: Mapping[str, Any], audience: str) -> str:
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "kid": self._key_id}
        times = {"iat": now, "nbf": now - 5, "exp": now + _TOKEN_SECONDS}
        body = {**claims, "jti": str(uuid.uuid4()), "iss": ISSUER, "aud": audience, **times}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(body).encode())}"
        return f"{signed}.{_encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that this issuer signed, in its time; ValueError (ExpiredTokenError) otherwise."""
        try:
            head, body, signature = token.split(".")
            header = json.loads(_decode(head))
            self._key.public_key().verify(
                _decode(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            claims: dict[str, Any] = json.loads(_decode(body))
        except (InvalidSignature, ValueError) as error:
            raise ValueError("the token is not signed by the issuer") from error
        if header.get("alg") != "RS256" or claims.get("iss") != ISSUER:
            raise ValueError("the token is not of GitHub's issuer")
        if not claims["nbf"] <= time.time() < claims["exp"]:
            raise ExpiredTokenError("Token expired")
        return claims


@dataclass(frozen=True)
class Push:
    """What a workflow runs for.

    `repository` is the name without its owner; `ref` is full, as in `refs/heads/main`; `environment` is the GitHub
    environment that a job names, if it does.
    """

    owner: str
    owner_id: int
    repository: str
    repository_id: int
    ref: str
    sha: str
    actor: str
    actor_id: int
    environment: str = ""


def push_to(source: GitHub, sha: str, environment: str = "") -> Push:
    """Ada's push of a commit to the branch that is delivered."""
    return Push(
        owner=source.owner,
        owner_id=int(source.owner_id),
        repository=source.repository,
        repository_id=int(source.repository_id),
        ref=f"refs/heads/{source.branch}",
        sha=sha,
        actor="ada",
        actor_id=3003,
        environment=environment,
    )


def run_environment(settings: Settings, push: Push) -> dict[str, str]:
    """Variables that a push's workflow run sees, with a request token bound to that run's claims."""
    slug = f"{push.owner}/{push.repository}"
    run_id = str(secrets.randbelow(10**10))
    seen = {
        "repository": slug,
        "repository_id": str(push.repository_id),
        "repository_owner": push.owner,
        "repository_owner_id": str(push.owner_id),
        "ref": push.ref,
        "sha": push.sha,
        "actor": push.actor,
        "actor_id": str(push.actor_id),
        "event_name": "push",
        "workflow": "deliver",
        "workflow_ref": f"{slug}/{WORKFLOW}@{push.ref}",
        "workflow_sha": push.sha,
        "run_id": run_id,
        "run_number": "1",
        "run_attempt": "1",
    }
    claims = {
        **seen,
        "sub": f"repo:{push.owner}@{push.owner_id}/{push.repository}@{push.repository_id}:"
        + (f"environment:{push.environment}" if push.environment else f"ref:{push.ref}"),
        **({"environment": push.environment} if push.environment else {}),
        "ref_type": "branch",
        "job_workflow_ref": seen["workflow_ref"],
        "job_workflow_sha": push.sha,
        "repository_visibility": "private",
        "runner_environment": "github-hosted",
    }
    request_token = secrets.token_hex(32)
    file = _claims_file(settings, request_token)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(claims))
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REF_NAME": push.ref.rpartition("/")[2],
        **{f"GITHUB_{name.upper()}": value for name, value in seen.items()},
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://{HOST}:{settings.github_port}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": request_token,
    }


@functools.cache
def issuer() -> GitHubIssuer:
    """The one issuer of this process."""
    return GitHubIssuer()


async def serve(settings: Settings) -> asyncio.Server:
    """Start the token endpoint; it runs until the returned server is closed."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, answer = _answer(settings, await reader.readuntil(b"\r\n\r\n"))
            body = json.dumps(answer).encode()
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (OSError, EOFError, ValueError):
            pass  # not HTTP, or the client went away
        finally:
            writer.close()

    return await asyncio.start_server(client, HOST, settings.github_port)


def _answer(settings: Settings, head: bytes) -> tuple[HTTPStatus, dict[str, str]]:
    request, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = request.split(" ")
    url = urlsplit(target)
    if (method, url.path) != ("GET", "/token"):
        return HTTPStatus.NOT_FOUND, {"message": f"no {method} {url.path} here: GET /token?audience=..."}
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    scheme, _, request_token = headers.get("authorization", "").partition(" ")
    file = _claims_file(settings, request_token)
    if scheme.lower() != "bearer" or not request_token.isalnum() or not file.is_file():
        return HTTPStatus.UNAUTHORIZED, {"message": "the request token belongs to no workflow run"}
    claims = json.loads(file.read_text())
    owner_url = f"https://github.com/{claims['repository_owner']}"
    audience = parse_qs(url.query).get("audience", [owner_url])[0]
    return HTTPStatus.OK, {"value": issuer().token(claims, audience)}


def _claims_file(settings: Settings, request_token: str) -> Path:
    return settings.state / "github" / f"{request_token}.json"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
