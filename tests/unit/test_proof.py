"""A proof is good for one request to one function, for five minutes, at one STS; what it is not good for is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from lockgate import proof
from lockgate.aws import caller_identity
from lockgate.errors import BusyError, ConfigError, ForbiddenError, RefusedError
from lockgate.proof import Audience, Proof, ProvedCall, headers_to_send, read_proof
from tests import signed

GRACE = f"arn:aws:sts::{signed.ACCOUNT}:assumed-role/lockgate-approver/grace"
CALL = {"model": "income", "version": "7", "environment": "prod", "decision": "approve", "reason": "looks good"}
REQUEST = ProvedCall(signed.DECIDE, "approval", CALL)
HOST = "sts.us-east-1.amazonaws.com"


def made(request: ProvedCall = REQUEST) -> Proof:
    return caller_identity.prove(signed.session(GRACE), request)


def forged(**changes: str | None) -> Proof:
    """The proof of a request, with headers changed after they were signed; None leaves one out."""
    headers: dict[str, Any] = {**made().headers, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return Proof(nonce=made().nonce, headers={name: value for name, value in headers.items() if value is not None})


def refusal(given: Proof, request: ProvedCall = REQUEST, ahead: timedelta = timedelta()) -> str:
    with pytest.raises(ForbiddenError) as refused:
        headers_to_send(given, request, HOST, datetime.now(UTC) + ahead)
    return str(refused.value)


def test_what_was_signed_for_this_request_is_sent_as_it_is() -> None:
    given = made()
    assert headers_to_send(given, REQUEST, HOST, datetime.now(UTC)) == given.headers
    assert read_proof(given.to_text()) == given


@pytest.mark.parametrize(
    "request_of_another",
    [
        ProvedCall(signed.DECIDE, "approval", {**CALL, "decision": "reject"}),
        ProvedCall(signed.DECIDE, "approval", {**CALL, "version": "8"}),
        ProvedCall(signed.DECIDE, "approval", {**CALL, "model": "churn"}),
        ProvedCall(signed.DECIDE, "approval", {**CALL, "environment": "dev"}),
        ProvedCall(signed.DECIDE, "approval", {**CALL, "reason": "looks good."}),
        ProvedCall(signed.DECIDE, "waiver", CALL),
        ProvedCall(signed.BREAK_GLASS, "approval", CALL),
        ProvedCall(signed.DECIDE._replace(account="999999999999"), "approval", CALL),
    ],
    ids=["action", "version", "model", "environment", "reason", "path", "function", "account"],
)
def test_a_proof_of_another_request_is_none_of_this(request_of_another: ProvedCall) -> None:
    assert "found one of another request" in refusal(made(request_of_another))


def test_a_proof_for_another_region_is_none_here() -> None:
    elsewhere = ProvedCall(Audience(signed.ACCOUNT, "eu-west-1", signed.DECIDE.function), "approval", CALL)
    assert "scope: found 'eu-west-1/sts', expected 'us-east-1/sts'" in refusal(made(elsewhere))


def test_the_nonce_belongs_to_the_request() -> None:
    assert "found one of another request" in refusal(Proof(nonce="0" * 32, headers=made().headers))


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_proof_of_more_than_five_minutes_from_now_is_stale(minutes: int) -> None:
    assert "expected 5 minutes at most" in refusal(made(), ahead=timedelta(minutes=minutes))


@pytest.mark.parametrize("minutes", [-4, 4])
def test_clocks_may_differ_by_less_than_five_minutes(minutes: int) -> None:
    assert headers_to_send(made(), REQUEST, HOST, datetime.now(UTC) + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "host", ["sts.eu-west-1.amazonaws.com", "sts.amazonaws.com", "mallory.example", f"{HOST}:8443"]
)
def test_a_call_to_another_host_is_not_made(host: str) -> None:
    assert f"host: found {host!r}, expected {HOST!r}" in refusal(forged(host=host))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"authorization": None}, "found headers content-type"),
        ({"x_lockgate_request": None}, "found headers authorization"),
        ({"x_amz_target": "AssumeRole"}, "found headers authorization"),
        ({"authorization": "Bearer x"}, "found another authorization"),
        ({"x_amz_date": "yesterday"}, "expected YYYYMMDDTHHMMSSZ"),
        ({"x_amz_date": "20200101T000000Z"}, "day of the scope"),
        ({"content_type": "application/json"}, "content-type: found"),
        ({"x_amz_security_token": "a\r\nhost: mallory"}, "control characters in x-amz-security-token"),
    ],
    ids=str,
)
def test_other_headers_than_those_of_the_call_are_refused(changes: dict[str, str | None], why: str) -> None:
    assert why in refusal(forged(**changes))


def test_the_digest_has_to_be_among_what_was_signed() -> None:
    """Else anybody could put the digest of his own request beside a signature that he has seen."""
    call = AWSRequest("POST", f"https://{HOST}/", data=proof.BODY)
    call.headers["content-type"], call.headers["host"] = proof.CONTENT_TYPE, HOST
    SigV4Auth(signed.session(GRACE).get_credentials(), "sts", "us-east-1").add_auth(call)
    nonce = "0" * 32
    headers = {name.lower(): value for name, value in call.headers.items()}
    given = Proof(nonce=nonce, headers={**headers, proof.BOUND: REQUEST.sha256(nonce)})
    assert "found signed headers content-type;host;x-amz-date;x-amz-security-token" in refusal(given)


@pytest.mark.parametrize(
    "text", ["", "%", "e30=", "W10=", "eyJub25jZSI6IjEiLCJoZWFkZXJzIjp7fX0=", "A" * 20_000], ids=len
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenError, match="expected"):
        read_proof(text)


def test_half_a_surrogate_pair_is_refused_and_not_signed() -> None:
    with pytest.raises(RefusedError, match="UTF-8"):
        made(ProvedCall(signed.DECIDE, "approval", {**CALL, "reason": "\ud800"}))


def test_a_region_that_the_sdk_does_not_know_has_no_sts_to_ask() -> None:
    with pytest.raises(ConfigError, match="region"):
        caller_identity.host_of("us-east-1.mallory.example/")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def answers(status: int, text: str) -> None:
        monkeypatch.setattr(caller_identity, "send", lambda *_: (status, text))

    return answers


def test_who_signed_is_who_sts_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller_identity, "send", signed.answer)
    given = made()
    assert caller_identity.caller(given.to_text(), REQUEST) == (GRACE, given.nonce)


def test_a_signature_of_somebody_elses_key_is_refused_by_sts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller_identity, "send", signed.answer)
    given = made()
    last = given.headers["authorization"][-1]
    changed = given.headers["authorization"][:-1] + ("0" if last != "0" else "1")
    given = Proof(nonce=given.nonce, headers={**given.headers, "authorization": changed})
    with pytest.raises(ForbiddenError, match=r"STS does not take it \(SignatureDoesNotMatch"):
        caller_identity.caller(given.to_text(), REQUEST)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, ""),
        (503, "<Code>ServiceUnavailable</Code><Message>x</Message>"),
        (400, "<Code>Throttling</Code><Message>Rate exceeded</Message>"),
        (302, ""),
        (200, "<html>"),
        (200, "<Arn>arn:aws:iam::1:user/a</Arn><Arn>arn:aws:iam::1:user/b</Arn>"),
    ],
)
def test_where_sts_does_not_say_who_nobody_is_believed(asked: Callable[..., None], status: int, answer: str) -> None:
    asked(status, answer)
    with pytest.raises(BusyError, match="nobody is believed"):
        caller_identity.caller(made().to_text(), REQUEST)
