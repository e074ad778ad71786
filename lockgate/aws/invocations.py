"""Asking a load balancer's listener for predictions, whose certificate may be for another name than its address."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

SECONDS = 30.0


class UnansweredError(Exception):
    """Nobody answered, or not with predictions; the message says what was found."""


def predictions(
    *, address: tuple[str, int], certified: str, path: str, instances: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """POST the rows and return the answer. The listener must prove with its certificate that it is `certified`.

    Raises UnansweredError.
    """
    host, port = address
    connection = _Connection(host, port, certified)
    body = json.dumps({"instances": list(instances)}).encode()
    # By this name a load balancer that environments share knows whose tasks are meant.
    headers = {"Content-Type": "application/json", "Host": f"{certified}:{port}"}
    try:
        connection.request("POST", path, body=body, headers=headers)
        response = connection.getresponse()
        status, said = response.status, response.read()
    except ssl.SSLCertVerificationError as error:
        raise UnansweredError(
            f"{host}:{port}: the certificate is not for {certified} ({error.verify_message}): "
            "set [service] host in environments/*.toml to the name that it is for"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise UnansweredError(f"{host}:{port}: no answer: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if status != 200:
        raise UnansweredError(f"{host}:{port}{path}: HTTP {status}: {said[:300].decode(errors='replace')}")
    try:
        answer = json.loads(said)
    except ValueError as error:
        raise UnansweredError(f"{host}:{port}{path}: found no JSON: {error}") from error
    if not isinstance(answer, dict):
        raise UnansweredError(f"{host}:{port}{path}: found {type(answer).__name__}, expected an object")
    return answer


class _Connection(http.client.HTTPSConnection):
    """HTTPS to an address, through the environment's proxy if it names one, with `certified` as the name to prove."""

    def __init__(self, host: str, port: int, certified: str) -> None:
        self._certified = certified
        self._tls = ssl.create_default_context()
        proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https")
        if proxy is None:
            super().__init__(host, port, timeout=SECONDS, context=self._tls)
        else:
            parts = urllib.parse.urlsplit(proxy)
            super().__init__(parts.hostname or "", parts.port, timeout=SECONDS, context=self._tls)
            self.set_tunnel(host, port)

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._certified)
