"""What holds for every test, and who signs callers' tokens where a test needs somebody."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from local.settings import Settings

AUDIENCE = "models"


@pytest.fixture(autouse=True)
def _proxies_of_its_own() -> None:
    """urllib keeps the proxies of the first caller in a process; another test's may be gone by now."""
    nobody: Any = None
    urllib.request.install_opener(nobody)


class Issuer:
    """An identity provider: signs tokens, and publishes its keys where `url` says once it serves."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        keys = json.dumps(self._keys()).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(keys)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/"

    def serve(self, settings: Settings) -> None:
        """Over TLS, with the certificate that this embedded AWS trusts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.private_key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._serving.start()

    def close(self) -> None:
        if self._serving.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def token(self, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        """Good for a minute, unless the claims say otherwise; None leaves one out."""
        import jwt

        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "a-service", "iat": now, "exp": now + 60, **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.key if key is None else key, algorithm, headers={"kid": "1"})

    def _keys(self) -> dict[str, Any]:
        import jwt

        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}


@pytest.fixture(scope="session")
def new_issuer() -> Iterator[Callable[[], Issuer]]:
    made: list[Issuer] = []

    def new() -> Issuer:
        made.append(Issuer())
        return made[-1]

    yield new
    for issuer in made:
        issuer.close()
