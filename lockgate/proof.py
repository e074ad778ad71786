"""A proof of who makes a request: the signed headers of one call of STS that only the signer could have made.

Whoever may invoke a function writes its event, and with it whatever the event says about the caller. So the caller
signs a POST of GetCallerIdentity to the STS of the function's region, and sends the signed headers instead of making
the call. One of these headers holds the SHA-256 of the request: whom it is for, its path, all that it says, and a
nonce. The function compares the headers with what it expects, makes the call itself (lockgate.aws.caller_identity), and
believes what STS answers. Nothing that the proof carries leads anywhere else: host, path and body of the call are the
function's own.

A proof is good for five minutes. What is recorded keeps its nonce, so that the same proof again is the same record.

The pattern is that of HashiCorp Vault's AWS authentication and of aws-iam-authenticator.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from lockgate import canonical, schema
from lockgate.errors import EvidenceError, ForbiddenError, RefusedError
from lockgate.schema import Document

HEADER = "x-lockgate-proof"  # of the request to the function: the whole proof
BOUND = "x-lockgate-request"  # of the call of STS: the digest of the request
CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
SERVICE = "sts"
LIFETIME = timedelta(minutes=5)  # STS itself takes fifteen
LONGEST = 16 * 1024

_NEEDED = frozenset({"content-type", "host", "x-amz-date", BOUND})
_TOKEN = "x-amz-security-token"  # noqa: S105 - a header's name
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_NONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[A-Z0-9]{16,128}/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}",
    re.ASCII,
)


class Audience(NamedTuple):
    """The one function that a request is for."""

    account: str
    region: str
    function: str


class ProvedCall(NamedTuple):
    """What a proof is bound to: whom it is for, the path of the function's URL, and all that the request says."""

    audience: Audience
    path: str
    said: Mapping[str, Any]

    def sha256(self, nonce: str) -> str:
        """Raises RefusedError where what is said has no canonical form, such as half a surrogate pair."""
        document = {
            "schema": "lockgate.request/1",
            "audience": self.audience._asdict(),
            "path": self.path,
            "said": self.said,
            "nonce": nonce,
        }
        try:
            return canonical.sha256(canonical.to_bytes(document))
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"body: found what is no finite JSON in UTF-8 ({error}), expected it") from error


class Proof(Document):
    """The headers of the call of STS, as they were signed, and the nonce that is in their digest."""

    nonce: str
    """32 hexadecimal digits, never used before."""
    headers: Mapping[str, str]
    """Name in small letters -> value."""

    def __post_init__(self) -> None:
        if not _NONCE.fullmatch(self.nonce):
            raise ForbiddenError(f"nonce: found {self.nonce[:40]!r}, expected 32 hexadecimal digits")

    def to_text(self) -> str:
        """One line, for the header `HEADER`."""
        return base64.urlsafe_b64encode(canonical.to_bytes(schema.write(self))).decode()


class Proved(NamedTuple):
    """Who signed, as STS says: the ARN. The nonce is that of the proof."""

    arn: str
    nonce: str


def read_proof(text: str) -> Proof:
    """Raises ForbiddenError for what is no proof."""
    if not text:
        raise ForbiddenError(
            f"found no proof of who asks (header {HEADER}), expected one: what an event says about its sender is not "
            "believed; ask with a `lockgate` of this version"
        )
    if len(text) > LONGEST:
        raise ForbiddenError(f"proof: found {len(text)} characters, expected {LONGEST} at most")
    try:
        found = canonical.from_bytes(base64.b64decode(text, altchars=b"-_", validate=True), "proof")
    except (ValueError, EvidenceError) as error:
        raise ForbiddenError(f"proof: found no JSON in base64 ({error}), expected what `lockgate` sends") from error
    return schema.read(Proof, found, "proof", ForbiddenError)


def headers_to_send(proof: Proof, request: ProvedCall, host: str, now: datetime) -> dict[str, str]:
    """The headers of the call of STS, when they are for this very request; else ForbiddenError with the reason.

    host: that of the STS which the function asks. now: UTC, by the machine's own clock.
    """
    headers = dict(proof.headers)
    names = headers.keys() - {"authorization"}
    if "authorization" not in headers or names - {_TOKEN} != _NEEDED:
        expected = ", ".join(sorted({*_NEEDED, "authorization"}))
        raise ForbiddenError(f"proof: found headers {', '.join(sorted(headers))}, expected {expected} and {_TOKEN}")
    unsendable = sorted(name for name, value in headers.items() if not _VALUE.fullmatch(value))
    if unsendable:
        raise ForbiddenError(f"proof: found control characters in {', '.join(unsendable)}, expected printable text")
    signature = _AUTHORIZATION.fullmatch(headers["authorization"])
    if signature is None:
        raise ForbiddenError("proof: found another authorization, expected AWS4-HMAC-SHA256 with an aws4_request")
    day, region, service, signed = signature.groups()
    _expect("scope", f"{region}/{service}", f"{request.audience.region}/{SERVICE}")
    _expect("host", headers["host"], host)
    _expect("content-type", headers["content-type"], CONTENT_TYPE)
    unsigned = sorted(names - set(signed.split(";")))
    if unsigned or set(signed.split(";")) != names:
        raise ForbiddenError(f"proof: found signed headers {signed}, expected {';'.join(sorted(names))}")
    _refuse_stale(headers["x-amz-date"], day, now)
    if headers[BOUND] != request.sha256(proof.nonce):
        audience = request.audience
        raise ForbiddenError(
            f"proof: found one of another request, expected one for what is asked here: /{request.path} of "
            f"{audience.function} in {audience.account}, {audience.region}, with every word of the body"
        )
    return headers


def _expect(what: str, found: str, expected: str) -> None:
    if found != expected:
        raise ForbiddenError(f"proof: {what}: found {found!r}, expected {expected!r}")


def _refuse_stale(date: str, day: str, now: datetime) -> None:
    try:
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ForbiddenError(f"proof: x-amz-date: found {date!r}, expected YYYYMMDDTHHMMSSZ") from error
    _expect("day of the scope", day, f"{signed:%Y%m%d}")
    if abs(now - signed) > LIFETIME:
        minutes = int(LIFETIME.total_seconds() // 60)
        raise ForbiddenError(
            f"proof: signed at {date}, and it is {now:%Y%m%dT%H%M%SZ} here: expected {minutes} minutes at most between "
            "them; set the clock of the machine that asks, and ask again"
        )
