"""Who signed a request, asked of STS: the call that its proof (lockgate.proof) holds the headers of.

Functions outside a VPC reach STS as they reach any service; those that hear persons are all outside. The call needs no
permission, since whoever signs may always ask who he is.
"""

from __future__ import annotations

import re
import secrets
import urllib.error
import urllib.request
from functools import cache
from http import HTTPStatus
from typing import Any

from lockgate import proof
from lockgate.clock import machine
from lockgate.errors import BusyError, ConfigError, ForbiddenError
from lockgate.proof import Proof, Proved, ProvedCall

SECONDS = 10
_ARN = re.compile(r"<Arn>(arn:aws:[\x21-\x7e]+?)</Arn>", re.ASCII)
_ERROR = re.compile(r"<Code>([\w.]+)</Code>\s*<Message>([^<]*)</Message>", re.ASCII)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The call goes to STS and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def host_of(region: str) -> str:
    """The host of a region's STS. Raises ConfigError for a region that the SDK does not list."""
    if region not in _regions():
        raise ConfigError("STS", "region", region, "one of those that this version of the SDK lists for STS")
    return f"sts.{region}.amazonaws.com"


def prove(session: Any, request: ProvedCall) -> Proof:
    """A proof that the session's holder makes this request; for the command line, since it takes the secret key."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    nonce, region = secrets.token_hex(16), request.audience.region
    host = host_of(region)
    headers = {"content-type": proof.CONTENT_TYPE, "host": host, proof.BOUND: request.sha256(nonce)}
    call = AWSRequest("POST", f"https://{host}/", data=proof.BODY, headers=headers)
    SigV4Auth(session.get_credentials().get_frozen_credentials(), proof.SERVICE, region).add_auth(call)
    return Proof(nonce=nonce, headers={name.lower(): str(value) for name, value in call.headers.items()})


def caller(text: str, request: ProvedCall) -> Proved:
    """Who made the request, from the text of the proof.

    Raises ForbiddenError when the proof is not for this request or STS does not take it, and BusyError where STS
    could not be asked: then nobody is believed.
    """
    given = proof.read_proof(text)
    host = host_of(request.audience.region)
    status, answer = send(host, proof.headers_to_send(given, request, host, machine()))
    if status == HTTPStatus.OK:
        found = _ARN.findall(answer)
        if len(found) == 1:
            return Proved(found[0], given.nonce)
    said = _ERROR.search(answer)
    why = f"{said[1]}: {said[2]}" if said else f"HTTP {status}"
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and said and said[1] != "Throttling":
        raise ForbiddenError(f"proof: STS does not take it ({why}): sign in again, and repeat the command")
    raise BusyError(f"STS could not say who asks ({why}), so nobody is believed: repeat the command")


def send(host: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and text of the answer of STS. Raises BusyError where there is none."""
    call = urllib.request.Request(f"https://{host}/", data=proof.BODY, headers=headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirect).open(call, timeout=SECONDS) as answer:
            return answer.status, answer.read(64 * 1024).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(64 * 1024).decode(errors="replace")
    except OSError as error:
        raise BusyError(f"STS could not be asked who asks ({error}), so nobody is believed: repeat it") from error


@cache
def _regions() -> frozenset[str]:
    import botocore.session

    return frozenset(botocore.session.get_session().get_available_regions("sts"))
