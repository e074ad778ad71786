"""A signed HTTPS call to a Lambda function URL, with the proof of who makes it (lockgate.proof)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from lockgate import schema
from lockgate.aws.caller_identity import prove
from lockgate.errors import RefusedError
from lockgate.proof import HEADER, Audience, ProvedCall
from lockgate.schema import Document


class FunctionUrl:
    """The URL of a function, called as whoever holds the session; looked up once."""

    def __init__(self, session: Any, function: str) -> None:
        self._session = session
        found = session.client("lambda").get_function_url_config(FunctionName=function)
        self._url = found["FunctionUrl"]
        _, _, _, region, account, *_ = found["FunctionArn"].split(":")
        self._audience = Audience(account, region, function)

    def post(self, call: Document, path: str = "") -> dict[str, Any]:
        """What the function answers on a path. Raises RefusedError with its message when it refuses."""
        body = schema.write(call)
        proof = prove(self._session, ProvedCall(self._audience, path, body)).to_text()
        url = f"{self._url.rstrip('/')}/{path}"
        return post_as_caller(self._session, url, "lambda", body, {HEADER: proof})


def post_as_caller(
    session: Any, url: str, service: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """POST JSON signed as the session; the JSON answer. Raises RefusedError with the answer's message."""
    if not url.startswith("https://"):
        raise RefusedError(f"function URL: found {url!r}, expected https")
    sent_with = {"Content-Type": "application/json", **(headers or {})}
    request = AWSRequest("POST", url, data=json.dumps(body).encode(), headers=sent_with)
    SigV4Auth(session.get_credentials().get_frozen_credentials(), service, session.region_name).add_auth(request)
    sent = urllib.request.Request(url, data=request.data, headers=dict(request.headers), method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:  # noqa: S310 - https, checked above
            answered: dict[str, Any] = json.load(answer)
            return answered
    except urllib.error.HTTPError as error:
        raise RefusedError(_refusal(url, error.code, error.read())) from error


def _refusal(url: str, status: int, answer: bytes) -> str:
    """The function's own message; where AWS answered in its place, its words with what was asked and what to do."""
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if isinstance(document, dict) and "message" in document:
        return f"{document['message']} (HTTP {status})"
    said = document.get("Message", document) if isinstance(document, dict) else answer.decode(errors="replace")
    todo = "its log in CloudWatch says why; wait a minute, and repeat the command"
    if status == HTTPStatus.FORBIDDEN:
        todo = "AWS_PROFILE chooses who asks: take a role that may call it (environments/*.toml name those of persons)"
    return f"asked {url}: found HTTP {status}: {said or 'nothing'}, expected an answer of the function; {todo}"
