"""The embedded STS checks a proof as AWS's does: it says who signed, and takes no signature that was changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from lockgate import names
from lockgate.aws import caller_identity
from lockgate.errors import ForbiddenError
from lockgate.proof import Audience, Proof, ProvedCall

REGION = "us-east-1"


@pytest.fixture(autouse=True)
def reached(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a function of the embedded AWS reaches STS: by its public name, through the proxy."""
    for name, value in aws.session.environment().items():
        monkeypatch.setenv(name, value)
    yield


def request_of(aws: Any) -> ProvedCall:
    return ProvedCall(Audience(aws.tools, REGION, names.DECIDE_FUNCTION), "approval", {"version": "1"})


def proved(aws: Any, credentials: dict[str, str]) -> Proof:
    return caller_identity.prove(boto3.Session(**credentials, region_name=REGION), request_of(aws))


def test_sts_says_which_user_signed(aws: Any) -> None:
    found = caller_identity.caller(proved(aws, aws.credentials("ada")).to_text(), request_of(aws))
    assert found.arn == f"arn:aws:iam::{aws.tools}:user/ada"


@pytest.mark.parametrize("name", ["lockgate-approver", "AWSReservedSSO_Releases_0123456789abcdef"])
def test_sts_says_which_session_of_which_role_signed(aws: Any, name: str) -> None:
    role = aws.role(
        name, {"Principal": {"AWS": f"arn:aws:iam::{aws.tools}:root"}}, {"Action": "s3:Nothing", "Resource": "*"}
    )
    found = caller_identity.caller(proved(aws, aws.assume(role, "grace")).to_text(), request_of(aws))
    assert found.arn == f"arn:aws:sts::{aws.tools}:assumed-role/{name}/grace"


@pytest.mark.parametrize("header", ["x-lockgate-request", "x-amz-date", "authorization"])
def test_sts_takes_no_header_that_was_changed_after_it_was_signed(aws: Any, header: str) -> None:
    headers = dict(proved(aws, aws.credentials("ada")).headers)
    earlier = datetime.now(UTC) - timedelta(seconds=90)
    changed = {
        "x-lockgate-request": "0" * 64,
        "x-amz-date": f"{earlier:%Y%m%dT%H%M%SZ}",
        "authorization": headers["authorization"].replace("Signature=", "Signature=0")[: len(headers["authorization"])],
    }
    host = caller_identity.host_of(REGION)
    status, answer = caller_identity.send(host, {**headers, header: changed[header]})
    assert (status, "SignatureDoesNotMatch" in answer) == (403, True)


def test_sts_knows_no_key_but_those_it_gave(aws: Any) -> None:
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI", region_name=REGION)
    given = caller_identity.prove(session, request_of(aws))
    with pytest.raises(ForbiddenError, match="InvalidClientTokenId"):
        caller_identity.caller(given.to_text(), request_of(aws))
